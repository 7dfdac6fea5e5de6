//! The tables of a book, and how older ones become today's.
//!
//! `ports` alone says who holds what. Everything else about an app is in `apps`, with a list of its
//! rows in `ports`, so that they are found without an index of their own; a listed row counts only if
//! it says the same. What happened is in `changes`, whose last revision is the book's, and whose key a
//! second commit on one revision would violate. Times are whole milliseconds since 1970.
//!
//! The checks on types stand in place of SQLite's STRICT tables: a program whose SQLite is older
//! than 3.37 could not even open a book that has one, and the view is there for such programs.
//! There are no foreign keys, since the `sqlite3` shell would not heed them either: what has to be
//! whole is checked when it is read.

use std::collections::BTreeMap;

use rusqlite::{Connection, TransactionBehavior};

/// What stands in a book's header, so that no other SQLite database is taken for one: `PBok`.
pub(crate) const APPLICATION_ID: i64 = 0x5042_6f6b;

/// The tables of a new book.
const TODAY: &str = include_str!("schema/today.sql");

/// The first makes a book of the first schema one of the second, and so on. What has been released
/// is never changed.
const MIGRATIONS: &[&str] = &[include_str!("schema/second.sql")];

/// The schema that this program writes.
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64 + 1;

/// A query for all that a schema consists of: kind, name, and the statement that made it.
pub(crate) const STRUCTURE: &str =
    "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL";

/// What [`STRUCTURE`] finds in a new book: statements by kind and name.
pub(crate) fn structure() -> rusqlite::Result<BTreeMap<(String, String), String>> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(TODAY)?;
    let mut statement = connection.prepare(STRUCTURE)?;
    let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    rows.collect()
}

/// Makes an empty database a book.
pub(crate) fn build(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.execute_batch(TODAY)?;
    transaction.execute(
        "INSERT INTO book VALUES (1, lower(hex(randomblob(16))))",
        [],
    )?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// Makes a book of an older schema one of this program's.
pub(crate) fn upgrade(connection: &mut Connection) -> rusqlite::Result<()> {
    migrate(connection, MIGRATIONS)
}

/// The schema of an open book.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Applies the migrations that the database lacks. Several processes may come to do it: the schema
/// is asked for again inside the transaction, so that the second finds nothing left to do.
fn migrate(connection: &mut Connection, migrations: &[&str]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut schema = version(&transaction)?;
    let done = usize::try_from(schema - 1).unwrap_or(0);
    for migration in migrations.iter().skip(done) {
        transaction.execute_batch(migration)?;
        schema += 1;
        transaction.pragma_update(None, "user_version", schema)?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        build(&mut connection).unwrap();
        connection
    }

    fn number(connection: &Connection, sql: &str) -> i64 {
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_book_of_an_older_schema_is_upgraded_once_and_keeps_its_rows() {
        let mut connection = book();
        let next = ["never run"; VERSION as usize - 1]
            .into_iter()
            .chain(["ALTER TABLE book ADD COLUMN note TEXT DEFAULT 'new'"])
            .collect::<Vec<_>>();
        // The second time a column of that name would be refused.
        for _ in 0..2 {
            migrate(&mut connection, &next).unwrap();
        }
        assert_eq!(version(&connection), Ok(VERSION + 1));
        assert_eq!(
            number(&connection, "SELECT count(*) FROM book WHERE note = 'new'"),
            1
        );
    }

    #[test]
    fn an_upgrade_that_fails_leaves_the_book_as_it_was() {
        let mut connection = book();
        let broken = ["never run", "DELETE FROM book; SELECT * FROM nowhere"];
        assert!(migrate(&mut connection, &broken).is_err());
        assert_eq!(version(&connection), Ok(VERSION));
        assert_eq!(number(&connection, "SELECT count(*) FROM book"), 1);
    }
}
