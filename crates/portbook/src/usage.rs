//! How full a port space is, and what lies where on its line.

use std::collections::{BTreeMap, BTreeSet};

use portbook_model::{
    Allocation, Policy, Pool, Port, PortRange, PortSet, Role, Slot, Space, SpaceBook,
};
use serde::{Deserialize, Serialize};

/// How much of a space is allocated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stats {
    /// The space.
    pub space: Space,
    /// How many apps hold ports.
    pub allocations: usize,
    /// How many ports they hold.
    pub ports: usize,
    /// How many of them have a lease.
    pub leases: usize,
    /// How many apps with default roles would still get ports from the ranges, as far as the book
    /// knows: what the host uses is not asked.
    pub free_slots: usize,
    /// How many ports files promise to apps that do not hold them yet.
    pub promised: usize,
    /// Each model's apps, by model.
    pub models: Vec<ModelUse>,
    /// Each role's range.
    pub ranges: Vec<RangeStats>,
    /// Each pool.
    pub pools: Vec<PoolUse>,
}

/// How many apps of a model hold ports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelUse {
    /// The model, as it was first spelt.
    pub model: String,
    /// Its apps.
    pub apps: usize,
}

/// How full a range is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RangeStats {
    /// The role.
    pub role: Role,
    /// The range's first port.
    pub base: Port,
    /// The distance between two of its ports.
    pub step: u16,
    /// The port that it does not pass.
    pub max: Port,
    /// How many of its ports apps hold, in whatever role.
    pub used: usize,
    /// How many of its ports may be given out: not used, blocked, promised, or in a pool.
    pub free: usize,
}

/// How full a pool is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PoolUse {
    /// The pool.
    #[serde(flatten)]
    pub pool: Pool,
    /// How many of its ports apps hold.
    pub used: usize,
    /// How many are left.
    pub free: usize,
}

impl Stats {
    /// Counts a space.
    pub fn of(
        space: &Space,
        allocations: &[Allocation],
        book: &SpaceBook,
        policy: &Policy,
    ) -> Self {
        let taken: PortSet = held_ports(allocations);
        let mut barred = book.promises.ports().clone();
        let promised = book
            .promises
            .ports()
            .iter()
            .filter(|port| !taken.contains(*port))
            .count();
        barred.union_with(&taken);
        barred.union_with(policy.blocked_ports());
        for pool in book.pools.values() {
            barred.extend(pool.ports.ports());
        }
        let mut models: BTreeMap<_, usize> = BTreeMap::new();
        for allocation in allocations {
            *models.entry(&allocation.app.model).or_default() += 1;
        }
        let models = models.into_iter().map(|(model, apps)| ModelUse {
            model: model.spelling().to_owned(),
            apps,
        });
        Self {
            space: space.clone(),
            allocations: allocations.len(),
            ports: taken.count(),
            leases: allocations
                .iter()
                .filter(|held| held.lease.is_some())
                .count(),
            free_slots: free_slots(policy, &barred),
            promised,
            models: models.collect(),
            ranges: policy
                .ranges()
                .map(|(role, range)| range_stats(role, range, &taken, &barred))
                .collect(),
            pools: book
                .pools
                .values()
                .map(|pool| pool_use(pool, &taken))
                .collect(),
        }
    }
}

fn held_ports(allocations: &[Allocation]) -> PortSet {
    allocations
        .iter()
        .flat_map(|allocation| allocation.ports.values().copied())
        .collect()
}

/// How many slots serve every default role; a port that a lower slot would take is counted once.
fn free_slots(policy: &Policy, barred: &PortSet) -> usize {
    let mut barred = barred.clone();
    let ranges: Vec<PortRange> = policy
        .base_roles()
        .iter()
        .filter_map(|role| policy.range(role))
        .collect();
    let shortest = ranges.iter().map(PortRange::count).min().unwrap_or(0);
    let mut free = 0;
    for number in 0..shortest {
        let Ok(number) = u16::try_from(number) else {
            break;
        };
        let ports: BTreeSet<Port> = ranges
            .iter()
            .filter_map(|range| range.at(Slot(number)))
            .collect();
        if ports.len() == ranges.len() && ports.iter().all(|port| !barred.contains(*port)) {
            barred.extend(ports);
            free += 1;
        }
    }
    free
}

