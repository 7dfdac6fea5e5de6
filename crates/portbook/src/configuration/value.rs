//! A value and where it came from.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{ConfigurationError, ConfigurationFault};

/// A value of the configuration, with where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a value of the configuration came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said otherwise.
    Default,
    /// The configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(&'static str),
    /// A flag of the command.
    Flag(&'static str),
}

impl<T> Value<T> {
    pub(super) fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    pub(super) fn default_of(value: T) -> Self {
        Self::new(value, Origin::Default)
    }

    /// The value in words, with its origin.
    pub(super) fn told(&self, words: impl Fn(&T) -> String) -> (String, Origin) {
        (words(&self.value), self.origin.clone())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Environment(name) | Origin::Flag(name) => f.write_str(name),
        }
    }
}

/// What a text from outside the file writes.
pub(super) fn parsed<T>(text: &str, origin: Origin) -> Result<Value<T>, ConfigurationError>
where
    T: FromStr,
    T::Err: Into<ConfigurationFault>,
{
    match text.parse() {
        Ok(value) => Ok(Value::new(value, origin)),
        Err(fault) => Err(ConfigurationError::Setting {
            origin,
            fault: T::Err::into(fault),
        }),
    }
}
