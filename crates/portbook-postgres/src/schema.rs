//! The tables of a book, and how they come to be.
//!
//! `portbook_ports` alone says who holds what. Names are compared byte by byte (`COLLATE "C"`), whatever
//! the database's language is. Times are whole milliseconds since 1970.

use std::time::{Duration, Instant};

use portbook_store::StoreError;

use crate::address::Address;
use crate::connection::Connection;
use crate::error::Failure;

/// Each of these makes a book of one schema one of the next; the first makes it of nothing.
const MIGRATIONS: &[&str] = &[FIRST];

/// The schema that this program writes.
pub(crate) const VERSION: i32 = MIGRATIONS.len() as i32;

/// How long a server may take to be there.
const PATIENCE: Duration = Duration::from_secs(10);

const FIRST: &str = r#"CREATE TABLE portbook_head (
    one integer PRIMARY KEY CHECK (one = 1),
    schema integer NOT NULL,
    book_id text NOT NULL CHECK (length(book_id) > 0),
    revision bigint NOT NULL CHECK (revision >= 0),
    changed_at bigint NOT NULL
);
-- A former app's row keeps the ports that it had; a held one's are in portbook_ports.
CREATE TABLE portbook_apps (
    space text COLLATE "C" NOT NULL,
    identity text COLLATE "C" NOT NULL,
    app_num integer NOT NULL CHECK (app_num >= 1),
    model text NOT NULL,
    known_since bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('held', 'former')),
    source text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    expires_at bigint,
    ttl bigint,
    notes text,
    former_ports text,
    released_at bigint,
    PRIMARY KEY (space, identity, app_num),
    CHECK ((expires_at IS NULL) = (ttl IS NULL)),
    CHECK ((state = 'former') = (former_ports IS NOT NULL AND released_at IS NOT NULL))
);
CREATE INDEX portbook_apps_by_end ON portbook_apps (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE portbook_ports (
    space text COLLATE "C" NOT NULL,
    port integer NOT NULL CHECK (port BETWEEN 1 AND 65535),
    identity text COLLATE "C" NOT NULL,
    app_num integer NOT NULL,
    role text NOT NULL,
    PRIMARY KEY (space, port),
    UNIQUE (space, identity, app_num, role)
);
-- The last release of each port that nobody holds now.
CREATE TABLE portbook_rests (
    space text COLLATE "C" NOT NULL,
    port integer NOT NULL CHECK (port BETWEEN 1 AND 65535),
    since bigint NOT NULL,
    model text NOT NULL,
    app_num integer NOT NULL,
    PRIMARY KEY (space, port)
);
CREATE TABLE portbook_promise_files (
    space text COLLATE "C" NOT NULL,
    source text NOT NULL,
    digest text NOT NULL,
    promises text NOT NULL,
    PRIMARY KEY (space, source)
);
CREATE TABLE portbook_pools (
    space text COLLATE "C" NOT NULL,
    name text NOT NULL,
    first_port integer NOT NULL,
    last_port integer NOT NULL,
    models text NOT NULL,
    PRIMARY KEY (space, name)
);
CREATE TABLE portbook_changes (
    revision bigint PRIMARY KEY,
    commit_id bytea NOT NULL CHECK (length(commit_id) = 16),
    at bigint NOT NULL,
    actor text NOT NULL,
    space text COLLATE "C" NOT NULL,
    identity text COLLATE "C",
    app_num integer,
    payload text NOT NULL
);
CREATE INDEX portbook_changes_by_app ON portbook_changes (space, identity, app_num, revision);
INSERT INTO portbook_head VALUES (1, 1, replace(gen_random_uuid()::text, '-', ''), 0, 0);"#;

/// What [`init`] does, as SQL for whoever would rather do it by hand.
pub fn init_statements() -> String {
    format!("BEGIN;\n{}\nCOMMIT;\n", MIGRATIONS.join("\n"))
}

/// What [`upgrade`] does to a book of this schema.
pub fn upgrade_statements(found: i32) -> String {
    let done = usize::try_from(found).unwrap_or(0);
    let missing: Vec<&str> = MIGRATIONS.iter().skip(done).copied().collect();
    if missing.is_empty() {
        return String::new();
    }
    format!(
        "BEGIN;\n{}\nUPDATE portbook_head SET schema = {VERSION};\nCOMMIT;\n",
        missing.join("\n")
    )
}

/// Makes the tables of a new, empty book, in the schema that the connection's `search_path` names first.
/// `false` where there is a book already.
pub fn init(address: &Address) -> Result<bool, StoreError> {
    let location = address.to_string();
    let connection = open(address)?;
    if found(&connection)
        .map_err(|failure| failure.for_book(&location))?
        .is_some()
    {
        return Ok(false);
    }
    connection
        .execute_all(&init_statements())
        .map_err(|failure| failure.for_book(&location))?;
    Ok(true)
}

/// Makes a book of an older schema one of this program's. `false` where it is one.
pub fn upgrade(address: &Address) -> Result<bool, StoreError> {
    let location = address.to_string();
    let connection = open(address)?;
    let found = found(&connection).map_err(|failure| failure.for_book(&location))?;
    let found = require(found, &location)?;
    if found == VERSION {
        return Ok(false);
    }
    connection
        .execute_all(&upgrade_statements(found))
        .map_err(|failure| failure.for_book(&location))?;
    Ok(true)
}

fn open(address: &Address) -> Result<Connection, StoreError> {
    Connection::open(address, Instant::now() + PATIENCE)
        .map_err(|failure| failure.of_connecting(&address.to_string()))
}

/// The schema of the book that is there, if there is one.
pub(crate) fn found(connection: &Connection) -> Result<Option<i32>, Failure> {
    let there = connection.query("SELECT to_regclass('portbook_head') IS NOT NULL", &[])?;
    let is_there = there
        .first()
        .is_some_and(|row| row.try_get(0).unwrap_or(false));
    if !is_there {
        return Ok(None);
    }
    let rows = connection.query("SELECT schema FROM portbook_head", &[])?;
    let schema = rows.first().map(|row| row.try_get(0)).transpose()?;
    Ok(schema)
}

/// The schema of the book that has to be there, and that this program has to know.
pub(crate) fn require(found: Option<i32>, location: &str) -> Result<i32, StoreError> {
    let found = found.ok_or_else(|| StoreError::NotABook {
        location: location.to_owned(),
        reason: format!(
            "its tables are not there: `portbook store init --store {location}` makes them"
        ),
    })?;
    if found > VERSION {
        return Err(StoreError::TooNew {
            location: location.to_owned(),
            found: i64::from(found),
            known: i64::from(VERSION),
        });
    }
    Ok(found)
}
