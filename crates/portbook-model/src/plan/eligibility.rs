//! Which ports may be given to an app on their own, and why the others may not.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    AppKey, BlockedBy, Holder, Policy, PoolName, Port, PortSet, Ports, Role, SpaceBook, Timestamp,
};

/// Why a port is not given to an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ineligible {
    /// An app holds it: which, where that was loaded.
    Taken(Option<(AppKey, Role)>),
    /// A file promised it to another app.
    Promised(AppKey),
    /// It is in a pool for other models.
    Pool(PoolName),
    /// It is blocked.
    Blocked(BlockedBy),
    /// It rests after another app gave it back.
    Resting {
        /// Until when.
        until: Timestamp,
    },
    /// Something on this host uses it: what, as far as it can be told.
    InUse(Option<Holder>),
    /// Its slot has the same port for another role.
    Twin(Role),
    /// It is of the host's ephemeral range, which comes last.
    Ephemeral,
}

impl fmt::Display for Ineligible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ineligible::Taken(Some((app, role))) => write!(f, "allocated to {app} as its {role}"),
            Ineligible::Taken(None) => f.write_str("allocated to another app"),
            Ineligible::Promised(app) => write!(f, "promised to {app}"),
            Ineligible::Pool(name) => write!(f, "in the pool `{name}`, which is for other models"),
            Ineligible::Blocked(BlockedBy::Browsers) => f.write_str("blocked by browsers"),
            Ineligible::Blocked(BlockedBy::BlockList) => {
                f.write_str("blocked by the configuration's block list")
            }
            Ineligible::Resting { until } => write!(f, "resting until {until}"),
            Ineligible::InUse(Some(holder)) => write!(f, "in use on this host by {holder}"),
            Ineligible::InUse(None) => f.write_str("in use on this host"),
            Ineligible::Twin(role) => write!(f, "the port of its {role} in the same slot, too"),
            Ineligible::Ephemeral => {
                f.write_str("in the host's ephemeral range, which is given out last")
            }
        }
    }
}

/// Several sets of ports taken together. They are not put together: a search mostly ends after a few
/// words of the thousand that a set has.
#[derive(Clone)]
pub(super) struct Bars<'a> {
    sets: Vec<&'a PortSet>,
}

impl<'a> Bars<'a> {
    pub(super) fn with(mut self, further: &'a PortSet) -> Self {
        self.sets.push(further);
        self
    }

    pub(super) fn contains(&self, port: Port) -> bool {
        self.sets.iter().any(|set| set.contains(port))
    }

    /// The first word, from that at `index` on, in which `ports` has one that is not barred.
    ///
    /// Looks at eight words at a time: the low end of a range is full mostly.
    pub(super) fn first_open(&self, ports: &PortSet, index: usize) -> Option<usize> {
        (index / 8..PortSet::WORDS / 8).find_map(|eight| {
            let mut open = ports.words(eight);
            for set in &self.sets {
                let barred = set.words(eight);
                for (open, barred) in open.iter_mut().zip(barred) {
                    *open &= !barred;
                }
            }
            let mut words = (eight * 8..).zip(open);
            let (found, _) = words.find(|(at, open)| *at >= index && *open != 0)?;
            Some(found)
        })
    }

    /// As of [`PortSet::word`].
    pub(super) fn word(&self, index: usize) -> u64 {
        self.sets.iter().fold(0, |word, set| word | set.word(index))
    }
}

/// What one app may be given, apart from what the host uses.
pub(super) struct Eligibility<'a> {
    space: &'a SpaceBook,
    app: &'a AppKey,
    policy: &'a Policy,
    now: Timestamp,
    /// Promised to others, or in other models' pools.
    reserved: Cow<'a, PortSet>,
    resting: Option<PortSet>,
}

impl<'a> Eligibility<'a> {
    pub(super) fn of(
        app: &'a AppKey,
        space: &'a SpaceBook,
        policy: &'a Policy,
        now: Timestamp,
    ) -> Self {
        let mut eligibility = Self {
            space,
            app,
            policy,
            now,
            reserved: Cow::Borrowed(space.promises.ports()),
            resting: None,
        };
        for pool in space.pools.values() {
            if !pool.models.matches(&app.model) {
                let reserved = eligibility.reserved.to_mut();
                reserved.union_with(&pool.ports.to_set());
            }
        }
        // A promise to the app itself goes before whatever pool the port lies in.
        for port in space.promises.of(app).into_iter().flat_map(Ports::values) {
            eligibility.reserved.to_mut().remove(*port);
        }
        if !policy.reuse_delay().is_zero() {
            let rests = space.rests.keys().copied();
            let resting = rests.filter(|port| eligibility.rest_end(*port).is_some());
            eligibility.resting = Some(resting.collect());
        }
        eligibility
    }

    /// The ports that may not be given to the app on their own.
    pub(super) fn barred(&self) -> Bars<'_> {
        let mut sets = vec![
            &self.space.taken,
            self.policy.blocked_ports(),
            &*self.reserved,
        ];
        sets.extend(&self.resting);
        Bars { sets }
    }

    /// Why not, for one port: says of each port in [`barred`](Self::barred) why it is there.
    pub(super) fn why_not(&self, port: Port) -> Option<Ineligible> {
        if let Some(reason) = self.why_not_even_pinned(port) {
            return Some(reason);
        }
        if let Some(by) = self.policy.blocked(port) {
            return Some(Ineligible::Blocked(by));
        }
        let until = self.rest_end(port)?;
        Some(Ineligible::Resting { until })
    }

    /// Why the app cannot have the port even if it is asked for by its number, or had before.
    ///
    /// Blocks and rests keep portbook from choosing a port on its own; they do not overrule
    /// somebody who names it.
    pub(super) fn why_not_even_pinned(&self, port: Port) -> Option<Ineligible> {
        if self.space.taken.contains(port) {
            let owner = self.space.owners.get(&port);
            let owner = owner.map(|owner| (owner.app.clone(), owner.role.clone()));
            return Some(Ineligible::Taken(owner));
        }
        match self.space.promises.to(port) {
            Some(app) if app == self.app => return None,
            Some(app) => return Some(Ineligible::Promised(app.clone())),
            None => {}
        }
        let foreign = |pool: &&crate::Pool| {
            pool.ports.contains(port) && !pool.models.matches(&self.app.model)
        };
        let pool = self.space.pools.values().find(foreign)?;
        Some(Ineligible::Pool(pool.name.clone()))
    }

    /// Until when the port rests for this app. The app that gave it back need not wait: it would
    /// meet only its own leftovers.
    fn rest_end(&self, port: Port) -> Option<Timestamp> {
        let rest = self.space.rests.get(&port)?;
        let until = rest.since.after(self.policy.reuse_delay());
        (until > self.now && rest.by != *self.app).then_some(until)
    }
}
