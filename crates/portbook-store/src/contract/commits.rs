//! A commit: whole, in its place, found by its name.

use std::thread;

use portbook_model::{Batch, Change, Revision};

use super::agreement::{agrees_with_its_changes, everything, exact};
use super::kit::{
    allocated, at, batch, commit, here, pool_added, promised, recorded_as, released, revision,
    there,
};
use super::{Make, PATIENCE};
use crate::{CommitError, Reading};

/// A batch of n changes on revision r is recorded as r+1 to r+n, each with the commit's name, time and
/// author.
pub fn each_change_is_one_revision(make: Make<'_>) {
    let store = make();
    commit(&*store, vec![here(allocated("m", 1, 5001, 8001))]).unwrap();
    let mut batch = batch(vec![
        here(allocated("m", 2, 5003, 8003)),
        there(allocated("m", 1, 5001, 8001)),
        here(released("m", 1, 5001, 8001)),
    ]);
    batch.at = at(77);
    batch.changes[1].by = "cli:alice".into();
    store
        .turn(PATIENCE)
        .unwrap()
        .commit(Revision(1), &batch)
        .unwrap();
    let mut reading = store.read().unwrap();
    let head = reading.head().unwrap();
    assert_eq!((head.revision, head.changed_at), (Revision(4), at(77)));
    let recorded = reading.changes_since(Revision(1)).unwrap();
    let expected = (2..)
        .zip(&batch.changes)
        .map(|(revision, step)| recorded_as(revision, &batch, step));
    assert_eq!(exact(&recorded), exact(&expected.collect::<Vec<_>>()));
}

/// When one change of a batch is refused, none of them happened.
pub fn a_commit_happens_whole_or_not_at_all(make: Make<'_>) {
    let store = make();
    commit(
        &*store,
        vec![
            here(allocated("m", 1, 5001, 8001)),
            here(pool_added("p", 7000, 7009)),
        ],
    )
    .unwrap();
    let before = everything(&*store);
    let refused = batch(vec![
        here(allocated("m", 2, 5003, 8003)),
        here(released("m", 1, 5001, 8001)),
        here(pool_added("q", 7010, 7019)),
        here(promised("a.json", &[("m", 3, 5005, 8005)])),
        there(allocated("m", 1, 5001, 8001)),
        // The only one that cannot be: this batch gave 5003 away already.
        here(allocated("m", 4, 5003, 8007)),
    ]);
    let answer = store.turn(PATIENCE).unwrap().commit(Revision(2), &refused);
    assert!(
        matches!(answer, Err(CommitError::Duplicate(_))),
        "{answer:?}"
    );
    assert_eq!(everything(&*store), before);
    assert_eq!(store.find_commit(refused.commit, Revision(0)), Ok(false));
    // And the book is as usable as before.
    commit(&*store, vec![here(allocated("m", 2, 5003, 8003))]).unwrap();
    agrees_with_its_changes(&*store);
}

/// A commit counts on the revision that it was planned on: on any other it is stale, whether the
/// book is behind or ahead.
pub fn a_commit_on_another_revision_is_stale_and_changes_nothing(make: Make<'_>) {
    let store = make();
    commit(
        &*store,
        vec![
            here(allocated("m", 1, 5001, 8001)),
            here(allocated("m", 2, 5003, 8003)),
        ],
    )
    .unwrap();
    let before = everything(&*store);
    for wrong in [0, 1, 3, u64::from(u32::MAX)] {
        let late = batch(vec![here(allocated("m", 3, 5005, 8005))]);
        let answer = store.turn(PATIENCE).unwrap().commit(Revision(wrong), &late);
        assert_eq!(
            answer,
            Err(CommitError::Stale),
            "planned on revision {wrong}"
        );
        assert_eq!(everything(&*store), before);
        assert_eq!(store.find_commit(late.commit, Revision(0)), Ok(false));
    }
    // Stale comes before duplicate: a plan on an old book is merely old.
    let both = batch(vec![here(allocated("m", 3, 5001, 8001))]);
    let answer = store.turn(PATIENCE).unwrap().commit(Revision(1), &both);
    assert_eq!(answer, Err(CommitError::Stale));
}