fn range_stats(role: &Role, range: PortRange, taken: &PortSet, barred: &PortSet) -> RangeStats {
    RangeStats {
        role: role.clone(),
        base: range.base(),
        step: range.step(),
        max: range.max(),
        used: range.ports().filter(|port| taken.contains(*port)).count(),
        free: range.ports().filter(|port| !barred.contains(*port)).count(),
    }
}

fn pool_use(pool: &Pool, taken: &PortSet) -> PoolUse {
    let used = pool
        .ports
        .ports()
        .filter(|port| taken.contains(*port))
        .count();
    PoolUse {
        pool: pool.clone(),
        used,
        free: pool.ports.count() - used,
    }
}

/// What a port is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PortState {
    /// Nothing.
    Free,
    /// Of the host's ephemeral range: given out last.
    Ephemeral,
    /// Blocked by browsers or the block list.
    Blocked,
    /// In a pool, and not held.
    Pool,
    /// Something on this host listens on it, and no app holds it.
    InUse,
    /// A file promises it to an app that does not hold it yet.
    Promised,
    /// An app holds it for a further role.
    OtherRole,
    /// An app holds it as its frontend.
    Frontend,
    /// An app holds it as its backend.
    Backend,
}

/// The ports of a space, in stretches of one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Stretch>", into = "Vec<Stretch>")]
pub struct PortLine {
    states: Vec<PortState>,
}

/// Neighbouring ports in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stretch {
    /// The first port.
    pub first: Port,
    /// The last port.
    pub last: Port,
    /// What they are used for.
    pub state: PortState,
}

impl From<PortLine> for Vec<Stretch> {
    fn from(line: PortLine) -> Self {
        line.stretches()
    }
}

impl From<Vec<Stretch>> for PortLine {
    fn from(stretches: Vec<Stretch>) -> Self {
        let mut states = vec![PortState::Free; usize::from(u16::MAX) + 1];
        for Stretch { first, last, state } in stretches {
            let (first, last) = (usize::from(first.get()), usize::from(last.get()));
            if let Some(states) = states.get_mut(first..=last) {
                states.fill(state);
            }
        }
        Self { states }
    }
}

impl PortLine {
    /// The line of a space. Where a port is several things, the one that weighs most counts: held
    /// before promised before used by the host before pools, blocks and the ephemeral range.
    pub fn of(
        allocations: &[Allocation],
        book: &SpaceBook,
        policy: &Policy,
        in_use: &PortSet,
    ) -> Self {
        let mut states = vec![PortState::Free; usize::from(u16::MAX) + 1];
        let mut mark = |port: Port, state: PortState| {
            let known = &mut states[usize::from(port.get())];
            *known = state.max(*known);
        };
        let layers = [
            (policy.ephemeral(), PortState::Ephemeral),
            (policy.blocked_ports(), PortState::Blocked),
            (in_use, PortState::InUse),
            (book.promises.ports(), PortState::Promised),
        ];
        for (ports, state) in layers {
            ports.iter().for_each(|port| mark(port, state));
        }
        for pool in book.pools.values() {
            pool.ports
                .ports()
                .for_each(|port| mark(port, PortState::Pool));
        }
        for (role, port) in allocations.iter().flat_map(|held| &held.ports) {
            let state = match role.as_str() {
                "backend" => PortState::Backend,
                "frontend" => PortState::Frontend,
                _ => PortState::OtherRole,
            };
            mark(*port, state);
        }
        Self { states }
    }

    /// The state of a port.
    pub fn state(&self, port: Port) -> PortState {
        self.states[usize::from(port.get())]
    }

    /// The line from 1 to 65535 as stretches of one state.
    pub fn stretches(&self) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut port = Some(Port::MIN);
        while let Some(current) = port {
            let state = self.state(current);
            match stretches.last_mut() {
                Some(stretch) if stretch.state == state => stretch.last = current,
                _ => stretches.push(Stretch {
                    first: current,
                    last: current,
                    state,
                }),
            }
            port = current.next();
        }
        stretches
    }
}
