//! The queue: who may write next.
//!
//! SQLite's own busy handler sleeps and tries again, and so is no queue: of eight processes one got
//! nearly every turn and another one turn. A blocking `flock` is woken by the kernel. It lies on a
//! file of its own: a descriptor of the book's file may not be opened beside SQLite, since closing
//! it drops every POSIX lock that this process has on that file.
//!
//! The lock is for order and speed only. Somebody who removes its file makes commits stale, not wrong.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use portbook_store::StoreError;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

use crate::place::Place;

/// Where this process waits for its turns.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// The lock's file, open since the last turn: opening it each time would cost as much again.
    open: Mutex<Option<File>>,
}

impl Turns {
    /// Waits for the turn, at most `patience`.
    pub(crate) fn take(&self, place: &Place, patience: Duration) -> Result<Lock<'_>, StoreError> {
        let began = Instant::now();
        loop {
            // Of two threads at once the second opens the file anew: one that is open locks once.
            let file = match self.open().take() {
                Some(file) => file,
                None => open(place, &place.lock())?,
            };
            let left = patience.saturating_sub(began.elapsed());
            match wait(file, left) {
                // Somebody may have removed the file: others wait on another one by now.
                Ok(Some(file)) if is_removed(&file) => {}
                Ok(Some(file)) => {
                    return Ok(Lock {
                        file: Some(file),
                        turns: self,
                    });
                }
                Ok(None) => return Err(place.busy(began.elapsed(), holder(&place.lock()))),
                Err(error) => {
                    let path = place.lock();
                    return Err(place.failed(format!("{}: {error}", path.display())));
                }
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, Option<File>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn to write, until it is dropped: the kernel takes it back when the descriptor closes,
/// however the process ends.
#[derive(Debug)]
pub(crate) struct Lock<'a> {
    file: Option<File>,
    turns: &'a Turns,
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        if let Some(file) = self.file.take()
            && flock(&file, FlockOperation::Unlock).is_ok()
        {
            *self.turns.open() = Some(file);
        }
    }
}

/// Opens the lock's file and makes it if need be.
///
/// For reading only, which is all that `flock` asks for: so a user who may only read the file that
/// another made still finds the queue.
fn open(place: &Place, path: &Path) -> Result<File, StoreError> {
    let explain = |error: Errno| place.io(&path.display().to_string(), &error.into());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(descriptor) => return Ok(File::from(descriptor)),
        Err(Errno::NOENT) => {}
        Err(error) => return Err(explain(error)),
    }
    let owner_only = Mode::RUSR | Mode::WUSR;
    let descriptor: OwnedFd =
        rustix::fs::open(path, flags | OFlags::CREATE, owner_only).map_err(explain)?;
    let file = File::from(descriptor);
    // Whoever shares the book shares its queue.
    if let Ok(Some(book)) = place.present() {
        let mode = std::fs::Permissions::from_mode(book.mode() & 0o666);
        // The file may be another's, made at the same moment; they saw to it then.
        let _ = file.set_permissions(mode);
    }
    Ok(file)
}

/// Waits for the lock on `file`, at most `patience`; `None` when that was too short.
///
/// No call waits for a lock for a while only, so a thread does the waiting. One that is not wanted
/// any more gets the lock at last, finds nobody to hand it to, and closes it.
fn wait(file: File, patience: Duration) -> io::Result<Option<File>> {
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => return Ok(Some(file)),
        Err(Errno::WOULDBLOCK | Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    if patience.is_zero() {
        return Ok(None);
    }
    let (hand_over, handed) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("portbook-turn".to_owned())
        .spawn(move || {
            let locked = loop {
                match flock(&file, FlockOperation::LockExclusive) {
                    Err(Errno::INTR) => {}
                    done => break done,
                }
            };
            let _ = hand_over.send(locked.map(|()| file));
        })?;
    match handed.recv_timeout(patience) {
        Ok(locked) => Ok(Some(locked?)),
        Err(mpsc::RecvTimeoutError::Timeout) => Ok(None),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(io::Error::other("the thread that waited for the turn died"))
        }
    }
}

/// Whether the file has lost its name, by removal or by another that was put in its place.
fn is_removed(file: &File) -> bool {
    file.metadata().map_or(true, |file| file.nlink() == 0)
}

/// Who has the lock, as far as the system tells: asked for only by those who waited in vain, so that
/// nobody writes a name at each turn.
fn holder(path: &Path) -> String {
    let unknown = "who it is cannot be seen from here";
    let Ok(metadata) = std::fs::metadata(path) else {
        return unknown.to_owned();
    };
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    match flock_holder(&locks, metadata.dev(), metadata.ino()) {
        Some(pid) if pid == std::process::id() => "another thread of this process".to_owned(),
        Some(pid) => match std::fs::read_to_string(format!("/proc/{pid}/comm")) {
            Ok(name) => format!("process {pid}, {}", name.trim_end()),
            Err(_) => format!("process {pid}"),
        },
        None => unknown.to_owned(),
    }
}

/// The process that has the `flock` on a file, from the text of `/proc/locks`, which has such lines:
/// `2: FLOCK  ADVISORY  WRITE 712 fe:00:131 0 EOF`, and ` 2: -> FLOCK …` for those who wait.
fn flock_holder(locks: &str, device: u64, inode: u64) -> Option<u32> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields[..] {
            [_, "FLOCK", _, _, pid, there, ..] if there == file => pid.parse().ok(),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_found_among_the_systems_locks() {
        let locks = "1: POSIX  ADVISORY  READ 5433 08:01:131 128 128\n\
                     2: FLOCK  ADVISORY  WRITE 712 08:01:131 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 713 08:01:131 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 9 08:01:1310 0 EOF\n";
        let device = rustix::fs::makedev(8, 1);
        assert_eq!(flock_holder(locks, device, 131), Some(712));
        assert_eq!(flock_holder(locks, device, 1310), Some(9));
        assert_eq!(flock_holder(locks, device, 13), None);
    }
}
