//! The file of pre-configured ports that a process knows, and whether the book knows it too.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use portbook_apps::port_config::{self, LARGEST_FILE, Listing};
use portbook_model::{Promise, PromiseFile};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::import::FileProblem;

/// A `port_config.json` that this process was told of or found.
pub(crate) struct PromiseSource {
    path: PathBuf,
    /// What the file held when it was last read.
    known: Mutex<Option<Known>>,
}

struct Known {
    stamp: Stamp,
    /// Shared, since every call looks at it and few carry it on.
    file: Arc<PromiseFile>,
    /// Whether the book has taken it in.
    noted: bool,
}

/// What changes when a file does: enough to see that it need not be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    file: FileStamp,
}

/// The file and, since a time of modification can be put back, the time of its last change at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct FileStamp {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// Two changes within one tick of the file system's clock look alike: a younger file is read anew.
    const TICK: Duration = Duration::from_millis(100);

    fn of(metadata: &fs::Metadata) -> Self {
        #[cfg(unix)]
        let file = {
            use std::os::unix::fs::MetadataExt;
            FileStamp {
                device: metadata.dev(),
                inode: metadata.ino(),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
            }
        };
        #[cfg(not(unix))]
        let file = FileStamp::default();
        Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            file,
        }
    }

    fn is_settled(&self) -> bool {
        let age = self.modified.and_then(|modified| modified.elapsed().ok());
        age.is_some_and(|age| age > Self::TICK)
    }
}

/// The promises as they are now.
pub(crate) struct Current {
    pub(crate) file: Arc<PromiseFile>,
    /// Whether the book, as far as this process knows, has not taken them in yet.
    pub(crate) is_news: bool,
}

impl PromiseSource {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            known: Mutex::new(None),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file's promises, read anew if the file has changed.
    pub(crate) fn current(&self) -> Result<Current, Error> {
        let metadata = fs::metadata(&self.path).map_err(|error| self.unreadable(&error))?;
        let stamp = Stamp::of(&metadata);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref().filter(|known| known.stamp == stamp) {
            return Ok(Current {
                file: known.file.clone(),
                is_news: !known.noted,
            });
        }
        let file = Arc::new(self.read()?);
        *known = stamp.is_settled().then(|| Known {
            stamp,
            file: file.clone(),
            noted: false,
        });
        Ok(Current {
            file,
            is_news: true,
        })
    }

    /// Notes that the book has taken in these promises.
    pub(crate) fn note(&self, digest: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_mut().filter(|known| known.file.digest == digest) {
            known.noted = true;
        }
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
