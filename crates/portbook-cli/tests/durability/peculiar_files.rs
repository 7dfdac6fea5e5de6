//! A file at the book's place that is no book, no whole book, or one that is newer.
//!
//! Never a panic, never taken for a fresh start: exit status 4 and one sentence, or the right answer.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use portbook::Failure;
use rusqlite::Connection;

use crate::kit::{Desk, Lot};
use crate::ledger::Ledger;

/// Every command that reads or writes refuses the file and leaves it as it is.
fn is_refused(desk: &Desk, says: &str) {
    let before = fs::read(desk.book()).unwrap();
    for words in [
        "get model 1",
        "list",
        "check",
        "history",
        "allocate model 1",
        "release model 1",
        "stats",
    ] {
        let sentence = desk.run(words).fails(4);
        assert!(sentence.contains(says), "{words}: {sentence}");
    }
    assert!(
        fs::read(desk.book()).unwrap() == before,
        "the file was changed"
    );
}

/// A book with some history, closed: one file.
fn a_book(apps: u32) -> Vec<u8> {
    let desk = Desk::new();
    let service = desk.service();
    for number in 1..=apps {
        service.get_or_allocate_ports("model", number).unwrap();
    }
    service.release_ports("model", 2).unwrap();
    drop(service);
    assert!(!desk.beside("-wal").exists());
    fs::read(desk.book()).unwrap()
}

#[test]
fn invariant_12_an_empty_file_is_not_a_new_book() {
    let desk = Desk::new();
    desk.put_book(b"");
    is_refused(&desk, "empty");
}

#[test]
fn invariant_12_random_bytes_are_not_a_book() {
    let mut lot = Lot::drawn("random bytes");
    for length in [1, 15, 100, 4096, 10_000] {
        let desk = Desk::new();
        let bytes: Vec<u8> = (0..length).map(|_| lot.next() as u8).collect();
        desk.put_book(&bytes);
        is_refused(&desk, "is not a portbook book");
    }
}

#[test]
fn invariant_12_the_database_of_another_program_is_not_a_book() {
    let desk = Desk::new();
    desk.put_book(b"");
    let other = Connection::open(desk.book()).unwrap();
    other
        .execute_batch("CREATE TABLE head (revision); INSERT INTO head VALUES (1)")
        .unwrap();
    drop(other);
    is_refused(&desk, "another program");
    // An SQLite database with nothing in it is none either.
    let desk = Desk::new();
    desk.put_book(b"");
    let other = Connection::open(desk.book()).unwrap();
    other.execute_batch("PRAGMA user_version = 1").unwrap();
    drop(other);
    is_refused(&desk, "another program");
}

#[test]
fn invariant_12_a_directory_or_a_pipe_is_not_a_book() {
    let desk = Desk::new();
    fs::create_dir_all(desk.book()).unwrap();
    for words in ["get model 1", "allocate model 1"] {
        assert!(desk.run(words).fails(4).contains("directory"));
    }
    let desk = Desk::new();
    fs::create_dir_all(desk.book().parent().unwrap()).unwrap();
    let made = desk.program("mkfifo").arg(desk.book()).status().unwrap();
    assert!(made.success());
    for words in ["get model 1", "allocate model 1"] {
        assert!(desk.run(words).fails(4).contains("regular file"));
    }
}

#[test]
fn invariant_12_a_newer_schema_is_refused() {
    let desk = Desk::new();
    desk.run("allocate model 1").ok();
    let book = Connection::open(desk.book()).unwrap();
    book.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(book);
    is_refused(&desk, "schema 99");
}

#[test]
fn invariant_12_a_journal_without_its_book_is_not_a_new_book() {
    let desk = Desk::new();
    let service = desk.service();
    service.get_or_allocate_ports("model", 1).unwrap();
    let (book, journal) = (
        fs::read(desk.book()).unwrap(),
        fs::read(desk.beside("-wal")).unwrap(),
    );
    assert!(!journal.is_empty());

    let desk = Desk::new();
    desk.put_book(&book);
    fs::write(desk.beside("-wal"), &journal).unwrap();
    fs::remove_file(desk.book()).unwrap();
    for words in ["get model 1", "allocate model 1"] {
        let sentence = desk.run(words).fails(4);
        assert!(sentence.contains("journal"), "{sentence}");
    }
    assert!(!desk.book().exists());
    // With the book put back, what the journal holds is there.
    desk.put_book(&book);
    assert!(Ledger::of(&desk).ports("model", 1).is_some());
}

