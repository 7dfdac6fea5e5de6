//! Everything that can go wrong, for whoever asked.

use std::fmt;
use std::path::PathBuf;

use portbook_apps::port_config::Unreadable;
use portbook_apps::template::TemplateError;
use portbook_engine::EngineError;
use portbook_host::HostError;
use portbook_model::{
    AppKey, BookId, InvalidAppNumber, InvalidModel, Model, Refusal, Revision, Timestamp,
};
use portbook_store::StoreError;
use serde::{Deserialize, Serialize};

use crate::backup::BackupFault;
use crate::cleanup::CleanupRefused;
use crate::configuration::ConfigurationError;
use crate::import::FileProblem;
use crate::repair::RepairRefused;
use crate::wire::Told;

/// Why a call did not do what was asked. Nothing was changed, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is wrong.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// What was given is no model.
    #[error(transparent)]
    Model(#[from] InvalidModel),
    /// What was given is no app number.
    #[error(transparent)]
    AppNumber(#[from] InvalidAppNumber),
    /// The store's address is none.
    #[error("`{given}` is no place for a book: {reason}")]
    StoreAddress {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The book refused what was asked.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The app holds nothing.
    #[error("{0} has no ports")]
    NotFound(AppKey),
    /// The app's lease has ended.
    #[error("the lease of {app} ended at {ended}, and its ports are free for others")]
    Lapsed {
        /// The app.
        app: AppKey,
        /// When.
        ended: portbook_model::Timestamp,
    },
    /// Nothing resembles the app.
    #[error("no app {number} of a model like `{model}` is in the book")]
    Unresolved {
        /// The model asked for.
        model: Model,
        /// The app number asked for.
        number: portbook_model::AppNumber,
    },
    /// Several apps resemble the one asked for equally.
    #[error("`{wanted}` may mean {}", candidates(.found))]
    Ambiguous {
        /// The model asked for.
        wanted: Model,
        /// What it may mean.
        found: Vec<AppKey>,
    },
    /// There is nothing to give back.
    #[error("nothing to release: {}", nothing_held(.0))]
    NothingToRelease(Vec<AppKey>),
    /// The app lacks one of the pair's ports: somebody else's hand was in the book.
    #[error("{0} lacks a backend or a frontend port in the book")]
    IncompletePair(AppKey),
    /// A file cannot be read.
    #[error("{} cannot be read: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Git does not tell of which project a directory is.
    #[error("which checkout {} belongs to cannot be told: {reason}", .directory.display())]
    Checkout {
        /// The directory.
        directory: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The checkout is no app of the book's yet.
    #[error("{} has no ports", .0.display())]
    NotHere(PathBuf),
    /// A file's content is not what it should be.
    #[error("{}: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: Unreadable,
    },
    /// A file that Compose would refuse as an `.env` file.
    #[error("{}: {}", .0.place, .0.fault)]
    DotEnv(#[from] portbook_apps::dot_env::Problem),
    /// A file cannot be written; it is as it was.
    #[error("{} cannot be written: {source}", .path.display())]
    NotWritten {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Some entries of a file cannot stand.
    #[error(
        "{} has {}, so nothing was changed",
        .path.display(), count_problems(.problems.len() + .further)
    )]
    Entries {
        /// The file.
        path: PathBuf,
        /// What is wrong, entry by entry.
        problems: Vec<FileProblem>,
        /// How many problems there are besides.
        further: usize,
    },
    /// An earlier database cannot be read.
    #[error(transparent)]
    Legacy(#[from] portbook_sqlite::legacy::LegacyError),
    /// The book cannot be reached, read or trusted.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk did not confirm a commit, and the book does not have it.
    #[error("the commit failed and the book {location} does not hold it: {reason}")]
    NotCommitted {
        /// Where the book is.
        location: String,
        /// What the store said.
        reason: String,
    },
    /// The disk did not confirm a commit, and the book could not be asked. **It may have happened.**
    #[error(
        "whether the book {location} took the change cannot be told: {reason}; ask again, which is safe"
    )]
    Unconfirmed {
        /// Where the book is.
        location: String,
        /// What the store said.
        reason: String,
    },
    /// The book lacks a change that was seen in it: a backup was put back, or a failover lost the end.
    #[error(
        "the book {location} lacks what was seen in it: {missing}; nothing is written until somebody accepts it"
    )]
    WentBack {
        /// Where the book is.
        location: String,
        /// What is missing.
        missing: Box<Missing>,
    },
    /// A file is no backup that can be restored.
    #[error("{path} is not restored: {fault}", path = path.display())]
    Backup {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: BackupFault,
    },
    /// A book contradicts itself.
    #[error("the book {location} is not whole: {what}")]
    NotWhole {
        /// Where the book is.
        location: String,
        /// The first contradiction.
        what: String,
    },
    /// A copy was to be made where another book's changes lie.
    #[error(
        "the book {location} holds {changes} changes of its own: a copy needs an empty book, or one that an earlier copy began"
    )]
    TargetNotEmpty {
        /// Where it is.
        location: String,
        /// How many changes it holds.
        changes: usize,
    },
    /// A change could not be copied.
    #[error("the change {revision} could not be copied to {location}: {reason}")]
    CopyRefused {
        /// Where it was to go.
        location: String,
        /// The change.
        revision: Revision,
        /// What the store said.
        reason: String,
    },
    /// A copy does not say what the original says.
    #[error("the copy at {location} differs from the original in {what}")]
    CopyDiffers {
        /// Where the copy is.
        location: String,
        /// In what.
        what: String,
    },
    /// Whoever asked does not want it any more.
    #[error("interrupted: what was done so far stands, and the same command goes on from there")]
    Interrupted,
    /// The book's server cannot be reached.
    #[error("the portbook server {location} cannot be reached: {reason}")]
    ServerUnreachable {
        /// Where the server is.
        location: String,
        /// What stood in the way.
        reason: String,
    },
    /// What answers is no portbook server, or one of another version.
    #[error(
        "what answers at {location} is no portbook server that this portbook understands: {reason}"
    )]
    NoServer {
        /// Where it was looked for.
        location: String,
        /// What it answered instead.
        reason: String,
    },
    /// The book's server did not do what was asked.
    #[error("{}", .0.message)]
    Server(Box<Told>),
    /// Whoever asked did not wait for the answer, and nothing was planned for it.
    #[error("the caller has gone")]
    CallerGone,
    /// Too many callers wait.
    #[error("{0} callers wait for the book already: ask again in a moment")]
    QueueFull(usize),
    /// Commit after commit was refused or came too late.
    #[error("the book {location} refused the commit {tries} times in a row: {reason}")]
    Contended {
        /// Where the book is.
        location: String,
        /// How often it was tried.
        tries: u32,
        /// The last refusal.
        reason: String,
    },
    /// A template could not be filled in.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Two roles of an app that have one variable.
    #[error(transparent)]
    SharedVariable(#[from] portbook_apps::variables::SharedVariable),
    /// A cleanup that might reach too far.
    #[error(transparent)]
    Cleanup(#[from] CleanupRefused),
    /// A move that is not made.
    #[error(transparent)]
    Repair(#[from] RepairRefused),
    /// The machine does not say what it must be asked.
    #[error(transparent)]
    Host(#[from] HostError),
    /// No container engine could be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// What befell the commit that this call shared with others.
    #[error(transparent)]
    Shared(std::sync::Arc<Error>),
    /// A fault of portbook's own.
    #[error("portbook failed: {0}; this is a fault of its own, please report it")]
    Internal(String),
}

/// What was seen in a book, and is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The book in which it was seen, where another one lies there now.
    pub book: Option<BookId>,
    /// The change that was seen.
    pub seen: Revision,
    /// When it was made.
    pub at: Timestamp,
    /// The last change that is there.
    pub found: Revision,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            book,
            seen,
            at,
            found,
        } = self;
        if let Some(book) = book {
            return write!(
                f,
                "another book lies there, at revision {found}, without the change {seen} of {at} in the book {book}"
            );
        }
        match found < seen {
            true => write!(
                f,
                "it went back from revision {seen}, of {at}, to {found}, as a restored backup does"
            ),
            false => write!(
                f,
                "it is at revision {found}, but another change than the {seen} of {at} is in that one's place, as in a backup that was restored and written to"
            ),
        }
    }
}

