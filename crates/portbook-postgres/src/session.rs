//! A reading or a turn: one transaction on one connection.
//!
//! Both end by being dropped, also in a panic: what was not committed is rolled back, and the connection
//! goes back to the store.

use std::time::Duration;

use portbook_model::{
    Allocation, AppKey, AppRecord, Batch, CommitId, Head, Model, Needs, Recorded, Revision, Space,
    SpaceBook, Timestamp,
};
use portbook_store::{Audit, CommitError, Filter, HistoryFilter, Reading, Store, StoreError, Turn};
use tokio_postgres::error::SqlState;

use crate::connection::Connection;
use crate::error::{Failure, Refused};
use crate::reading::{self, View};
use crate::rows;
use crate::store::{PostgresStore, is_lost};

/// A server that is told not to wait for its disk is told to, for this transaction.
const DURABLY: &str = "SELECT set_config('synchronous_commit', 'on', true)
                       WHERE current_setting('synchronous_commit') = 'off'";
/// The turn is the book's: of the table of its head, in this database.
const QUEUE: &str =
    "SELECT pg_advisory_xact_lock(1885499503, 'portbook_head'::regclass::oid::integer)";

/// One transaction.
pub(crate) struct Session<'a> {
    store: &'a PostgresStore,
    /// `None` once something failed after which the connection is not to be trusted.
    connection: Option<Connection>,
    head: Head,
    /// Whether the transaction has been committed.
    is_over: bool,
}

impl<'a> Session<'a> {
    /// Reads the book as it is now.
    pub(crate) fn reading(store: &'a PostgresStore) -> Result<Self, StoreError> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        Self::begin(store, Duration::ZERO, begin)
    }

    /// Waits for the turn and reads the book then. Each statement of such a transaction sees what was
    /// committed before it: after the turn has come that is what the one before left.
    pub(crate) fn turn(store: &'a PostgresStore, patience: Duration) -> Result<Self, StoreError> {
        // No patience at all would be taken for patience without end.
        let patience = patience.max(Duration::from_millis(1));
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {}; {DURABLY}; {}",
            patience.as_millis().min(i32::MAX as u128),
            if store.takes_turns() { QUEUE } else { "" },
        );
        Self::begin(store, patience, &begin).map_err(|error| match error {
            StoreError::Busy {
                location, holder, ..
            } => StoreError::Busy {
                location,
                waited: patience,
                holder,
            },
            other => other,
        })
    }

    fn begin(
        store: &'a PostgresStore,
        patience: Duration,
        begin: &str,
    ) -> Result<Self, StoreError> {
        let location = store.location();
        let begun =
            store.begin(|connection| connection.begin_and_query(patience, begin, reading::HEAD));
        let (connection, rows) = begun.map_err(|failure| match failure.code() {
            Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => StoreError::Busy {
                location: location.to_owned(),
                waited: patience,
                holder: "another session of the database".to_owned(),
            },
            _ => failure.for_book(location),
        })?;
        match reading::head(&rows, location) {
            Ok(head) => Ok(Self {
                store,
                connection: Some(connection),
                head,
                is_over: false,
            }),
            Err(error) => {
                if connection.execute_all("ROLLBACK").is_ok() {
                    store.give_back(connection);
                }
                Err(error)
            }
        }
    }

    fn view(&self) -> Result<View<'_>, StoreError> {
        let location = self.store.location();
        match &self.connection {
            Some(connection) => Ok(View {
                connection,
                location,
            }),
            None => Err(StoreError::Failed {
                location: location.to_owned(),
                reason: "its connection was given up after an error".to_owned(),
            }),
        }
    }

    fn write(&mut self, expected: Revision, batch: &Batch) -> Result<(), CommitError> {
        let location = self.store.location();
        let connection = self.view()?.connection;
        if let Err(refused) = rows::write(connection, expected, batch) {
            // Without a COMMIT nothing has happened: what was planned may be planned again.
            return Err(match refused {
                Refused::Failed(failure) if is_lost(connection, &failure) => CommitError::Stale,
                refused => refused.for_book(location),
            });
        }
        match connection.execute_all("COMMIT") {
            Ok(()) => {
                self.is_over = true;
                Ok(())
            }
            Err(failure) => {
                // Whatever was said, the server may have committed before it could say so.
                self.connection = None;
                self.look_up(batch, expected, &failure)
            }
        }
    }

    /// Whether a commit happened whose answer was lost.
    fn look_up(
        &self,
        batch: &Batch,
        expected: Revision,
        failure: &Failure,
    ) -> Result<(), CommitError> {
        match self.store.find_commit(batch.commit, expected) {
            Ok(true) => Ok(()),
            Ok(false) => Err(CommitError::Stale),
            Err(error) => Err(CommitError::Unknown(format!(
                "{}; {error}",
                failure.plain()
            ))),
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && (self.is_over || connection.execute_all("ROLLBACK").is_ok())
        {
            self.store.give_back(connection);
        }
    }
}

impl Turn for Session<'_> {
    fn commit(mut self: Box<Self>, expected: Revision, batch: &Batch) -> Result<(), CommitError> {
        self.write(expected, batch)
    }
}

impl Reading for Session<'_> {
    fn head(&mut self) -> Result<Head, StoreError> {
        Ok(self.head.clone())
    }

    fn changes_since(&mut self, after: Revision) -> Result<Vec<Recorded>, StoreError> {
        if after >= self.head.revision {
            return Ok(Vec::new());
        }
        self.view()?.changes_since(after)
    }

    fn commit_at(&mut self, revision: Revision) -> Result<Option<CommitId>, StoreError> {
        self.view()?.commit_at(revision)
    }

    fn space(&mut self, space: &Space, released_after: Timestamp) -> Result<SpaceBook, StoreError> {
        self.view()?.space(space, released_after)
    }

    fn load(
        &mut self,
        space: &Space,
        needs: &Needs,
        book: &mut SpaceBook,
    ) -> Result<(), StoreError> {
        self.view()?.load(space, needs, book)
    }

    fn app(&mut self, space: &Space, app: &AppKey) -> Result<Option<AppRecord>, StoreError> {
        self.view()?.app(space, app)
    }

    fn allocations(&mut self, filter: &Filter) -> Result<Vec<Allocation>, StoreError> {
        self.view()?.allocations(filter)
    }

    fn lapsed(&mut self, now: Timestamp) -> Result<Vec<(Space, AppKey)>, StoreError> {
        self.view()?.lapsed(now)
    }

    fn history(&mut self, filter: &HistoryFilter) -> Result<Vec<Recorded>, StoreError> {
        self.view()?.history(filter)
    }

    fn spaces(&mut self) -> Result<Vec<Space>, StoreError> {
        self.view()?.spaces()
    }

    fn models(&mut self, space: &Space) -> Result<Vec<Model>, StoreError> {
        self.view()?.models(space)
    }

    fn audit(&mut self, space: &Space) -> Result<Audit, StoreError> {
        self.view()?.audit(space)
    }
}
