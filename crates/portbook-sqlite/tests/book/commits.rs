//! Commits that go wrong, and what became of them.

use std::time::{Duration, Instant};

use portbook_model::{CommitId, Revision};
use portbook_sqlite::{Options, SqliteStore};
use portbook_store::{CommitError, Store, StoreError};

use crate::support::{Folder, PATIENCE, allocated, batch, commit, held, revision};

#[test]
fn a_commit_is_looked_up_and_made_durable() {
    let folder = Folder::empty();
    let store = folder.open();
    let turn = store.turn(PATIENCE).unwrap();
    turn.commit(Revision(0), &batch(7, vec![allocated(1)]))
        .unwrap();
    let journal = || std::fs::metadata(folder.beside("-wal")).unwrap().len();
    assert!(journal() > 0);
    let id = |name: u128| CommitId(name.to_be_bytes());
    assert_eq!(store.find_commit(id(7), Revision(0)), Ok(true));
    assert_eq!(journal(), 0, "the answer rests on the journal");
    assert_eq!(store.find_commit(id(7), Revision(1)), Ok(false));
    assert_eq!(store.find_commit(id(8), Revision(0)), Ok(false));
    assert_eq!(store.find_commit(id(7), Revision(u64::MAX)), Ok(false));
}

#[test]
fn a_program_that_does_not_queue_makes_a_turn_wait_or_busy() {
    let folder = Folder::with_a_book();
    let store = folder.open();
    let stranger = folder.by_hand();
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    let began = Instant::now();
    let patience = Duration::from_millis(300);
    let busy = store.turn(patience).map(|_| ()).unwrap_err();
    assert!(
        began.elapsed() >= Duration::from_millis(250),
        "{:?}",
        began.elapsed()
    );
    assert!(
        matches!(busy, StoreError::Busy { waited, .. } if waited == patience),
        "{busy}"
    );
    // Readers are not kept.
    assert_eq!(held(&store), ["m/app1"]);
    stranger.execute_batch("COMMIT").unwrap();
    commit(&store, vec![allocated(2)]).unwrap();
}

#[test]
fn without_turns_a_commit_waits_for_who_is_writing() {
    let folder = Folder::with_a_book();
    let options = Options {
        turns: false,
        ..Options::default()
    };
    let store = SqliteStore::open(&folder.book, options).unwrap();
    let stranger = folder.by_hand();
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    let turn = store.turn(Duration::from_millis(50)).unwrap();
    let busy = turn.commit(Revision(1), &batch(7, vec![allocated(2)]));
    assert!(
        matches!(busy, Err(CommitError::Failed(StoreError::Busy { .. }))),
        "{busy:?}"
    );
    drop(stranger);
    commit(&store, vec![allocated(2)]).unwrap();
}

#[test]
fn a_turn_that_panics_leaves_the_book_and_the_turn_to_others() {
    let folder = Folder::with_a_book();
    let store = folder.open();
    let panicked = std::thread::scope(|scope| {
        let doomed = scope.spawn(|| {
            let _turn = store.turn(PATIENCE).unwrap();
            panic!("on purpose");
        });
        doomed.join().is_err()
    });
    assert!(panicked);
    commit(&store, vec![allocated(2)]).unwrap();
    assert_eq!(revision(&store), Revision(2));
}

#[test]
fn the_books_clock_never_runs_back() {
    let folder = Folder::with_a_book();
    let store = folder.open();
    let mut earlier = batch(7, vec![allocated(2)]);
    earlier.at = portbook_model::Timestamp::EPOCH;
    let before = store.read().unwrap().head().unwrap().changed_at;
    store
        .turn(PATIENCE)
        .unwrap()
        .commit(Revision(1), &earlier)
        .unwrap();
    assert_eq!(store.read().unwrap().head().unwrap().changed_at, before);
}
