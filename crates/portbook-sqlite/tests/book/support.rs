//! What the tests are written with.

use std::path::{Path, PathBuf};
use std::time::Duration;

use portbook_model::{
    AppKey, AppNumber, Batch, Change, CommitId, Model, Port, Ports, Revision, Role, Source, Space,
    SpaceChange, Timestamp,
};
use portbook_sqlite::{Creation, Options, SqliteStore};
use portbook_store::{CommitError, Filter, Store, StoreError};
use rusqlite::Connection;
use tempfile::TempDir;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a book in it.
pub(crate) struct Folder {
    _guard: TempDir,
    pub(crate) book: PathBuf,
}

impl Folder {
    /// A folder where a book could be.
    pub(crate) fn empty() -> Self {
        let guard = tempfile::tempdir().unwrap();
        let book = guard.path().join("ports.db");
        Self {
            _guard: guard,
            book,
        }
    }

    /// A folder with a book in which the app 1 of `m` holds 5001 and 8001.
    pub(crate) fn with_a_book() -> Self {
        let folder = Self::empty();
        commit(&folder.open(), vec![allocated(1)]).unwrap();
        folder
    }

    pub(crate) fn open(&self) -> SqliteStore {
        open(&self.book).unwrap()
    }

    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.book.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    /// The book as anybody's SQLite sees it.
    pub(crate) fn by_hand(&self) -> Connection {
        Connection::open(&self.book).unwrap()
    }

    /// The names of what lies in the folder.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.book.parent().unwrap()).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.unwrap().file_name().into_string().unwrap()
        };
        let mut names: Vec<_> = entries.map(name).collect();
        names.sort();
        names
    }
}

pub(crate) fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(path, Options::default())
}

/// Opens a book that has to be there.
pub(crate) fn open_existing(path: &Path) -> Result<SqliteStore, StoreError> {
    let options = Options {
        creation: Creation::Never,
        ..Options::default()
    };
    SqliteStore::open(path, options)
}

pub(crate) fn app(number: u32) -> AppKey {
    AppKey::new(Model::new("m").unwrap(), AppNumber::new(number).unwrap())
}

/// The ports of the app of this number: 5001 and 8001 for the first, and so on by steps of 2.
pub(crate) fn ports(number: u32) -> Ports {
    let step = 2 * (u16::try_from(number).unwrap() - 1);
    let port = |base: u16| Port::new(base + step).unwrap();
    [
        (Role::backend(), port(5001)),
        (Role::frontend(), port(8001)),
    ]
    .into()
}

pub(crate) fn allocated(number: u32) -> Change {
    Change::Allocated {
        app: app(number),
        ports: ports(number),
        source: Source::Dynamic,
        created_at: None,
        lease: None,
    }
}

/// A batch of these changes in the default space, with a name that tells it from others.
pub(crate) fn batch(name: u128, changes: Vec<Change>) -> Batch {
    let here = |change| SpaceChange {
        space: Space::default(),
        by: "test".into(),
        change,
    };
    Batch {
        commit: CommitId(name.to_be_bytes()),
        at: Timestamp::from_millis(1_700_000_000_123),
        changes: changes.into_iter().map(here).collect(),
    }
}

pub(crate) fn commit(store: &SqliteStore, changes: Vec<Change>) -> Result<(), CommitError> {
    let mut turn = store.turn(PATIENCE)?;
    let seen = turn.head()?.revision;
    turn.commit(seen, &batch(u128::from(seen.0) + 1, changes))
}

pub(crate) fn revision(store: &SqliteStore) -> Revision {
    store.read().unwrap().head().unwrap().revision
}

pub(crate) fn book_id(store: &SqliteStore) -> String {
    store.read().unwrap().head().unwrap().book.0
}

/// The apps that hold ports.
pub(crate) fn held(store: &SqliteStore) -> Vec<String> {
    let mut reading = store.read().unwrap();
    let allocations = reading.allocations(&Filter::default()).unwrap();
    allocations
        .iter()
        .map(|allocation| allocation.app.to_string())
        .collect()
}
