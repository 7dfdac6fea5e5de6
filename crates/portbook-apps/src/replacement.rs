//! Putting a new content in a file's place, in one step.

use std::ffi::OsString;
use std::fs::{File, Metadata, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// What a new file may be used for, as far as the umask lets.
const NEW: u32 = 0o666;
const PERMISSIONS: u32 = 0o7777;

/// Replaces a file's content, or makes the file. Whoever reads it finds the old content whole or the
/// new one whole, also after a crash of the machine.
///
/// A link is followed, permissions and owner stay. A file whose owner cannot be kept is not replaced.
///
/// # Errors
/// What the system says; nothing was changed then.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let (path, old) = target(path)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".portbook-");
    let mut new = tempfile::Builder::new()
        .prefix(&prefix)
        .permissions(Permissions::from_mode(NEW))
        .tempfile_in(folder)
        .map_err(without_temporary_name)?;
    new.write_all(content)?;
    if let Some(old) = old {
        keep_owner(new.as_file(), &old)?;
        let mode = old.permissions().mode() & PERMISSIONS;
        new.as_file()
            .set_permissions(Permissions::from_mode(mode))?;
    }
    new.as_file().sync_all()?;
    new.persist(&path)?;
    File::open(folder)?.sync_all()
}

/// The file itself, behind every link, and what it is if it is there.
fn target(path: &Path) -> io::Result<(PathBuf, Option<Metadata>)> {
    match path.canonicalize() {
        Ok(path) => {
            let metadata = path.metadata()?;
            match metadata.is_file() {
                true => Ok((path, Some(metadata))),
                false => Err(io::Error::new(
                    ErrorKind::InvalidInput,
                    "it is no regular file",
                )),
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => match path.symlink_metadata() {
            Ok(_) => Err(io::Error::new(
                ErrorKind::InvalidInput,
                "it is a link to what is not there",
            )),
            Err(_) => Ok((path.to_owned(), None)),
        },
        Err(error) => Err(error),
    }
}

/// An error without the name of the temporary file, which the one who reads it never chose: in the words that
/// the system has for it wherever else it happens.
pub(crate) fn without_temporary_name(error: io::Error) -> io::Error {
    let errno = match error.kind() {
        ErrorKind::NotFound => Errno::NOENT,
        ErrorKind::PermissionDenied => Errno::ACCESS,
        ErrorKind::QuotaExceeded => Errno::DQUOT,
        ErrorKind::ReadOnlyFilesystem => Errno::ROFS,
        ErrorKind::StorageFull => Errno::NOSPC,
        _ => return error,
    };
    errno.into()
}

fn keep_owner(new: &File, old: &Metadata) -> io::Result<()> {
    let ours = new.metadata()?;
    if (ours.uid(), ours.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    fchown(new, Some(old.uid()), Some(old.gid()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_replaced_behind_its_links_with_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/file");
        fs::create_dir(folder.path().join("deep")).unwrap();
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        let link = folder.path().join("link");
        symlink("deep/file", &link).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(file.metadata().unwrap().mode() & PERMISSIONS, 0o640);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_not_there_is_made_as_any_other() {
        let folder = tempfile::tempdir().unwrap();
        replace(&folder.path().join("file"), b"new").unwrap();
        fs::write(folder.path().join("other"), b"").unwrap();
        let mode = |name| folder.path().join(name).metadata().unwrap().mode();
        assert_eq!(mode("file"), mode("other"));
    }

    #[test]
    fn what_is_no_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        symlink("nowhere", folder.path().join("link")).unwrap();
        assert!(replace(folder.path(), b"new").is_err());
        assert!(replace(&folder.path().join("link"), b"new").is_err());
        assert!(replace(Path::new("/dev/null"), b"new").is_err());
    }
}
