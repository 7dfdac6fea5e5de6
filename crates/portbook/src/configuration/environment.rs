//! What is around a process: flags, variables, a working directory.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::value::{Origin, Value, parsed};
use super::{ConfigurationError, ConfigurationFault};

/// The flags that say what the configuration is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config FILE`
    pub config: Option<PathBuf>,
    /// `--store URL`
    pub store: Option<String>,
    /// `--space SPACE`
    pub space: Option<String>,
    /// `--port-config FILE`
    pub port_config: Option<PathBuf>,
    /// `--no-host-check`
    pub no_host_check: bool,
}

/// The variables and the working directory that a configuration is loaded in.
///
/// A variable that is set to nothing counts as not set.
#[derive(Debug, Clone)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    working_directory: PathBuf,
}

impl Environment {
    /// An environment of just these variables.
    pub fn new<N, V>(
        working_directory: impl Into<PathBuf>,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let variables = variables.into_iter();
        Self {
            variables: variables
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            working_directory: working_directory.into(),
        }
    }

    /// The environment of this process.
    pub fn of_process() -> Self {
        // A working directory that is gone holds no files, and `.` finds none there either.
        let working_directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        Self::new(working_directory, std::env::vars_os())
    }

    /// The folder that relative paths start from.
    pub fn working_directory(&self) -> &Path {
        &self.working_directory
    }

    pub(super) fn variable(&self, name: &str) -> Option<&OsStr> {
        let value = self.variables.get(OsStr::new(name));
        value
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// A variable that holds the absolute path of a folder; a relative one is none (XDG Base
    /// Directory Specification).
    pub(super) fn folder(&self, name: &str) -> Option<PathBuf> {
        self.variable(name)
            .map(PathBuf::from)
            .filter(|folder| folder.is_absolute())
    }

    pub(super) fn text(
        &self,
        name: &'static str,
    ) -> Result<Option<Value<String>>, ConfigurationError> {
        let origin = Origin::Environment(name);
        match self.variable(name).map(OsStr::to_str) {
            None => Ok(None),
            Some(Some(text)) => Ok(Some(Value::new(text.to_owned(), origin))),
            Some(None) => {
                let fault = ConfigurationFault::NotUtf8;
                Err(ConfigurationError::Setting { origin, fault })
            }
        }
    }

    pub(super) fn parsed<T>(
        &self,
        name: &'static str,
    ) -> Result<Option<Value<T>>, ConfigurationError>
    where
        T: FromStr,
        T::Err: Into<ConfigurationFault>,
    {
        match self.text(name)? {
            Some(text) => parsed(&text.value, text.origin).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn truth(
        &self,
        name: &'static str,
    ) -> Result<Option<Value<bool>>, ConfigurationError> {
        let Some(Value { value, origin }) = self.text(name)? else {
            return Ok(None);
        };
        match value.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(Some(Value::new(true, origin))),
            "false" | "0" => Ok(Some(Value::new(false, origin))),
            _ => {
                let fault = ConfigurationFault::NeitherTrueNorFalse(value);
                Err(ConfigurationError::Setting { origin, fault })
            }
        }
    }
}
