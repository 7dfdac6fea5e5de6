//! Many who make one book at once.

use std::collections::BTreeSet;
use std::fs;

use crate::processes::Child;
use crate::support::{Folder, book_id, held, open, revision};

#[test]
fn of_16_threads_one_makes_the_book_and_all_have_it() {
    for _ in 0..5 {
        let folder = Folder::empty();
        let deep = folder.book.with_file_name("new").join("ports.db");
        let ids: BTreeSet<String> = std::thread::scope(|scope| {
            let make = || book_id(&open(&deep).unwrap());
            let running: Vec<_> = (0..16).map(|_| scope.spawn(make)).collect();
            running.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(ids.len(), 1, "{ids:?}");
    }
}

#[test]
fn of_32_processes_one_makes_the_book_and_all_write_to_it() {
    let folder = Folder::empty();
    let children: Vec<_> = (0..32)
        .map(|number| Child::new("allocate", &folder.book, &format!("model{number} 2")).spawn())
        .collect();
    for child in children {
        child.succeeds();
    }
    let store = folder.open();
    assert_eq!(held(&store).len(), 64);
    assert_eq!(revision(&store).0, 64);
    drop(store);
    assert_eq!(folder.names(), ["ports.db", "ports.db.lock"]);
}

#[test]
fn what_a_killed_creator_left_is_cleared_away() {
    let folder = Folder::empty();
    for name in [
        ".ports.db.new-1",
        ".ports.db.new-1-journal",
        ".ports.db.new-99",
    ] {
        fs::write(folder.book.with_file_name(name), "half a book").unwrap();
    }
    // Not one of them, though its name is like theirs.
    fs::write(folder.book.with_file_name(".ports.db.newer"), "mine").unwrap();
    drop(folder.open());
    assert_eq!(
        folder.names(),
        [".ports.db.newer", "ports.db", "ports.db.lock"]
    );
}
