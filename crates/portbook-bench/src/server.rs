//! (l) to (o) The server by HTTP: many clients against one, lookups against a constant answer, lookups
//! while others allocate, and what all of that takes in memory.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Benchmark, Bound, Failure, HostCheck, Outcome, fill, median, service, timed};
use crate::http::{Client, get, post};
use crate::serving::Serving;

pub const CLIENTS: usize = 64;
pub const PER_CLIENT: usize = 20;
pub const ALONE: usize = 200;
pub const ROUNDS: usize = 5;
const LOOKUPS: usize = 2000;
const MANY: usize = 14_000;
const A_LOOKUP: &str = "/api/v1/allocations/bench%2Fheld/7";
const ALLOCATIONS: &str = "/api/v1/allocations";

pub fn run() -> Outcome {
    let mut benchmarks = crowd_against_one()?;
    benchmarks.extend(lookups_against_constant()?);
    benchmarks.extend(lookups_beside_a_crowd()?);
    benchmarks.extend(memory()?);
    Ok(benchmarks)
}

/// (l) 64 keep-alive clients that allocate new apps, against one.
fn crowd_against_one() -> Outcome {
    let mut ratios = Vec::new();
    for host_check in [HostCheck::On, HostCheck::Off] {
        let folder = tempfile::tempdir()?;
        let server = Serving::portbook(&folder.path().join("book.db"), host_check, &[])?;
        let ask = |client: usize, number: usize| an_app(&format!("c{client}"), number);
        let [alone, together] = rates(&server.url, ask)?;
        let with = match host_check {
            HostCheck::On => "with the host check",
            HostCheck::Off => "without",
        };
        println!(
            "           allocations a second by HTTP, {with}: one client {alone:.0}, {CLIENTS} clients {together:.0} ({:.2})",
            together / alone
        );
        ratios.push(together / alone);
    }
    Ok(vec![Benchmark {
        what: format!("{CLIENTS} clients' allocations a second by HTTP / one client's"),
        ratio: ratios[1],
        bound: Bound::AtLeast(10.0),
    }])
}

/// A request for an app that is not there yet.
fn an_app(model: &str, number: usize) -> Vec<u8> {
    post(
        ALLOCATIONS,
        &format!("{{\"model\":\"{model}\",\"app_num\":{number}}}"),
    )
}

/// How many requests a second one client has answered, and 64 clients together, turn by turn.
pub fn rates(
    url: &str,
    request: impl Fn(usize, usize) -> Vec<u8> + Sync,
) -> Result<[f64; 2], Failure> {
    let mut one = Client::connect(url)?;
    let mut many = (0..CLIENTS)
        .map(|_| Client::connect(url))
        .collect::<Result<Vec<_>, _>>()?;
    // The first of all opens the book.
    one.ask(&request(CLIENTS + 1, 1))?;
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let first = round * ALONE + 1;
        alone.push(timed(|| {
            for number in first..first + ALONE {
                one.ask(&request(CLIENTS, number))?;
            }
            Ok(())
        })?);
        together.push(crowd(&mut many, round, &request)?);
    }
    Ok([
        ALONE as f64 / median(alone),
        (CLIENTS * PER_CLIENT) as f64 / median(together),
    ])
}

fn crowd(
    clients: &mut [Client],
    round: usize,
    request: &(impl Fn(usize, usize) -> Vec<u8> + Sync),
) -> Result<Duration, Failure> {
    let start = Barrier::new(clients.len() + 1);
    std::thread::scope(|scope| {
        let clients: Vec<_> = clients
            .iter_mut()
            .enumerate()
            .map(|(name, client)| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    for number in round * PER_CLIENT + 1..=(round + 1) * PER_CLIENT {
                        let answer = client.ask(&request(name, number));
                        answer.map_err(|error| error.to_string())?;
                    }
                    Ok::<_, String>(())
                })
            })
            .collect();
        start.wait();
        let started = Instant::now();
        for client in clients {
            client.join().map_err(|_| "a client panicked")??;
        }
        Ok(started.elapsed())
    })
}

