//! Opening the book, and knowing whether it still is the one that was opened.
//!
//! The book is in WAL mode, which its file remembers, and commits with `synchronous=FULL`: the journal
//! is synced before a commit returns, so that what was answered outlasts a power cut. Opening asks
//! as little as possible, since a command that runs for two milliseconds pays for it each time.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use portbook_store::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::{Access, access};

use crate::creation::refuse_orphaned_journal;
use crate::error::{BUSY_TIMEOUT, plain};
use crate::place::{FileId, Place};
use crate::schema;

/// More statements than this crate has, so that each is prepared once for a connection.
const STATEMENTS: usize = 64;

/// The journal's pages are small, and worth moving into the book's file when they come to as many
/// bytes as SQLite's own thousand would.
const SETTINGS: &str = "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000";

/// SQLite's smallest page: no database is shorter. Of a shorter file SQLite sees none or an empty one.
const SMALLEST: u64 = 512;

const NO_DATABASE: &str = "what is in it is no SQLite database, or no longer one";

/// A connection to the book, and which file it leads to.
#[derive(Debug)]
pub(crate) struct BookConnection {
    /// SQLite's connection.
    pub(crate) sqlite: Connection,
    /// The book's file; `None` of a book that nobody has written yet.
    pub(crate) file: Option<FileId>,
    /// The journal that was beside it: while a connection is open, it stays.
    pub(crate) journal: Option<FileId>,
    /// Whether the book is read without locks, since nothing can be written where it lies, or nothing has
    /// been.
    pub(crate) frozen: bool,
}

/// Opens the book, which has to be there.
pub(crate) fn open(place: &Place) -> Result<BookConnection, StoreError> {
    loop {
        let file = book_file(place)?;
        let (mut sqlite, frozen) = connect(place)?;
        let found = schema::version(&sqlite).map_err(|error| place.failure(&error))?;
        match found {
            schema::VERSION => {}
            newer if newer > schema::VERSION => {
                return Err(StoreError::TooNew {
                    location: place.shown().to_owned(),
                    found,
                    known: schema::VERSION,
                });
            }
            older if older > 0 => {
                schema::upgrade(&mut sqlite).map_err(|error| place.failure(&error))?;
            }
            _ => return Err(place.damaged(format!("it has schema {found}, which never was"))),
        }
        // SQLite opens by name, so the name has to have meant one file all along.
        if book_file(place)? == file {
            let journal = place.present_journal().ok().flatten();
            let journal = journal.map(|journal| FileId::of(&journal));
            return Ok(BookConnection {
                sqlite,
                file: Some(file),
                journal,
                frozen,
            });
        }
    }
}

/// An empty book in memory, to be read where no file is yet.
pub(crate) fn unwritten(place: &Place) -> Result<BookConnection, StoreError> {
    refuse_orphaned_journal(place)?;
    let mut above = place.directory().ancestors();
    if let Some(file) = above.find(|above| above.exists()).filter(|it| !it.is_dir()) {
        return Err(place.unreachable(format!("{} is not a directory", file.display())));
    }
    let mut sqlite = Connection::open_in_memory().map_err(|error| place.failure(&error))?;
    schema::build(&mut sqlite).map_err(|error| place.failure(&error))?;
    Ok(BookConnection {
        sqlite,
        file: None,
        journal: None,
        frozen: true,
    })
}

/// The file at the book's path, which must be one that a book can be in.
pub(crate) fn book_file(place: &Place) -> Result<FileId, StoreError> {
    let found = place
        .present()
        .map_err(|error| place.unreachable(error.to_string()))?;
    let Some(metadata) = found else {
        refuse_orphaned_journal(place)?;
        return Err(place.unreachable("there is no such file"));
    };
    if metadata.is_dir() {
        return Err(place.not_a_book("it is a directory"));
    }
    // A named pipe would keep whoever opens it waiting.
    if !metadata.is_file() {
        return Err(place.not_a_book("it is no regular file"));
    }
    // SQLite names the journal after the path: by a second name a book would have a second journal,
    // and each would give out what the other has.
    if metadata.nlink() > 1 {
        return Err(place.unreachable(format!(
            "the file has {} names (hard links), and changes by one would be unseen by the other: keep one name",
            metadata.nlink()
        )));
    }
    if metadata.len() == 0 {
        return Err(place.not_a_book(
            "it is empty: a crash or another program emptied it; restore it from a copy, or remove it to begin a new book",
        ));
    }
    if metadata.len() < SMALLEST {
        return Err(place.not_a_book(NO_DATABASE));
    }
    Ok(FileId::of(&metadata))
}

/// Connects, and makes sure that it is one of portbook's books.
fn connect(place: &Place) -> Result<(Connection, bool), StoreError> {
    match connect_to(place.book().into(), OpenFlags::SQLITE_OPEN_READ_WRITE) {
        Ok((sqlite, id)) => checked(place, sqlite, id, false),
        Err(error) if is_unwritable(&error) => frozen(place, &error),
        Err(error) => Err(refused(place, &error)),
    }
}

/// A book on a read-only file system, where SQLite cannot make the file through which WAL's readers
/// share what they know. Without a journal nobody is writing, and the file alone is the book.
fn frozen(place: &Place, error: &rusqlite::Error) -> Result<(Connection, bool), StoreError> {
    if access(place.book(), Access::READ_OK).is_err() {
        return Err(place.unreachable("its permissions do not let this user read it"));
    }
    if access(place.directory(), Access::WRITE_OK).is_ok() {
        return Err(place.failure(error));
    }
    if !matches!(place.filled_journal(), Ok(None)) {
        return Err(place.unreachable(format!(
            "its last changes are in {}, which can be read only where that directory can be written: {}",
            place.journal().display(),
            plain(error)
        )));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    match connect_to(immutable_uri(place), flags) {
        Ok((sqlite, id)) => checked(place, sqlite, id, true),
        Err(error) => Err(refused(place, &error)),
    }
}

/// Opens the file and reads its application id, the first thing that SQLite reads of it.
fn connect_to(path: PathBuf, flags: OpenFlags) -> rusqlite::Result<(Connection, i64)> {
    // No two threads use one connection at a time.
    let sqlite = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    sqlite.busy_timeout(BUSY_TIMEOUT)?;
    sqlite.set_prepared_statement_cache_capacity(STATEMENTS);
    // Otherwise SQLite plans some statements anew for each value, in case another plan suits it.
    sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let id = sqlite.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    Ok((sqlite, id))
}

fn checked(
    place: &Place,
    sqlite: Connection,
    application_id: i64,
    frozen: bool,
) -> Result<(Connection, bool), StoreError> {
    if application_id != schema::APPLICATION_ID {
        return Err(place.not_a_book("it is the SQLite database of another program"));
    }
    sqlite
        .execute_batch(SETTINGS)
        .map_err(|error| place.failure(&error))?;
    Ok((sqlite, frozen))
}

fn refused(place: &Place, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => place.not_a_book(NO_DATABASE),
        _ => place.failure(error),
    }
}

fn is_unwritable(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
    )
}

/// The book's path as a URI that tells SQLite that nothing writes the file.
fn immutable_uri(place: &Place) -> PathBuf {
    let mut uri = b"file:".to_vec();
    for byte in place.book().as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(byte) {
            uri.push(*byte);
        } else {
            uri.extend(format!("%{byte:02x}").bytes());
        }
    }
    uri.extend(b"?immutable=1");
    OsString::from_vec(uri).into()
}
