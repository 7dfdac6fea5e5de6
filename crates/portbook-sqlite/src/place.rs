//! Where a book lies: its file, the files beside it, and which file is at its path now.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The path of a book and of what belongs to it.
#[derive(Debug)]
pub(crate) struct Place {
    book: PathBuf,
    shown: String,
}

/// A file, whatever its name: what tells a book from another that was put in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file that this is the metadata of.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// The file beside the book at `path` on which writers take turns. Its content is nothing to them: it is the
/// callers' to note there what has to stay when another file is put in the book's place.
pub fn lock_of(path: &Path) -> io::Result<PathBuf> {
    Ok(Place::new(path)?.lock())
}

impl Place {
    /// The place of the book at `path`.
    ///
    /// SQLite names its journal after the file that a symbolic link leads to, so the lock has to be
    /// there too: two names for one book must not be two queues.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let absolute = std::path::absolute(path)?;
        Ok(Self {
            shown: absolute.display().to_string(),
            book: resolved(absolute),
        })
    }

    /// The book's file.
    pub(crate) fn book(&self) -> &Path {
        &self.book
    }

    /// The path as it was given, for messages.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// The directory that the book lies in.
    pub(crate) fn directory(&self) -> &Path {
        self.book.parent().unwrap_or(Path::new("/"))
    }

    /// The name of the book's file.
    pub(crate) fn name(&self) -> OsString {
        self.book.file_name().unwrap_or_default().to_owned()
    }

    /// The file that turns are waited for on.
    pub(crate) fn lock(&self) -> PathBuf {
        self.beside(".lock")
    }

    /// SQLite's journal, whose changes are as much the book's as those in its file.
    pub(crate) fn journal(&self) -> PathBuf {
        self.beside("-wal")
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.book.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    /// The file that is at the book's path now; `None` when there is none.
    pub(crate) fn present(&self) -> io::Result<Option<Metadata>> {
        found(std::fs::metadata(&self.book))
    }

    /// The journal beside the book, empty or not.
    pub(crate) fn present_journal(&self) -> io::Result<Option<Metadata>> {
        found(std::fs::metadata(self.journal()))
    }

    /// The journal beside the book, if it has something in it.
    pub(crate) fn filled_journal(&self) -> io::Result<Option<FileId>> {
        let journal = self.present_journal()?;
        Ok(journal
            .filter(|journal| journal.len() > 0)
            .map(|journal| FileId::of(&journal)))
    }
}

/// The file that a path leads to, through symbolic links, even if it is not there yet.
fn resolved(path: PathBuf) -> PathBuf {
    const MOST_LINKS: usize = 40;
    let mut path = path;
    for _ in 0..MOST_LINKS {
        if let Ok(canonical) = path.canonicalize() {
            return canonical;
        }
        let Ok(target) = std::fs::read_link(&path) else {
            break;
        };
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    path
}

/// What is not there is no failure.
fn found(metadata: io::Result<Metadata>) -> io::Result<Option<Metadata>> {
    match metadata {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
