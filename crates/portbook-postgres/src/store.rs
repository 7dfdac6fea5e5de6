//! The store: its connections.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portbook_model::{CommitId, Revision};
use portbook_store::{Reading, Store, StoreError, Turn};

use crate::address::Address;
use crate::connection::Connection;
use crate::error::Failure;
use crate::schema;
use crate::session::Session;

/// How many connections are kept for the next readings and turns.
const KEPT: usize = 8;
/// How long a server that went away may take to come back.
const PATIENCE: Duration = Duration::from_secs(15);

/// How a book is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether who wants to write waits in the queue. Without, commits collide and are told to plan
    /// again; every promise holds all the same, which is what this switch is for: tests of that.
    pub turns: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { turns: true }
    }
}

/// A book in a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresStore {
    address: Address,
    options: Options,
    location: String,
    idle: Mutex<Vec<Connection>>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

impl PostgresStore {
    /// Opens the book that lies there. It is [`StoreError::NotABook`] where there is none:
    /// [`init`](crate::init) makes one.
    pub fn open(address: Address, options: Options) -> Result<Self, StoreError> {
        let store = Self {
            location: address.to_string(),
            address,
            options,
            idle: Mutex::default(),
        };
        let (connection, found) = store
            .begin(schema::found)
            .map_err(|failure| failure.for_book(&store.location))?;
        let found = schema::require(found, &store.location)?;
        if found < schema::VERSION {
            return Err(StoreError::Failed {
                location: store.location.clone(),
                reason: format!(
                    "it has schema {found} and needs {}: `portbook store upgrade --store {}` brings it there",
                    schema::VERSION,
                    store.location
                ),
            });
        }
        store.give_back(connection);
        Ok(store)
    }

    pub(crate) fn location(&self) -> &str {
        &self.location
    }

    pub(crate) fn takes_turns(&self) -> bool {
        self.options.turns
    }

    fn fresh(&self, deadline: Instant) -> Result<Connection, StoreError> {
        Connection::open(&self.address, deadline)
            .map_err(|failure| failure.of_connecting(&self.location))
    }

    /// Begins something on a connection, and on another one where the first turns out to be lost: nothing
    /// has been done yet that could have happened twice.
    pub(crate) fn begin<T>(
        &self,
        begin: impl Fn(&Connection) -> Result<T, Failure>,
    ) -> Result<(Connection, T), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let idle = self.take_idle();
            let connection = match idle {
                Some(connection) => connection,
                None => Connection::open(&self.address, deadline)
                    .map_err(|failure| Failure::Hopeless(failure.plain()))?,
            };
            match begin(&connection) {
                Ok(begun) => return Ok((connection, begun)),
                Err(failure) if is_lost(&connection, &failure) && Instant::now() < deadline => {}
                Err(failure) => {
                    if !connection.is_closed() && connection.execute_all("ROLLBACK").is_ok() {
                        self.give_back(connection);
                    }
                    return Err(failure);
                }
            }
        }
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle();
        loop {
            let connection = idle.pop()?;
            if !connection.is_closed() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection on which no transaction is open.
    pub(crate) fn give_back(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() < KEPT && !connection.is_closed() {
            idle.push(connection);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look_up(
        &self,
        connection: &Connection,
        commit: CommitId,
        after: i64,
    ) -> Result<bool, Failure> {
        // The lost transaction has the head's row until it has ended, however it ends.
        connection.begin_and_query(PATIENCE, "BEGIN", "SELECT 1 FROM portbook_head FOR UPDATE")?;
        let rows = connection.query(
            "SELECT 1 FROM portbook_changes WHERE revision > $1 AND commit_id = $2 LIMIT 1",
            &[&after, &commit.0.as_slice()],
        )?;
        connection.execute_all("ROLLBACK")?;
        Ok(!rows.is_empty())
    }
}

/// Whether the connection broke, or the server ended it: another one may do better.
pub(crate) fn is_lost(connection: &Connection, failure: &Failure) -> bool {
    connection.is_closed() || (failure.code().is_some() && failure.may_pass())
}

impl Store for PostgresStore {
    fn read(&self) -> Result<Box<dyn Reading + '_>, StoreError> {
        Ok(Box::new(Session::reading(self)?))
    }

    fn turn(&self, patience: Duration) -> Result<Box<dyn Turn + '_>, StoreError> {
        Ok(Box::new(Session::turn(self, patience)?))
    }

    fn find_commit(&self, commit: CommitId, after: Revision) -> Result<bool, StoreError> {
        let after = i64::try_from(after.0).unwrap_or(i64::MAX);
        let deadline = Instant::now() + 2 * PATIENCE;
        loop {
            let connection = self.fresh(deadline)?;
            match self.look_up(&connection, commit, after) {
                Ok(found) => {
                    self.give_back(connection);
                    return Ok(found);
                }
                Err(failure) if is_lost(&connection, &failure) && Instant::now() < deadline => {}
                Err(failure) => return Err(failure.for_book(&self.location)),
            }
        }
    }

    fn location(&self) -> String {
        self.location.clone()
    }
}
