//! How far a book was seen, remembered beyond the process that saw it.
//!
//! A book that was restored from a backup, or lost its last changes in a failover, looks whole. Only who saw
//! more of it can tell. So whoever has committed notes the last commit: for a file in the lock beside it,
//! which stays when another file is put in the book's place; for a database in the user's state directory
//! (`XDG_STATE_HOME`, XDG Base Directory Specification).
//!
//! A note is of no promise: it is written after the commit without waiting for the disk, and one that is
//! lost or torn is none. It is never ahead of the book, so it raises no false alarm. Whoever commits
//! thousands of times a second notes some of it and, at the end, the last: a note of each commit took a
//! fifth of the processor's time.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portbook_model::{BookId, CommitId, Head, Revision, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A note has at most so many bytes, and is written as so many, at once.
const LENGTH: usize = 512;

/// So much time is between two notes of one process.
const PAUSE: Duration = Duration::from_millis(10);

/// The last commit that was seen in a book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sighting {
    /// Which book it was.
    pub(crate) book: BookId,
    /// Its last change.
    pub(crate) revision: Revision,
    /// The commit that made it.
    pub(crate) commit: CommitId,
    /// When that was.
    pub(crate) at: Timestamp,
}

impl Sighting {
    /// Whether the book is as it was seen.
    pub(crate) fn is_of(&self, head: &Head) -> bool {
        self.book == head.book && self.revision == head.revision && self.at == head.changed_at
    }
}

/// Where it is noted how far a book was seen.
#[derive(Debug)]
pub(crate) enum Sightings {
    /// In the lock of a book in a file. A file that is not there is made at its first use: so an empty
    /// book is a new beginning.
    BesideFile(PathBuf),
    /// In a file of the user's.
    OfUser(PathBuf),
    /// Nowhere.
    Nowhere,
}

impl Sightings {
    /// Those of a book in a file.
    pub(crate) fn of_file(book: &Path) -> Self {
        portbook_sqlite::lock_of(book).map_or(Sightings::Nowhere, Sightings::BesideFile)
    }

    /// Those of a book that is elsewhere, by its location without passwords.
    pub(crate) fn of_location(location: &str, state: Option<&Path>) -> Self {
        let Some(state) = state else {
            return Sightings::Nowhere;
        };
        let name = hex(&Sha256::digest(location));
        Sightings::OfUser(state.join("seen").join(name))
    }

    /// How far the book was seen by whoever noted it last.
    pub(crate) fn recall(&self, head: &Head) -> Option<Sighting> {
        match self {
            Sightings::BesideFile(_) if head.revision == Revision(0) => None,
            _ => self.noted(),
        }
    }

    /// What was noted last, if it is whole.
    fn noted(&self) -> Option<Sighting> {
        let path = match self {
            Sightings::BesideFile(path) | Sightings::OfUser(path) => path,
            Sightings::Nowhere => return None,
        };
        let mut bytes = Vec::with_capacity(LENGTH);
        let file = File::open(path).ok()?;
        file.take(LENGTH as u64).read_to_end(&mut bytes).ok()?;
        let (digest, note) = std::str::from_utf8(&bytes).ok()?.trim().split_once(' ')?;
        let whole = digest == hex(&Sha256::digest(note));
        whole.then(|| serde_json::from_str(note).ok())?
    }

    /// Notes how far the book has come. Where that cannot be, later processes notice less.
    pub(crate) fn note(&self, sighting: &Sighting) {
        let (path, makes_it) = match self {
            Sightings::BesideFile(path) => (path, false),
            Sightings::OfUser(path) => (path, true),
            Sightings::Nowhere => return,
        };
        let Ok(note) = serde_json::to_string(sighting) else {
            return;
        };
        let text = format!("{} {note}", hex(&Sha256::digest(&note)));
        let mut line = format!("{text:width$}", width = LENGTH - 1);
        line.push('\n');
        if line.len() != LENGTH {
            return;
        }
        if let Some(file) = open(path, makes_it) {
            let _ = file.write_all_at(line.as_bytes(), 0);
        }
    }
}

/// What one process notes, and what it still has to.
#[derive(Debug)]
pub(crate) struct Notebook {
    sightings: Sightings,
    noted_at: Option<Instant>,
    unnoted: Option<Sighting>,
}

