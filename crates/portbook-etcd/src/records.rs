//! What lies under the keys, as JSON.

use portbook_model::{
    Allocation, AppKey, AppNumber, AppRecord, BookId, Change, CommitId, FormerAllocation, Head,
    Lease, Model, Notes, Ports, Revision, Role, Source, Space, Timestamp,
};
use serde::{Deserialize, Serialize};

/// `head`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeadRecord {
    pub(crate) schema: i64,
    pub(crate) book: BookId,
    pub(crate) revision: Revision,
    #[serde(with = "millis")]
    pub(crate) changed_at: Timestamp,
    /// The commit that has happened and whose parts are not all under their own keys yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) staged: Option<CommitId>,
}

impl HeadRecord {
    pub(crate) fn head(&self) -> Head {
        Head {
            book: self.book.clone(),
            revision: self.revision,
            changed_at: self.changed_at,
        }
    }
}

/// `changes/LAST`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ChangesRecord {
    /// The revision of the first change here.
    pub(crate) first: Revision,
    pub(crate) commit: CommitId,
    #[serde(with = "millis")]
    pub(crate) at: Timestamp,
    pub(crate) changes: Vec<ChangeRecord>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ChangeRecord {
    pub(crate) space: Space,
    pub(crate) by: String,
    pub(crate) change: Change,
}

/// `apps/SPACE/IDENTITY/NUMBER`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AppRow {
    pub(crate) model: Model,
    pub(crate) ports: Ports,
    #[serde(flatten)]
    pub(crate) state: State,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub(crate) enum State {
    Held {
        source: Source,
        #[serde(with = "millis")]
        created_at: Timestamp,
        #[serde(with = "millis")]
        updated_at: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease: Option<Lease>,
        #[serde(default, skip_serializing_if = "Notes::is_empty")]
        notes: Notes,
    },
    Former {
        #[serde(with = "millis")]
        released_at: Timestamp,
    },
}

impl AppRow {
    pub(crate) fn lease(&self) -> Option<Lease> {
        match self.state {
            State::Held { lease, .. } => lease,
            State::Former { .. } => None,
        }
    }

    pub(crate) fn record(self, number: AppNumber) -> AppRecord {
        let app = AppKey::new(self.model, number);
        match self.state {
            State::Held {
                source,
                created_at,
                updated_at,
                lease,
                notes,
            } => AppRecord::Held(Allocation {
                app,
                ports: self.ports,
                source,
                created_at,
                updated_at,
                lease,
                notes,
            }),
            State::Former { released_at } => AppRecord::Former(FormerAllocation {
                app,
                ports: self.ports,
                released_at,
            }),
        }
    }
}

/// `ports/SPACE/PORT`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PortRow {
    #[serde(flatten)]
    pub(crate) app: AppKey,
    pub(crate) role: Role,
}

/// `rests/SPACE/PORT`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RestRow {
    #[serde(with = "millis")]
    pub(crate) since: Timestamp,
    #[serde(flatten)]
    pub(crate) by: AppKey,
}

/// `models/SPACE/IDENTITY`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ModelRow {
    pub(crate) model: Model,
    pub(crate) since: Revision,
}

/// `leases/END/SPACE/IDENTITY/NUMBER`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LeaseRow {
    pub(crate) space: Space,
    #[serde(flatten)]
    pub(crate) app: AppKey,
}

/// `staged/COMMIT/N`: keys with what is to lie there, `None` where nothing is.
pub(crate) type StagedPart = Vec<(String, Option<String>)>;

/// Times as milliseconds since 1970: what is to be read back exactly is written as a number.
mod millis {
    use portbook_model::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(time.millis())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_millis)
    }
}
