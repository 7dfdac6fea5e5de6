//! Which files are meant: the configuration's, that of the pre-configured ports, the book's.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use super::document::place;
use super::value::{Origin, Value};
use super::{ConfigurationError, ConfigurationFault, Environment, Flags};

/// The most bytes that a configuration file may have.
const LARGEST: u64 = 1 << 20;

const CONFIGURATION: &str = "configuration file";
const PORT_CONFIG: &str = "file of pre-configured ports";

/// The configuration file's path and text: the one that was named, else the first that is there.
pub(super) fn configuration_file(
    flags: &Flags,
    environment: &Environment,
) -> Result<Option<(Value<PathBuf>, String)>, ConfigurationError> {
    let folder = environment.working_directory();
    let variable = environment.variable("PORTBOOK_CONFIG").map(PathBuf::from);
    let named = match (&flags.config, variable) {
        (Some(path), _) => Some((path.clone(), Origin::Flag("--config"))),
        (None, Some(path)) => Some((path, Origin::Environment("PORTBOOK_CONFIG"))),
        (None, None) => None,
    };
    if let Some((path, origin)) = named {
        let file = named_file(&tidy(&folder.join(path)), origin, CONFIGURATION)?;
        let text = read(&file.value)?;
        return Ok(Some((file, text)));
    }
    let home = environment.folder("HOME").map(|home| home.join(".config"));
    let configurations = environment.folder("XDG_CONFIG_HOME").or(home);
    let candidates = [
        Some(folder.join("portbook.toml")),
        configurations.map(|folder| folder.join("portbook").join("config.toml")),
    ];
    for path in candidates.into_iter().flatten() {
        if is_there(&path, CONFIGURATION)? {
            let text = read(&path)?;
            return Ok(Some((Value::default_of(path), text)));
        }
    }
    Ok(None)
}

/// The file of pre-configured ports: the one that was named, else the first that is there.
pub(super) fn port_config(
    flags: &Flags,
    environment: &Environment,
    of_file: Option<Value<PathBuf>>,
) -> Result<Option<Value<PathBuf>>, ConfigurationError> {
    let folder = environment.working_directory();
    let variable = environment
        .variable("PORTBOOK_PORT_CONFIG")
        .map(PathBuf::from);
    let named = match (&flags.port_config, variable, of_file) {
        (Some(path), _, _) => Some(Value::new(path.clone(), Origin::Flag("--port-config"))),
        (None, Some(path), _) => Some(Value::new(
            path,
            Origin::Environment("PORTBOOK_PORT_CONFIG"),
        )),
        (None, None, of_file) => of_file,
    };
    if let Some(Value { value, origin }) = named {
        return named_file(&tidy(&folder.join(value)), origin, PORT_CONFIG).map(Some);
    }
    let in_misc = folder.join("misc").join("port_config.json");
    for path in [folder.join("port_config.json"), in_misc] {
        let path = tidy(&path);
        if is_there(&path, PORT_CONFIG)? {
            return Ok(Some(Value::default_of(path)));
        }
    }
    Ok(None)
}

/// The address of the book that is used when nobody names one.
pub(super) fn default_store(environment: &Environment) -> Result<String, ConfigurationError> {
    let home = environment.folder("HOME");
    let folder = environment
        .folder("XDG_DATA_HOME")
        .or_else(|| home.map(|home| home.join(".local").join("share")))
        .ok_or(ConfigurationError::NoHome)?;
    let path = folder.join("portbook").join("portbook.db");
    match path.to_str() {
        Some(text) => Ok(format!("sqlite:{text}")),
        None => Err(ConfigurationError::HomeNotUtf8(path)),
    }
}

/// The folder in which this user's programs keep what they remember.
pub(super) fn state(environment: &Environment) -> Option<PathBuf> {
    let home = || Some(environment.folder("HOME")?.join(".local").join("state"));
    let folder = environment.folder("XDG_STATE_HOME").or_else(home)?;
    Some(folder.join("portbook"))
}

fn named_file(
    path: &Path,
    origin: Origin,
    what: &'static str,
) -> Result<Value<PathBuf>, ConfigurationError> {
    let path = path.to_owned();
    if is_there(&path, what)? {
        Ok(Value::new(path, origin))
    } else {
        Err(ConfigurationError::Missing { origin, path })
    }
}

/// Whether there is a file. A directory in its place is no file left out: a container engine makes
/// one where it was told to mount a file that is not there.
fn is_there(path: &Path, what: &'static str) -> Result<bool, ConfigurationError> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(ConfigurationError::Directory {
            path: path.to_owned(),
            what,
        }),
        Ok(_) => Ok(true),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(false),
            _ => Err(unreadable(path, what, &error)),
        },
    }
}

fn unreadable(path: &Path, what: &'static str, error: &io::Error) -> ConfigurationError {
    ConfigurationError::Unreadable {
        path: path.to_owned(),
        what,
        reason: error.to_string(),
    }
}

fn read(path: &Path) -> Result<String, ConfigurationError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(path, CONFIGURATION, &error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(ConfigurationError::TooLarge(path.to_owned()));
    }
    let fault = match &bytes[..] {
        [0xEF, 0xBB, 0xBF, ..] => Some((0, ConfigurationFault::ByteOrderMark)),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some((0, ConfigurationFault::Utf16)),
        // Without a mark: TOML begins with an ASCII character or a comment.
        [0, 1..=127, ..] | [1..=127, 0, ..] => Some((0, ConfigurationFault::Utf16)),
        bytes => std::str::from_utf8(bytes)
            .err()
            .map(|error| (error.valid_up_to(), ConfigurationFault::NotUtf8)),
    };
    match fault {
        Some((offset, fault)) => Err(ConfigurationError::File {
            place: place(path, &bytes, offset),
            fault,
        }),
        None => Ok(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// A path without `.` and `..`, so that one file has one name; a link in it keeps its name, since what
/// it leads to may be swapped for a newer version.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if tidy.as_os_str().is_empty() => tidy.push(component),
            Component::ParentDir => {
                // The folder above a link's end is not the one above the link.
                if tidy.is_symlink()
                    && let Ok(end) = fs::canonicalize(&tidy)
                {
                    tidy = end;
                }
                if tidy.ends_with("..") {
                    tidy.push(component);
                } else {
                    tidy.pop();
                }
            }
            other => tidy.push(other),
        }
    }
    tidy
}
