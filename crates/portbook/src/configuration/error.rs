//! What is wrong with a configuration.

use std::fmt;
use std::path::PathBuf;

use portbook_model::{
    InvalidPolicy, InvalidPort, InvalidRange, InvalidRole, InvalidSpace, InvalidSpan,
    InvalidStretch, Role,
};

use super::Origin;

/// The configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// Something in the configuration file is wrong.
    #[error("{place}: {fault}")]
    File {
        /// Where.
        place: Place,
        /// What.
        fault: ConfigurationFault,
    },
    /// A flag or an environment variable is wrong.
    #[error("{origin}: {fault}")]
    Setting {
        /// Which.
        origin: Origin,
        /// What is wrong with it.
        fault: ConfigurationFault,
    },
    /// A file that was named is not there.
    #[error("{origin} names the file {}, which does not exist", .path.display())]
    Missing {
        /// Who named it.
        origin: Origin,
        /// The file.
        path: PathBuf,
    },
    /// A directory stands where a file is due.
    #[error("{} is a directory, where a {what} is due", .path.display())]
    Directory {
        /// Its path.
        path: PathBuf,
        /// What the file would be.
        what: &'static str,
    },
    /// A file cannot be read.
    #[error("the {what} {} cannot be read: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the file is.
        what: &'static str,
        /// What the system answered.
        reason: String,
    },
    /// The configuration file is too large to be one.
    #[error("{} is larger than 1 MiB, which no configuration file is", .0.display())]
    TooLarge(PathBuf),
    /// There is no place for a book that nobody named a place for.
    #[error(
        "there is no place for the book, since neither HOME nor XDG_DATA_HOME is set to an absolute \
         path: name one with --store sqlite:PATH or PORTBOOK_STORE"
    )]
    NoHome,
    /// The default place of the book cannot be written as text.
    #[error("the book cannot be in {}, which is not UTF-8: name a place with --store sqlite:PATH or PORTBOOK_STORE", .0.display())]
    HomeNotUtf8(PathBuf),
}

/// Where in the configuration file something stands; displays as `FILE:LINE:COLUMN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path.display(), self.line, self.column)
    }
}

/// What is wrong with one value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationFault {
    /// The host's name is no name of a space.
    #[error(
        "this host's name {0:?} cannot name a port space: write the space's name instead of `auto`"
    )]
    HostName(String),
    /// It is no TOML.
    #[error("{0}")]
    Syntax(String),
    /// The file begins with the mark that some editors put before UTF-8.
    #[error("the file begins with a byte order mark: save it as UTF-8 without one")]
    ByteOrderMark,
    /// The file is UTF-16.
    #[error("the file is UTF-16: save it as UTF-8")]
    Utf16,
    /// A token has characters that no header may have, or none.
    #[error("this is no token: a token has letters, digits and signs, and no blanks")]
    NoToken,
    /// Not UTF-8.
    #[error("this is not UTF-8: write it in UTF-8")]
    NotUtf8,
    /// A key that nobody knows.
    #[error("unknown key `{key}`: {}", known(nearest.as_deref(), all))]
    UnknownKey {
        /// The key, with the tables it is in.
        key: String,
        /// The known key that it resembles.
        nearest: Option<String>,
        /// Every key that is known there.
        all: &'static [&'static str],
    },
    /// A value of the wrong type.
    #[error("`{key}` is {found}, where {wanted} is due")]
    WrongType {
        /// The key, with the tables it is in.
        key: String,
        /// What is due.
        wanted: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// A text without characters.
    #[error("`{0}` is empty: give it a value, or leave it out")]
    Empty(String),
    /// Neither true nor false.
    #[error("`{0}` is neither true nor false: write true, false, 1 or 0")]
    NeitherTrueNorFalse(String),
    /// No port space.
    #[error(transparent)]
    Space(#[from] InvalidSpace),
    /// No length of time.
    #[error(transparent)]
    Span(#[from] InvalidSpan),
    /// No role.
    #[error(transparent)]
    Role(#[from] InvalidRole),
    /// No port.
    #[error("`{key}`: {problem}")]
    Port {
        /// The key, with the tables it is in.
        key: String,
        /// Why it is none.
        problem: InvalidPort,
    },
    /// No stretch of ports.
    #[error("`{key}`: {problem}")]
    Stretch {
        /// The key, with the tables it is in.
        key: String,
        /// Why it is none.
        problem: InvalidStretch,
    },
    /// A step that no range has.
    #[error("`{key}`: `{found}` is not a step: a step is a number from 1 to 65535")]
    Step {
        /// The key, with the tables it is in.
        key: String,
        /// What stands there.
        found: String,
    },
    /// No range.
    #[error("`ranges.{role}`: {problem}")]
    Range {
        /// Whose.
        role: Role,
        /// Why it is none.
        problem: InvalidRange,
    },
    /// A range without a beginning.
    #[error("the range of `{0}` has no `base`: add one, as base = 15001")]
    NoBase(Role),
    /// The ranges and roles together are none.
    #[error(transparent)]
    Policy(#[from] InvalidPolicy),
}

fn known(nearest: Option<&str>, all: &[&str]) -> String {
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => {
            let all: Vec<_> = all.iter().map(|key| format!("`{key}`")).collect();
            format!("the known ones are {}", all.join(", "))
        }
    }
}
