//! Under which keys a book lies, each beneath the address's prefix and a `/`.
//!
//! | key | what lies there |
//! | --- | --- |
//! | `head` | the book's name, schema, revision, and the commit that is being carried out, if one is |
//! | `changes/LAST` | a stretch of what happened, named by the revision of the last change in it |
//! | `apps/SPACE/IDENTITY/NUMBER` | an app, with the ports that it holds or held |
//! | `ports/SPACE/PORT` | whose the port is |
//! | `rests/SPACE/PORT` | when the port was last given back, and by whom |
//! | `models/SPACE/IDENTITY` | a model's first spelling, and when the space came to know it |
//! | `leases/END/SPACE/IDENTITY/NUMBER` | an app whose allocation has an end |
//! | `promises/SPACE/SOURCE`, `pools/SPACE/NAME` | a file of pre-configured ports, a pool |
//! | `turn/LEASE` | somebody who waits for the turn, or has it |
//! | `staged/COMMIT/N` | the N-th part of a commit that is too large for one transaction |
//!
//! Numbers have leading zeros, so that the order of the keys is theirs.

use portbook_model::{AppKey, CommitId, Model, PoolName, Port, Revision, Space, Timestamp};

pub(crate) const HEAD: &str = "head";
pub(crate) const TURN: &str = "turn/";
pub(crate) const STAGED: &str = "staged/";
pub(crate) const LEASES: &str = "leases/";
pub(crate) const CHANGES: &str = "changes/";

/// One key, or all from one up to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) start: String,
    /// The first key that is no longer meant; `None`: only `start` is.
    pub(crate) end: Option<String>,
}

impl Keys {
    pub(crate) fn one(key: impl Into<String>) -> Self {
        Self {
            start: key.into(),
            end: None,
        }
    }

    /// Every key that begins with `prefix`, which ends in a `/`.
    pub(crate) fn under(prefix: impl Into<String>) -> Self {
        let start = prefix.into();
        let end = after(&start);
        Self {
            start,
            end: Some(end),
        }
    }

    pub(crate) fn between(start: impl Into<String>, end: impl Into<String>) -> Self {
        Self {
            start: start.into(),
            end: Some(end.into()),
        }
    }

    pub(crate) fn holds(&self, key: &str) -> bool {
        match &self.end {
            Some(end) => self.start.as_str() <= key && key < end.as_str(),
            None => self.start == key,
        }
    }
}

/// The first key after all that begin with `prefix`, which ends in a `/`: `0` is the character after it.
pub(crate) fn after(prefix: &str) -> String {
    let mut end = prefix.strip_suffix('/').unwrap_or(prefix).to_owned();
    end.push('0');
    end
}

pub(crate) fn change(last: Revision) -> String {
    format!("{CHANGES}{:020}", last.0)
}

pub(crate) fn apps(space: &Space) -> String {
    format!("apps/{space}/")
}

pub(crate) fn apps_of(space: &Space, identity: &str) -> String {
    format!("apps/{space}/{identity}/")
}

pub(crate) fn app(space: &Space, app: &AppKey) -> String {
    format!(
        "apps/{space}/{}/{:010}",
        app.model.identity(),
        app.number.get()
    )
}

pub(crate) fn ports(space: &Space) -> String {
    format!("ports/{space}/")
}

pub(crate) fn port(space: &Space, port: Port) -> String {
    format!("ports/{space}/{:05}", port.get())
}

pub(crate) fn rests(space: &Space) -> String {
    format!("rests/{space}/")
}

pub(crate) fn rest(space: &Space, port: Port) -> String {
    format!("rests/{space}/{:05}", port.get())
}

pub(crate) fn models(space: &Space) -> String {
    format!("models/{space}/")
}

pub(crate) fn model(space: &Space, model: &Model) -> String {
    format!("models/{space}/{}", model.identity())
}

pub(crate) fn lease(end: Timestamp, space: &Space, app: &AppKey) -> String {
    format!(
        "{}{space}/{}/{}",
        leases_at(end),
        app.model.identity(),
        app.number
    )
}

/// What the keys of all leases that end at this moment begin with.
pub(crate) fn leases_at(end: Timestamp) -> String {
    // The years before 1970 come first, too.
    let ordered = end.millis().wrapping_sub(i64::MIN).cast_unsigned();
    format!("{LEASES}{ordered:020}/")
}

pub(crate) fn promises(space: &Space) -> String {
    format!("promises/{space}/")
}

pub(crate) fn promise(space: &Space, source: &str) -> String {
    format!("promises/{space}/{source}")
}

pub(crate) fn pools(space: &Space) -> String {
    format!("pools/{space}/")
}

pub(crate) fn pool(space: &Space, name: &PoolName) -> String {
    format!("pools/{space}/{name}")
}

pub(crate) fn turn(lease: i64) -> String {
    format!("{TURN}{:016x}", lease.cast_unsigned())
}

pub(crate) fn staged(commit: CommitId) -> String {
    format!("{STAGED}{commit}/")
}

pub(crate) fn staged_part(commit: CommitId, part: usize) -> String {
    format!("{STAGED}{commit}/{part:06}")
}