/// (m) Lookups against `/health`, whose answer is always the same.
fn lookups_against_constant() -> Outcome {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("book.db");
    fill(&service(&store, HostCheck::Off)?, "bench/held", MANY)?;
    let server = Serving::portbook(&store, HostCheck::On, &[])?;
    let mut client = Client::connect(&server.url)?;
    let requests = [get(A_LOOKUP), get("/health")];
    let mut times: [Vec<Duration>; 2] = Default::default();
    for round in 0..=ROUNDS {
        for (request, times) in requests.iter().zip(&mut times) {
            let took = timed(|| {
                for _ in 0..LOOKUPS {
                    client.ask(request)?;
                }
                Ok(())
            })?;
            // The first round warms up.
            if round > 0 {
                times.push(took);
            }
        }
    }
    let [lookups, constant] = times.map(|times| LOOKUPS as f64 / median(times));
    println!(
        "           a second, one client: {lookups:.0} lookups among {MANY} apps, {constant:.0} of /health"
    );
    Ok(vec![Benchmark {
        what: "lookups a second by HTTP / requests of /health a second".into(),
        ratio: lookups / constant,
        bound: Bound::AtLeast(0.5),
    }])
}

/// (n) The slowest lookup of a hundred while 64 clients allocate, against the same on an idle server.
fn lookups_beside_a_crowd() -> Outcome {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("book.db");
    fill(&service(&store, HostCheck::Off)?, "bench/held", 100)?;
    let server = Serving::portbook(&store, HostCheck::Off, &[])?;
    let mut client = Client::connect(&server.url)?;
    slowest_of_a_hundred(&mut client)?;
    let idle = slowest_of_a_hundred(&mut client)?;
    let done = AtomicBool::new(false);
    let start = Barrier::new(CLIENTS + 1);
    let busy = std::thread::scope(|scope| {
        let allocating: Vec<_> = (0..CLIENTS)
            .map(|name| {
                let (done, start, url) = (&done, &start, &server.url);
                scope.spawn(move || {
                    let client = Client::connect(url);
                    start.wait();
                    let mut client = client.map_err(|error| error.to_string())?;
                    let mut number = 1;
                    while !done.load(Ordering::Relaxed) {
                        // Each has a port space, so that none runs full.
                        let path = format!("{ALLOCATIONS}?space=s{name}");
                        let app = format!("{{\"model\":\"m\",\"app_num\":{number}}}");
                        let answer = client.ask(&post(&path, &app));
                        answer.map_err(|error| error.to_string())?;
                        number += 1;
                    }
                    Ok::<_, String>(number - 1)
                })
            })
            .collect();
        start.wait();
        let started = Instant::now();
        let busy = slowest_of_a_hundred(&mut client);
        let took = started.elapsed().as_secs_f64();
        done.store(true, Ordering::Relaxed);
        let mut made = 0;
        for client in allocating {
            made += client.join().map_err(|_| "a client panicked")??;
        }
        println!(
            "           {:.0} allocations a second beside the lookups",
            made as f64 / took
        );
        busy
    })?;
    println!(
        "           p99 of lookups: idle {:.0} us, while {CLIENTS} clients allocate {:.0} us",
        idle * 1e6,
        busy * 1e6
    );
    Ok(vec![Benchmark {
        what: format!("p99 of lookups while {CLIENTS} clients allocate / on an idle server"),
        ratio: busy / idle,
        bound: Bound::AtMost(5.0),
    }])
}

fn slowest_of_a_hundred(client: &mut Client) -> Result<f64, Failure> {
    let request = get(A_LOOKUP);
    let mut times = (0..LOOKUPS)
        .map(|_| timed(|| client.ask(&request)))
        .collect::<Result<Vec<_>, _>>()?;
    times.sort();
    Ok(times[times.len() * 99 / 100].as_secs_f64())
}

/// (o) What the server has in use once everything was asked of it that a day brings.
fn memory() -> Outcome {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("book.db");
    fill(&service(&store, HostCheck::Off)?, "bench/held", MANY)?;
    let server = Serving::portbook(&store, HostCheck::Off, &[])?;
    let begins = server.resident()?;
    let mut client = Client::connect(&server.url)?;
    for _ in 0..3 {
        for path in [
            "allocations",
            "stats",
            "ports",
            "conflicts",
            "history",
            "export",
        ] {
            client.ask(&get(&format!("/api/v1/{path}")))?;
        }
        client.ask(&get("/metrics"))?;
    }
    let asked = server.resident()?;
    let ask = |client: usize, number: usize| an_app(&format!("c{client}"), 1 + number % 10);
    rates(&server.url, ask)?;
    let ends = server.resident()?;
    println!(
        "           MiB with {MANY} apps: {begins:.1} at first, {asked:.1} after lists, history and metrics, {ends:.1} after {CLIENTS} clients"
    );
    Ok(vec![Benchmark {
        what: format!("MiB of memory with {MANY} apps"),
        ratio: ends,
        bound: Bound::AtMost(64.0),
    }])
}
