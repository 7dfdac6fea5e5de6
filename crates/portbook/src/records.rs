//! What callers get to see: the shapes of the contract's JSON.

use std::collections::BTreeSet;

use portbook_model::{
    Allocation, AppKey, BlockedBy, Change, Explanation, Grant, InvalidPolicy, InvalidRange,
    ModelPattern, Policy, Pool, PoolName, Port, PortRange, PortStretch, Ports, Recorded, Role,
    Source, Space, Span, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::service::Resolved;
use crate::usage::PoolUse;

/// The backend and frontend port of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PortPair {
    /// The backend's port.
    pub backend: Port,
    /// The frontend's port.
    pub frontend: Port,
    /// The model, as it was first spelt.
    pub model: String,
    /// The app's number.
    pub app_num: u32,
}

impl PortPair {
    /// The pair of an allocation.
    pub fn of(allocation: &Allocation) -> Result<Self, Error> {
        let port = |role: Role| {
            let port = allocation.ports.get(&role).copied();
            port.ok_or_else(|| Error::IncompletePair(allocation.app.clone()))
        };
        Ok(Self {
            backend: port(Role::backend())?,
            frontend: port(Role::frontend())?,
            model: allocation.app.model.spelling().to_owned(),
            app_num: allocation.app.number.get(),
        })
    }
}

/// An app's ports as `allocate` and `get` answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AllocationRecord {
    /// The model, as it was first spelt.
    pub model: String,
    /// The app's number.
    pub app_num: u32,
    /// The backend's port.
    pub backend: Option<Port>,
    /// The frontend's port.
    pub frontend: Option<Port>,
    /// Every role's port.
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, u16>))]
    pub ports: Ports,
    /// The port space.
    pub space: Space,
    /// Whether this call made the allocation.
    pub created: bool,
    /// How it came to be.
    pub source: Source,
    /// When it ends; `None`: it does not.
    pub expires_at: Option<Timestamp>,
}

impl AllocationRecord {
    /// The record of an allocation that was looked up.
    pub fn of(allocation: &Allocation, space: &Space) -> Self {
        Self {
            model: allocation.app.model.spelling().to_owned(),
            app_num: allocation.app.number.get(),
            backend: allocation.ports.get(&Role::backend()).copied(),
            frontend: allocation.ports.get(&Role::frontend()).copied(),
            ports: allocation.ports.clone(),
            space: space.clone(),
            created: false,
            source: allocation.source,
            expires_at: allocation.lease.map(|lease| lease.expires_at),
        }
    }

    /// The record of an allocation that was asked for.
    pub fn of_grant(grant: &Grant, space: &Space) -> Self {
        Self {
            created: grant.created,
            ..Self::of(&grant.allocation, space)
        }
    }
}

/// An app's ports as `allocate` answers, with how they were chosen where that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GrantRecord {
    /// The app's ports.
    #[serde(flatten)]
    pub allocation: AllocationRecord,
    /// How they were chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explain: Option<ExplanationRecord>,
}

/// How an app's ports were chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExplanationRecord {
    /// One sentence on the way they came.
    pub reason: String,
    /// The candidates that came before them.
    pub passed_over: Vec<PassedOverRecord>,
}

/// A candidate that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PassedOverRecord {
    /// The role that it was for.
    pub role: Role,
    /// The port.
    pub port: Port,
    /// Why not.
    pub why: String,
}

impl GrantRecord {
    /// The record of an allocation that was asked for.
    pub fn of(grant: &Grant, space: &Space) -> Self {
        Self {
            allocation: AllocationRecord::of_grant(grant, space),
            explain: grant.explanation.as_ref().map(ExplanationRecord::of),
        }
    }
}

impl ExplanationRecord {
    fn of(explanation: &Explanation) -> Self {
        let passed = explanation
            .passed_over
            .iter()
            .map(|passed| PassedOverRecord {
                role: passed.role.clone(),
                port: passed.port,
                why: passed.why.to_string(),
            });
        Self {
            reason: explanation.reason.clone(),
            passed_over: passed.collect(),
        }
    }
}

/// An app that was looked up with fallbacks, as `resolve` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResolvedRecord {
    /// The app's ports.
    #[serde(flatten)]
    pub allocation: AllocationRecord,
    /// In which way the app was found.
    pub matched: &'static str,
}

impl ResolvedRecord {
    /// The record of what was found.
    pub fn of(resolved: &Resolved, space: &Space) -> Self {
        Self {
            allocation: AllocationRecord::of(&resolved.allocation, space),
            matched: resolved.way.as_str(),
        }
    }
}

/// What an app gave back, as `release` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseRecord {
    /// The app.
    #[serde(flatten)]
    pub app: AppKey,
    /// Whether it held ports.
    pub released: bool,
    /// The ports.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<std::collections::BTreeMap<String, u16>>))]
    pub ports: Option<Ports>,
}

impl ReleaseRecord {
    /// The record of one app's release.
    pub fn of((app, ports): &(AppKey, Option<Ports>)) -> Self {
        Self {
            app: app.clone(),
            released: ports.is_some(),
            ports: ports.clone(),
        }
    }
}

/// A pool, as `pool list` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PoolRecord {
    /// What it is called.
    pub name: PoolName,
    /// Its first port.
    pub first: Port,
    /// Its last port.
    pub last: Port,
    /// The models that it is for; an empty text: for no model.
    pub models: ModelPattern,
    /// How many of its ports apps hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<usize>,
    /// How many are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free: Option<usize>,
}