fn count_problems(count: usize) -> String {
    match count {
        1 => "a problem".to_owned(),
        count => format!("{count} problems"),
    }
}

fn candidates(found: &[AppKey]) -> String {
    let names: Vec<String> = found.iter().map(ToString::to_string).collect();
    names.join(" or ")
}

fn nothing_held(apps: &[AppKey]) -> String {
    match apps {
        [] => "no app was named".to_owned(),
        [app] => format!("{app} has no ports"),
        [first, .., last] => format!(
            "none of {} apps from {first} to {last} has ports",
            apps.len()
        ),
    }
}

/// What kind of failure it is, as the command's exit status says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The answer is no: not found, nothing to release, a conflict. Exit status 1.
    No,
    /// The call or its input is wrong. Exit status 2.
    Input,
    /// No eligible port is left. Exit status 3.
    Exhausted,
    /// The book cannot be reached, read or trusted. Exit status 4.
    Book,
    /// Anything else. Exit status 5.
    Other,
}

impl Failure {
    /// The command's exit status.
    pub fn exit_status(self) -> u8 {
        match self {
            Failure::No => 1,
            Failure::Input => 2,
            Failure::Exhausted => 3,
            Failure::Book => 4,
            Failure::Other => 5,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::Refused(Box::new(refusal))
    }
}

impl Error {
    /// What kind of failure it is.
    pub fn failure(&self) -> Failure {
        self.class().0
    }

