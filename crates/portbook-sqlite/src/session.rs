//! A reading or a turn: one transaction on one connection.
//!
//! Both end by being dropped, also in a panic: what was not committed is rolled back, the connection
//! goes back to the store, and only then does the next in the queue get the turn.

use std::time::Duration;

use portbook_model::{
    Allocation, AppKey, AppRecord, Batch, CommitId, Head, Model, Needs, Recorded, Revision, Space,
    SpaceBook, Timestamp,
};
use portbook_store::{Audit, CommitError, Filter, HistoryFilter, Reading, StoreError, Turn};
use rusqlite::{Connection, ErrorCode};

use crate::connection::{BookConnection, book_file};
use crate::error::BUSY_TIMEOUT;
use crate::lock::Lock;
use crate::reading::View;
use crate::rows::{self, Refused};
use crate::store::SqliteStore;

/// One transaction.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    store: &'a SqliteStore,
    /// `None` once a commit failed in a way after which the connection is not to be trusted.
    connection: Option<BookConnection>,
    /// Whether SQLite's own lock for writing is taken already.
    writing: bool,
    /// The head as it was read while SQLite's lock for writing was taken: it stays so until the commit.
    head: Option<Head>,
    patience: Duration,
    /// Dropped last, after [`Drop`] has given the connection back.
    _lock: Option<Lock<'a>>,
}

impl<'a> Session<'a> {
    /// Reads the book as it is now.
    pub(crate) fn reading(store: &'a SqliteStore) -> Result<Self, StoreError> {
        Self::begin(store, None, false, BUSY_TIMEOUT)
    }

    /// Waits for the turn and reads the book then.
    pub(crate) fn turn(store: &'a SqliteStore, patience: Duration) -> Result<Self, StoreError> {
        let lock = store.turns().take(store.place(), patience)?;
        Self::begin(store, Some(lock), true, patience)
    }

    /// Reads the book without waiting for anybody, to write it if nobody else does meanwhile.
    pub(crate) fn without_turn(
        store: &'a SqliteStore,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        Self::begin(store, None, false, patience)
    }

    fn begin(
        store: &'a SqliteStore,
        lock: Option<Lock<'a>>,
        writing: bool,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let mut session = Self {
            store,
            connection: Some(store.connection(lock.as_ref())?),
            writing: false,
            head: None,
            patience,
            _lock: lock,
        };
        if writing {
            session.begin_writing()?;
        } else {
            session.execute("BEGIN")?;
        }
        Ok(session)
    }

    /// Takes SQLite's lock for writing. Whoever takes turns finds it free; others may have it.
    fn begin_writing(&mut self) -> Result<(), StoreError> {
        if let Some(connection) = &self.connection {
            if connection.frozen {
                return Err(self
                    .store
                    .place()
                    .read_only("nothing can be written where it lies"));
            }
            connection
                .sqlite
                .busy_timeout(self.patience)
                .map_err(|error| self.store.place().failure(&error))?;
        }
        let begun = self.execute("BEGIN IMMEDIATE");
        if let Some(connection) = &self.connection {
            // Readings wait as long as ever for the rare moments when they have to.
            let _ = connection.sqlite.busy_timeout(BUSY_TIMEOUT);
        }
        self.writing = begun.is_ok();
        match begun {
            Err(StoreError::Busy {
                location, holder, ..
            }) => Err(StoreError::Busy {
                location,
                waited: self.patience,
                holder,
            }),
            other => other,
        }
    }

    fn execute(&self, statement: &str) -> Result<(), StoreError> {
        let sqlite = self.view()?.sqlite;
        execute(sqlite, statement).map_err(|error| self.store.place().failure(&error))
    }

    fn view(&self) -> Result<View<'_>, StoreError> {
        let place = self.store.place();
        match &self.connection {
            Some(connection) => Ok(View {
                sqlite: &connection.sqlite,
                place,
            }),
            None => Err(place.failed("its connection was given up after an error")),
        }
    }

    fn write(&mut self, expected: Revision, batch: &Batch) -> Result<(), CommitError> {
        if !self.writing {
            self.execute("ROLLBACK")?;
            self.begin_writing()?;
        }
        let head = match self.head.take() {
            Some(head) => head,
            None => self.view()?.head()?,
        };
        let place = self.store.place();
        let view = self.view()?;
        let sqlite = view.sqlite;
        rows::write(view, &head, expected, batch).map_err(|refused| match refused {
            Refused::Stale => CommitError::Stale,
            Refused::Duplicate(reason) => CommitError::Duplicate(reason),
            Refused::Sqlite(error) => CommitError::Failed(place.failure(&error)),
            Refused::Unreadable(error) => CommitError::Failed(error),
            Refused::Unwritable(reason) => CommitError::Failed(place.failed(reason)),
        })?;
        // A file that has no name any more takes commits as gladly as a book does.
        let opened = self
            .connection
            .as_ref()
            .and_then(|connection| connection.file);
        if Some(book_file(place)?) != opened {
            return Err(place
                .failed("another file was put in its place meanwhile")
                .into());
        }
        let committed = execute(sqlite, "COMMIT");
        committed.map_err(|error| {
            // What it remembers of the file may be wrong now; a commit that is asked for again on
            // it could seem to work.
            self.connection = None;
            place.commit_failure(&error)
        })
    }
}

fn execute(sqlite: &Connection, statement: &str) -> rusqlite::Result<()> {
    sqlite.prepare_cached(statement)?.execute([]).map(|_| ())
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        // Some errors have rolled back already.
        let sqlite = &connection.sqlite;
        if sqlite.is_autocommit() || execute(sqlite, "ROLLBACK").is_ok() {
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
        let head = self.view()?.head()?;
        if self.writing {
            self.head = Some(head.clone());
        }
        Ok(head)
    }

    fn changes_since(&mut self, after: Revision) -> Result<Vec<Recorded>, StoreError> {
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

/// Moves every change from the journal into the book's file, synced, and empties the journal.
///
/// `false` when others, who read or write, kept it from being emptied.
pub(crate) fn empty_journal(sqlite: &Connection) -> rusqlite::Result<bool> {
    let busy: rusqlite::Result<i64> =
        sqlite.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    match busy {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(false),
        busy => Ok(busy? == 0),
    }
}
