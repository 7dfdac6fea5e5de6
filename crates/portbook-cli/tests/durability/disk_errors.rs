//! A disk that fails at one call, or from one call on.
//!
//! Whatever is answered has to agree with what the book holds afterwards: done, not done, or not known.

use std::fs;

use portbook::Failure;
use serde_json::{Value, json};

use crate::kit::{Desk, Done};
use crate::ledger::{Ledger, Ports, ports_of};
use crate::scene;
use crate::traced;

const WORDS: &str = "allocate new 1 --json";

fn with_an_old_app() -> Desk {
    let desk = Desk::new();
    desk.service().get_or_allocate_ports("old", 1).unwrap();
    desk
}

/// Injects one failure into `allocate new 1`, and holds what it said against the truth.
fn fail_once(desk: &Desk, injection: String) -> Done {
    let done = traced::portbook(desk, &[injection], WORDS);
    let held: Option<Ports> = match desk.run("get new 1 --json") {
        found if found.code == Some(0) => Some(ports_of(&found.json())),
        missing => {
            assert_eq!(missing.code, Some(1), "{missing:#?} after {done:#?}");
            None
        }
    };
    match done.code {
        Some(0) => {
            let answer: Value = serde_json::from_str(&done.stdout).unwrap();
            assert_eq!(
                held,
                Some(ports_of(&answer)),
                "the answer is not in the book: {done:#?}"
            );
        }
        Some(4) => {
            let (code, _) = done.complaint();
            assert!(
                held.is_none() || code == "unconfirmed",
                "it happened after all: {done:#?}"
            );
        }
        _ => panic!("neither done nor a failure of the book: {done:#?}"),
    }
    // The cause is gone, and work goes on.
    let again = desk.run(WORDS).json();
    if let Some(held) = held {
        assert_eq!(
            (again["created"].as_bool(), ports_of(&again)),
            (Some(false), held),
            "{done:#?}"
        );
    }
    let ledger = Ledger::of(desk);
    assert!(ledger.ports("new", 1).is_some());
    done
}

fn fail_at_each(prepare: impl Fn() -> Desk, calls: &str, error: &str, most: usize) -> Vec<Done> {
    let single = (1..=most).map(|nth| format!("{calls}:error={error}:when={nth}"));
    let lasting = (1..=most.min(6)).map(|nth| format!("{calls}:error={error}:when={nth}+"));
    let injections = single.chain(lasting);
    injections
        .map(|injection| fail_once(&prepare(), injection))
        .collect()
}

fn failures(ends: &[Done]) -> usize {
    ends.iter().filter(|done| done.code == Some(4)).count()
}

#[test]
fn invariant_6_a_failing_fsync_is_never_answered_by_a_guess() {
    let ends = fail_at_each(with_an_old_app, "fdatasync,fsync", "EIO", 12);
    assert!(failures(&ends) > 0, "no failure was met");
}

#[test]
fn invariant_6_a_failing_write_is_never_answered_by_a_guess() {
    let ends = fail_at_each(with_an_old_app, "pwrite64", "EIO", 12);
    assert!(failures(&ends) > 0, "no failure was met");
}

#[test]
fn invariant_3_a_write_that_finds_the_disk_full_changes_nothing() {
    let ends = fail_at_each(with_an_old_app, "pwrite64", "ENOSPC", 12);
    let full = ends
        .iter()
        .filter(|done| done.code == Some(4) && done.stderr.contains("disk-full"));
    assert!(full.count() > 0, "no full disk was met: {ends:#?}");
}

#[test]
fn invariant_12_a_disk_that_fails_a_creation_leaves_a_book_or_none() {
    for (calls, error, most) in [
        ("fdatasync,fsync", "EIO", 6),
        ("pwrite64", "ENOSPC", 10),
        ("mkdir", "ENOSPC", 2),
        ("renameat2", "EIO", 1),
        ("flock", "EIO", 2),
    ] {
        let ends = fail_at_each(Desk::new, calls, error, most);
        assert!(failures(&ends) > 0, "{calls} {error}: no failure was met");
    }
}

#[test]
fn invariant_12_a_file_system_without_an_exclusive_rename_takes_a_book_too() {
    let desk = Desk::new();
    let done = fail_once(&desk, "renameat2:error=EINVAL".to_owned());
    assert_eq!(done.code, Some(0), "{done:#?}");
}

