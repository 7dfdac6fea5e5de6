//! Turns, and threads that all want one.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::thread;
use std::time::{Duration, Instant};

use portbook_model::{Allocation, Policy, Port, Revision, Space};

use super::agreement::{agrees_with_its_changes, everything, exact};
use super::kit::{allocate, allocated, app, at, batch, commit, granted, here, revision};
use super::{Make, PATIENCE, commit_plan};
use crate::{CommitError, Filter, StoreError};

/// Who takes a turn and changes their mind leaves the book as it was, and the turn to the next.
pub fn a_turn_that_is_dropped_commits_nothing(make: Make<'_>) {
    let store = make();
    let before = everything(&*store);
    for _ in 0..3 {
        let mut turn = store.turn(PATIENCE).unwrap();
        turn.space(&Space::default(), at(0)).unwrap();
        drop(turn);
    }
    assert_eq!(everything(&*store), before);
    commit(&*store, vec![here(allocated("m", 1, 5001, 8001))]).unwrap();
}

/// Eight threads ask for fifty new apps each: everybody is served, no port is given twice, and the
/// changes, sorted by their revision, come to what the book holds.
pub fn many_threads_get_a_pair_each(make: Make<'_>) {
    let store = make();
    let policy = Policy::default();
    let told: Vec<Allocation> = thread::scope(|scope| {
        let ask = |name: String| {
            let (store, policy) = (&*store, &policy);
            let one = move |number| {
                let answers = commit_plan(
                    store,
                    &[allocate(&name, number)],
                    policy,
                    at(i64::from(number)),
                );
                granted(&answers).clone()
            };
            scope.spawn(move || (1..=50).map(one).collect::<Vec<_>>())
        };
        let threads: Vec<_> = (1..=8)
            .map(|thread| ask(format!("model-{thread}")))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let ports: BTreeSet<Port> = told
        .iter()
        .flat_map(|allocation| allocation.ports.values().copied())
        .collect();
    assert_eq!((told.len(), ports.len()), (400, 800));
    let mut reading = store.read().unwrap();
    assert_eq!(reading.head().unwrap().revision, Revision(400));
    let held = reading.allocations(&Filter::default()).unwrap();
    let by_app = |allocations: Vec<Allocation>| -> BTreeMap<_, _> {
        allocations
            .into_iter()
            .map(|allocation| (allocation.app, allocation.ports))
            .collect()
    };
    assert_eq!(
        by_app(held),
        by_app(told),
        "the book holds something else than was told"
    );
    let revisions = reading
        .changes_since(Revision(0))
        .unwrap()
        .into_iter()
        .map(|change| change.revision.0);
    assert_eq!(revisions.collect::<Vec<_>>(), (1..=400).collect::<Vec<_>>());
    drop(reading);
    agrees_with_its_changes(&*store);
}

/// However many ask for one app at once, it is allocated once and all hear the same.
pub fn threads_that_ask_for_one_app_hear_of_one_pair(make: Make<'_>) {
    let store = make();
    let policy = Policy::default();
    for round in 1..=10 {
        let told: HashSet<String> = thread::scope(|scope| {
            let ask = || {
                granted(&commit_plan(
                    &*store,
                    &[allocate("m", round)],
                    &policy,
                    at(1),
                ))
                .clone()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            threads
                .into_iter()
                .map(|thread| exact(&thread.join().unwrap()))
                .collect()
        });
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(revision(&*store), Revision(u64::from(round)));
    }
}

/// While one has the turn, others wait for as long as they will and no longer, then are told so.
pub fn one_has_the_turn_and_others_wait_as_long_as_they_will(make: Make<'_>) {
    let store = make();
    let patience = Duration::from_millis(50);
    let mut first = store.turn(PATIENCE).unwrap();
    let began = Instant::now();
    let tried = thread::scope(|scope| {
        scope
            .spawn(|| store.turn(patience).map(|_| ()))
            .join()
            .unwrap()
    });
    assert!(
        began.elapsed() >= patience,
        "gave up after {:?}",
        began.elapsed()
    );
    assert!(began.elapsed() < PATIENCE, "waited {:?}", began.elapsed());
    assert!(
        matches!(&tried, Err(StoreError::Busy { waited, .. }) if *waited >= patience),
        "the turn was had by two: {tried:?}"
    );
    // Giving up took nothing from those who have the turn or come later.
    let seen = first.head().unwrap().revision;
    thread::scope(|scope| {
        let second = scope.spawn(|| {
            let mut turn = store.turn(PATIENCE).unwrap();
            let seen = turn.head().unwrap().revision;
            turn.commit(seen, &batch(vec![here(allocated("m", 2, 5003, 8003))]))
        });
        thread::sleep(patience);
        assert!(
            !second.is_finished(),
            "the second did not wait for its turn"
        );
        first
            .commit(seen, &batch(vec![here(allocated("m", 1, 5001, 8001))]))
            .unwrap();
        assert_eq!(
            second.join().unwrap(),
            Ok(()),
            "a turn read the book before it was its turn"
        );
    });
    // A failed commit gives the turn back as well.
    let stale = store
        .turn(PATIENCE)
        .unwrap()
        .commit(Revision(0), &batch(Vec::new()));
    assert_eq!(stale, Err(CommitError::Stale));
    assert!(store.turn(PATIENCE).is_ok());
}

/// Who only reads does not wait for those who write.
pub fn readings_wait_for_no_turn(make: Make<'_>) {
    let store = make();
    commit(&*store, vec![here(allocated("m", 1, 5001, 8001))]).unwrap();
    let mut turn = store.turn(PATIENCE).unwrap();
    assert_eq!(turn.head().unwrap().revision, Revision(1));
    let read = || {
        agrees_with_its_changes(&*store);
        store
            .read()
            .unwrap()
            .app(&Space::default(), &app("m", 1))
            .unwrap()
            .is_some()
    };
    assert!(thread::scope(|scope| scope.spawn(read).join().unwrap()));
    // Nor does a reading that lasts keep anybody from writing.
    let mut reading = store.read().unwrap();
    reading.head().unwrap();
    turn.commit(
        Revision(1),
        &batch(vec![here(allocated("m", 2, 5003, 8003))]),
    )
    .unwrap();
    assert_eq!(reading.head().unwrap().revision, Revision(1));
}
