//! The tables of a book, and how older ones become today's.
//!
//! `ports` alone says who holds what. Everything else about an app is in `apps`, what happened in
//! `changes`, and the one row of `head` is what a commit is conditional on. Times are whole
//! milliseconds since 1970.
//!
//! The checks on types stand in place of SQLite's STRICT tables: a program whose SQLite is older
//! than 3.37 could not even open a book that has one, and the view is there for such programs.
//! There are no foreign keys, since the `sqlite3` shell would not heed them either: what has to be
//! whole is checked when it is read.

use rusqlite::{Connection, TransactionBehavior};

/// What stands in a book's header, so that no other SQLite database is taken for one: `PBok`.
pub(crate) const APPLICATION_ID: i64 = 0x5042_6f6b;

/// Each of these makes a book of one schema one of the next; the first makes it of an empty file.
const MIGRATIONS: &[&str] = &[FIRST, SECOND];

/// The schema that this program writes.
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;

const FIRST: &str = "
CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    book_id TEXT NOT NULL CHECK (length(book_id) > 0),
    revision INTEGER NOT NULL CHECK (typeof(revision) = 'integer' AND revision >= 0),
    changed_at INTEGER NOT NULL CHECK (typeof(changed_at) = 'integer')
);
-- A former app's row keeps the ports that it had; a held one's are in `ports`.
CREATE TABLE apps (
    id INTEGER PRIMARY KEY,
    space TEXT NOT NULL,
    identity TEXT NOT NULL,
    app_num INTEGER NOT NULL CHECK (typeof(app_num) = 'integer' AND app_num BETWEEN 1 AND 2147483647),
    model TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('held', 'former')),
    source TEXT NOT NULL,
    created_at INTEGER NOT NULL CHECK (typeof(created_at) = 'integer'),
    updated_at INTEGER NOT NULL CHECK (typeof(updated_at) = 'integer'),
    expires_at INTEGER,
    ttl INTEGER,
    former_ports TEXT,
    released_at INTEGER,
    UNIQUE (space, identity, app_num),
    CHECK ((expires_at IS NULL) = (ttl IS NULL)),
    CHECK ((state = 'former') = (former_ports IS NOT NULL AND released_at IS NOT NULL))
);
CREATE INDEX apps_by_end ON apps (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE ports (
    space TEXT NOT NULL,
    port INTEGER NOT NULL CHECK (typeof(port) = 'integer' AND port BETWEEN 1 AND 65535),
    app_id INTEGER NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (space, port)
) WITHOUT ROWID;
CREATE UNIQUE INDEX ports_by_app ON ports (app_id, role);
-- The last release of each port that nobody holds now.
CREATE TABLE rests (
    space TEXT NOT NULL,
    port INTEGER NOT NULL CHECK (typeof(port) = 'integer' AND port BETWEEN 1 AND 65535),
    since INTEGER NOT NULL CHECK (typeof(since) = 'integer'),
    model TEXT NOT NULL,
    app_num INTEGER NOT NULL,
    PRIMARY KEY (space, port)
) WITHOUT ROWID;
CREATE INDEX rests_by_time ON rests (space, since);
CREATE TABLE promise_files (
    space TEXT NOT NULL,
    source TEXT NOT NULL,
    digest TEXT NOT NULL,
    promises TEXT NOT NULL,
    PRIMARY KEY (space, source)
) WITHOUT ROWID;
CREATE TABLE pools (
    space TEXT NOT NULL,
    name TEXT NOT NULL,
    first_port INTEGER NOT NULL,
    last_port INTEGER NOT NULL,
    models TEXT NOT NULL,
    PRIMARY KEY (space, name)
) WITHOUT ROWID;
CREATE TABLE changes (
    revision INTEGER PRIMARY KEY,
    commit_id BLOB NOT NULL CHECK (typeof(commit_id) = 'blob' AND length(commit_id) = 16),
    at INTEGER NOT NULL CHECK (typeof(at) = 'integer'),
    actor TEXT NOT NULL,
    space TEXT NOT NULL,
    identity TEXT,
    app_num INTEGER,
    payload TEXT NOT NULL
);
-- What programs written for the former service read.
CREATE VIEW port_configurations AS
SELECT
    apps.id AS id,
    apps.model AS model,
    apps.app_num AS app_num,
    (SELECT port FROM ports WHERE app_id = apps.id AND role = 'frontend') AS frontend_port,
    (SELECT port FROM ports WHERE app_id = apps.id AND role = 'backend') AS backend_port,
    1 AS is_available,
    (
        SELECT json_object('source', apps.source, 'ports', json_group_object(role, port))
        FROM ports WHERE app_id = apps.id
    ) AS metadata_json,
    strftime('%Y-%m-%d %H:%M:%S', (created_at - (created_at % 1000 + 1000) % 1000) / 1000, 'unixepoch')
        || printf('.%03d000', (created_at % 1000 + 1000) % 1000) AS created_at,
    strftime('%Y-%m-%d %H:%M:%S', (updated_at - (updated_at % 1000 + 1000) % 1000) / 1000, 'unixepoch')
        || printf('.%03d000', (updated_at % 1000 + 1000) % 1000) AS updated_at
FROM apps
WHERE state = 'held' AND space = 'default';
INSERT INTO head VALUES (1, lower(hex(randomblob(16))), 0, 0);
";

const SECOND: &str = "ALTER TABLE apps ADD COLUMN notes TEXT";

/// Makes an empty database a book.
pub(crate) fn build(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    migrate(connection, MIGRATIONS)
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
    let done = usize::try_from(version(&transaction)?).unwrap_or(0);
    for migration in migrations.iter().skip(done) {
        transaction.execute_batch(migration)?;
    }
    if done < migrations.len() {
        transaction.pragma_update(None, "user_version", migrations.len() as i64)?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_of_an_older_schema_is_upgraded_once_and_keeps_its_rows() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &[FIRST]).unwrap();
        let book_id = |connection: &Connection| -> String {
            let sql = "SELECT book_id FROM head";
            connection.query_row(sql, [], |row| row.get(0)).unwrap()
        };
        let before = book_id(&connection);
        let next = [FIRST, "ALTER TABLE head ADD COLUMN note TEXT DEFAULT 'new'"];
        // The second time a column of that name would be refused.
        for _ in 0..2 {
            migrate(&mut connection, &next).unwrap();
        }
        assert_eq!(version(&connection), Ok(2));
        assert_eq!(book_id(&connection), before);
        let note = "SELECT note FROM head";
        let note: String = connection.query_row(note, [], |row| row.get(0)).unwrap();
        assert_eq!(note, "new");
    }

    #[test]
    fn an_upgrade_that_fails_leaves_the_book_as_it_was() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &[FIRST]).unwrap();
        let broken = [FIRST, "DELETE FROM head; SELECT * FROM nowhere"];
        assert!(migrate(&mut connection, &broken).is_err());
        assert_eq!(version(&connection), Ok(1));
        let heads = "SELECT count(*) FROM head";
        assert_eq!(connection.query_row(heads, [], |row| row.get(0)), Ok(1));
    }
}
