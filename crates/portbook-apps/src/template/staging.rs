//! Where a copy is written until it is whole.
//!
//! A folder beside the destination: on the same file system, so that it can take the destination's
//! place in one step. Whoever writes it holds a lock on it, so that what a killed process left behind
//! can be told from what somebody is writing.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use tempfile::TempDir;

use super::TemplateError;
use crate::replacement::without_temporary_name;

/// The staged copy; removed again unless it was put in its place.
pub(super) struct Staging {
    folder: TempDir,
    _lock: Lock,
}

impl Staging {
    pub(super) fn beside(dest: &Path) -> Result<Self, TemplateError> {
        let parent = dest.parent().unwrap_or(dest);
        let mut prefix = OsString::from(".");
        prefix.push(dest.file_name().unwrap_or_default());
        prefix.push(".portbook-staging-");
        remove_abandoned(parent, &prefix);
        loop {
            let folder = tempfile::Builder::new()
                .prefix(&prefix)
                .tempdir_in(parent)
                .map_err(without_temporary_name)
                .map_err(TemplateError::io("written to", parent))?;
            let lock = Lock::on(folder.path());
            // Before it was locked, another process may have taken it for abandoned.
            if !matches!(lock, Lock::Missed) && folder.path().is_dir() {
                return Ok(Self {
                    folder,
                    _lock: lock,
                });
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Lets go of it: it is somewhere else now.
    pub(super) fn forget(self) {
        let _elsewhere = self.folder.keep();
    }
}

/// Removes what killed processes left of copies for the same destination.
fn remove_abandoned(parent: &Path, prefix: &OsStr) {
    for folder in staged(parent, prefix) {
        if let Lock::Held(_lock) = Lock::on(&folder) {
            // What cannot be removed is not in the way.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn staged(parent: &Path, prefix: &OsStr) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    let begins = |name: &OsStr| name.as_bytes().starts_with(prefix.as_bytes());
    let entries = entries.filter_map(Result::ok);
    entries
        .filter(|entry| begins(&entry.file_name()))
        .map(|entry| entry.path())
        .collect()
}

/// A lock on a folder.
enum Lock {
    Held(#[allow(dead_code, reason = "held until it is dropped")] File),
    /// Somebody else has it, or the folder is gone.
    Missed,
    /// The file system has no locks, so that nothing is ever taken for abandoned.
    Impossible,
}

impl Lock {
    fn on(folder: &Path) -> Self {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(folder) = rustix::fs::open(folder, flags, Mode::empty()) else {
            return Lock::Missed;
        };
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Lock::Held(File::from(folder)),
            Err(Errno::WOULDBLOCK) => Lock::Missed,
            Err(_) => Lock::Impossible,
        }
    }
}
