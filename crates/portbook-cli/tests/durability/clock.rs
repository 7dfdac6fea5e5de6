//! A clock that was put back.

use portbook::model::Timestamp;
use rusqlite::Connection;

use crate::kit::Desk;
use crate::ledger::Ledger;

/// Dates the book's last change a day ahead, as if the clock had been put back by a day since.
fn put_clock_back(desk: &Desk) -> Timestamp {
    let book = Connection::open(desk.book()).unwrap();
    book.execute_batch(
        "UPDATE changes SET at = at + 86400000 WHERE revision = (SELECT max(revision) FROM changes)",
    )
    .unwrap();
    let millis = book.query_row("SELECT max(at) FROM changes", [], |row| row.get(0));
    Timestamp::from_millis(millis.unwrap())
}

#[test]
fn invariant_11_no_change_is_dated_before_the_one_before_it() {
    let desk = Desk::new();
    desk.run("allocate other 1 --ttl 1h").ok();
    desk.run("allocate model 1").ok();
    desk.run("release model 1").ok();
    let service = desk.service();
    service.get_or_allocate_ports("model", 2).unwrap();
    let last = put_clock_back(&desk);
    service.get_or_allocate_ports("model", 3).unwrap();
    desk.run("allocate model 4 --ttl 1h").ok();
    let ledger = Ledger::of_history_and_list(&desk);
    let late = ledger
        .history
        .iter()
        .filter(|entry| entry.at >= last)
        .count();
    assert!(late >= 3, "{ledger:#?}");
}
