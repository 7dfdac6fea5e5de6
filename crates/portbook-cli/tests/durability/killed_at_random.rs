//! SIGKILL at random under load, over and over.
//!
//! The clerks are processes that change the book as fast as they can and write down each answer
//! that they get. Each thread of them has apps of its own, so that what the history says of those has
//! to be what was answered, and at most one request more, whole: the one that was under way.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::Child;
use std::thread;
use std::time::Duration;

use portbook::PortAllocationService;
use portbook::model::{AllocationRequest, AppKey, AppNumber, Model, Span};
use serde_json::{Value, json};

use crate::kit::{Desk, Gate, Lot};
use crate::ledger::{Entry, Ledger, ports_of};
use crate::scene;

const ROUNDS: u64 = 42;
const ROUNDS_A_BOOK: u64 = 7;
const CLERKS: u64 = 3;
const THREADS: u64 = 2;

/// The part of a clerk: until it is killed.
pub(crate) fn clerk(desk: &Desk, name: &str) {
    let service = desk.service();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (name, service) = (format!("{name}-{thread}"), &service);
            scope.spawn(move || {
                // Another seed for each, but the same for the same name.
                let seed = name
                    .bytes()
                    .fold(7, |seed, byte| seed * 31 + u64::from(byte));
                Desk::work(desk, &name, service, &mut Lot::seeded(seed));
            });
        }
    });
}

fn key(model: &str, number: u32) -> AppKey {
    AppKey::new(Model::new(model).unwrap(), AppNumber::new(number).unwrap())
}

impl Desk {
    fn diary(&self, name: &str) -> PathBuf {
        self.root().join(format!("diary-{name}"))
    }

    fn work(&self, name: &str, service: &PortAllocationService, lot: &mut Lot) {
        let mut diary = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.diary(name))
            .unwrap();
        // One write a line: what was written outlives the process.
        let mut note = |line: Value| diary.write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut held: BTreeMap<u32, bool> = BTreeMap::new();
        let mut renewals = 0;
        loop {
            let number = 1 + lot.below(6) as u32;
            let mut done: Vec<Value> = Vec::new();
            match lot.below(10) {
                0..5 => {
                    let numbers: Vec<u32> = (number..=number + lot.below(3) as u32).collect();
                    let new = numbers
                        .iter()
                        .filter(|number| !held.contains_key(number))
                        .count();
                    note(json!({ "asked": new }));
                    let ttl = (lot.below(3) == 0).then(|| Span::from_millis(3_600_000));
                    let ttl = ttl.filter(|_| new == numbers.len());
                    let request = AllocationRequest {
                        ttl,
                        ..AllocationRequest::plain(
                            numbers.iter().map(|number| key(name, *number)).collect(),
                        )
                    };
                    for grant in service.allocate(&request).unwrap() {
                        let number = grant.allocation.app.number.get();
                        assert_ne!(grant.created, held.contains_key(&number));
                        if grant.created {
                            held.insert(number, ttl.is_some());
                            done.push(json!({ "kind": "allocated", "app_num": number, "ports": grant.allocation.ports }));
                        }
                    }
                }
                5..8 if held.contains_key(&number) => {
                    note(json!({ "asked": 1 }));
                    let released = service.release(vec![key(name, number)]).unwrap();
                    held.remove(&number);
                    done.push(
                        json!({ "kind": "released", "app_num": number, "ports": released[0].1 }),
                    );
                }
                8 if held.get(&number) == Some(&true) => {
                    note(json!({ "asked": 1 }));
                    // Another length each time: a second renewal within one millisecond would change
                    // nothing, and so leave nothing in the history.
                    renewals += 1;
                    let ttl = Span::from_millis(3_600_000 + renewals);
                    service.renew(key(name, number), Some(ttl)).unwrap();
                    done.push(json!({ "kind": "renewed", "app_num": number }));
                }
                9 => {
                    let pair = service.get_or_allocate_ports("shared", number).unwrap();
                    note(
                        json!({ "shared": number, "ports": { "backend": pair.backend, "frontend": pair.frontend } }),
                    );
                    continue;
                }
                _ => continue,
            }
            note(json!({ "answered": done }));
        }
    }

    /// Holds what a clerk's thread wrote down against the history; returns how many answers it had.
    fn audit(&self, name: &str, ledger: &Ledger) -> usize {
        let lines = fs::read_to_string(self.diary(name)).unwrap_or_default();
        let mut answers = 0;
        let mut answered: Vec<Value> = Vec::new();
        let mut pending = None;
        for line in lines.lines() {
            // The last line may be torn.
            let Ok(line) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            if let Some(asked) = line["asked"].as_u64() {
                pending = Some(asked as usize);
            } else if let Some(done) = line["answered"].as_array() {
                answered.extend(done.iter().cloned());
                answers += 1;
                pending = None;
            } else if let Some(number) = line["shared"].as_u64() {
                answers += 1;
                assert_eq!(
                    ledger.ports("shared", number),
                    Some(&ports_of(&line)),
                    "{name}: {line}"
                );
            }
        }
        let recorded = ledger.of_model(name);
        assert!(
            recorded.len() >= answered.len(),
            "{name}: an answer was lost: {recorded:?} {answered:?}"
        );
        let (known, unknown) = recorded.split_at(answered.len());
        for (entry, answer) in known.iter().zip(&answered) {
            assert_eq!(entry.kind, answer["kind"], "{name}");
            assert_eq!(entry.app.as_ref().unwrap().1, answer["app_num"], "{name}");
            assert_eq!(entry.ports, ports_of(answer), "{name}");
        }
        let whole = unknown.is_empty() || Some(unknown.len()) == pending;
        assert!(
            whole,
            "{name}: asked for {pending:?} changes, found {unknown:?}"
        );
        let one_commit = |entries: &[&Entry]| {
            entries
                .iter()
                .all(|entry| entry.commit == entries[0].commit)
        };
        assert!(one_commit(unknown), "{name}: {unknown:?}");
        answers
    }
}

