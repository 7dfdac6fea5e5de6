//! A process that has the turn and hangs: readers go on, writers wait, and go on after it in order.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::process::Child;
use std::thread;
use std::time::Duration;

use portbook_sqlite::{Options, SqliteStore};
use portbook_store::{Store, StoreError};
use rusqlite::Connection;
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};

use crate::kit::{Desk, Done};
use crate::ledger::{Ledger, ports_of};
use crate::scene;
use crate::traced::wait_until;

/// The part of the holder: takes the turn, says so, and hangs.
pub(crate) fn hold(desk: &Desk) {
    fs::create_dir_all(desk.book().parent().unwrap()).unwrap();
    let lock = OpenOptions::new()
        .create(true)
        .append(true)
        .open(desk.beside(".lock"))
        .unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    fs::write(desk.root().join("holding"), "").unwrap();
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}

/// A process that has the turn and was stopped.
fn stopped_holder(desk: &Desk) -> Child {
    let holder = scene::start(desk, "holder", "");
    wait_until("the turn is held", || desk.root().join("holding").exists());
    kill_process(Pid::from_child(&holder), Signal::STOP).unwrap();
    holder
}

/// How many wait for the turn.
fn waiting(desk: &Desk) -> usize {
    let inode = format!(":{}", fs::metadata(desk.beside(".lock")).unwrap().ino());
    let locks = fs::read_to_string("/proc/locks").unwrap();
    let waits = |line: &&str| {
        line.contains("->") && line.split_whitespace().any(|word| word.ends_with(&inode))
    };
    locks.lines().filter(waits).count()
}

/// Starts one writer after the other, each when the one before it waits.
fn queue_up(desk: &Desk, lines: &[&str]) -> Vec<Child> {
    let mut writers = Vec::new();
    for (index, words) in lines.iter().enumerate() {
        writers.push(desk.portbook(words).spawn().unwrap());
        wait_until("a writer queues up", || waiting(desk) > index);
    }
    writers
}

fn end(mut holder: Child) {
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[test]
fn a_hanging_holder_of_the_turn_keeps_nobody_from_reading_and_writers_go_on_in_order() {
    let desk = Desk::new();
    let old = desk.json("allocate old 1");
    let holder = stopped_holder(&desk);
    for words in ["get old 1", "allocate old 1"] {
        assert_eq!(ports_of(&desk.json(words)), ports_of(&old));
    }
    for words in ["list", "history", "check", "stats", "map"] {
        desk.run(words).ok();
    }
    let lines = [
        "allocate c 1 --json",
        "allocate a 1 --json",
        "allocate b 1 --json",
        "release old 1 --json",
    ];
    let mut writers = queue_up(&desk, &lines);
    for writer in &mut writers {
        assert!(
            writer.try_wait().unwrap().is_none(),
            "a writer did not wait"
        );
    }
    assert_eq!(Ledger::of(&desk).history.len(), 1);
    end(holder);
    for (writer, words) in writers.into_iter().zip(lines) {
        Done::of(words, writer.wait_with_output().unwrap()).ok();
    }
    let ledger = Ledger::of(&desk);
    let order: Vec<&str> = ledger.history[1..]
        .iter()
        .map(|entry| entry.app.as_ref().unwrap().0.as_str())
        .collect();
    assert_eq!(order, ["c", "a", "b", "old"]);
}

#[test]
fn a_creation_waits_for_a_hanging_holder_too() {
    let desk = Desk::new();
    let holder = stopped_holder(&desk);
    let writers = queue_up(&desk, &["allocate new 1 --json", "get new 1 --json"]);
    assert!(!desk.book().exists());
    end(holder);
    for writer in writers {
        let done = Done::of("", writer.wait_with_output().unwrap());
        assert!(matches!(done.code, Some(0 | 1)), "{done:#?}");
    }
    assert!(Ledger::of(&desk).ports("new", 1).is_some());
}

#[test]
fn whoever_waits_in_vain_is_told_who_has_the_turn() {
    let desk = Desk::new();
    desk.run("allocate old 1").ok();
    let holder = stopped_holder(&desk);
    // The command waits for thirty seconds; the store waits as long as it is told.
    let store = SqliteStore::open(&desk.book(), Options::default()).unwrap();
    let Err(error) = store.turn(Duration::from_millis(50)) else {
        panic!("two have the turn");
    };
    assert!(matches!(error, StoreError::Busy { .. }), "{error}");
    let sentence = error.to_string();
    assert!(
        sentence.contains(&format!("process {}", holder.id())),
        "{sentence}"
    );
    end(holder);
    store.turn(Duration::from_secs(60)).map(drop).unwrap();
}

#[test]
fn a_program_that_writes_without_a_turn_makes_writers_wait_and_readers_not() {
    let desk = Desk::new();
    desk.run("allocate old 1").ok();
    let stranger = Connection::open(desk.book()).unwrap();
    stranger
        .execute_batch("BEGIN IMMEDIATE; UPDATE book SET id = id")
        .unwrap();
    let writer = desk.portbook("allocate new 1 --json").spawn().unwrap();
    // Once it has the turn it waits for the stranger.
    let second = desk.portbook("allocate new 2 --json").spawn().unwrap();
    wait_until("one has the turn and one waits for it", || {
        waiting(&desk) == 1
    });
    for words in ["get old 1", "list", "history", "check"] {
        desk.run(words).ok();
    }
    stranger.execute_batch("ROLLBACK").unwrap();
    for writer in [writer, second] {
        Done::of("", writer.wait_with_output().unwrap()).ok();
    }
    assert_eq!(Ledger::of(&desk).held.len(), 3);
}
