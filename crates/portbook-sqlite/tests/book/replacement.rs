//! Books that are replaced or removed while a store has them open.

use std::fs;

use portbook_store::{Store, StoreError};

use crate::support::{
    Folder, PATIENCE, allocated, batch, book_id, commit, held, open, open_existing, revision,
};

/// Makes another book, in which the app 9 holds ports, and returns its name.
fn another(folder: &Folder) -> String {
    let other = folder.book.with_file_name("other.db");
    let store = open(&other).unwrap();
    commit(&store, vec![allocated(9)]).unwrap();
    book_id(&store)
}

fn replace(folder: &Folder) {
    fs::rename(folder.book.with_file_name("other.db"), &folder.book).unwrap();
}

#[test]
fn a_book_that_was_replaced_is_opened_anew() {
    let folder = Folder::with_a_book();
    let store = folder.open();
    // Its journal is beside the file, and full of what must not get into the other book.
    commit(&store, vec![allocated(2)]).unwrap();
    assert!(fs::metadata(folder.beside("-wal")).unwrap().len() > 0);
    let id = another(&folder);
    replace(&folder);
    assert_eq!(
        (book_id(&store), held(&store)),
        (id, vec!["m/app9".to_owned()])
    );
    commit(&store, vec![allocated(3)]).unwrap();
    assert_eq!(held(&store), ["m/app3", "m/app9"]);
    drop(store);
    assert_eq!(held(&folder.open()), ["m/app3", "m/app9"]);
}

#[test]
fn a_turn_opens_a_replaced_book_anew_too() {
    let folder = Folder::with_a_book();
    let store = folder.open();
    commit(&store, vec![allocated(2)]).unwrap();
    another(&folder);
    replace(&folder);
    commit(&store, vec![allocated(3)]).unwrap();
    assert_eq!(held(&folder.open()), ["m/app3", "m/app9"]);
}

#[test]
fn a_book_that_was_moved_away_takes_its_last_changes_along() {
    let folder = Folder::with_a_book();
    let store = folder.open();
    commit(&store, vec![allocated(2)]).unwrap();
    let moved = folder.book.with_file_name("moved.db");
    fs::rename(&folder.book, &moved).unwrap();
    another(&folder);
    replace(&folder);
    assert_eq!(held(&store), ["m/app9"]);
    assert_eq!(held(&open(&moved).unwrap()), ["m/app1", "m/app2"]);
}

#[test]
fn a_book_that_was_removed_gets_no_more_commits() {
    let folder = Folder::with_a_book();
    let store = open_existing(&folder.book).unwrap();
    commit(&store, vec![allocated(2)]).unwrap();
    fs::remove_file(&folder.book).unwrap();
    for answer in [
        store.read().map(|_| ()).unwrap_err(),
        store.turn(PATIENCE).map(|_| ()).unwrap_err(),
    ] {
        assert!(matches!(answer, StoreError::Unreachable { .. }), "{answer}");
    }
    assert!(!folder.book.exists());
}

#[test]
fn where_a_removed_book_may_be_made_anew_it_is() {
    let folder = Folder::with_a_book();
    let store = folder.open();
    let former = book_id(&store);
    fs::remove_file(&folder.book).unwrap();
    assert_eq!(revision(&store).0, 0);
    assert_ne!(book_id(&store), former);
    commit(&store, vec![allocated(5)]).unwrap();
    drop(store);
    assert_eq!(held(&folder.open()), ["m/app5"]);
}

#[test]
fn a_commit_to_a_book_that_goes_during_the_turn_fails() {
    let folder = Folder::with_a_book();
    let store = folder.open();
    let mut turn = store.turn(PATIENCE).unwrap();
    let seen = turn.head().unwrap().revision;
    another(&folder);
    replace(&folder);
    let answer = turn
        .commit(seen, &batch(7, vec![allocated(2)]))
        .unwrap_err();
    assert!(answer.to_string().contains("in its place"), "{answer}");
    assert_eq!(held(&store), ["m/app9"]);
}

#[test]
fn a_replaced_book_is_refused_while_its_journal_is_in_use() {
    let folder = Folder::with_a_book();
    let store = folder.open();
    commit(&store, vec![allocated(2)]).unwrap();
    let mut reading = store.read().unwrap();
    reading.head().unwrap();
    commit(&store, vec![allocated(3)]).unwrap();
    another(&folder);
    replace(&folder);
    let refused = store.read().map(|_| ()).unwrap_err();
    assert!(
        refused.to_string().contains("-wal still has changes"),
        "{refused}"
    );
    // Whoever read the former one reads on, and then there is no obstacle any more.
    assert_eq!(reading.head().unwrap().revision.0, 2);
    drop(reading);
    assert_eq!(held(&store), ["m/app9"]);
}

#[test]
fn a_lock_that_was_removed_is_made_again() {
    let folder = Folder::with_a_book();
    let store = folder.open();
    let turn = store.turn(PATIENCE).unwrap();
    fs::remove_file(folder.beside(".lock")).unwrap();
    drop(turn);
    commit(&store, vec![allocated(2)]).unwrap();
    assert!(folder.beside(".lock").exists());
}
