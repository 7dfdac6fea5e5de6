//! The promises of every store, kept by the book in a file.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use portbook_sqlite::{Options, SqliteStore};
use portbook_store::contract::Guarded;
use tempfile::TempDir;

fn new_book(turns: bool) -> Guarded<SqliteStore, TempDir> {
    let guard = tempfile::tempdir().unwrap();
    let options = Options {
        turns,
        ..Options::default()
    };
    let store = SqliteStore::open(&guard.path().join("ports.db"), options).unwrap();
    Guarded { store, guard }
}

portbook_store::store_contract!(|| new_book(true));

mod without_turns {
    use super::new_book;

    portbook_store::store_contract!(without turns, || new_book(false));
}
