//! Making a new book.
//!
//! Under the lock, beside its place, and moved there whole: so whoever comes first makes it and the
//! others find it, and a crash leaves either a book or none. A file at a book's path that is empty
//! was therefore never a new book, but is what a crash or another program left of one.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use portbook_store::StoreError;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::lock::{Lock, Turns};
use crate::place::Place;
use crate::schema;

/// How long to wait for others who make or mend the book at this moment.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Makes the book if there is none.
pub(crate) fn create(place: &Place) -> Result<(), StoreError> {
    let directory = place.directory();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                place.unreachable(format!("{} is not a directory", directory.display()))
            }
            _ => place.io(&directory.display().to_string(), &error),
        })?;
    let turns = Turns::default();
    let lock = turns.take(place, PATIENCE)?;
    create_under(&lock, place)
}

/// Makes the book if there is none, for one who has the turn.
pub(crate) fn create_under(_lock: &Lock<'_>, place: &Place) -> Result<(), StoreError> {
    let explain = |error: io::Error| place.io("its directory", &error);
    if place.present().map_err(explain)?.is_some() {
        return Ok(());
    }
    refuse_orphaned_journal(place)?;
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(place.name());
    prefix.push(".new-");
    remove_leftovers(place.directory(), prefix.as_bytes()).map_err(explain)?;
    prefix.push(std::process::id().to_string());
    let new = place.directory().join(prefix);
    let made = build(place, &new).and_then(|()| {
        // Nobody uses the new file yet, so that closing it takes no lock from anybody.
        let synced = File::open(&new).and_then(|file| file.sync_all());
        let moved = synced.and_then(|()| move_into_place(&new, place.book()));
        moved.map_err(explain)
    });
    if made.is_err() {
        // The next creator removes what this one cannot.
        let _ = std::fs::remove_file(&new);
    }
    made?;
    sync_directory(place.directory()).map_err(explain)
}

/// A journal without its book: the book was moved or removed, and what the journal holds of it would
/// be lost, or written into another book, if a new one were made here.
pub(crate) fn refuse_orphaned_journal(place: &Place) -> Result<(), StoreError> {
    let journal = place.filled_journal();
    if let Ok(None) = journal {
        return Ok(());
    }
    let journal = place.journal();
    Err(place.unreachable(format!(
        "it was moved or removed without its journal {journal}: put the book back beside it, or remove the journal too",
        journal = journal.display()
    )))
}

/// Removes what creators who were killed left behind. Under the lock there is no other creator.
fn remove_leftovers(directory: &Path, prefix: &[u8]) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().as_bytes().starts_with(prefix) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn build(place: &Place, new: &Path) -> Result<(), StoreError> {
    // SQLite gives a file that is there, and its journals, the permissions that it has.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(new)
        .map_err(|error| place.io(&new.display().to_string(), &error))?;
    let fill = || -> rusqlite::Result<String> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(new, flags)?;
        // What a crash leaves of this file is never used, so that one sync at the end will do. An
        // allocation changes some bytes in each of several pages, all of which are written and
        // synced: small pages make that a quarter of the work.
        connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA page_size = 1024")?;
        connection.query_row("PRAGMA journal_mode = MEMORY", [], |_| Ok(()))?;
        schema::build(&mut connection)?;
        // Last, so that no journal has to move along with the file. The file remembers the mode.
        let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        connection.close().map_err(|(_, error)| error)?;
        Ok(mode)
    };
    // Where SQLite cannot change the mode, it says which one it has kept, and no more.
    match fill() {
        Ok(mode) if mode == "wal" => Ok(()),
        Ok(mode) => Err(place.failed(format!("SQLite kept to the journal mode {mode}"))),
        Err(error) => Err(place.failure(&error)),
    }
}

/// Moves the new file to its place unless something is there.
fn move_into_place(new: &Path, book: &Path) -> io::Result<()> {
    match renameat_with(CWD, new, CWD, book, RenameFlags::NOREPLACE) {
        // Not every file system can; a second name for the file does the same.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            std::fs::hard_link(new, book)?;
            std::fs::remove_file(new)
        }
        moved => Ok(moved?),
    }
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
