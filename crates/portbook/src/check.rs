//! Conflicts: two claims on one port, or a claim that cannot be honoured.
//!
//! The rows of the book are read as they lie, since somebody else's hand may have been in the file:
//! nothing here relies on the keys or the planner having kept their promises.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use portbook_engine::Container;
use portbook_model::{
    Allocation, AppKey, Model, Policy, Port, PromiseFile, Promises, Space, SpaceBook, Timestamp,
    browser_blocked,
};
use portbook_store::{Audit, Claim, Filter, Reading, StoreError};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::cleanup::orphans;
use crate::ownership::{PortUse, Whose, port_uses};
use crate::replay::Replays;

/// What kind of conflict it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ConflictKind {
    /// Two apps, or two roles of one, claim one port.
    DuplicatePort,
    /// The book's rows contradict each other or its history.
    BookDamaged,
    /// The book and a file of pre-configured ports disagree.
    PreConfigMismatch,
    /// A stranger uses an allocated port on this host.
    HostInUse,
    /// No browser opens an allocated port.
    BrowserBlocked,
    /// An app holds a port of a pool that is not for its model.
    PoolTrespass,
    /// A file says another port than the book.
    ComposeMismatch,
    /// A file publishes a port that is allocated to nobody.
    ComposeUnallocated,
    /// A container has, or wants, a port that the book sees otherwise.
    DockerMismatch,
    /// Two containers would have one name.
    DuplicateContainerName,
    /// An outgoing connection may take an allocated port before its app does: a warning.
    EphemeralRange,
    /// An allocation whose app is gone, or whose lease has ended: a warning.
    Orphan,
}

impl ConflictKind {
    /// The kind's name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            ConflictKind::DuplicatePort => "duplicate-port",
            ConflictKind::BookDamaged => "book-damaged",
            ConflictKind::PreConfigMismatch => "pre-config-mismatch",
            ConflictKind::HostInUse => "host-in-use",
            ConflictKind::BrowserBlocked => "browser-blocked",
            ConflictKind::PoolTrespass => "pool-trespass",
            ConflictKind::ComposeMismatch => "compose-mismatch",
            ConflictKind::ComposeUnallocated => "compose-unallocated",
            ConflictKind::DockerMismatch => "docker-mismatch",
            ConflictKind::DuplicateContainerName => "duplicate-container-name",
            ConflictKind::EphemeralRange => "ephemeral-range",
            ConflictKind::Orphan => "orphan",
        }
    }

    /// Whether it is a warning only: worth knowing, but no answer of "no".
    pub fn is_warning(self) -> bool {
        matches!(self, ConflictKind::EphemeralRange | ConflictKind::Orphan)
    }
}

/// Two claims on one port, or a claim that cannot be honoured. Displays as one plain sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Conflict {
    /// What kind.
    pub kind: ConflictKind,
    /// The port; `None` where it is about no single one.
    pub port: Option<Port>,
    /// The apps that are concerned, `model/appN` each.
    pub apps: Vec<String>,
    /// What is wrong, as one sentence.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// Where it is written, if it is about a file: in JSON `file`, `line` and `column`.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = PlaceIfAny))]
    pub place: Option<FilePlace>,
}

