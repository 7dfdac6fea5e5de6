//! What SQLite's and the system's errors mean for whoever has the book.

use std::io;
use std::time::Duration;

use portbook_store::{CommitError, StoreError};
use rusqlite::ErrorCode;

use crate::place::Place;

/// The name for whoever holds SQLite's own lock: nobody who takes turns does so for long.
const NO_QUEUER: &str = "a program that does not wait its turn";

impl Place {
    /// What an error of SQLite's means.
    pub(crate) fn failure(&self, error: &rusqlite::Error) -> StoreError {
        let reason = plain(error);
        match error {
            // The memory that WAL's readers share is a file, too.
            rusqlite::Error::SqliteFailure(code, _)
                if code.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE =>
            {
                StoreError::Full {
                    location: self.shown().to_owned(),
                }
            }
            rusqlite::Error::SqliteFailure(code, _) => match code.code {
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => self.damaged(reason),
                ErrorCode::ReadOnly => self.read_only(reason),
                ErrorCode::DiskFull => StoreError::Full {
                    location: self.shown().to_owned(),
                },
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                    self.busy(BUSY_TIMEOUT, NO_QUEUER.to_owned())
                }
                ErrorCode::CannotOpen | ErrorCode::PermissionDenied => self.unreachable(reason),
                // A table or column is not there: no portbook removes one.
                ErrorCode::Unknown => self.damaged(reason),
                _ => self.failed(reason),
            },
            // The rest are values of another type than the schema's, or rows that are missing.
            rusqlite::Error::SqlInputError { .. }
            | rusqlite::Error::QueryReturnedNoRows
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..) => self.damaged(reason),
            _ => self.failed(reason),
        }
    }

    /// What an error of the system's means, at `what`.
    pub(crate) fn io(&self, what: &str, error: &io::Error) -> StoreError {
        let reason = format!("{what}: {error}");
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full {
                location: self.shown().to_owned(),
            },
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                self.read_only(reason)
            }
            _ => self.unreachable(reason),
        }
    }

    pub(crate) fn unreachable(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Unreachable {
            location: self.shown().to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn not_a_book(&self, reason: impl Into<String>) -> StoreError {
        StoreError::NotABook {
            location: self.shown().to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn damaged(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Damaged {
            location: self.shown().to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn read_only(&self, reason: impl Into<String>) -> StoreError {
        StoreError::ReadOnly {
            location: self.shown().to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn failed(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Failed {
            location: self.shown().to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn busy(&self, waited: Duration, holder: String) -> StoreError {
        StoreError::Busy {
            location: self.shown().to_owned(),
            waited,
            holder,
        }
    }

    /// What an error of COMMIT itself means.
    ///
    /// SQLite reports a full disk only for a frame that it could not write whole, and the frame that
    /// makes a commit is the last: nothing happened. Any other failure, above all that of fsync, may
    /// have left the commit on the disk.
    pub(crate) fn commit_failure(&self, error: &rusqlite::Error) -> CommitError {
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DiskFull
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::ReadOnly,
            ) => CommitError::Failed(self.failure(error)),
            Some(ErrorCode::ConstraintViolation) => CommitError::Duplicate(plain(error)),
            _ => CommitError::Unknown(format!("{}: {}", self.shown(), plain(error))),
        }
    }
}

/// How long SQLite itself waits for a lock where nobody named a patience.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// SQLite's error in one line, with the extended code where that says more than the words.
pub(crate) fn plain(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(code, message) => {
            let words = message.clone().unwrap_or_else(|| code.to_string());
            match code.code {
                ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::DatabaseCorrupt => {
                    format!("{words} (SQLite's error {})", code.extended_code)
                }
                _ => words,
            }
        }
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        rusqlite::Error::QueryReturnedNoRows => "a row is missing".to_owned(),
        other => other.to_string(),
    }
}
