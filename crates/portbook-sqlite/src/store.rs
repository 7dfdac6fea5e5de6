//! The store: its connections, and what they do when the book's file is not the one that was opened.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portbook_model::{CommitId, Revision};
use portbook_store::{Reading, Store, StoreError, Turn};
use rusqlite::params;

use crate::connection::{self, BookConnection};
use crate::creation::{self, PATIENCE};
use crate::error::plain;
use crate::lock::{Lock, Turns};
use crate::place::{FileId, Place};
use crate::session::{Session, empty_journal};

/// How many connections are kept for the next readings and turns.
const KEPT: usize = 8;

/// How a book is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// When a book that is not there is made, with the directories above it.
    pub creation: Creation,
    /// Whether who wants to write waits in the queue. Without, commits collide and are told to plan
    /// again; every promise holds all the same, which is what this switch is for: tests of that.
    pub turns: bool,
}

/// When a book that is not there is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// When it is opened.
    Opening,
    /// At the first turn to write. Until then a reading finds an empty book, and leaves no file.
    Writing,
    /// Never: it is [`StoreError::Unreachable`].
    Never,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            creation: Creation::Opening,
            turns: true,
        }
    }
}

/// A book in one SQLite file.
///
/// ```
/// use portbook_sqlite::{Options, SqliteStore};
/// use portbook_store::Store;
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("ports.db");
/// let store = SqliteStore::open(&path, Options::default()).unwrap();
/// assert_eq!(store.read().unwrap().head().unwrap().revision.0, 0);
/// ```
#[derive(Debug)]
pub struct SqliteStore {
    place: Place,
    options: Options,
    turns: Turns,
    connections: Mutex<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    /// Those that nobody uses now, all of the file that was opened last.
    idle: Vec<BookConnection>,
    /// That file and its journal.
    last: Option<(FileId, Option<FileId>)>,
}

impl SqliteStore {
    /// Opens the book at `path`, which has to be on a file system of this machine's own: the locks of
    /// others cannot be trusted.
    pub fn open(path: &Path, options: Options) -> Result<Self, StoreError> {
        let place = Place::new(path).map_err(|error| StoreError::Unreachable {
            location: path.display().to_string(),
            reason: error.to_string(),
        })?;
        let store = Self {
            place,
            options,
            turns: Turns::default(),
            connections: Mutex::default(),
        };
        let connection = store.connection(None)?;
        store.give_back(connection);
        Ok(store)
    }

    /// Where the book lies.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Where turns are waited for.
    pub(crate) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// A connection to the file that is at the book's path now.
    pub(crate) fn connection(&self, lock: Option<&Lock<'_>>) -> Result<BookConnection, StoreError> {
        let present = self.present()?;
        let last = {
            let mut connections = self.connections();
            let fit = connections
                .idle
                .pop_if(|connection| connection.file == present);
            if let Some(connection) = fit {
                return Ok(connection);
            }
            connections.last
        };
        if last.is_some_and(|(file, _)| Some(file) != present) {
            self.part_with_former(lock)?;
        }
        self.open_new(lock)
    }

    fn open_new(&self, lock: Option<&Lock<'_>>) -> Result<BookConnection, StoreError> {
        if self.present()?.is_none() {
            match (self.options.creation, lock) {
                (Creation::Never, _) => {}
                (Creation::Opening | Creation::Writing, Some(lock)) => {
                    creation::create_under(lock, &self.place)?;
                }
                (Creation::Opening, None) => creation::create(&self.place)?,
                (Creation::Writing, None) => match connection::unwritten(&self.place) {
                    // It was made between the two looks, and the second found its journal.
                    Err(_) if self.present()?.is_some() => {}
                    unwritten => return unwritten,
                },
            }
        }
        let connection = connection::open(&self.place)?;
        let file = connection.file;
        self.connections().last = file.map(|file| (file, connection.journal));
        Ok(connection)
    }

    /// Makes the book, with the directories that its lock needs, before the first turn at it.
    fn make_for_writing(&self) -> Result<(), StoreError> {
        let was_opened = self.connections().last.is_some();
        match self.options.creation {
            Creation::Writing if !was_opened && self.present()?.is_none() => {
                creation::create(&self.place)
            }
            _ => Ok(()),
        }
    }

