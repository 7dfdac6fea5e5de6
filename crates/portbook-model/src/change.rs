//! What can happen to a book.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Actor, AppKey, Lease, Notes, Pool, Ports, PromiseFile, Revision, Space, Timestamp};

/// How an allocation came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The lowest free slot.
    Dynamic,
    /// A promise of `port_config.json`.
    PortConfig,
    /// A pool of the model's.
    Pool,
    /// Exact ports were asked for.
    Pinned,
    /// The app had these ports before.
    Returning,
    /// A file was imported.
    Import,
}

impl Source {
    /// Every source.
    pub const ALL: [Source; 6] = [
        Source::Dynamic,
        Source::PortConfig,
        Source::Pool,
        Source::Pinned,
        Source::Returning,
        Source::Import,
    ];

    /// The source's name in JSON and in stores.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Dynamic => "dynamic",
            Source::PortConfig => "port_config",
            Source::Pool => "pool",
            Source::Pinned => "pinned",
            Source::Returning => "returning",
            Source::Import => "import",
        }
    }

    /// The source of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == name)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why ports were given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseCause {
    /// Somebody asked for it.
    Asked,
    /// The lease ended.
    LeaseEnded,
    /// The app's directory was gone for longer than the grace.
    DirectoryGone,
    /// The command that the app was made for has ended.
    RunEnded,
}

impl ReleaseCause {
    /// The cause in words.
    pub fn as_str(self) -> &'static str {
        match self {
            ReleaseCause::Asked => "asked",
            ReleaseCause::LeaseEnded => "lease-ended",
            ReleaseCause::DirectoryGone => "directory-gone",
            ReleaseCause::RunEnded => "run-ended",
        }
    }
}

/// One thing that happened in a space: the smallest step that the book takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// An app that held nothing got ports.
    Allocated {
        /// The app.
        #[serde(flatten)]
        app: AppKey,
        /// Its ports.
        ports: Ports,
        /// How it came to them.
        source: Source,
        /// When it came to be, where that was before this change: an import tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        created_at: Option<Timestamp>,
        /// Its end, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease: Option<Lease>,
    },
    /// An app got ports for further roles and kept what it had.
    Extended {
        /// The app.
        #[serde(flatten)]
        app: AppKey,
        /// The further ports.
        ports: Ports,
    },
    /// An app gave all its ports back.
    Released {
        /// The app.
        #[serde(flatten)]
        app: AppKey,
        /// The ports it had.
        ports: Ports,
        /// Why.
        cause: ReleaseCause,
    },
    /// A lease got another end.
    Renewed {
        /// The app.
        #[serde(flatten)]
        app: AppKey,
        /// The lease from now on.
        lease: Lease,
    },
    /// What the book remembers of an app became this.
    Noted {
        /// The app.
        #[serde(flatten)]
        app: AppKey,
        /// All that is remembered from now on.
        notes: Notes,
    },
    /// An app left some of its ports for others. Where apps change places in a circle, one of two
    /// such changes has no destination, and the other nothing that was left. Ports that an app gives back
    /// while it keeps others have no destination either.
    Moved {
        /// The app.
        #[serde(flatten)]
        app: AppKey,
        /// The ports it left.
        from: Ports,
        /// The ports it has instead.
        to: Ports,
        /// Why.
        why: String,
    },
    /// A file of pre-configured ports became known, or was found changed: its promises replace those
    /// it made before.
    Promised {
        /// The file.
        file: PromiseFile,
    },
    /// A file's promises no longer count.
    Unpromised {
        /// Where the file was.
        source: String,
    },
    /// A pool was made.
    PoolAdded {
        /// The pool.
        pool: Pool,
    },
    /// A pool was given up; its ports are anybody's again.
    PoolRemoved {
        /// The pool.
        pool: Pool,
    },
    /// Somebody accepted a book that lacks changes which others saw in it: it goes on from here.
    Accepted,
}

impl Change {
    /// The app that it happened to, if to one.
    pub fn app(&self) -> Option<&AppKey> {
        match self {
            Change::Allocated { app, .. }
            | Change::Extended { app, .. }
            | Change::Released { app, .. }
            | Change::Renewed { app, .. }
            | Change::Noted { app, .. }
            | Change::Moved { app, .. } => Some(app),
            Change::Promised { .. }
            | Change::Unpromised { .. }
            | Change::PoolAdded { .. }
            | Change::PoolRemoved { .. }
            | Change::Accepted => None,
        }
    }

    /// The change's name, as in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Change::Allocated { .. } => "allocated",
            Change::Extended { .. } => "extended",
            Change::Released { .. } => "released",
            Change::Renewed { .. } => "renewed",
            Change::Noted { .. } => "noted",
            Change::Moved { .. } => "moved",
            Change::Promised { .. } => "promised",
            Change::Unpromised { .. } => "unpromised",
            Change::PoolAdded { .. } => "pool-added",
            Change::PoolRemoved { .. } => "pool-removed",
            Change::Accepted => "accepted",
        }
    }
}

/// A change in the space where it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpaceChange {
    /// The space.
    pub space: Space,
    /// Who asked.
    pub by: Actor,
    /// What happened there.
    pub change: Change,
}

/// The name of one commit, chosen by whoever commits: the answer to "did my commit happen?".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CommitId(pub [u8; 16]);

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Changes that are committed together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The commit's name.
    pub commit: CommitId,
    /// When it was planned.
    pub at: Timestamp,
    /// What happens, in order; each change is one revision.
    pub changes: Vec<SpaceChange>,
}

/// A change as the book recorded it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its number.
    pub revision: Revision,
    /// The commit that it was part of.
    pub commit: CommitId,
    /// When.
    pub at: Timestamp,
    /// Who asked.
    pub actor: String,
    /// The space.
    pub space: Space,
    /// What happened.
    pub change: Change,
}
