//! The rules that ports are given out by, as the configuration and the machine set them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::browsers::browser_blocked;
use crate::{Port, PortRange, PortSet, Role};

/// The rules for one port space on one machine: ranges, roles, blocked ports, the cool-down.
///
/// A policy cannot hold nonsense: [`Policy::new`] refuses ranges in which no app could ever get
/// its ports.
#[derive(Debug, Clone)]
pub struct Policy {
    ranges: BTreeMap<Role, RoleRange>,
    base_roles: BTreeSet<Role>,
    blocked: PortSet,
    block_list: PortSet,
    ephemeral: PortSet,
    reuse_delay: Duration,
}

/// A role's range with the set of its ports, so that a search looks at 64 ports at a time. The set
/// is made at the first search: most calls only look something up.
#[derive(Debug, Clone)]
struct RoleRange {
    range: PortRange,
    ports: OnceLock<PortSet>,
}

/// The ranges do not make a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicy {
    /// A role that every app gets has no range.
    #[error("the role `{0}` has no range: add one, as [ranges.{0}] base = 15001")]
    NoRange(Role),
    /// Every slot gives one port to two roles.
    #[error(
        "the ranges of {} can never meet: there is no slot in which every role has a port of its own",
        list(.0)
    )]
    NeverMeet(Vec<Role>),
}

fn list(roles: &[Role]) -> String {
    let names: Vec<String> = roles.iter().map(|role| format!("`{role}`")).collect();
    names.join(" and ")
}

/// Why a port is never given out on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockedBy {
    /// No browser opens it (WHATWG Fetch, "port blocking").
    Browsers,
    /// The configuration's block list names it.
    BlockList,
}

impl Policy {
    /// The ranges that portbook has without any configuration: backend from 5001, frontend from
    /// 8001, each with step 2.
    pub fn default_ranges() -> BTreeMap<Role, PortRange> {
        [(Role::backend(), 5001), (Role::frontend(), 8001)]
            .into_iter()
            .filter_map(|(role, base)| {
                let range = PortRange::new(Port::new(base)?, 2, Port::MAX).ok()?;
                Some((role, range))
            })
            .collect()
    }

    /// The policy with these ranges, in which every app gets the ports of `base_roles` and,
    /// always, of backend and frontend; any further role must be to be had together with those.
    pub fn new(
        ranges: BTreeMap<Role, PortRange>,
        base_roles: impl IntoIterator<Item = Role>,
    ) -> Result<Self, InvalidPolicy> {
        let mut roles = BTreeSet::from([Role::backend(), Role::frontend()]);
        roles.extend(base_roles);
        if let Some(missing) = roles.iter().find(|role| !ranges.contains_key(*role)) {
            return Err(InvalidPolicy::NoRange(missing.clone()));
        }
        if !some_slot_serves(roles.iter().filter_map(|role| ranges.get(role))) {
            return Err(InvalidPolicy::NeverMeet(roles.into_iter().collect()));
        }
        for further in ranges.keys().filter(|role| !roles.contains(*role)) {
            let together = roles.iter().chain([further]);
            if !some_slot_serves(together.filter_map(|role| ranges.get(role))) {
                let roles = roles.iter().chain([further]).cloned();
                return Err(InvalidPolicy::NeverMeet(roles.collect()));
            }
        }
        let ranges = ranges
            .into_iter()
            .map(|(role, range)| {
                let ports = OnceLock::new();
                (role, RoleRange { range, ports })
            })
            .collect();
        Ok(Self {
            ranges,
            base_roles: roles,
            blocked: browser_blocked().clone(),
            block_list: PortSet::new(),
            ephemeral: PortSet::new(),
            reuse_delay: Duration::ZERO,
        })
    }

    /// Ports never to be given out on their own, besides those that browsers refuse.
    pub fn with_block_list(mut self, ports: PortSet) -> Self {
        self.blocked.union_with(&ports);
        self.block_list = ports;
        self
    }

    /// Ports to be given out last: those from which the host takes the local ends of outgoing
    /// connections (`net.ipv4.ip_local_port_range` less `ip_local_reserved_ports`).
    pub fn with_ephemeral(mut self, ports: PortSet) -> Self {
        self.ephemeral = ports;
        self
    }

