//! The file of pre-configured ports that a process knows, and whether the book knows it too.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use portbook_apps::port_config::{self, LARGEST_FILE, Listing};
use portbook_model::{Promise, PromiseFile};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::import::FileProblem;

/// A `port_config.json` that this process was told of or found.
pub(crate) struct PromiseSource {
    path: PathBuf,
    /// What the file looked like when the book last took it in by this process.
    noted: Mutex<Option<Stamp>>,
}

/// What changes when a file does: enough to see that it need not be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    file: (u64, u64),
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        #[cfg(unix)]
        let file = {
            use std::os::unix::fs::MetadataExt;
            (metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let file = (0, 0);
        Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            file,
        }
    }
}

impl PromiseSource {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            noted: Mutex::new(None),
        }
    }

    /// The file's promises, unless the book took in this very state of the file before.
    pub(crate) fn news(&self) -> Result<Option<(PromiseFile, Stamp)>, Error> {
        let metadata = fs::metadata(&self.path).map_err(|error| self.unreadable(&error))?;
        let stamp = Stamp::of(&metadata);
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.as_ref() == Some(&stamp) {
            return Ok(None);
        }
        drop(noted);
        Ok(Some((self.read()?, stamp)))
    }

    /// Notes that the book has taken in the file in this state.
    pub(crate) fn note(&self, stamp: Stamp) {
        *self.noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(stamp);
    }

    /// The file's promises. A file with one bad entry promises nothing: giving away what it may
    /// have meant would be worse than stopping.
    pub(crate) fn read(&self) -> Result<PromiseFile, Error> {
        let bytes = read_file(&self.path)?;
        let listing = parse(&self.path, &bytes)?;
        if !listing.problems.is_empty() {
            return Err(Error::Entries {
                path: self.path.clone(),
                further: listing.further_problems,
                problems: listing.problems.iter().map(FileProblem::of).collect(),
            });
        }
        let promises = listing.entries.into_iter().map(|listed| Promise {
            app: listed.entry.app,
            ports: listed.entry.ports,
        });
        Ok(PromiseFile {
            source: self.path.display().to_string(),
            digest: hex(&Sha256::digest(&bytes)),
            promises: promises.collect(),
        })
    }

    fn unreadable(&self, error: &std::io::Error) -> Error {
        Error::File {
            path: self.path.clone(),
            reason: error.to_string(),
        }
    }
}

/// What a file of pre-configured ports promises; a file with one bad entry promises nothing.
pub fn read_promises(path: &Path) -> Result<PromiseFile, Error> {
    PromiseSource::new(path.to_owned()).read()
}

/// Reads a file that lists apps, whole, unless it is larger than any such file.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |error: std::io::Error| Error::File {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Listing, Error> {
    port_config::read(bytes).map_err(|reason| Error::Unreadable {
        path: path.to_owned(),
        reason,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
