//! Many at once: clients of a server that is killed under them, and servers and commands on one book.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::asking::{Client, PATIENCE};
use crate::kit::Sandbox;
use crate::serving::Serving;

/// An app, and its backend's and frontend's port.
type Answers = BTreeMap<(String, u64), (u64, u64)>;

const CLIENTS: usize = 64;

fn serve(sandbox: &Sandbox) -> Serving {
    let mut command: Command = sandbox.command();
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("PORTBOOK_LOG", "error");
    Serving::of(command)
}

fn note(answers: &mut Answers, record: &Value) {
    let app = (
        record["model"].as_str().unwrap().to_owned(),
        record["app_num"].as_u64().unwrap(),
    );
    let port = |role: &str| record[role].as_u64().unwrap();
    let before = answers.insert(app, (port("backend"), port("frontend")));
    assert!(
        before.is_none_or(|before| before == (port("backend"), port("frontend"))),
        "two answers for one app: {before:?} and {record}"
    );
}

/// Every answer is in the book, and no port is in it twice.
fn audit(sandbox: &Sandbox, answers: &Answers) {
    let listed = sandbox.json("list");
    let mut book = Answers::new();
    let mut owners = BTreeMap::new();
    for row in listed.as_array().unwrap() {
        let app = (
            row["model"].as_str().unwrap().to_owned(),
            row["app_num"].as_u64().unwrap(),
        );
        let pair = (
            row["backend_port"].as_u64().unwrap(),
            row["frontend_port"].as_u64().unwrap(),
        );
        for port in [pair.0, pair.1] {
            let other = owners.insert(port, app.clone());
            assert_eq!(other, None, "port {port} is also {app:?}'s");
        }
        book.insert(app, pair);
    }
    for (app, pair) in answers {
        assert_eq!(book.get(app), Some(pair), "{app:?} was answered otherwise");
    }
    assert_eq!(sandbox.json("check"), json!([]));
}

/// A client allocates until the server is gone; the answers that came whole.
fn allocate_until_the_end(url: &str, model: &str, answered: &AtomicUsize) -> Answers {
    let mut answers = Answers::new();
    let Ok(mut client) = Client::connect(url) else {
        return answers;
    };
    for number in 1.. {
        // Others ask for this one, too.
        let shared = number % 8 == 0;
        let model = if shared { "shared" } else { model };
        let Ok((status, record)) = client.allocate(model, number) else {
            break;
        };
        assert!([200, 201].contains(&status), "{record}");
        note(&mut answers, &record);
        answered.fetch_add(1, Ordering::Relaxed);
    }
    answers
}

#[test]
fn what_was_answered_before_a_kill_is_in_the_book_and_nothing_is_in_it_twice() {
    let sandbox = Sandbox::new();
    let mut answers = Answers::new();
    for round in 0..6_usize {
        let serving = serve(&sandbox);
        let url = serving.address.clone();
        let answered = AtomicUsize::new(0);
        thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let (url, answered) = (&url, &answered);
                    scope.spawn(move || {
                        let model = format!("round-{round}-client-{client}");
                        allocate_until_the_end(url, &model, answered)
                    })
                })
                .collect();
            let began = Instant::now();
            // Another moment each time: from the first answers on to when all are in full swing.
            while answered.load(Ordering::Relaxed) < 1 + round * 150 {
                assert!(began.elapsed() < PATIENCE, "nobody is answered");
                thread::sleep(Duration::from_micros(100));
            }
            serving.signal(Signal::KILL);
            serving.wait();
            for client in clients {
                for ((model, app_num), (backend, frontend)) in client.join().unwrap() {
                    let record = json!({ "model": model, "app_num": app_num, "backend": backend, "frontend": frontend });
                    note(&mut answers, &record);
                }
            }
        });
        audit(&sandbox, &answers);
    }
    assert!(answers.len() > 1000, "{} answers", answers.len());
}

#[test]
fn two_servers_and_three_commands_share_one_book_and_nothing_fails() {
    let sandbox = Sandbox::new();
    let servers = [serve(&sandbox), serve(&sandbox)];
    let mut answers = Answers::new();
    let records: Vec<Vec<Value>> = thread::scope(|scope| {
        let mut workers = Vec::new();
        for (place, server) in servers.iter().enumerate() {
            for client in 0..16 {
                workers.push(scope.spawn(move || {
                    let mut connection = Client::connect(&server.address).unwrap();
                    // The models of the odd ones are asked of both servers.
                    let model = match client % 2 {
                        0 => format!("server-{place}-client-{client}"),
                        _ => format!("client-{client}"),
                    };
                    let mut allocate = |number| {
                        let (status, record) = connection.allocate(&model, number).unwrap();
                        assert!([200, 201].contains(&status), "{record}");
                        record
                    };
                    (1..=20).map(&mut allocate).collect::<Vec<Value>>()
                }));
            }
        }
        for command in 0..3 {
            let sandbox = &sandbox;
            workers.push(scope.spawn(move || {
                let allocate =
                    |number| sandbox.json(&format!("allocate command-{command} {number}"));
                (1..=15).map(allocate).collect()
            }));
        }
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    for record in records.iter().flatten() {
        note(&mut answers, record);
    }
    assert_eq!(answers.len(), 2 * 8 * 20 + 8 * 20 + 3 * 15);
    audit(&sandbox, &answers);
    for server in servers {
        assert!(server.stop().success());
    }
}