    /// How long a released port rests before another app may get it.
    pub fn with_reuse_delay(mut self, delay: Duration) -> Self {
        self.reuse_delay = delay;
        self
    }

    /// Every role that has a range, with it.
    pub fn ranges(&self) -> impl Iterator<Item = (&Role, PortRange)> {
        self.ranges.iter().map(|(role, entry)| (role, entry.range))
    }

    /// The range of a role; `None` when the configuration does not know the role.
    pub fn range(&self, role: &Role) -> Option<PortRange> {
        self.ranges.get(role).map(|entry| entry.range)
    }

    pub(crate) fn range_ports(&self, role: &Role) -> Option<&PortSet> {
        let entry = self.ranges.get(role)?;
        Some(entry.ports.get_or_init(|| PortSet::of_range(&entry.range)))
    }

    /// The roles that every app gets a port for.
    pub fn base_roles(&self) -> &BTreeSet<Role> {
        &self.base_roles
    }

    /// Why `port` is never given out on its own; `None` when it may be.
    pub fn blocked(&self, port: Port) -> Option<BlockedBy> {
        if browser_blocked().contains(port) {
            Some(BlockedBy::Browsers)
        } else if self.block_list.contains(port) {
            Some(BlockedBy::BlockList)
        } else {
            None
        }
    }

    /// Every blocked port.
    pub fn blocked_ports(&self) -> &PortSet {
        &self.blocked
    }

    /// The ports that are given out last.
    pub fn ephemeral(&self) -> &PortSet {
        &self.ephemeral
    }

    /// How long a released port rests before another app may get it.
    pub fn reuse_delay(&self) -> Duration {
        self.reuse_delay
    }
}

impl Default for Policy {
    /// The rules without any configuration.
    fn default() -> Self {
        match Policy::new(Policy::default_ranges(), []) {
            Ok(policy) => policy,
            Err(problem) => unreachable!("the default ranges make a policy: {problem}"),
        }
    }
}

/// Whether there is a slot in which each range has a port and no two have the same one.
fn some_slot_serves<'a>(ranges: impl Iterator<Item = &'a PortRange>) -> bool {
    let ranges: Vec<_> = ranges.collect();
    let shortest = ranges.iter().map(|range| range.count()).min().unwrap_or(0);
    (0..shortest).any(|slot| {
        let slot = crate::Slot(u16::try_from(slot).unwrap_or(u16::MAX));
        let ports: BTreeSet<_> = ranges.iter().filter_map(|range| range.at(slot)).collect();
        ports.len() == ranges.len()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(base: u16, step: u16, max: u16) -> PortRange {
        PortRange::new(Port::new(base).unwrap(), step, Port::new(max).unwrap()).unwrap()
    }

    fn pair(backend: PortRange, frontend: PortRange) -> BTreeMap<Role, PortRange> {
        BTreeMap::from([(Role::backend(), backend), (Role::frontend(), frontend)])
    }

    #[test]
    fn ranges_that_can_never_meet_are_refused() {
        let same = range(5001, 2, 6001);
        assert!(matches!(
            Policy::new(pair(same, same), []),
            Err(InvalidPolicy::NeverMeet(_))
        ));
        // Slot 0 gives both roles 5001, slot 1 does not.
        assert!(Policy::new(pair(range(5001, 2, 5003), range(5001, 3, 5004)), []).is_ok());
        assert!(Policy::new(pair(range(5001, 2, 5001), range(5001, 3, 5004)), []).is_err());
        let mut ranges = Policy::default_ranges();
        ranges.insert(Role::new("db").unwrap(), range(5001, 2, 6001));
        assert!(Policy::new(ranges, []).is_err());
    }

    #[test]
    fn a_role_for_every_app_needs_a_range() {
        let db = Role::new("db").unwrap();
        assert_eq!(
            Policy::new(Policy::default_ranges(), [db.clone()]).err(),
            Some(InvalidPolicy::NoRange(db))
        );
    }
}