fn kill(mut process: Child) {
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
fn invariant_2_and_3_every_answer_survives_kills_under_load_and_no_commit_is_half() {
    let mut lot = Lot::drawn("kills under load");
    let mut answers = 0;
    let mut desk = Desk::new();
    for round in 0..ROUNDS {
        if round % ROUNDS_A_BOOK == 0 {
            desk = Desk::new();
        }
        let name = |clerk| format!("clerk{round}-{clerk}");
        let clerks: Vec<Child> = (0..CLERKS)
            .map(|clerk| scene::start(&desk, "clerk", &name(clerk)))
            .collect();
        // Every other time somebody has had an answer; otherwise they may just have begun.
        if round % 2 == 0 {
            let busy = || {
                (0..THREADS).any(|thread| {
                    let diary = desk.diary(&format!("{}-{thread}", name(0)));
                    fs::metadata(diary).is_ok_and(|diary| diary.len() > 500)
                })
            };
            crate::traced::wait_until("a clerk works", busy);
        }
        for clerk in clerks {
            thread::sleep(Duration::from_micros(lot.below(30_000)));
            kill(clerk);
        }
        let ledger = Ledger::of(&desk);
        for clerk in 0..CLERKS {
            for thread in 0..THREADS {
                answers += desk.audit(&format!("{}-{thread}", name(clerk)), &ledger);
            }
        }
        // The next one finds nothing in its way.
        desk.run(&format!("allocate after {}", round + 1)).ok();
    }
    println!("{answers} answers in {ROUNDS} rounds");
    assert!(answers > 100);
}

#[test]
fn invariant_12_a_creation_that_is_killed_leaves_a_book_or_none() {
    let mut lot = Lot::drawn("kills of creators");
    for _ in 0..40 {
        let desk = Desk::new();
        let gate = Gate::new();
        let start =
            |number| desk.portbook_behind(&gate, &format!("allocate model {number} --json"));
        let creators: Vec<Child> = (1..=3).map(start).collect();
        gate.open();
        let mut answers = Vec::new();
        for mut creator in creators {
            thread::sleep(Duration::from_micros(lot.below(10_000)));
            creator.kill().unwrap();
            let ended = creator.wait_with_output().unwrap();
            answers.extend(serde_json::from_slice::<Value>(&ended.stdout));
        }
        desk.run("allocate after 1").ok();
        let ledger = Ledger::of(&desk);
        for answer in answers {
            let number = answer["app_num"].as_u64().unwrap();
            assert_eq!(ledger.ports("model", number), Some(&ports_of(&answer)));
        }
        assert_no_leftovers(&desk);
    }
}

/// The book's folder holds the book and what belongs to it, and nothing of creators who were killed.
pub(crate) fn assert_no_leftovers(desk: &Desk) {
    let known = [
        "portbook.db",
        "portbook.db.lock",
        "portbook.db-wal",
        "portbook.db-shm",
    ];
    for entry in fs::read_dir(desk.book().parent().unwrap()).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(
            known.iter().any(|known| name == *known),
            "{name:?} was left behind"
        );
    }
}