    /// The error's name for programs, stable across versions.
    pub fn code(&self) -> &str {
        self.class().1
    }

    fn class(&self) -> (Failure, &str) {
        match self {
            Error::Configuration(_) => (Failure::Input, "bad-configuration"),
            Error::Model(_) => (Failure::Input, "bad-model"),
            Error::AppNumber(_) => (Failure::Input, "bad-app-number"),
            Error::StoreAddress { .. } => (Failure::Input, "bad-store"),
            Error::Refused(refusal) => refusal_class(refusal),
            Error::NotFound(_) | Error::Unresolved { .. } => (Failure::No, "not-found"),
            Error::Lapsed { .. } => (Failure::No, "lease-ended"),
            Error::Ambiguous { .. } => (Failure::No, "ambiguous"),
            Error::NothingToRelease(_) => (Failure::No, "nothing-to-release"),
            Error::File { .. } => (Failure::Input, "unreadable-file"),
            Error::Checkout { .. } => (Failure::Other, "checkout-unknown"),
            Error::NotHere(_) => (Failure::No, "not-found"),
            Error::Unreadable { .. } => (Failure::Input, "bad-file"),
            Error::Legacy(_) | Error::DotEnv(_) => (Failure::Input, "bad-file"),
            Error::NotWritten { .. } => (Failure::Other, "not-written"),
            Error::Entries { .. } => (Failure::Input, "bad-entries"),
            Error::IncompletePair(_) => (Failure::Book, "book-damaged"),
            Error::Store(error) => (Failure::Book, store_code(error)),
            Error::NotCommitted { .. } => (Failure::Book, "not-committed"),
            Error::Unconfirmed { .. } => (Failure::Book, "unconfirmed"),
            Error::WentBack { .. } => (Failure::Book, "book-went-back"),
            Error::Backup { .. } => (Failure::Input, "bad-backup"),
            Error::NotWhole { .. } => (Failure::Book, "book-damaged"),
            Error::TargetNotEmpty { .. } => (Failure::No, "target-not-empty"),
            Error::CopyRefused { .. } => (Failure::Book, "copy-refused"),
            Error::CopyDiffers { .. } => (Failure::Book, "copy-differs"),
            Error::Interrupted => (Failure::Other, "interrupted"),
            Error::ServerUnreachable { .. } => (Failure::Book, "book-unreachable"),
            Error::NoServer { .. } => (Failure::Book, "no-server"),
            Error::Server(told) => (told.failure, &told.code),
            Error::CallerGone => (Failure::Other, "caller-gone"),
            Error::QueueFull(_) => (Failure::Book, "queue-full"),
            Error::Contended { .. } => (Failure::Book, "contended"),
            Error::Template(error) => template_class(error),
            Error::SharedVariable(_) => (Failure::Input, "shared-variable"),
            Error::Cleanup(CleanupRefused::TooMany { .. }) => (Failure::No, "too-many-orphans"),
            Error::Cleanup(_) => (Failure::Input, "bad-apps-directory"),
            Error::Repair(RepairRefused::Runs(_)) => (Failure::No, "app-runs"),
            Error::Repair(RepairRefused::NoSuchRole { .. }) => (Failure::Input, "bad-ports"),
            Error::Repair(RepairRefused::NoAppsDirectory { .. }) => {
                (Failure::Input, "no-apps-directory")
            }
            Error::Host(_) => (Failure::Other, "host-unknown"),
            Error::Engine(error) => engine_class(error),
            Error::Shared(error) => error.class(),
            Error::Internal(_) => (Failure::Other, "internal"),
        }
    }

