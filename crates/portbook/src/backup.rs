//! A book in one portable file: its history, from which everything else follows.
//!
//! Lines of JSON: the head of the book, each change as the book recorded it, and at the end the SHA-256 of
//! all that is before. A file without that end is a torn one. It can be read without portbook, and goes into
//! any store.

use std::fs;
use std::io;
use std::path::Path;

use portbook_model::{BookId, Recorded, Revision, Timestamp};
use portbook_sqlite::Creation;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::open;
use crate::stores::{tell_again, verify_reading};

/// The only form there is so far.
const FORM: u64 = 1;
/// What every backup begins with.
const MARK: &str = r#"{"portbook_backup":"#;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Heading {
    portbook_backup: u64,
    book: BookId,
    revision: Revision,
    changed_at: Timestamp,
    made_at: Timestamp,
}

/// The last line.
#[derive(Serialize, Deserialize)]
struct End {
    sha256: String,
}

/// What is wrong with a file that is to be restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupFault {
    /// It is something else.
    #[error("it is no backup that `portbook store backup` made")]
    Foreign,
    /// A later portbook made it.
    #[error("it has the form {0} of a newer portbook, and this one knows {FORM}")]
    TooNew(u64),
    /// Its end is missing.
    #[error("it breaks off after {0} bytes, before its end")]
    Truncated(usize),
    /// It is not as it was written.
    #[error("its content has changed since it was made: the checksum at its end is another one")]
    Altered,
    /// A line makes no sense.
    #[error("its line {line} makes no sense: {reason}")]
    Nonsense {
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// What was written to a backup, or brought back from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackedUp {
    /// How far the book has come.
    pub revision: Revision,
    /// The changes: its whole history.
    pub changes: u64,
    /// Those of them that an earlier restoring had brought back.
    pub resumed_after: u64,
}

/// Writes the book at `address`, as it is at this moment, to the new file `path`. A book that contradicts
/// itself is refused: what comes back from its history would be another one.
pub fn back_up(address: &str, path: &Path) -> Result<BackedUp, Error> {
    let not_written = |source| Error::NotWritten {
        path: path.to_owned(),
        source,
    };
    if path.symlink_metadata().is_ok() {
        let there = io::Error::new(io::ErrorKind::AlreadyExists, "there is a file already");
        return Err(not_written(there));
    }
    let store = open::store_made(address, Creation::Never)?;
    let mut reading = store.read()?;
    if let Some(conflict) = verify_reading(&mut *reading)?.conflicts.into_iter().next() {
        return Err(Error::NotWhole {
            location: store.location(),
            what: conflict.message,
        });
    }
    let head = reading.head()?;
    let history = reading.changes_since(Revision(0))?;
    let heading = Heading {
        portbook_backup: FORM,
        book: head.book,
        revision: head.revision,
        changed_at: head.changed_at,
        made_at: std::time::SystemTime::now().into(),
    };
    let mut text = line(&heading)?;
    for change in &history {
        text.push_str(&line(change)?);
    }
    let sha256 = digest(&text);
    text.push_str(&line(&End { sha256 })?);
    portbook_apps::replacement::replace(path, text.as_bytes()).map_err(not_written)?;
    Ok(BackedUp {
        revision: heading.revision,
        changes: history.len() as u64,
        resumed_after: 0,
    })
}

/// Brings the backup at `path` back into the empty book at `address`, and verifies what lies there then.
/// Nothing is changed unless all of the file is as it was made. One that broke off goes on where it stopped.
/// `progress` is told of the changes that are done, and of how many, and says whether to go on.
pub fn restore(
    path: &Path,
    address: &str,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<BackedUp, Error> {
    let bytes = fs::read(path).map_err(|error| Error::File {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let history = read(&bytes).map_err(|fault| Error::Backup {
        path: path.to_owned(),
        fault,
    })?;
    let store = open::store_made(address, Creation::Opening)?;
    let done = tell_again(&history, &*store, progress)?;
    let mut reading = store.read()?;
    let differs = |what: String| Error::CopyDiffers {
        location: store.location(),
        what,
    };
    if reading.changes_since(Revision(0))? != history {
        return Err(differs("its history".to_owned()));
    }
    if let Some(conflict) = verify_reading(&mut *reading)?.conflicts.into_iter().next() {
        return Err(differs(conflict.message));
    }
    Ok(BackedUp {
        revision: reading.head()?.revision,
        changes: history.len() as u64,
        resumed_after: done as u64,
    })
}

fn line(value: &impl Serialize) -> Result<String, Error> {
    match serde_json::to_string(value) {
        Ok(text) => Ok(text + "\n"),
        Err(error) => Err(Error::Internal(error.to_string())),
    }
}

fn digest(text: &str) -> String {
    let bytes = Sha256::digest(text);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The history that a backup holds.
fn read(bytes: &[u8]) -> Result<Vec<Recorded>, BackupFault> {
    if !bytes.starts_with(MARK.as_bytes()) {
        return Err(BackupFault::Foreign);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| BackupFault::Altered)?;
    let nonsense = |line: usize, reason: String| BackupFault::Nonsense { line, reason };
    let truncated = BackupFault::Truncated(bytes.len());
    let (first, _) = text.split_once('\n').ok_or(truncated.clone())?;
    let heading: serde_json::Value =
        serde_json::from_str(first).map_err(|error| nonsense(1, error.to_string()))?;
    match heading["portbook_backup"].as_u64() {
        Some(FORM) => {}
        Some(newer) => return Err(BackupFault::TooNew(newer)),
        None => return Err(BackupFault::Foreign),
    }
    let whole = text.strip_suffix('\n').ok_or(truncated.clone())?;
    let (before, end) = whole.rsplit_once('\n').ok_or(truncated.clone())?;
    let end: End = serde_json::from_str(end).map_err(|_| truncated)?;
    let content = &text[..=before.len()];
    if digest(content) != end.sha256 {
        return Err(BackupFault::Altered);
    }
    let heading: Heading =
        serde_json::from_value(heading).map_err(|error| nonsense(1, error.to_string()))?;
    let mut history = Vec::new();
    for (number, line) in (2..).zip(content.lines().skip(1)) {
        let change: Recorded =
            serde_json::from_str(line).map_err(|error| nonsense(number, error.to_string()))?;
        if change.revision.0 != number as u64 - 1 {
            return Err(nonsense(
                number,
                format!("it is the change {}", change.revision),
            ));
        }
        history.push(change);
    }
    match history.len() as u64 == heading.revision.0 {
        true => Ok(history),
        false => Err(nonsense(
            1,
            format!("it promises {} changes", heading.revision),
        )),
    }
}
