//! What can lie where a book is looked for.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use portbook_sqlite::{Creation, Options, SqliteStore};
use portbook_store::{Store, StoreError};
use rusqlite::Connection;

use crate::support::{Folder, allocated, book_id, commit, held, open, open_existing};

/// The bytes of one of the book's pages.
const PAGE: usize = 1024;

/// Opens what lies there and checks that the refusal is one line that names the file; with `hint`.
fn refused(folder: &Folder, hint: &str) -> StoreError {
    let error = open(&folder.book).map(|_| ()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(folder.book.to_str().unwrap()), "{text}");
    assert!(text.contains(hint) && !text.contains('\n'), "{text}");
    error
}

#[test]
fn an_empty_file_is_not_taken_for_a_new_book() {
    let folder = Folder::empty();
    fs::write(&folder.book, "").unwrap();
    assert!(matches!(
        refused(&folder, "is empty"),
        StoreError::NotABook { .. }
    ));
    assert_eq!(fs::metadata(&folder.book).unwrap().len(), 0);
}

#[test]
fn a_directory_or_a_pipe_is_no_book() {
    let folder = Folder::empty();
    fs::create_dir(&folder.book).unwrap();
    assert!(matches!(
        refused(&folder, "a directory"),
        StoreError::NotABook { .. }
    ));
    let folder = Folder::empty();
    let made = std::process::Command::new("mkfifo")
        .arg(&folder.book)
        .status();
    assert!(made.unwrap().success());
    assert!(matches!(
        refused(&folder, "no regular file"),
        StoreError::NotABook { .. }
    ));
}

#[test]
fn bytes_of_any_kind_are_no_book_and_stay_as_they_are() {
    for length in [1, 15, 16, 99, 100, 511, 512, 4096, 10_000] {
        let bytes: Vec<u8> = (0..length).map(|n| (n * 31 % 251) as u8).collect();
        let folder = Folder::empty();
        fs::write(&folder.book, &bytes).unwrap();
        let error = refused(&folder, "no SQLite database");
        assert!(matches!(error, StoreError::NotABook { .. }), "{error}");
        assert_eq!(fs::read(&folder.book).unwrap(), bytes);
    }
}

#[test]
fn another_programs_database_is_no_book() {
    for id in [0, 1, i32::MAX] {
        let folder = Folder::empty();
        let other = folder.by_hand();
        other
            .execute_batch(&format!(
                "PRAGMA application_id = {id}; CREATE TABLE head (x)"
            ))
            .unwrap();
        drop(other);
        let error = refused(&folder, "another program");
        assert!(matches!(error, StoreError::NotABook { .. }), "{error}");
    }
}

#[test]
fn a_book_of_a_later_schema_is_left_alone() {
    let folder = Folder::with_a_book();
    folder
        .by_hand()
        .execute_batch("PRAGMA user_version = 7")
        .unwrap();
    let error = refused(&folder, "newer portbook");
    assert!(
        matches!(
            error,
            StoreError::TooNew {
                found: 7,
                known: 2,
                ..
            }
        ),
        "{error}"
    );
    // Also where the newer program has not brought its journal into the file yet.
    let folder = Folder::with_a_book();
    let newer = folder.by_hand();
    newer.execute_batch("PRAGMA user_version = 7").unwrap();
    assert!(matches!(
        refused(&folder, "newer"),
        StoreError::TooNew { .. }
    ));
}

#[test]
fn a_book_cut_short_is_refused_and_nothing_is_written_to_it() {
    let folder = Folder::with_a_book();
    let whole = fs::read(&folder.book).unwrap();
    for length in [50, 99, 4_000, 4_096, whole.len() - 4_096] {
        fs::write(&folder.book, &whole[..length]).unwrap();
        let answer = open(&folder.book).and_then(|store| store.read()?.head().map(|_| ()));
        let error = answer.expect_err("a book that was cut short was read");
        assert!(
            matches!(
                error,
                StoreError::Damaged { .. } | StoreError::NotABook { .. }
            ),
            "{length} bytes: {error}"
        );
        assert_eq!(fs::read(&folder.book).unwrap(), whole[..length]);
    }
}

#[test]
fn a_book_with_pages_overwritten_is_damaged_and_never_a_panic() {
    let folder = Folder::with_a_book();
    let whole = fs::read(&folder.book).unwrap();
    let mut damaged = 0;
    for page in 0..whole.len() / PAGE {
        let mut bytes = whole.clone();
        let from = if page == 0 { 100 } else { page * PAGE };
        bytes[from..(page + 1) * PAGE].fill(0xa5);
        fs::write(&folder.book, &bytes).unwrap();
        let read = open(&folder.book).and_then(|store| {
            let mut reading = store.read()?;
            let audit = reading.audit(&portbook_model::Space::default())?;
            assert!(
                !audit.damage.is_empty(),
                "page {page}: the check found nothing"
            );
            reading.head()?;
            reading.changes_since(portbook_model::Revision(0))?;
            reading.allocations(&portbook_store::Filter::default())
        });
        match read {
            // Not every page is one that these readings come to.
            Ok(_) => {}
            Err(StoreError::Damaged { location, .. }) => {
                assert!(location.ends_with("ports.db"));
                damaged += 1;
            }
            Err(other) => panic!("page {page}: {other}"),
        }
    }
    assert!(damaged > 2, "hardly any damage was noticed: {damaged}");
}

