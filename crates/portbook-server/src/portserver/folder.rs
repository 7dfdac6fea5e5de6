//! Where the leases are kept when nobody says where: a folder that is emptied when the machine starts.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;

use rustix::process::geteuid;

/// The folder for what lasts as long as the machine runs: the one that systemd made for the service
/// (`RUNTIME_DIRECTORY`, systemd.exec(5)), the user's, the machine's where root asks, and else one in the
/// folder for temporary files that is the user's alone.
pub fn runtime_folder() -> io::Result<PathBuf> {
    let of_service =
        variable("RUNTIME_DIRECTORY").and_then(|folders| env::split_paths(&folders).next());
    if let Some(folder) = of_service {
        return Ok(folder);
    }
    if let Some(folder) = variable("XDG_RUNTIME_DIR") {
        return Ok(PathBuf::from(folder).join("portbook"));
    }
    let user = geteuid();
    if user.is_root() {
        return Ok(PathBuf::from("/run/portbook"));
    }
    private(
        env::temp_dir().join(format!("portbook-{}", user.as_raw())),
        user.as_raw(),
    )
}

fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| value != OsStr::new(""))
}

/// A folder that no other user made or can write to: anybody may put something of any name there.
fn private(folder: PathBuf, user: u32) -> io::Result<PathBuf> {
    match DirBuilder::new().mode(0o700).create(&folder) {
        Ok(()) => return Ok(folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let found = fs::symlink_metadata(&folder)?;
    if found.is_dir() && found.uid() == user && found.mode() & 0o022 == 0 {
        return Ok(folder);
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("{} is not this user's alone", folder.display()),
    ))
}