impl Notebook {
    /// A process's own, in which nothing is yet.
    pub(crate) fn new(sightings: Sightings) -> Self {
        Self {
            sightings,
            noted_at: None,
            unnoted: None,
        }
    }

    /// How far the book was seen by whoever noted it last.
    pub(crate) fn recall(&self, head: &Head) -> Option<Sighting> {
        self.sightings.recall(head)
    }

    /// Notes how far the book has come: at once, or where that was done just now, with what comes next,
    /// or when this is dropped.
    pub(crate) fn note(&mut self, sighting: &Sighting) {
        if self.noted_at.is_some_and(|at| at.elapsed() < PAUSE) {
            self.unnoted = Some(sighting.clone());
            return;
        }
        self.sightings.note(sighting);
        self.noted_at = Some(Instant::now());
        self.unnoted = None;
    }
}

impl Drop for Notebook {
    fn drop(&mut self) {
        let Some(sighting) = &self.unnoted else {
            return;
        };
        // Others may have seen more since.
        let noted = self.sightings.noted();
        let is_ahead =
            |noted: &Sighting| noted.book == sighting.book && noted.revision > sighting.revision;
        if !noted.as_ref().is_some_and(is_ahead) {
            self.sightings.note(sighting);
        }
    }
}

fn open(path: &Path, makes_it: bool) -> Option<File> {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600).create(makes_it);
    let opened = options.open(path);
    if opened.is_err() && makes_it {
        let mut folder = DirBuilder::new();
        folder.recursive(true).mode(0o700);
        folder.create(path.parent()?).ok()?;
        return options.open(path).ok();
    }
    opened.ok()
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
    let digits = |byte: &u8| [digit(byte >> 4), digit(byte & 15)];
    bytes.iter().flat_map(digits).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "what is not there fails the test")]
mod tests {
    use super::*;

    fn sighting(revision: u64) -> Sighting {
        Sighting {
            book: BookId("b".repeat(32)),
            revision: Revision(revision),
            commit: CommitId([255; 16]),
            at: Timestamp::from_millis(i64::MIN),
        }
    }

    fn head(revision: u64) -> Head {
        Head {
            book: BookId("another".to_owned()),
            revision: Revision(revision),
            changed_at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn what_was_noted_last_is_recalled() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let seen = Sightings::of_location("postgres://host/book", Some(&state));
        assert_eq!(seen.recall(&head(0)), None);
        for revision in [u64::MAX, 7] {
            seen.note(&sighting(revision));
            assert_eq!(seen.recall(&head(0)), Some(sighting(revision)));
        }
        let another = Sightings::of_location("postgres://host/other", Some(&state));
        assert_eq!(another.recall(&head(0)), None);
    }

    #[test]
    fn of_many_commits_the_first_is_noted_at_once_and_the_last_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let seen = || Sightings::of_location("postgres://host/book", Some(&state));
        let mut notebook = Notebook::new(seen());
        notebook.note(&sighting(1));
        assert_eq!(seen().recall(&head(0)), Some(sighting(1)));
        for revision in 2..100 {
            notebook.note(&sighting(revision));
        }
        drop(notebook);
        assert_eq!(seen().recall(&head(0)), Some(sighting(99)));
        // One that comes late does not undo what others noted.
        let mut late = Notebook::new(seen());
        late.note(&sighting(100));
        late.note(&sighting(101));
        seen().note(&sighting(200));
        drop(late);
        assert_eq!(seen().recall(&head(0)), Some(sighting(200)));
    }

    #[test]
    fn a_torn_note_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let seen = Sightings::of_file(&folder.path().join("portbook.db"));
        let lock = folder.path().join("portbook.db.lock");
        // Only who takes turns makes the lock.
        seen.note(&sighting(7));
        assert!(!lock.exists());
        File::create(&lock).unwrap();
        seen.note(&sighting(7));
        assert_eq!(seen.recall(&head(1)), Some(sighting(7)));
        assert_eq!(
            seen.recall(&head(0)),
            None,
            "a new book was taken for an old one"
        );
        let mut bytes = std::fs::read(&lock).unwrap();
        let digit = bytes.iter().rposition(|byte| *byte == b'7').unwrap();
        bytes[digit] = b'8';
        std::fs::write(&lock, &bytes).unwrap();
        assert_eq!(seen.recall(&head(1)), None);
        std::fs::write(&lock, &bytes[..100]).unwrap();
        assert_eq!(seen.recall(&head(1)), None);
    }
}