#[test]
fn a_journal_without_its_book_is_not_given_to_a_new_one() {
    let folder = Folder::with_a_book();
    let store = folder.open();
    commit(&store, vec![allocated(2)]).unwrap();
    let journal = fs::read(folder.beside("-wal")).unwrap();
    assert!(!journal.is_empty());
    let id = book_id(&store);
    drop(store);
    let book = fs::read(&folder.book).unwrap();
    fs::remove_file(&folder.book).unwrap();
    fs::write(folder.beside("-wal"), &journal).unwrap();
    for open in [open, open_existing] {
        let error = open(&folder.book).map(|_| ()).unwrap_err();
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("without its journal"), "{error}");
        assert_eq!(fs::read(folder.beside("-wal")).unwrap(), journal);
        assert!(!folder.book.exists());
    }
    // Put back, nothing is lost.
    fs::write(&folder.book, book).unwrap();
    assert_eq!(book_id(&folder.open()), id);
    assert_eq!(held(&folder.open()), ["m/app1", "m/app2"]);
}

#[test]
fn a_book_that_has_to_be_there_is_not_made() {
    let folder = Folder::empty();
    let error = open_existing(&folder.book).map(|_| ()).unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn a_book_that_is_made_when_it_is_written_reads_as_empty_before() {
    let folder = Folder::empty();
    let deep = folder.book.with_file_name("deep").join("ports.db");
    let options = || Options {
        creation: Creation::Writing,
        ..Options::default()
    };
    let store = SqliteStore::open(&deep, options()).unwrap();
    assert_eq!(held(&store), [""; 0]);
    assert_eq!(folder.names(), [""; 0]);
    // Somebody else makes it meanwhile.
    commit(&open(&deep).unwrap(), vec![allocated(1)]).unwrap();
    assert_eq!(held(&store), ["m/app1"]);
    commit(&store, vec![allocated(2)]).unwrap();
    assert_eq!(held(&store), ["m/app1", "m/app2"]);

    let other = folder.book.with_file_name("other").join("ports.db");
    let store = SqliteStore::open(&other, options()).unwrap();
    assert_eq!(held(&store), [""; 0]);
    commit(&store, vec![allocated(3)]).unwrap();
    assert_eq!(held(&open(&other).unwrap()), ["m/app3"]);
}

#[test]
fn a_name_may_have_any_characters_and_a_link_leads_to_one_queue() {
    let folder = Folder::empty();
    let odd = folder.book.with_file_name("a %?#&'\"*ä\u{1f980}:b.db");
    commit(&open(&odd).unwrap(), vec![allocated(1)]).unwrap();
    let link = folder.book.with_file_name("link.db");
    std::os::unix::fs::symlink(&odd, &link).unwrap();
    let linked = open(&link).unwrap();
    assert_eq!(held(&linked), ["m/app1"]);
    let _turn = linked.turn(crate::support::PATIENCE).unwrap();
    let other = open(&odd).unwrap();
    let busy = other
        .turn(std::time::Duration::ZERO)
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(busy, StoreError::Busy { .. }), "{busy}");
    assert!(!folder.book.with_file_name("link.db.lock").exists());
}

#[test]
fn only_its_owner_may_read_a_new_book() {
    let folder = Folder::empty();
    let book = folder.book.parent().unwrap().join("deep/er/ports.db");
    let store = open(&book).unwrap();
    commit(&store, vec![allocated(1)]).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(book.parent().unwrap()), 0o700);
    assert_eq!(mode(book.parent().unwrap().parent().unwrap()), 0o700);
    for name in ["ports.db", "ports.db-wal", "ports.db-shm", "ports.db.lock"] {
        assert_eq!(mode(&book.with_file_name(name)), 0o600, "{name}");
    }
}

#[test]
fn the_file_alone_is_the_book_once_nobody_uses_it() {
    let folder = Folder::with_a_book();
    assert_eq!(folder.names(), ["ports.db", "ports.db.lock"]);
    let copy = folder.book.with_file_name("copy.db");
    fs::copy(&folder.book, &copy).unwrap();
    assert_eq!(held(&open(&copy).unwrap()), ["m/app1"]);
}

#[test]
fn the_header_names_the_program_and_the_schema() {
    let folder = Folder::with_a_book();
    let book: Connection = folder.by_hand();
    let pragma = |name: &str| -> String {
        let sql = format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}");
        book.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(
        pragma("application_id"),
        u32::from_be_bytes(*b"PBok").to_string()
    );
    assert_eq!(pragma("user_version"), "2");
    assert_eq!(pragma("journal_mode"), "wal");
}
