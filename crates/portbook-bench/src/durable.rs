//! Durable allocations: one caller against plain inserts, many callers against one.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use portbook::PortAllocationService;
use portbook_model::AllocationRequest;
use rusqlite::Connection;

use crate::harness::{Benchmark, Bound, Failure, HostCheck, Outcome, app, median, service, timed};

const ROUNDS: usize = 15;
const PER_ROUND: usize = 200;
/// After so many pages SQLite begins its journal again, as the book has it.
const JOURNAL: usize = 4000;
/// Fewer pages than an allocation changes.
const PAGES: usize = 4;
const WARM: usize = 200;
pub const CALLERS: usize = 64;
pub const PER_CALLER: usize = 20;

/// (a) One caller's durable allocations a second, against one plain INSERT a transaction in SQLite
/// with the same pragmas.
pub fn one_caller() -> Outcome {
    let folder = tempfile::tempdir()?;
    let plain = service(&folder.path().join("plain.db"), HostCheck::Off)?;
    let checking = service(&folder.path().join("checking.db"), HostCheck::On)?;
    let floor = floor(&folder.path().join("floor.db"))?;
    // Each journal has come to its full length and begun again: growing a file costs more than writing it.
    insert(&floor, 1, JOURNAL + WARM)?;
    allocate(&plain, "bench/warm", 1, JOURNAL / PAGES + WARM)?;
    allocate(&checking, "bench/warm", 1, JOURNAL / PAGES + WARM)?;
    let mut times: [Vec<Duration>; 3] = Default::default();
    for round in 0..ROUNDS {
        let first = round * PER_ROUND + 1;
        times[0].push(timed(|| insert(&floor, first, PER_ROUND))?);
        times[1].push(timed(|| allocate(&plain, "bench/one", first, PER_ROUND))?);
        times[2].push(timed(|| {
            allocate(&checking, "bench/one", first, PER_ROUND)
        })?);
    }
    let [floor, plain, checking] = times.map(median);
    let rate = |time: f64| PER_ROUND as f64 / time;
    println!(
        "           a second: {:.0} INSERTs, {:.0} allocations, {:.0} with the host check ({:.2})",
        rate(floor),
        rate(plain),
        rate(checking),
        floor / checking
    );
    Ok(vec![Benchmark {
        what: "one caller's durable allocations a second / plain durable INSERTs a second".into(),
        ratio: floor / plain,
        bound: Bound::AtLeast(0.6),
    }])
}

/// (b) 64 callers in one process against one.
pub fn sixty_four_callers() -> Outcome {
    let (alone, together) = crowd_against_one(HostCheck::On)?;
    println!(
        "           a second, with the host check: one caller {:.0}, {CALLERS} callers {:.0} ({:.2})",
        1.0 / alone,
        1.0 / together,
        alone / together
    );
    let (alone, together) = crowd_against_one(HostCheck::Off)?;
    println!(
        "           a second, without: one caller {:.0}, {CALLERS} callers {:.0}",
        1.0 / alone,
        1.0 / together
    );
    Ok(vec![Benchmark {
        what: format!("{CALLERS} callers' allocations a second / one caller's"),
        ratio: alone / together,
        bound: Bound::AtLeast(10.0),
    }])
}

/// The time of one allocation, for one caller and for many.
fn crowd_against_one(host_check: HostCheck) -> Result<(f64, f64), Failure> {
    let folder = tempfile::tempdir()?;
    let service = service(&folder.path().join("portbook.db"), host_check)?;
    allocate(&service, "bench/warm", 1, 10)?;
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for round in 0..5 {
        let first = round * PER_ROUND + 1;
        let took = timed(|| allocate(&service, "bench/alone", first, PER_ROUND))?;
        alone.push(took / u32::try_from(PER_ROUND)?);
        let took = crowd(&service, round)?;
        together.push(took / u32::try_from(CALLERS * PER_CALLER)?);
    }
    Ok((median(alone), median(together)))
}

/// How long many callers take for `PER_CALLER` allocations each.
pub fn crowd(service: &PortAllocationService, round: usize) -> Result<Duration, Failure> {
    let start = Barrier::new(CALLERS + 1);
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    let first = round * PER_CALLER + 1;
                    let model = format!("bench/caller-{caller}");
                    allocate(service, &model, first, PER_CALLER).map_err(|error| error.to_string())
                })
            })
            .collect();
        start.wait();
        let started = Instant::now();
        for caller in callers {
            caller.join().map_err(|_| "a caller panicked")??;
        }
        Ok(started.elapsed())
    })
}

/// Allocates app after app.
pub fn allocate(
    service: &PortAllocationService,
    model: &str,
    first: usize,
    count: usize,
) -> Result<(), Failure> {
    for number in first..first + count {
        service.allocate(&AllocationRequest::plain(vec![app(model, number)?]))?;
    }
    Ok(())
}

fn floor(path: &std::path::Path) -> Result<Connection, Failure> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "page_size", 1024)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", JOURNAL as i64)?;
    connection.execute_batch(
        "CREATE TABLE floor (id INTEGER PRIMARY KEY, model TEXT, app INTEGER, backend INTEGER, frontend INTEGER)",
    )?;
    Ok(connection)
}

fn insert(connection: &Connection, first: usize, count: usize) -> Result<(), Failure> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO floor (model, app, backend, frontend) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for number in first..first + count {
        statement.execute(("bench/one", i64::try_from(number)?, 5001, 8001))?;
    }
    Ok(())
}
