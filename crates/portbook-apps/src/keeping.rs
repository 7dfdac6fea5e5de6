//! Replacing a file: at once, and with what it was kept beside it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Gid, OFlags, Uid, fchown, flock};

use crate::template::name_beside;

/// Why a file was not replaced. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// It is a link, a folder, a device.
    #[error("it is no regular file")]
    NotAFile,
    /// Somebody wrote to it.
    #[error("it changed meanwhile: run it again")]
    Changed,
    /// The system did not play along.
    #[error("it cannot be {doing}: {source}")]
    Io {
        /// What was to be done with it.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

fn io(doing: &'static str) -> impl FnOnce(io::Error) -> ReplaceError {
    move |source| ReplaceError::Io { doing, source }
}

/// Puts `new` in the place of a file that has the bytes `old`, and says where the old one is kept: as
/// `NAME.portbook-old` beside it, the very file, so that nothing written to it meanwhile is lost.
///
/// The new file has the old one's permissions and, where that is allowed, its owner. Killed at any
/// instruction, the name has one of the two files, whole; done again, nothing is kept twice.
pub fn replace_and_keep(path: &Path, old: &[u8], new: &[u8]) -> Result<PathBuf, ReplaceError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let folder = File::open(folder).map_err(io("reached"))?;
    // Where the file system has no locks, two that replace one file at one moment are on their own.
    let _ = flock(&folder, FlockOperation::LockExclusive);
    let metadata = unchanged(path, old)?;
    let staged = staged_beside(path);
    let written = write_whole(&staged, new, &metadata);
    let kept = written.and_then(|()| keep(path, &metadata));
    let kept = kept.inspect_err(|_| {
        let _ = fs::remove_file(&staged);
    })?;
    fs::rename(&staged, path).map_err(io("replaced"))?;
    folder.sync_all().map_err(io("replaced"))?;
    Ok(kept)
}

fn unchanged(path: &Path, old: &[u8]) -> Result<fs::Metadata, ReplaceError> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let mut file = match opened {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(ReplaceError::NotAFile);
        }
        opened => opened.map_err(io("read"))?,
    };
    let metadata = file.metadata().map_err(io("read"))?;
    if !metadata.is_file() {
        return Err(ReplaceError::NotAFile);
    }
    let mut found = Vec::with_capacity(old.len() + 1);
    let most = old.len() as u64 + 1;
    let read = Read::by_ref(&mut file).take(most).read_to_end(&mut found);
    read.map_err(io("read"))?;
    match found == old {
        true => Ok(metadata),
        false => Err(ReplaceError::Changed),
    }
}

/// Where the new file is written. Who holds the folder's lock finds there only what a killed process
/// left.
fn staged_beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".portbook-new");
    path.with_file_name(name)
}

fn write_whole(staged: &Path, new: &[u8], like: &fs::Metadata) -> Result<(), ReplaceError> {
    match fs::remove_file(staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io("written")(error)),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(staged)
        .map_err(io("written"))?;
    // Somebody else's file stays somebody else's, where this user may see to that.
    let (uid, gid) = (Uid::from_raw(like.uid()), Gid::from_raw(like.gid()));
    let _ = fchown(&file, Some(uid), Some(gid));
    file.set_permissions(like.permissions())
        .map_err(io("written"))?;
    file.write_all(new).map_err(io("written"))?;
    file.sync_all().map_err(io("written"))
}

/// Keeps the file by another name. A process that was killed after that has kept it already.
fn keep(path: &Path, metadata: &fs::Metadata) -> Result<PathBuf, ReplaceError> {
    let free = name_beside(path);
    if let Some(kept) = kept_already(path, metadata) {
        return Ok(kept);
    }
    match fs::hard_link(path, &free) {
        Ok(()) => Ok(free),
        // A file system without such links.
        Err(_) => fs::copy(path, &free).map(|_| free).map_err(io("kept")),
    }
}

fn kept_already(path: &Path, metadata: &fs::Metadata) -> Option<PathBuf> {
    if metadata.nlink() < 2 {
        return None;
    }
    let mut beginning = path.file_name()?.to_owned();
    beginning.push(".portbook-old");
    let entries = fs::read_dir(path.parent()?).ok()?.filter_map(Result::ok);
    let mut kept = entries.filter(|entry| {
        let name = entry.file_name();
        let is_named = name
            .as_encoded_bytes()
            .starts_with(beginning.as_encoded_bytes());
        is_named
            && entry
                .metadata()
                .is_ok_and(|found| found.ino() == metadata.ino() && found.dev() == metadata.dev())
    });
    kept.next().map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn the_old_file_is_kept_and_the_new_one_is_like_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        fs::write(&path, "one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        let kept = replace_and_keep(&path, b"one", b"two").unwrap();
        assert_eq!(kept, folder.path().join(".env.portbook-old"));
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read(&kept).unwrap(), b"one");
        assert_eq!(fs::metadata(&kept).unwrap().ino(), inode);
        let kept = replace_and_keep(&path, b"two", b"three").unwrap();
        assert_eq!(kept, folder.path().join(".env.portbook-old.2"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn what_a_killed_process_left_is_used_or_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        fs::write(&path, "one").unwrap();
        fs::write(staged_beside(&path), "half").unwrap();
        let kept = folder.path().join(".env.portbook-old");
        fs::hard_link(&path, &kept).unwrap();
        assert_eq!(replace_and_keep(&path, b"one", b"two").unwrap(), kept);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_not_as_it_was_seen_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        fs::write(&path, "one!").unwrap();
        assert!(matches!(
            replace_and_keep(&path, b"one", b"two"),
            Err(ReplaceError::Changed)
        ));
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(matches!(
            replace_and_keep(&link, b"one!", b"two"),
            Err(ReplaceError::NotAFile)
        ));
        assert_eq!(fs::read(&path).unwrap(), b"one!");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