/// Twenty apps through one service, whatever happens, and what was said about each.
pub(crate) fn twenty(desk: &Desk, _: &str) {
    let service = desk.service();
    // Another has the book open, so that nobody who closes it tidies the journal up.
    let onlooker = desk.service();
    onlooker.get_or_allocate_ports("old", 1).unwrap();
    let said: Vec<Value> = (1..=20)
        .map(
            |number| match service.get_or_allocate_ports("new", number) {
                Ok(pair) => {
                    json!({ "ports": { "backend": pair.backend, "frontend": pair.frontend } })
                }
                Err(error) => {
                    assert_eq!(error.failure(), Failure::Book, "{error}");
                    copy_as_after_a_crash(desk, number);
                    json!({ "code": error.code(), "message": error.to_string() })
                }
            },
        )
        .collect();
    fs::write(desk.root().join("said"), Value::from(said).to_string()).unwrap();
}

/// The book's files as they lie at this moment, for another desk: a process that dies now leaves them so.
///
/// Another process copies them: to close a file of SQLite's would drop this process's locks on it.
fn copy_as_after_a_crash(desk: &Desk, number: u32) {
    let crashed = desk.root().join(format!("crash-{number}/data/portbook"));
    fs::create_dir_all(&crashed).unwrap();
    for suffix in ["", "-wal"] {
        let copied = desk
            .program("cp")
            .arg(desk.beside(suffix))
            .arg(&crashed)
            .status();
        assert!(copied.unwrap().success() || suffix == "-wal");
    }
}

/// With fdatasync failing, SQLite reports an error for a row that is there after a crash.
fn assert_not_there_after_a_crash(desk: &Desk, number: u64, said: &[Value]) {
    let crashed = Desk::at(&desk.root().join(format!("crash-{number}")));
    let ledger = Ledger::of_history_and_list(&crashed);
    assert_eq!(
        ledger.ports("new", number),
        None,
        "{number} came to life: {said:#?}"
    );
    for (earlier, said) in (1..number).zip(said) {
        if said["code"].is_null() {
            assert_eq!(ledger.ports("new", earlier), Some(&ports_of(said)));
        }
    }
}

#[test]
fn invariant_6_a_failed_commit_means_unknown_and_is_looked_up_by_a_service_that_goes_on() {
    let mut failed = 0;
    for injection in [
        "fdatasync,fsync:error=EIO:when=5",
        "fdatasync,fsync:error=EIO:when=9..10",
        "fdatasync,fsync:error=EIO:when=7..13",
        "fdatasync,fsync:error=EIO:when=3+5",
        "pwrite64:error=EIO:when=20+17",
        "pwrite64:error=ENOSPC:when=30..45",
    ] {
        let desk = with_an_old_app();
        let scene = scene::process(&desk, "twenty", "");
        let mut command = traced::strace(&desk, &[injection.to_owned()], "/dev/null");
        command.arg(scene.get_program()).args(scene.get_args());
        for (name, value) in scene.get_envs() {
            command.env(name, value.unwrap());
        }
        let output = command.output().expect("these tests need strace");
        Done::of(injection, output).ok();
        let said = fs::read_to_string(desk.root().join("said")).unwrap();
        let all_said: Vec<Value> = serde_json::from_str(&said).unwrap();
        let ledger = Ledger::of(&desk);
        for (number, said) in (1..).zip(&all_said) {
            let held = ledger.ports("new", number);
            match said["code"].as_str() {
                None => assert_eq!(held, Some(&ports_of(said)), "{injection}: {number}"),
                Some("unconfirmed") => failed += 1,
                Some(_) => {
                    failed += 1;
                    assert_not_there_after_a_crash(&desk, number, &all_said);
                    assert_eq!(
                        held, None,
                        "{injection}: {number} happened after all: {said}"
                    );
                }
            }
        }
        // The disk works again long before the twentieth.
        if !injection.contains('+') {
            assert!(
                all_said[19]["ports"].is_object(),
                "{injection}: {all_said:#?}"
            );
        }
    }
    assert!(failed > 0, "no failure was met");
}
