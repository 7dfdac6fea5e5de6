//! What PostgreSQL's errors mean for a book.

use std::error::Error as _;
use std::time::Duration;

use portbook_store::{CommitError, StoreError};
use tokio_postgres::error::SqlState;

/// Why something that was asked of the database did not come about.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The database refused it, or the connection broke.
    Postgres(tokio_postgres::Error),
    /// No answer came in time.
    Late(Duration),
    /// No connection can be made, whatever time is given.
    Hopeless(String),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Failure::Postgres(error)
    }
}

impl Failure {
    /// What PostgreSQL calls it.
    pub(crate) fn code(&self) -> Option<&SqlState> {
        match self {
            Failure::Postgres(error) => error.code(),
            Failure::Late(_) | Failure::Hopeless(_) => None,
        }
    }

    /// Whether a key refused a row.
    pub(crate) fn violates_key(&self) -> bool {
        matches!(
            self.code(),
            Some(
                &SqlState::UNIQUE_VIOLATION
                    | &SqlState::CHECK_VIOLATION
                    | &SqlState::CARDINALITY_VIOLATION
            )
        )
    }

    /// Whether the key `name` refused a row.
    pub(crate) fn violates(&self, name: &str) -> bool {
        let Failure::Postgres(error) = self else {
            return false;
        };
        error.as_db_error().is_some_and(|error| {
            *error.code() == SqlState::UNIQUE_VIOLATION && error.constraint() == Some(name)
        })
    }

    /// Whether the server may be on its way back: it is starting or stopping, or another takes its place.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Failure::Hopeless(_) => false,
            Failure::Late(_) => true,
            Failure::Postgres(error) => match error.code() {
                Some(code) => [
                    SqlState::ADMIN_SHUTDOWN,
                    SqlState::CRASH_SHUTDOWN,
                    SqlState::CANNOT_CONNECT_NOW,
                    SqlState::TOO_MANY_CONNECTIONS,
                    SqlState::READ_ONLY_SQL_TRANSACTION,
                    SqlState::CONNECTION_EXCEPTION,
                    SqlState::CONNECTION_FAILURE,
                ]
                .contains(code),
                None => true,
            },
        }
    }

    /// What happened, as one sentence without a full stop.
    pub(crate) fn plain(&self) -> String {
        match self {
            Failure::Hopeless(reason) => reason.clone(),
            Failure::Late(waited) => format!("it did not answer within {} s", waited.as_secs()),
            Failure::Postgres(error) => match error.as_db_error() {
                Some(said) => said.message().to_owned(),
                None => {
                    let cause = error.source().map(|cause| format!(": {cause}"));
                    format!("{error}{}", cause.unwrap_or_default())
                }
            },
        }
    }

    /// What it is for whoever wanted to connect to the book at `location`.
    pub(crate) fn of_connecting(&self, location: &str) -> StoreError {
        StoreError::Unreachable {
            location: location.to_owned(),
            reason: self.plain(),
        }
    }

    /// What it is for whoever reads or writes the book at `location`.
    pub(crate) fn for_book(&self, location: &str) -> StoreError {
        let location = location.to_owned();
        let reason = self.plain();
        match self.code() {
            Some(code) if *code == SqlState::DISK_FULL => StoreError::Full { location },
            Some(code)
                if *code == SqlState::READ_ONLY_SQL_TRANSACTION
                    || *code == SqlState::INSUFFICIENT_PRIVILEGE =>
            {
                StoreError::ReadOnly { location, reason }
            }
            Some(code)
                if *code == SqlState::UNDEFINED_TABLE || *code == SqlState::UNDEFINED_COLUMN =>
            {
                StoreError::Damaged { location, reason }
            }
            Some(code)
                if *code == SqlState::ADMIN_SHUTDOWN || *code == SqlState::CRASH_SHUTDOWN =>
            {
                StoreError::Lost { location, reason }
            }
            Some(_) => StoreError::Failed { location, reason },
            None => match self {
                Failure::Postgres(_) => StoreError::Lost { location, reason },
                Failure::Late(_) | Failure::Hopeless(_) => {
                    StoreError::Unreachable { location, reason }
                }
            },
        }
    }
}

/// Why a batch was not written; nothing of it was.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The book is at another revision.
    Stale,
    /// The rows are not those that the plan supposed.
    Duplicate(String),
    /// The database failed.
    Failed(Failure),
    /// A value that JSON or the database cannot take.
    Unwritable(String),
}

impl Refused {
    pub(crate) fn for_book(self, location: &str) -> CommitError {
        match self {
            Refused::Stale => CommitError::Stale,
            Refused::Duplicate(reason) => CommitError::Duplicate(reason),
            Refused::Failed(failure) => CommitError::Failed(failure.for_book(location)),
            Refused::Unwritable(reason) => CommitError::Failed(StoreError::Failed {
                location: location.to_owned(),
                reason,
            }),
        }
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        if failure.violates("portbook_changes_pkey") {
            Refused::Stale
        } else if failure.violates_key() {
            Refused::Duplicate(failure.plain())
        } else {
            Refused::Failed(failure)
        }
    }
}
