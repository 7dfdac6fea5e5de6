//! What can go wrong between the service and a store.

use std::time::Duration;

/// The book cannot be reached, read or trusted. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened or connected to.
    #[error("the book {location} cannot be opened: {reason}")]
    Unreachable {
        /// Where the book is.
        location: String,
        /// What stood in the way.
        reason: String,
    },
    /// The connection to it broke in the middle. Nothing was changed: the same may be asked again.
    #[error("the connection to the book {location} was lost: {reason}")]
    Lost {
        /// Where the book is.
        location: String,
        /// What happened to it.
        reason: String,
    },
    /// What lies there is no book of portbook's.
    #[error("{location} is not a portbook book: {reason}")]
    NotABook {
        /// Where it was looked for.
        location: String,
        /// What lies there instead.
        reason: String,
    },
    /// A later version of portbook made or upgraded it.
    #[error(
        "the book {location} has schema {found}, and this portbook knows schemas up to {known}: use the newer portbook"
    )]
    TooNew {
        /// Where the book is.
        location: String,
        /// Its schema.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// It holds what no portbook writes.
    #[error("the book {location} is damaged: {reason}")]
    Damaged {
        /// Where the book is.
        location: String,
        /// What was found.
        reason: String,
    },
    /// It lies on a network file system, whose locks cannot be trusted.
    #[error(
        "the book {location} lies on a network file system ({kind}), whose locks cannot be trusted: keep it on a local disk"
    )]
    NetworkFileSystem {
        /// Where the book is.
        location: String,
        /// Which file system.
        kind: String,
    },
    /// There is no room for the change.
    #[error("the disk with the book {location} is full: free some space and ask again")]
    Full {
        /// Where the book is.
        location: String,
    },
    /// It may be read, not written.
    #[error("the book {location} cannot be written: {reason}")]
    ReadOnly {
        /// Where the book is.
        location: String,
        /// Why not.
        reason: String,
    },
    /// Others kept the turn for too long.
    #[error(
        "the book {location} was busy for {} s: another process keeps its turn ({holder})",
        .waited.as_secs()
    )]
    Busy {
        /// Where the book is.
        location: String,
        /// How long was waited.
        waited: Duration,
        /// Who has the turn, as far as is known.
        holder: String,
    },
    /// Reading or writing failed.
    #[error("the book {location} failed: {reason}")]
    Failed {
        /// Where the book is.
        location: String,
        /// What the store said.
        reason: String,
    },
}

/// Why a commit did not return with success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Somebody else committed first; nothing happened. Read again, plan again.
    #[error("another commit came first")]
    Stale,
    /// A key beneath refused the commit; nothing happened. What was known of the book is wrong:
    /// forget it, read everything again.
    #[error("the book's keys refused the commit: {0}")]
    Duplicate(String),
    /// It may have happened or not: look it up.
    #[error("whether the commit happened is unknown: {0}")]
    Unknown(String),
    /// It did not happen.
    #[error(transparent)]
    Failed(#[from] StoreError),
}