/// What a conflict's `place` is in JSON: utoipa takes the members of a flattened `Option` for required ones.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes what `FilePlace` is written as")]
struct PlaceIfAny {
    /// The file that the conflict is about, if it is about one.
    file: Option<String>,
    /// The line in it, from 1.
    line: Option<usize>,
    /// The column, in characters from 1.
    column: Option<usize>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FilePlace {
    /// The file, as it was reached from what the caller named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters from 1.
    pub column: usize,
}

impl std::fmt::Display for FilePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

/// Every conflict of a space, by port. `file` is the file of pre-configured ports as it is now, which
/// the book may not know yet; `host` says whether to look at this host too.
pub(crate) fn conflicts(
    reading: &mut dyn Reading,
    space: &Space,
    policy: &Policy,
    replays: &Replays,
    file: Option<PromiseFile>,
    host: bool,
) -> Result<Vec<Conflict>, Error> {
    let audit = reading.audit(space)?;
    let mut found = Vec::new();
    let mut book = match reading.space(space, Timestamp::from_millis(i64::MAX)) {
        Ok(book) => book,
        Err(error @ StoreError::Damaged { .. }) => {
            found.push(damage(error.to_string()));
            SpaceBook::default()
        }
        Err(error) => return Err(error.into()),
    };
    let mut now: Timestamp = std::time::SystemTime::now().into();
    match replays.compare(reading, space, &audit) {
        Ok((head, against_history)) => {
            now = now.max(head.changed_at);
            found.extend(against_history);
        }
        Err(error) => found.push(damage(error.to_string())),
    }
    if let Some(file) = file {
        book.promises.set(file);
    }
    found.extend(within_rows(&audit));
    let claims = valid_claims(&audit);
    // A full space takes some megabytes each time that it is read: what was compared goes first.
    drop(audit);
    found.extend(against_promises(&claims, &book.promises));
    found.extend(against_rules(&claims, &book, policy));
    drop(claims);
    let all = Filter {
        space: space.clone(),
        ..Filter::default()
    };
    match reading.allocations(&all) {
        Ok(allocations) => {
            found.extend(lapsed_leases(&allocations, now));
            if host {
                let uses = port_uses(&allocations)?;
                let strangers = uses
                    .iter()
                    .filter(|port_use| port_use.whose == Whose::Stranger);
                found.extend(strangers.map(|stranger| used_by(stranger, None)));
                found.extend(orphans(&allocations, &uses, now));
            }
        }
        Err(error @ StoreError::Damaged { .. }) => found.push(damage(error.to_string())),
        Err(error) => return Err(error.into()),
    }
    found.sort_by(|a, b| (a.port, a.kind, &a.message).cmp(&(b.port, b.kind, &b.message)));
    found.dedup();
    Ok(found)
}

pub(crate) fn damage(message: String) -> Conflict {
    Conflict {
        kind: ConflictKind::BookDamaged,
        port: None,
        apps: Vec::new(),
        message,
        hint: "put a backup back, or release the app and allocate its ports anew".to_owned(),
        place: None,
    }
}

/// The rows against each other.
fn within_rows(audit: &Audit) -> Vec<Conflict> {
    let mut found: Vec<Conflict> = audit.damage.iter().cloned().map(damage).collect();
    let mut by_port: BTreeMap<i64, Vec<&Claim>> = BTreeMap::new();
    let mut with_ports = BTreeSet::new();
    let mut roles = BTreeSet::new();
    for claim in &audit.claims {
        by_port.entry(claim.port).or_default().push(claim);
        let Some(app) = &claim.app else {
            found.push(Conflict {
                port: Port::try_from(claim.port).ok(),
                ..damage(format!(
                    "port {} is allocated as a {} to an app that is not in the book",
                    claim.port, claim.role
                ))
            });
            continue;
        };
        with_ports.insert(app);
        if !roles.insert((app, &claim.role)) {
            found.push(Conflict {
                apps: vec![app.clone()],
                ..damage(format!("{app} has several ports as its {}", claim.role))
            });
        }
        if Port::try_from(claim.port).is_err() {
            found.push(Conflict {
                apps: vec![app.clone()],
                ..damage(format!(
                    "{app} has {} as its {}, which is no port",
                    claim.port, claim.role
                ))
            });
        }
    }
    for app in audit.apps.iter().filter(|app| !with_ports.contains(app)) {
        found.push(Conflict {
            apps: vec![app.clone()],
            ..damage(format!(
                "{app} is said to hold ports, and no port is allocated to it"
            ))
        });
    }
    for (port, claims) in by_port.into_iter().filter(|(_, claims)| claims.len() > 1) {
        let name = |claim: &&Claim| {
            let app = claim.app.as_deref().unwrap_or("an unknown app");
            format!("{app} as its {}", claim.role)
        };
        let owners: Vec<String> = claims.iter().map(name).collect();
        found.push(Conflict {
            kind: ConflictKind::DuplicatePort,
            port: Port::try_from(port).ok(),
            apps: claims
                .iter()
                .filter_map(|claim| claim.app.clone())
                .collect(),
            message: format!(
                "port {port} is allocated twice: to {}",
                owners.join(" and to ")
            ),
            hint: "`portbook repair` moves the younger one".to_owned(),
            place: None,
        });
    }
    found
}

/// A row that makes sense.
struct ValidClaim {
    port: Port,
    app: AppKey,
    role: String,
}

fn valid_claims(audit: &Audit) -> Vec<ValidClaim> {
    let valid = |claim: &Claim| {
        let (model, number) = claim.app.as_deref()?.rsplit_once("/app")?;
        Some(ValidClaim {
            port: Port::try_from(claim.port).ok()?,
            app: AppKey::new(Model::new(model).ok()?, number.parse().ok()?),
            role: claim.role.clone(),
        })
    };
    audit.claims.iter().filter_map(valid).collect()
}

fn against_promises(claims: &[ValidClaim], promises: &Promises) -> Vec<Conflict> {
    let mut found = Vec::new();
    let mut held: HashMap<&AppKey, BTreeMap<&str, Port>> = HashMap::new();
    let mismatch = |port: Port, apps: Vec<String>, message: String| Conflict {
        kind: ConflictKind::PreConfigMismatch,
        port: Some(port),
        apps,
        message,
        hint: "`portbook repair` moves the app, or correct the file".to_owned(),
        place: None,
    };
    for claim in claims {
        held.entry(&claim.app)
            .or_default()
            .insert(&claim.role, claim.port);
        if let Some(to) = promises.to(claim.port).filter(|to| **to != claim.app) {
            let message = format!(
                "port {} is promised to {to}, and allocated to {} as its {}",
                claim.port, claim.app, claim.role
            );
            let apps = vec![claim.app.to_string(), to.to_string()];
            found.push(mismatch(claim.port, apps, message));
        }
    }
    for (app, promised) in promises.iter() {
        let Some(held) = held.get(app) else { continue };
        for (role, port) in promised {
            if let Some(other) = held.get(role.as_str()).filter(|other| *other != port) {
                let message =
                    format!("{app} has {other} as its {role}, and {port} is promised to it");
                found.push(mismatch(*other, vec![app.to_string()], message));
            }
        }
    }
    for (port, apps) in promises.disputed() {
        let names: Vec<String> = apps.iter().map(ToString::to_string).collect();
        let message = format!("port {port} is promised to {}", names.join(" and to "));
        found.push(Conflict {
            hint: "correct one of the files".to_owned(),
            ..mismatch(port, names, message)
        });
    }
    found
}

/// The rows against browsers, pools and the host's ephemeral range.
fn against_rules(claims: &[ValidClaim], book: &SpaceBook, policy: &Policy) -> Vec<Conflict> {
    let mut found = Vec::new();
    for ValidClaim { port, app, role } in claims {
        let conflict = |kind, message: String, hint: &str| Conflict {
            kind,
            port: Some(*port),
            apps: vec![app.to_string()],
            message,
            hint: hint.to_owned(),
            place: None,
        };
        if browser_blocked().contains(*port) {
            found.push(conflict(
                ConflictKind::BrowserBlocked,
                format!("no browser opens port {port}, the {role} of {app}"),
                "`portbook repair` moves it to another port",
            ));
        }
        if policy.ephemeral().contains(*port) {
            found.push(conflict(
                ConflictKind::EphemeralRange,
                format!(
                    "port {port}, the {role} of {app}, lies in the host's ephemeral range: an outgoing connection may take it"
                ),
                "reserve it on the host: `portbook doctor` shows the command",
            ));
        }
        let foreign = |pool: &&portbook_model::Pool| {
            pool.ports.contains(*port) && !pool.models.matches(&app.model)
        };
        if let Some(pool) = book.pools.values().find(foreign) {
            found.push(conflict(
                ConflictKind::PoolTrespass,
                format!(
                    "{app} has {port} as its {role}, which is of the pool `{}` for {}",
                    pool.name, pool.models
                ),
                "`portbook repair` moves the app, or change the pool",
            ));
        }
    }
    found
}

fn lapsed_leases(allocations: &[Allocation], now: Timestamp) -> Vec<Conflict> {
    let lapsed = allocations.iter().filter_map(|allocation| {
        let lease = allocation.lease.filter(|_| allocation.has_lapsed(now))?;
        Some(Conflict {
            kind: ConflictKind::Orphan,
            port: allocation.ports.values().next().copied(),
            apps: vec![allocation.app.to_string()],
            message: format!(
                "the lease of {} ended at {}, and its ports are not reclaimed yet",
                allocation.app, lease.expires_at
            ),
            hint: "nothing needs doing: the next change of the book reclaims them".to_owned(),
            place: None,
        })
    });
    lapsed.collect()
}

/// The conflict of a stranger at an app's port, and of the container that the stranger is part of.
pub(crate) fn used_by(port_use: &PortUse<'_>, container: Option<&Container>) -> Conflict {
    let (holder, app) = (&port_use.holder, &port_use.allocation.app);
    let how = match holder.usage {
        portbook_model::SocketUse::Connected => "is the local end of a connection of",
        _ => "is in use on this host by",
    };
    let (within, end) = match container {
        Some(container) => (format!(" in {container}"), "stop that container"),
        None => (String::new(), "end that process"),
    };
    Conflict {
        kind: ConflictKind::HostInUse,
        port: Some(holder.port),
        apps: vec![app.to_string()],
        message: format!("port {} of {app} {how} {holder}{within}", holder.port),
        hint: format!("{end}, or let `portbook repair` move the app"),
        place: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(port: i64, app: Option<&str>, role: &str) -> Claim {
        Claim {
            port,
            app: app.map(str::to_owned),
            role: role.to_owned(),
        }
    }

    #[test]
    fn rows_that_another_hand_wrote_are_found_out() {
        let audit = Audit {
            claims: vec![
                claim(5001, Some("m/app1"), "backend"),
                claim(5001, Some("m/app2"), "backend"),
                claim(70_000, Some("m/app2"), "frontend"),
                claim(8001, None, "frontend"),
            ],
            apps: vec!["m/app1".into(), "m/app2".into(), "m/app3".into()],
            damage: Vec::new(),
        };
        let messages: Vec<String> = within_rows(&audit)
            .iter()
            .map(ToString::to_string)
            .collect();
        let expected = [
            "m/app2 has 70000 as its frontend, which is no port",
            "port 8001 is allocated as a frontend to an app that is not in the book",
            "m/app3 is said to hold ports, and no port is allocated to it",
            "port 5001 is allocated twice: to m/app1 as its backend and to m/app2 as its backend",
        ];
        assert_eq!(messages, expected);
    }
}
