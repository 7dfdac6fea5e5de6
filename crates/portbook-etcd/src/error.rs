//! What etcd's refusals and silences mean for a book.

use portbook_store::{CommitError, StoreError};

/// Why something that was asked of etcd did not come about.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// No member answered in time. Nothing was changed.
    Unreachable(String),
    /// A change was sent, and whether it came about is unknown.
    Unknown(String),
    /// What was to be read is no longer kept: the reading took longer than etcd keeps its past.
    Compacted,
    /// etcd's quota of space is used up.
    Full,
    /// The user may not read or write there.
    Forbidden(String),
    /// etcd says no, and would say it again.
    Refused(String),
}

impl Failure {
    /// What happened, as one sentence without a full stop.
    pub(crate) fn plain(&self) -> String {
        match self {
            Failure::Unreachable(reason)
            | Failure::Unknown(reason)
            | Failure::Forbidden(reason)
            | Failure::Refused(reason) => reason.clone(),
            Failure::Compacted => "what was being read has been compacted away".to_owned(),
            Failure::Full => "etcd's quota of space is used up".to_owned(),
        }
    }

    /// What it is for whoever reads or writes the book at `location`.
    pub(crate) fn for_book(&self, location: &str) -> StoreError {
        let location = location.to_owned();
        let reason = self.plain();
        match self {
            Failure::Unreachable(_) | Failure::Forbidden(_) => {
                StoreError::Unreachable { location, reason }
            }
            // A reading that took too long is begun anew.
            Failure::Compacted => StoreError::Lost { location, reason },
            Failure::Full => StoreError::Full { location },
            Failure::Unknown(_) | Failure::Refused(_) => StoreError::Failed { location, reason },
        }
    }
}

/// Why a batch was not written; nothing of it was.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The keys are not those that the plan supposed.
    Duplicate(String),
    /// The book could not be read, or holds what no portbook writes.
    Failed(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Refused::Failed(error)
    }
}

impl From<Refused> for CommitError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Duplicate(reason) => CommitError::Duplicate(reason),
            Refused::Failed(error) => CommitError::Failed(error),
        }
    }
}
