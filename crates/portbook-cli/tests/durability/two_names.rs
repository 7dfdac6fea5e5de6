//! One book under two names must not become two books, nor have two queues.

use std::fs;
use std::os::unix::fs::symlink;

use crate::killed_at_random::assert_no_leftovers;
use crate::kit::{Desk, Done};
use crate::ledger::Ledger;

/// The command, told to use the book at another path.
fn run_at(desk: &Desk, path: &str, words: &str) -> Done {
    desk.run(&format!("{words} --store sqlite:{path}"))
}

#[test]
fn invariant_1_a_symbolic_link_leads_to_the_same_book_and_the_same_queue() {
    let desk = Desk::new();
    desk.run("allocate first 1").ok();
    symlink(desk.book(), desk.root().join("link.db")).unwrap();
    // Held open under its own name, so that its journal stays.
    let service = desk.service();
    service.get_or_allocate_ports("second", 1).unwrap();
    run_at(&desk, "link.db", "allocate third 1").ok();
    service.get_or_allocate_ports("fourth", 1).unwrap();
    assert_eq!(Ledger::of(&desk).held.len(), 4);
    assert!(!desk.root().join("link.db.lock").exists());
}

/// SQLite names the journal after the path: with two hard links there would be two journals of one
/// file. Such a book is refused by either name, in one sentence, until one name is left.
#[test]
fn invariant_1_and_2_a_book_with_two_hard_links_is_refused_by_either_name() {
    let desk = Desk::new();
    desk.run("allocate first 1").ok();
    let service = desk.service();
    let other = desk.root().join("other.db");
    fs::hard_link(desk.book(), &other).unwrap();
    for refused in [
        desk.run("allocate second 1"),
        run_at(&desk, "other.db", "allocate third 1"),
    ] {
        assert!(refused.fails(4).contains("2 names"), "{refused:#?}");
    }
    service.get_or_allocate_ports("second", 1).unwrap_err();
    fs::remove_file(&other).unwrap();
    service.get_or_allocate_ports("second", 1).unwrap();
    assert_eq!(Ledger::of(&desk).held.len(), 2);
}

#[test]
fn invariant_12_a_symbolic_link_to_a_book_that_is_not_there_yet_makes_it_or_says_so() {
    let desk = Desk::new();
    let target = desk.root().join("target.db");
    fs::create_dir_all(desk.book().parent().unwrap()).unwrap();
    symlink(&target, desk.book()).unwrap();
    let done = desk.run("allocate first 1");
    if done.code == Some(0) {
        assert!(target.exists());
        desk.run("get first 1").ok();
    } else {
        let sentence = done.fails(4);
        assert!(
            sentence.contains("link"),
            "what is in the way is not said: {sentence}"
        );
    }
    assert_no_leftovers(&desk);
}