    /// What to do about it, in a sentence.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Error::Shared(error) => return error.hint(),
            Error::Server(told) => return told.hint.clone(),
            Error::ServerUnreachable { .. } => {
                "start it with `portbook serve`, or name another place with --store"
            }
            Error::NoServer { .. } => "see --store; client and server have to be of one version",
            Error::Refused(refusal) => return refusal_hint(refusal),
            Error::Template(error) => error.hint(),
            Error::Engine(error) => return error.hint().map(str::to_owned),
            Error::NotFound(app) | Error::Lapsed { app, .. } => {
                return Some(format!("portbook allocate {}", command_words(app)));
            }
            Error::Checkout { .. } => "name the app instead: MODEL APP",
            Error::NotHere(_) => "portbook allocate --here",
            Error::Unresolved { .. } => "`portbook list` shows the apps that are in the book",
            Error::Ambiguous { .. } => "name one of them as the book spells it",
            Error::NothingToRelease(_) => "`portbook list` shows what there is to release",
            Error::Cleanup(refused) => refused.hint(),
            Error::Repair(refused) => refused.hint(),
            Error::DotEnv(_) => "correct the line: Compose would refuse the file, too",
            Error::SharedVariable(_) => CALL_OTHERWISE,
            Error::Entries { .. } => "correct the entries and import the file again",
            Error::WentBack { .. } => {
                "put the newer book back, or go on with this one: `portbook store accept`; apps may use ports that it does not know of, which `portbook check` shows"
            }
            Error::NotWhole { .. } => "`portbook store verify` shows all of it",
            Error::IncompletePair(_) => "`portbook check` shows what is wrong with the book",
            Error::Store(StoreError::Damaged { .. }) => {
                "`portbook check` shows what is wrong; put a backup back, or export what can be read"
            }
            Error::Store(StoreError::Unreachable { .. }) => {
                "name another place with --store, or see `portbook doctor`"
            }
            Error::Store(StoreError::Lost { .. }) => "ask again: nothing was changed",
            Error::Store(StoreError::Busy { .. }) => {
                "ask again; if that process hangs, end it: nothing is lost"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// An app as a command line names it.
pub fn command_words(app: &AppKey) -> String {
    let model = app.model.spelling();
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':');
    if model.chars().all(plain) {
        format!("{model} {}", app.number)
    } else {
        format!("'{}' {}", model.replace('\'', r"'\''"), app.number)
    }
}

const CALL_OTHERWISE: &str = "call one of the roles otherwise in the configuration";

fn refusal_class(refusal: &Refusal) -> (Failure, &'static str) {
    match refusal {
        Refusal::UnknownRole(_) => (Failure::Input, "unknown-role"),
        Refusal::SharedVariable { .. } => (Failure::Input, "shared-variable"),
        Refusal::PinsForSeveral(_) | Refusal::PinnedTwice(_) => (Failure::Input, "bad-ports"),
        Refusal::ZeroTtl => (Failure::Input, "bad-ttl"),
        Refusal::PinTaken { .. } | Refusal::PinDiffers { .. } => (Failure::No, "port-taken"),
        Refusal::NotHeldAsSupposed { .. } => (Failure::No, "not-held"),
        Refusal::NothingToMove(_) => (Failure::Input, "bad-ports"),
        Refusal::Exhausted(_) => (Failure::Exhausted, "exhausted"),
        Refusal::NothingToRenew(_) => (Failure::No, "not-found"),
        Refusal::NoLease(_) => (Failure::No, "no-lease"),
        Refusal::Import(_) => (Failure::Input, "bad-entries"),
        Refusal::PoolOverlaps { .. } | Refusal::PoolExists(_) => (Failure::No, "pool-exists"),
        Refusal::NoPool(_) => (Failure::No, "not-found"),
        Refusal::Host(_) => (Failure::Other, "host-unknown"),
    }
}

fn template_class(error: &TemplateError) -> (Failure, &'static str) {
    match error {
        TemplateError::NotAFolder(_)
        | TemplateError::Unknown(_)
        | TemplateError::LinkOut { .. }
        | TemplateError::Special { .. }
        | TemplateError::Clash { .. }
        | TemplateError::Unreadable { .. } => (Failure::Input, "bad-template"),
        TemplateError::Nested { .. }
        | TemplateError::DestinationNotAFolder(_)
        | TemplateError::DestinationNotUtf8(_) => (Failure::Input, "bad-destination"),
        TemplateError::Occupied(_) => (Failure::Input, "destination-occupied"),
        TemplateError::Interrupted => (Failure::Other, "interrupted"),
        TemplateError::Io { .. } => (Failure::Other, "not-written"),
    }
}

fn refusal_hint(refusal: &Refusal) -> Option<String> {
    let hint = match refusal {
        Refusal::UnknownRole(role) => {
            return Some(format!(
                "name its ports in the configuration: [ranges.{role}] base = 15001"
            ));
        }
        Refusal::SharedVariable { .. } => CALL_OTHERWISE,
        Refusal::PinTaken {
            reason: portbook_model::Ineligible::InUse(_),
            ..
        } => "if that is the app itself, add --no-host-check",
        Refusal::PinTaken { .. } => "leave --ports out to get the lowest free ports",
        Refusal::NotHeldAsSupposed { .. } => "somebody changed it meanwhile: look again",
        Refusal::PinDiffers { .. } => "release the app first, then ask for the ports",
        Refusal::Exhausted(_) => {
            "release apps that are gone, widen the ranges in the configuration, or use another --space"
        }
        Refusal::NoPool(_) => "`portbook pool list` shows the pools",
        Refusal::PoolExists(_) => "remove it first, or give the new one another name",
        Refusal::Host(_) => "--no-host-check does without",
        Refusal::NoLease(_) => "an allocation without --ttl never ends",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn engine_class(error: &EngineError) -> (Failure, &'static str) {
    match error {
        EngineError::Address { .. }
        | EngineError::Context { .. }
        | EngineError::Certificates { .. }
        | EngineError::Configuration { .. } => (Failure::Input, "engine-address"),
        EngineError::Refused { .. } | EngineError::Untrusted { .. } => {
            (Failure::Other, "engine-refused")
        }
        EngineError::Nowhere(_) | EngineError::Unreachable { .. } | EngineError::Silent { .. } => {
            (Failure::Other, "engine-unreachable")
        }
        _ => (Failure::Other, "engine-failed"),
    }
}

fn store_code(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unreachable { .. } | StoreError::Lost { .. } => "book-unreachable",
        StoreError::NotABook { .. } => "not-a-book",
        StoreError::TooNew { .. } => "book-too-new",
        StoreError::Damaged { .. } => "book-damaged",
        StoreError::NetworkFileSystem { .. } => "network-file-system",
        StoreError::Full { .. } => "disk-full",
        StoreError::ReadOnly { .. } => "book-read-only",
        StoreError::Busy { .. } => "book-busy",
        StoreError::Failed { .. } => "book-failed",
    }
}
