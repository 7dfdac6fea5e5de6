//! Many threads in one process, through one service or several.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

use portbook::PortPair;

use crate::kit::Desk;
use crate::ledger::Ledger;

const THREADS: u32 = 64;
const APPS_EACH: u32 = 10;

fn distinct(pairs: &[PortPair]) -> usize {
    let ports = pairs.iter().flat_map(|pair| [pair.backend, pair.frontend]);
    ports.collect::<BTreeSet<_>>().len()
}

/// Runs `work` in every thread at once and gathers what they return.
fn in_threads<T: Send>(threads: u32, work: impl Fn(u32) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(threads as usize);
    let (barrier, work) = (&barrier, &work);
    thread::scope(|scope| {
        let start = |index| {
            scope.spawn(move || {
                barrier.wait();
                work(index)
            })
        };
        let started: Vec<_> = (0..threads).map(start).collect();
        started
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

fn assert_booked(desk: &Desk, pairs: &[PortPair]) {
    let ledger = Ledger::of(desk);
    assert_eq!(ledger.held.len(), pairs.len());
    for pair in pairs {
        let ports = ledger.ports(&pair.model, pair.app_num.into()).unwrap();
        assert_eq!(ports["backend"], u64::from(pair.backend.get()));
        assert_eq!(ports["frontend"], u64::from(pair.frontend.get()));
    }
}

#[test]
fn invariant_1_threads_of_one_service_get_different_ports_and_none_fails() {
    let desk = Desk::new();
    let service = desk.service();
    let pairs: Vec<PortPair> = in_threads(THREADS, |thread| {
        let app = |number| {
            service
                .get_or_allocate_ports(&format!("m{thread}"), number)
                .unwrap()
        };
        (1..=APPS_EACH).map(app).collect::<Vec<_>>()
    })
    .concat();
    assert_eq!(pairs.len() as u32, THREADS * APPS_EACH);
    assert_eq!(distinct(&pairs), pairs.len() * 2);
    assert_booked(&desk, &pairs);
}

#[test]
fn invariant_1_threads_with_services_of_their_own_get_different_ports_and_none_fails() {
    let desk = Desk::new();
    let pairs: Vec<PortPair> = in_threads(8, |thread| {
        // The first use makes the book, too.
        let service = desk.service();
        let app = |number| {
            service
                .get_or_allocate_ports(&format!("m{thread}"), number)
                .unwrap()
        };
        (1..=APPS_EACH).map(app).collect::<Vec<_>>()
    })
    .concat();
    assert_eq!(distinct(&pairs), 8 * APPS_EACH as usize * 2);
    assert_booked(&desk, &pairs);
}

#[test]
fn invariant_4_threads_that_ask_for_one_app_get_what_the_book_holds() {
    let desk = Desk::new();
    let services = [desk.service(), desk.service(), desk.service()];
    let answers = in_threads(THREADS, |thread| {
        let service = &services[thread as usize % services.len()];
        let pairs = (1..=5).map(|number| service.get_or_allocate_ports("one", number).unwrap());
        pairs.collect::<Vec<_>>()
    });
    assert!(answers.iter().all(|pairs| pairs == &answers[0]));
    assert_booked(&desk, &answers[0]);
    assert_eq!(Ledger::of(&desk).history.len(), 5);
}

#[test]
fn invariant_7_threads_that_release_and_allocate_leave_a_history_that_replays() {
    let desk = Desk::new();
    let services = [desk.service(), desk.service()];
    in_threads(16, |thread| {
        let service = &services[thread as usize % 2];
        for round in 0..6 {
            let number = 1 + (thread + round) % 5;
            service.get_or_allocate_ports("shared", number).unwrap();
            service
                .get_or_allocate_ports(&format!("own{thread}"), 1)
                .unwrap();
            service.release_ports("shared", number).unwrap();
        }
    });
    let ledger = Ledger::of(&desk);
    assert!((0..16).all(|thread| ledger.ports(&format!("own{thread}"), 1).is_some()));
    assert_eq!(ledger.held.len(), 16);
}