/// Of two plans on one revision, the first commits and the second is stale, turn or no turn.
pub fn of_two_who_read_the_same_book_one_commits(make: Make<'_>) {
    let store = make();
    let seen = store.read().unwrap().head().unwrap().revision;
    let first = batch(vec![here(allocated("m", 1, 5001, 8001))]);
    let second = batch(vec![here(allocated("m", 2, 5001, 8001))]);
    let answers: Vec<_> = thread::scope(|scope| {
        let store = &*store;
        let commit = |batch| scope.spawn(move || store.turn(PATIENCE).unwrap().commit(seen, batch));
        let running = [commit(&first), commit(&second)];
        running.map(|thread| thread.join().unwrap()).into()
    });
    assert!(
        answers.contains(&Ok(())) && answers.contains(&Err(CommitError::Stale)),
        "{answers:?}"
    );
    assert_eq!(revision(&*store), Revision(1));
}

/// A commit is found by its name if it happened, among the changes after a revision.
pub fn a_commit_is_found_by_its_name(make: Make<'_>) {
    let store = make();
    let first = batch(vec![
        here(allocated("m", 1, 5001, 8001)),
        here(allocated("m", 2, 5003, 8003)),
    ]);
    let second = batch(vec![here(allocated("m", 3, 5005, 8005))]);
    assert_eq!(store.find_commit(first.commit, Revision(0)), Ok(false));
    store
        .turn(PATIENCE)
        .unwrap()
        .commit(Revision(0), &first)
        .unwrap();
    store
        .turn(PATIENCE)
        .unwrap()
        .commit(Revision(2), &second)
        .unwrap();
    let found = |batch: &Batch, after| store.find_commit(batch.commit, Revision(after)).unwrap();
    assert!(found(&first, 0) && found(&first, 1) && !found(&first, 2));
    assert!(found(&second, 0) && found(&second, 2) && !found(&second, 3));
    assert!(!found(&second, u64::from(u32::MAX)));
    assert!(
        !found(&batch(Vec::new()), 0),
        "a commit that never was is found"
    );
}

/// Who knows the book up to a revision reads what came after it, in order.
pub fn changes_are_read_from_any_revision_on(make: Make<'_>) {
    let store = make();
    for number in 1..=5 {
        let port = 5001 + 2 * u16::try_from(number).unwrap();
        commit(
            &*store,
            vec![here(allocated("m", number, port, port + 3000))],
        )
        .unwrap();
    }
    let mut reading = store.read().unwrap();
    for after in [0, 1, 4, 5, 6, u64::from(u32::MAX)] {
        let changes = reading.changes_since(Revision(after)).unwrap();
        let revisions: Vec<u64> = changes.iter().map(|change| change.revision.0).collect();
        assert_eq!(
            revisions,
            (after + 1..=5).collect::<Vec<_>>(),
            "after {after}"
        );
    }
}

/// Each change tells which commit made it, and a revision that the book has not reached tells of none.
pub fn a_revision_tells_its_commit(make: Make<'_>) {
    let store = make();
    let first = batch(vec![
        here(allocated("m", 1, 5001, 8001)),
        there(allocated("m", 1, 5001, 8001)),
    ]);
    let second = batch(vec![here(Change::Accepted)]);
    for (expected, batch) in [(0, &first), (2, &second)] {
        let turn = store.turn(PATIENCE).unwrap();
        turn.commit(Revision(expected), batch).unwrap();
    }
    let told = |reading: &mut dyn Reading| {
        [0, 1, 2, 3, 4, u64::MAX].map(|revision| reading.commit_at(Revision(revision)).unwrap())
    };
    let (first, second) = (Some(first.commit), Some(second.commit));
    let expected = [None, first, first, second, None, None];
    assert_eq!(told(&mut *store.read().unwrap()), expected);
    assert_eq!(told(&mut *store.turn(PATIENCE).unwrap()), expected);
}
