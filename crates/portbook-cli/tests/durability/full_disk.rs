//! A disk that is full: said in a sentence, nothing lost, and work goes on when there is room again.
//!
//! On a disk of one MiB, mounted where no other process sees it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use portbook::{Failure, PortPair};

use crate::kit::{Desk, Done};
use crate::ledger::{Ledger, list};
use crate::scene;

/// Has this binary play a scene on a small disk of its own, mounted at the desk's `data`.
pub(crate) fn on_small_disk(desk: &Desk, scene: &str, part: &str) {
    fs::create_dir_all(desk.root().join("data")).unwrap();
    let mount = "mount -t tmpfs -o size=1m,mode=700 small \"$0\"/data && exec \"$@\"";
    let actor = scene::process(desk, scene, part);
    let mut command = desk.program("unshare");
    command.args(["-m", "sh", "-c", mount]).arg(desk.root());
    command.arg(actor.get_program()).args(actor.get_args());
    for (name, value) in actor.get_envs() {
        command.env(name, value.unwrap());
    }
    let output = command.output().expect("this test needs unshare");
    let log = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        !log.contains("Operation not permitted"),
        "this test mounts a disk of its own: run it as root, or with CAP_SYS_ADMIN\n{log}"
    );
    assert!(output.status.success(), "{log}");
    assert!(log.contains("1 passed"), "{log}");
}

pub(crate) fn in_namespace(desk: &Desk, part: &str) {
    match part {
        "service" => one_service_goes_on(desk),
        "command" => each_amount_of_room(desk),
        "batches" => batches_are_whole(desk),
        other => panic!("no part {other}"),
    }
}

/// Something else on the disk that takes room.
fn ballast(desk: &Desk) -> std::path::PathBuf {
    desk.root().join("data/ballast")
}

/// Fills the disk until so many bytes are left.
fn leave(desk: &Desk, left: usize) {
    let ballast = ballast(desk);
    let _ = fs::remove_file(&ballast);
    let free = free_bytes(&desk.root().join("data"));
    fs::write(&ballast, vec![1; free.saturating_sub(left)]).unwrap();
}

fn free_bytes(folder: &Path) -> usize {
    usize::try_from(portbook::host::file_system(folder).unwrap().free_bytes).unwrap()
}

fn one_service_goes_on(desk: &Desk) {
    let service = desk.service();
    let mut answered: Vec<PortPair> = Vec::new();
    let mut next = 1;
    for round in 0..3 {
        leave(desk, 150_000 + 70_000 * round);
        // A smaller change may still find room where a larger one did not.
        let mut refused = 0;
        while refused < 5 {
            match service.get_or_allocate_ports("model", next) {
                Ok(pair) => {
                    answered.push(pair);
                    next += 1;
                    refused = 0;
                }
                Err(error) => {
                    assert_eq!(
                        (error.failure(), error.code()),
                        (Failure::Book, "disk-full"),
                        "{error}"
                    );
                    refused += 1;
                }
            }
            assert!(next < 10_000, "the disk is never full");
        }
        // What is known can be read.
        let first = service.get_or_allocate_ports("model", 1).unwrap();
        assert_eq!(Some(&first), answered.first());
        fs::remove_file(ballast(desk)).unwrap();
        let pair = service.get_or_allocate_ports("model", next).unwrap();
        answered.push(pair);
        next += 1;
    }
    let ledger = Ledger::of(desk);
    assert_eq!(ledger.held.len(), answered.len());
    for pair in answered {
        let ports = ledger.ports("model", pair.app_num.into()).unwrap();
        assert_eq!(ports["backend"], u64::from(pair.backend.get()));
        assert_eq!(ports["frontend"], u64::from(pair.frontend.get()));
    }
}

/// Whatever little room there is, for a book that is there or not.
fn each_amount_of_room(desk: &Desk) {
    let mut met = BTreeMap::new();
    let mut unclear = Vec::new();
    for has_book in [false, true] {
        for pages in 0..34 {
            let _ = fs::remove_dir_all(desk.book().parent().unwrap());
            if has_book {
                desk.run("allocate old 1").ok();
            }
            leave(desk, 4096 * pages);
            let done = desk.run("allocate new 1 --json");
            match done.code {
                Some(0) => *met.entry((has_book, "done")).or_insert(0) += 1,
                _ => {
                    assert_eq!(done.code, Some(4), "{pages} pages: {done:#?}");
                    let (code, message) = done.complaint();
                    if code != "disk-full" {
                        unclear.push(format!(
                            "allocate, {pages} pages left, a book there: {has_book}: {message}"
                        ));
                    }
                    *met.entry((has_book, "full")).or_insert(0) += 1;
                }
            }
            if has_book {
                // It can be read all the same, or says why not.
                let read = desk.run("get old 1 --json");
                assert!(matches!(read.code, Some(0 | 4)), "{read:#?}");
                if read.code == Some(4) {
                    let (code, message) = read.complaint();
                    if code != "disk-full" {
                        unclear.push(format!("get, {pages} pages left: {message}"));
                    }
                }
            }
            fs::remove_file(ballast(desk)).unwrap();
            let again = desk.json("allocate new 1");
            assert_eq!(
                again["created"],
                done.code != Some(0),
                "{pages} pages: {done:#?}"
            );
            let ledger = Ledger::of(desk);
            assert_eq!(ledger.held.len(), 1 + usize::from(has_book));
        }
    }
    println!("{met:?}");
    assert_eq!(met.len(), 4, "not every case was met: {met:?}");
    assert!(
        unclear.is_empty(),
        "a full disk is not called full: {unclear:#?}"
    );
}

fn batches_are_whole(desk: &Desk) {
    desk.run("allocate first 1").ok();
    leave(desk, 120_000);
    let mut answered = BTreeMap::new();
    let mut batch = 0;
    let refused: Done = loop {
        batch += 1;
        let done = desk.run(&format!("allocate model{batch} 1-30 --json"));
        if done.code != Some(0) {
            break done;
        }
        answered.extend(list(&done.json()));
        assert!(batch < 200, "the disk is never full");
    };
    assert_eq!(refused.complaint().0, "disk-full", "{refused:#?}");
    fs::remove_file(ballast(desk)).unwrap();
    let ledger = Ledger::of(desk);
    assert_eq!(ledger.held.len(), answered.len() + 1);
    for (app, ports) in answered {
        assert_eq!(ledger.held.get(&app), Some(&ports));
    }
    desk.run(&refused.words).ok();
    assert_eq!(
        Ledger::of(desk).of_model(&format!("model{batch}")).len(),
        30
    );
}

#[test]
fn invariant_2_a_service_that_found_the_disk_full_goes_on_when_there_is_room() {
    on_small_disk(&Desk::new(), "small-disk", "service");
}

#[test]
fn invariant_3_a_full_disk_is_one_sentence_whatever_little_room_there_is() {
    on_small_disk(&Desk::new(), "small-disk", "command");
}

#[test]
fn invariant_3_a_batch_that_finds_the_disk_full_leaves_nothing_of_itself() {
    on_small_disk(&Desk::new(), "small-disk", "batches");
}