    /// Takes back a connection that is in no transaction.
    pub(crate) fn give_back(&self, connection: BookConnection) {
        let mut connections = self.connections();
        // One to a file that was replaced meanwhile is of no use any more, and without locks each
        // reading has to open the file anew to see what became of it.
        let is_current = connections
            .last
            .is_some_and(|(file, _)| Some(file) == connection.file);
        if is_current && !connection.frozen && connections.idle.len() < KEPT {
            connections.idle.push(connection);
        }
    }

    fn present(&self) -> Result<Option<FileId>, StoreError> {
        let metadata = self.place.present();
        let metadata = metadata.map_err(|error| self.place.unreachable(error.to_string()))?;
        Ok(metadata.map(|metadata| FileId::of(&metadata)))
    }

    /// Parts with a file that is not at the book's path any more.
    ///
    /// Its journal still is there, under the name that SQLite gives to the journal of whatever file
    /// is at the book's path: opened beside another file it would be written into that. So what is in
    /// it goes to where it belongs first, through a connection that has the former file open.
    fn part_with_former(&self, lock: Option<&Lock<'_>>) -> Result<(), StoreError> {
        let _own = match lock {
            Some(_) => None,
            None => Some(self.turns.take(&self.place, PATIENCE)?),
        };
        let present = self.present()?;
        let mut connections = self.connections();
        let Some((file, journal)) = connections.last else {
            return Ok(());
        };
        if Some(file) == present {
            return Ok(());
        }
        let mut former = connections.idle.iter();
        let emptied = former.any(|one| matches!(empty_journal(&one.sqlite), Ok(true)));
        if !emptied {
            let filled = self.place.filled_journal();
            let filled = filled.map_err(|error| self.place.unreachable(error.to_string()))?;
            if filled.is_some() && filled == journal {
                return Err(self.place.unreachable(format!(
                    "another file was put in its place, and its journal {} still has changes of the former one: \
                     stop the programs that have that one open, and remove the journal",
                    self.place.journal().display()
                )));
            }
        }
        connections.idle.clear();
        connections.last = None;
        Ok(())
    }

    /// A thread that died had no connection in its hands while it had this.
    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for SqliteStore {
    fn read(&self) -> Result<Box<dyn Reading + '_>, StoreError> {
        Ok(Box::new(Session::reading(self)?))
    }

    fn turn(&self, patience: Duration) -> Result<Box<dyn Turn + '_>, StoreError> {
        self.make_for_writing()?;
        Ok(Box::new(if self.options.turns {
            Session::turn(self, patience)?
        } else {
            Session::without_turn(self, patience)?
        }))
    }

    /// The journal is emptied before the look, whatever the answer will be. A commit whose fsync
    /// failed stands in the journal unseen, and would come to life when a crash makes SQLite read
    /// the journal again; and one that is found has only now, in the book's synced file, the
    /// durability that the answer promises.
    fn find_commit(&self, commit: CommitId, after: Revision) -> Result<bool, StoreError> {
        let lock = match self.options.turns {
            true => Some(self.turns.take(&self.place, PATIENCE)?),
            false => None,
        };
        self.part_with_former(lock.as_ref())?;
        let connection = connection::open(&self.place)?;
        if !connection.frozen {
            let emptied = empty_journal(&connection.sqlite).map_err(|error| {
                self.place.failed(format!(
                    "the disk does not confirm what is written: {}",
                    plain(&error)
                ))
            })?;
            if !emptied {
                return Err(self.place.failed(
                    "others kept reading it, so that the disk could not be made to confirm what is written",
                ));
            }
        }
        // No book has a revision that SQLite cannot hold.
        let after = i64::try_from(after.0).unwrap_or(i64::MAX);
        connection
            .sqlite
            .prepare("SELECT 1 FROM changes WHERE revision > ?1 AND commit_id = ?2")
            .and_then(|mut statement| statement.exists(params![after, commit.0]))
            .map_err(|error| self.place.failure(&error))
    }

    fn location(&self) -> String {
        self.place.shown().to_owned()
    }
}