impl PoolRecord {
    /// The record of a pool by itself.
    pub fn of(pool: &Pool) -> Self {
        Self {
            name: pool.name.clone(),
            first: pool.ports.first(),
            last: pool.ports.last(),
            models: pool.models.clone(),
            used: None,
            free: None,
        }
    }

    /// The record of a pool with how full it is.
    pub fn of_use(usage: &PoolUse) -> Self {
        Self {
            used: Some(usage.used),
            free: Some(usage.free),
            ..Self::of(&usage.pool)
        }
    }
}

/// The rules that ports are given out by, as a server tells them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyRecord {
    /// The roles that every app gets a port for.
    pub roles: BTreeSet<Role>,
    /// Where each role's ports come from.
    pub ranges: Vec<RangeRecord>,
    /// The ports that are never given out on their own.
    pub blocked: Vec<BlockedPorts>,
    /// The ports that are given out last: those of the server's host for outgoing connections.
    pub ephemeral: Vec<PortsRecord>,
    /// How long a released port rests before another app may get it.
    pub reuse_delay: Span,
}

/// Where a role's ports come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RangeRecord {
    /// The role.
    pub role: Role,
    /// The range's first port.
    pub base: Port,
    /// The distance between two of its ports.
    pub step: u16,
    /// The port that it does not pass.
    pub max: Port,
}

/// Neighbouring ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PortsRecord {
    /// The first one.
    pub first: Port,
    /// The last one.
    pub last: Port,
}

/// Neighbouring ports that are blocked for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BlockedPorts {
    /// The first one.
    pub first: Port,
    /// The last one.
    pub last: Port,
    /// Why.
    pub by: BlockedBy,
}

/// A policy that somebody told is none.
#[derive(Debug, thiserror::Error)]
pub enum UntruePolicy {
    /// A range is none.
    #[error(transparent)]
    Range(#[from] InvalidRange),
    /// The ranges do not fit together.
    #[error(transparent)]
    Policy(#[from] InvalidPolicy),
}

impl PolicyRecord {
    /// The record of a policy.
    pub fn of(policy: &Policy) -> Self {
        let range = |(role, range): (&Role, PortRange)| RangeRecord {
            role: role.clone(),
            base: range.base(),
            step: range.step(),
            max: range.max(),
        };
        let blocked = policy.blocked_ports().iter();
        let blocked = blocked.filter_map(|port| Some((port, policy.blocked(port)?)));
        let delay = policy.reuse_delay().as_millis();
        Self {
            roles: policy.base_roles().clone(),
            ranges: policy.ranges().map(range).collect(),
            blocked: runs(blocked)
                .map(|(first, last, by)| BlockedPorts { first, last, by })
                .collect(),
            ephemeral: runs(policy.ephemeral().iter().map(|port| (port, ())))
                .map(|(first, last, ())| PortsRecord { first, last })
                .collect(),
            reuse_delay: Span::from_millis(u64::try_from(delay).unwrap_or(u64::MAX)),
        }
    }
}

/// Neighbours of one kind, taken together.
fn runs<K: Copy + PartialEq>(
    ports: impl Iterator<Item = (Port, K)>,
) -> impl Iterator<Item = (Port, Port, K)> {
    let mut ports = ports.peekable();
    std::iter::from_fn(move || {
        let (first, kind) = ports.next()?;
        let mut last = first;
        while let Some((next, _)) =
            ports.next_if(|(port, other)| last.next() == Some(*port) && *other == kind)
        {
            last = next;
        }
        Some((first, last, kind))
    })
}

impl TryFrom<PolicyRecord> for Policy {
    type Error = UntruePolicy;

    fn try_from(told: PolicyRecord) -> Result<Self, UntruePolicy> {
        let ports = |first, last| {
            let stretch = PortStretch::new(first, last);
            stretch.ok().into_iter().flat_map(|stretch| stretch.ports())
        };
        let ranges = told.ranges.into_iter().map(|range| {
            let RangeRecord {
                role,
                base,
                step,
                max,
            } = range;
            Ok((role, PortRange::new(base, step, max)?))
        });
        let by_list = told.blocked.into_iter();
        let by_list = by_list.filter(|blocked| blocked.by == BlockedBy::BlockList);
        let block_list = by_list.flat_map(|blocked| ports(blocked.first, blocked.last));
        let ephemeral = told.ephemeral.into_iter();
        let ephemeral = ephemeral.flat_map(|stretch| ports(stretch.first, stretch.last));
        let policy = Policy::new(ranges.collect::<Result<_, InvalidRange>>()?, told.roles)?;
        Ok(policy
            .with_block_list(block_list.collect())
            .with_ephemeral(ephemeral.collect())
            .with_reuse_delay(told.reuse_delay.duration()))
    }
}

/// A recorded change, as `history` answers: what it has in common with the others, then its own
/// fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangeRecord {
    /// Its number.
    pub revision: u64,
    /// When.
    pub at: Timestamp,
    /// Who asked.
    pub by: String,
    /// The space.
    pub space: Space,
    /// The commit that it was part of.
    pub commit: String,
    /// What happened: `change` names it, and the members that follow depend on that.
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub change: Change,
}

impl ChangeRecord {
    /// The record of a change.
    pub fn of(recorded: Recorded) -> Self {
        Self {
            revision: recorded.revision.0,
            at: recorded.at,
            by: recorded.actor,
            space: recorded.space,
            commit: recorded.commit.to_string(),
            change: recorded.change,
        }
    }
}
