//! What is wrong with a project's files.

use std::path::PathBuf;

use super::port::PortFault;
use crate::dot_env;
use crate::interpolation::Uninterpolated;
use crate::written::Place;

/// What is wrong in one place. Compose would refuse the project.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct Problem {
    /// Where it is written.
    pub place: Place,
    /// What is wrong.
    pub fault: Fault,
}

impl Problem {
    pub(super) fn at(place: Place, fault: Fault) -> Self {
        Self { place, fault }
    }
}

impl From<dot_env::Problem> for Problem {
    fn from(problem: dot_env::Problem) -> Self {
        Self::at(problem.place, Fault::DotEnv(problem.fault))
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A file that the project needs.
    #[error("{} cannot be used: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// It is in another encoding.
    #[error("the file is not UTF-8 from here on")]
    NotUtf8,
    /// It is no YAML.
    #[error("the YAML is broken: {0}")]
    Syntax(String),
    /// Merge keys multiply what is there.
    #[error("the file's aliases and merge keys make more of it than any compose file has")]
    TooMuch,
    /// A merge key of something else.
    #[error("`<<` takes a mapping or a list of mappings")]
    MergesNoMapping,
    /// One key of a mapping twice.
    #[error("the key `{key}` is in line {earlier} already")]
    KeyTwice {
        /// The key.
        key: String,
        /// The line in which it stands first.
        earlier: usize,
    },
    /// A value of another type.
    #[error("`{key}` is {found} where {wanted} is due")]
    WrongType {
        /// The key.
        key: String,
        /// What is due.
        wanted: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// There is nothing in it.
    #[error("the file has no mapping in it: a compose file has at least `services:`")]
    NotAComposeFile,
    /// A name that Compose takes for no project's.
    #[error(
        "the project cannot be called `{0}`, as COMPOSE_PROJECT_NAME says: a name has small letters, digits, `_` and `-`, and begins with a letter or digit"
    )]
    ProjectName(String),
    /// The directory's name has nothing in it that a project's may have.
    #[error(
        "the project has no name: its directory's has no letter or digit, so set COMPOSE_PROJECT_NAME or `name:`"
    )]
    NoProjectName,
    /// A text's variables.
    #[error(transparent)]
    Variables(#[from] Uninterpolated),
    /// A port.
    #[error(transparent)]
    Port(#[from] PortFault),
    /// More ports than anybody publishes.
    #[error("the project has more than {} ports", super::service::MOST_PORTS)]
    TooManyPorts,
    /// A line of an `.env` file.
    #[error(transparent)]
    DotEnv(dot_env::Fault),
    /// `extends` of a service that is not there.
    #[error("`extends` names the service `{0}`, which is not there")]
    NothingToExtend(String),
    /// Services that extend each other.
    #[error("`extends` leads from `{0}` back to itself")]
    ExtendsItself(String),
    /// Files that include each other.
    #[error("`include` leads from {} back to itself", .0.display())]
    IncludesItself(PathBuf),
    /// More files than any project has.
    #[error(
        "the project has more than {} files, or they lie too deep in one another",
        super::loading::MOST_FILES
    )]
    TooManyFiles,
    /// A file elsewhere.
    #[error("`{0}` is not on this machine, and is not fetched")]
    Remote(String),
}
