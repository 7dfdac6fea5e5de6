//! The store.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use portbook_model::{CommitId, Revision};
use portbook_store::{Queue, Reading, Store, StoreError, Turn};

use crate::address::Address;
use crate::client::{Client, Condition, Write};
use crate::creation;
use crate::error::Failure;
use crate::keys;
use crate::session::{Session, Start};
use crate::snapshot::Known;
use crate::turn::Line;

/// How a book is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether who wants to write waits in the line. Without, commits collide and are told to plan again;
    /// every promise holds all the same, which is what this switch is for: tests of that.
    pub turns: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { turns: true }
    }
}

/// A book in an etcd cluster.
#[derive(Debug)]
pub struct EtcdStore {
    pub(crate) client: Client,
    pub(crate) location: String,
    pub(crate) options: Options,
    pub(crate) queue: Queue,
    pub(crate) line: Line,
    /// What is known of the book while its head was last written at this revision of etcd's.
    known: Mutex<Option<(i64, Known)>>,
}

impl EtcdStore {
    /// Opens the book that lies there. It is [`StoreError::NotABook`] where there is none:
    /// [`init`](crate::init) makes one.
    pub fn open(address: Address, options: Options) -> Result<Self, StoreError> {
        let location = address.to_string();
        let client = Client::new(address).map_err(|failure| failure.for_book(&location))?;
        let store = Self {
            client,
            location,
            options,
            queue: Queue::default(),
            line: Line::default(),
            known: Mutex::default(),
        };
        store.begin()?;
        Ok(store)
    }

    /// The head and what else is always read first.
    pub(crate) fn begin(&self) -> Result<Start, StoreError> {
        Start::read(&self.client, &self.location)
    }

    pub(crate) fn failed(&self, failure: &Failure) -> StoreError {
        failure.for_book(&self.location)
    }

    /// What was known of the book when its head was last written, if that was then.
    pub(crate) fn known_at(&self, changed: i64) -> Known {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.take() {
            Some((at, known)) if at == changed => known,
            _ => Known::default(),
        }
    }

    pub(crate) fn keep_known(&self, changed: i64, known: Known) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((changed, known));
    }
}

impl Store for EtcdStore {
    fn read(&self) -> Result<Box<dyn Reading + '_>, StoreError> {
        Ok(Box::new(Session::reading(self)?))
    }

    fn turn(&self, patience: Duration) -> Result<Box<dyn Turn + '_>, StoreError> {
        Ok(Box::new(Session::turn(self, patience)?))
    }

    fn find_commit(&self, commit: CommitId, after: Revision) -> Result<bool, StoreError> {
        loop {
            let start = self.begin()?;
            let session = Session::on(self, start)?;
            if session.is_past(after) {
                return session.has_commit(commit, after);
            }
            // The commit may still be on its way. What it depends on is the head as it was: once that is
            // written anew, it is too late for it.
            let head = creation::text(&session.start.head).map_err(|error| self.failed(&error))?;
            let touched = self.client.change_surely(
                &[Condition::Unchanged(
                    keys::HEAD.to_owned(),
                    session.start.changed,
                )],
                &[Write::Put(keys::HEAD.to_owned(), head)],
                &[],
            );
            if touched.map_err(|error| self.failed(&error))?.succeeded {
                return Ok(false);
            }
        }
    }

    fn location(&self) -> String {
        self.location.clone()
    }
}