#[test]
fn invariant_12_a_torn_book_is_refused() {
    let whole = a_book(120);
    assert!(
        whole.len() > 8 * 4096,
        "too small to be torn: {}",
        whole.len()
    );
    for length in [
        1,
        50,
        99,
        100,
        511,
        4095,
        4096,
        4097,
        3 * 4096,
        whole.len() / 2,
        whole.len() - 4096,
    ] {
        let desk = Desk::new();
        desk.put_book(&whole[..length]);
        for words in [
            "list",
            "allocate model 500",
            "get model 1",
            "check",
            "history",
            "release model 1",
        ] {
            desk.run(words).fails(4);
        }
    }
}

#[test]
fn a_flipped_byte_never_panics_and_a_wrong_answer_is_found_by_check() {
    let whole = a_book(60);
    let mut lot = Lot::drawn("flipped bytes");
    let (mut refused, mut right) = (0, 0);
    for _ in 0..300 {
        let mut bytes = whole.clone();
        // The head of a page says how it is to be read: let it be hit often.
        let page = lot.below(bytes.len() as u64 / 4096) * 4096;
        let offset = page
            + if lot.below(3) == 0 {
                lot.below(108)
            } else {
                lot.below(4096)
            };
        bytes[offset as usize] ^= 1 << lot.below(8);
        let desk = Desk::new();
        desk.put_book(&bytes);
        let what = format!(
            "byte {offset} of {} is {} now",
            bytes.len(),
            bytes[offset as usize]
        );
        let looked = catch_unwind(AssertUnwindSafe(|| look(&desk)))
            .unwrap_or_else(|_| panic!("a panic: {what}"));
        match looked {
            Looked::Refused => refused += 1,
            Looked::Right => right += 1,
            Looked::Wrong(answer) => panic!("{what}: {answer}, and `check` finds nothing"),
        }
    }
    println!("{refused} refused, {right} right");
    assert!(refused > 0 && right > 0);
}

enum Looked {
    Refused,
    Right,
    Wrong(String),
}

/// Reads the book of [`a_book`] with 60 apps, checks it, and writes to it.
fn look(desk: &Desk) -> Looked {
    let service = match desk.try_service() {
        Ok(service) => service,
        Err(error) => {
            assert_eq!(error.failure(), Failure::Book, "{error}");
            return Looked::Refused;
        }
    };
    let listed = service.get_all_allocations();
    let checked = service.check_port_conflicts();
    let found = !matches!(&checked, Ok(conflicts) if conflicts.is_empty());
    let expected = |number: u32| {
        // 5061, which browsers refuse, was passed over.
        let slot = if number > 30 { number } else { number - 1 };
        (5001 + 2 * slot, 8001 + 2 * slot)
    };
    let looked = match listed {
        Err(error) => {
            assert_eq!(error.failure(), Failure::Book, "{error}");
            Looked::Refused
        }
        Ok(apps) => {
            let right = apps.len() == 59
                && apps.iter().all(|app| {
                    let ports = (
                        app.backend_port.get().into(),
                        app.frontend_port.get().into(),
                    );
                    app.app.model.spelling() == "model" && ports == expected(app.app.number.get())
                });
            match (right, found) {
                (true, _) => Looked::Right,
                (false, true) => Looked::Refused,
                (false, false) => Looked::Wrong(format!("{apps:?}")),
            }
        }
    };
    // Whatever becomes of it, it is an answer or an error of the book.
    for number in [2, 500] {
        match service.get_or_allocate_ports("model", number) {
            Ok(_) => {}
            Err(error) => assert!(!error.code().contains("internal"), "{error}"),
        }
    }
    looked
}

#[test]
fn a_flipped_byte_makes_the_command_exit_with_a_status_of_its_own() {
    let whole = a_book(60);
    let mut lot = Lot::drawn("flipped bytes, by command");
    for _ in 0..12 {
        let mut bytes = whole.clone();
        let page = lot.below(bytes.len() as u64 / 4096) * 4096;
        bytes[(page + lot.below(16)) as usize] ^= 0xff;
        let desk = Desk::new();
        desk.put_book(&bytes);
        for words in ["list", "check", "history", "allocate model 500", "map"] {
            let done = desk.run(words);
            match done.code {
                Some(0 | 1) => {}
                _ => drop(done.fails(4)),
            }
        }
    }
}
