//! Where a book lies: its file, the files beside it, and which file is at its path now.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use portbook_store::StoreError;

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

impl Place {
    /// The place of the book at `path`.
    ///
    /// SQLite names its journal after the file that a symbolic link leads to, so the lock has to be
    /// there too: two names for one book must not be two queues.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let absolute = std::path::absolute(path)?;
        Ok(Self {
            shown: absolute.display().to_string(),
            book: absolute.canonicalize().unwrap_or(absolute),
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

/// File systems of other machines, whose locks are not those of this one: their magic numbers, as
/// statfs(2) has them.
const NETWORK_FILE_SYSTEMS: [(u64, &str); 11] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB 2"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x786f_4256, "VirtualBox's shared folders"),
];

/// Refuses a book whose locks cannot be trusted.
pub(crate) fn refuse_network_file_system(place: &Place) -> Result<(), StoreError> {
    let Ok(system) = rustix::fs::statfs(place.directory()) else {
        // What is wrong with the directory shows when the book is opened.
        return Ok(());
    };
    // The kernel's type for it has a sign on some machines and none on others; it has 32 bits.
    match network_kind((system.f_type as u64) & 0xffff_ffff) {
        None => Ok(()),
        Some(kind) => Err(StoreError::NetworkFileSystem {
            location: place.shown().to_owned(),
            kind: kind.to_owned(),
        }),
    }
}

fn network_kind(magic: u64) -> Option<&'static str> {
    let (_, kind) = NETWORK_FILE_SYSTEMS
        .iter()
        .find(|(number, _)| *number == magic)?;
    Some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_network_file_systems_are_refused() {
        assert_eq!(network_kind(0x6969), Some("NFS"));
        assert_eq!(network_kind(0xff53_4d42), Some("CIFS"));
        // ext4, btrfs, tmpfs, overlay, xfs
        for local in [0xef53, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0x5846_5342] {
            assert_eq!(network_kind(local), None);
        }
    }
}
