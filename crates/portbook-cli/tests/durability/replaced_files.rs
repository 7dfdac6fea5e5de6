//! Files that change under a service that has them open.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::kit::Desk;
use crate::ledger::Ledger;

#[test]
fn invariant_8_a_lock_file_that_is_removed_again_and_again_costs_no_promise() {
    let desk = Desk::new();
    let services = [desk.service(), desk.service(), desk.service()];
    // The book is there: who makes one relies on the lock, and is refused where it is taken away.
    services[0].get_or_allocate_ports("model0", 1).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = fs::remove_file(desk.beside(".lock"));
                thread::yield_now();
            }
        });
        let workers: Vec<_> = services
            .iter()
            .enumerate()
            .map(|(index, service)| {
                scope.spawn(move || {
                    for number in 1..=60 {
                        service
                            .get_or_allocate_ports(&format!("model{index}"), number)
                            .unwrap();
                    }
                })
            })
            .collect();
        let ends: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        done.store(true, Ordering::Relaxed);
        assert!(ends.iter().all(Result::is_ok));
    });
    assert_eq!(Ledger::of(&desk).held.len(), 180);
}

/// A book of its own with one app, as one file.
fn another_book() -> Vec<u8> {
    let desk = Desk::new();
    desk.run("allocate other 1").ok();
    fs::read(desk.book()).unwrap()
}

#[test]
fn a_service_does_not_write_into_another_book_that_was_put_in_its_place() {
    let desk = Desk::new();
    let service = desk.service();
    service.get_or_allocate_ports("model", 1).unwrap();
    let aside = desk.root().join("aside.db");
    fs::rename(desk.book(), &aside).unwrap();
    desk.put_book(&another_book());

    let error = service.get_or_allocate_ports("model", 2).unwrap_err();
    assert_eq!(error.code(), "book-went-back", "{error}");
    // It stays so, for as long as this service lives.
    assert!(service.release_ports("other", 1).is_err());
    drop(service);
    // Nor do others write into it, until somebody accepts it; it holds nothing of the former one.
    let ledger = Ledger::of(&desk);
    assert_eq!(ledger.held.len(), 1);
    assert!(ledger.ports("other", 1).is_some());
    let service = desk.service();
    assert!(service.get_or_allocate_ports("model", 2).is_err());
    service.accept().unwrap();
    service.get_or_allocate_ports("model", 2).unwrap();
    // The former one lost nothing either.
    let old = Desk::new();
    old.put_book(&fs::read(&aside).unwrap());
    let ledger = Ledger::of(&old);
    assert_eq!(
        (ledger.held.len(), ledger.ports("model", 1).is_some()),
        (1, true)
    );
}

#[test]
fn a_service_whose_book_was_removed_loses_no_answer_without_saying_so() {
    let desk = Desk::new();
    let service = desk.service();
    service.get_or_allocate_ports("model", 1).unwrap();
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let _ = fs::remove_file(desk.beside(suffix));
    }
    // Not into the file that has no name any more.
    match service.get_or_allocate_ports("model", 2) {
        Err(error) => assert_eq!(error.failure().exit_status(), 4, "{error}"),
        Ok(pair) => {
            let ledger = Ledger::of(&desk);
            assert_eq!(
                ledger.ports("model", 2).map(|ports| ports["backend"]),
                Some(pair.backend.get().into())
            );
        }
    }
    drop(service);
    desk.run("allocate model 3").ok();
    Ledger::of(&desk);
}

#[test]
fn a_store_that_comes_back_at_a_lower_revision_stops_the_writes_of_those_who_know_better() {
    let desk = Desk::new();
    desk.run("allocate model 1").ok();
    let backup = fs::read(desk.book()).unwrap();
    let service = desk.service();
    service.get_or_allocate_ports("model", 2).unwrap();

    let restored = desk.root().join("restored.db");
    fs::write(&restored, &backup).unwrap();
    fs::rename(&restored, desk.book()).unwrap();

    for _ in 0..2 {
        let error = service.get_or_allocate_ports("model", 3).unwrap_err();
        assert_eq!(error.code(), "book-went-back", "{error}");
        assert_eq!(error.failure().exit_status(), 4);
    }
    // So does a process that is started anew, until somebody accepts the book as it is.
    let refused = desk.run("allocate model 3");
    assert_eq!(refused.code, Some(4), "{refused:?}");
    let ledger = Ledger::of(&desk);
    assert_eq!(ledger.held.len(), 1, "{ledger:?}");
    desk.run("store accept").ok();
    desk.run("allocate model 3").ok();
    // Who has refused so far goes on, too.
    service.get_or_allocate_ports("model", 4).unwrap();
    assert_eq!(Ledger::of(&desk).held.len(), 3);
}
