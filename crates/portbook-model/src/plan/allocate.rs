//! How an app comes to its ports.
//!
//! In this order, the first that can serve every role: what it holds → what files promise it → what
//! it had before → a pool of its model's → the lowest slot in which every role's port is eligible.

use std::collections::BTreeSet;

use super::Draft;
use super::eligibility::{Eligibility, Ineligible};
use super::explain::Explanation;
use super::slots::SlotSearch;
use crate::{
    Allocation, AllocationRequest, AppKey, AppRecord, Change, Grant, HostUnknown, HostView, Lease,
    Notes, Outcome, Policy, Pool, Port, Ports, Refusal, Role, Source, SpaceBook, Timestamp,
};

impl Draft<'_> {
    pub(super) fn allocate(&mut self, request: &AllocationRequest) -> Result<Outcome, Refusal> {
        let roles = wanted_roles(request, self.policy)?;
        let lease = request.ttl.map(|ttl| self.lease(ttl)).transpose()?;
        let untouched = (request.apps.len() > 1).then(|| self.space.clone());
        let mut grants = Vec::with_capacity(request.apps.len());
        for app in &request.apps {
            match self.grant(app, &roles, &request.pins, lease, request.explain) {
                Ok(grant) => grants.push(grant),
                Err(refusal) => {
                    self.changes.clear();
                    if let Some(untouched) = untouched {
                        *self.space = untouched;
                    }
                    return Err(refusal);
                }
            }
        }
        Ok(Outcome::Allocated(grants))
    }

    pub(super) fn grant(
        &mut self,
        app: &AppKey,
        roles: &BTreeSet<Role>,
        pins: &Ports,
        lease: Option<Lease>,
        explain: bool,
    ) -> Result<Grant, Refusal> {
        match self.space.allocation(app).cloned() {
            Some(allocation) => self.extend(allocation, roles, pins, lease, explain),
            None => self.create(app, roles, pins, lease, explain),
        }
    }

    fn create(
        &mut self,
        app: &AppKey,
        roles: &BTreeSet<Role>,
        pins: &Ports,
        lease: Option<Lease>,
        explain: bool,
    ) -> Result<Grant, Refusal> {
        let chooser = Chooser::new(app, self.space, self.host, self.policy, self.now);
        let choice = chooser.choose(roles, pins)?;
        refuse_shared_variables(choice.ports.keys())?;
        let explanation = explain
            .then(|| chooser.explain(roles, &choice))
            .transpose()?;
        let unkept = chooser.unkept(&choice.ports);
        let app = self.space.as_first_spelt(app);
        self.record(Change::Allocated {
            app: app.clone(),
            ports: choice.ports.clone(),
            source: choice.source,
            created_at: None,
            lease,
        });
        Ok(Grant {
            allocation: Allocation {
                app,
                ports: choice.ports,
                source: choice.source,
                created_at: self.now,
                updated_at: self.now,
                lease,
                notes: Notes::default(),
            },
            created: true,
            added: Vec::new(),
            in_use: choice.in_use,
            unkept,
            explanation,
        })
    }

    /// An app that exists keeps what it has; roles it lacks are added. A lease is only ever made
    /// longer, and an allocation for good stays so.
    fn extend(
        &mut self,
        mut allocation: Allocation,
        roles: &BTreeSet<Role>,
        pins: &Ports,
        lease: Option<Lease>,
        explain: bool,
    ) -> Result<Grant, Refusal> {
        let app = allocation.app.clone();
        for (role, wanted) in pins {
            if let Some(held) = allocation.ports.get(role).filter(|held| *held != wanted) {
                return Err(Refusal::PinDiffers {
                    app,
                    role: role.clone(),
                    held: *held,
                    wanted: *wanted,
                });
            }
        }
        let missing: BTreeSet<Role> = roles
            .iter()
            .filter(|role| !allocation.ports.contains_key(*role))
            .cloned()
            .collect();
        let mut in_use = Vec::new();
        let mut explanation = Explanation::of_existing();
        if !missing.is_empty() {
            let pins: Ports = pins
                .iter()
                .filter(|(role, _)| missing.contains(*role))
                .map(|(role, port)| (role.clone(), *port))
                .collect();
            let chooser = Chooser::new(&app, self.space, self.host, self.policy, self.now);
            let choice = chooser.choose(&missing, &pins)?;
            refuse_shared_variables(allocation.ports.keys().chain(choice.ports.keys()))?;
            if explain {
                explanation.passed_over = chooser.explain(&missing, &choice)?.passed_over;
            }
            self.record(Change::Extended {
                app: app.clone(),
                ports: choice.ports.clone(),
            });
            allocation.ports.extend(choice.ports);
            allocation.updated_at = self.now;
            in_use = choice.in_use;
        }
        if let (Some(held), Some(lease)) = (allocation.lease, lease)
            && lease.expires_at > held.expires_at
        {
            self.record(Change::Renewed {
                app: app.clone(),
                lease,
            });
            allocation.lease = Some(lease);
            allocation.updated_at = self.now;
        }
        Ok(Grant {
            allocation,
            created: false,
            added: missing.into_iter().collect(),
            in_use,
            unkept: Ports::new(),
            explanation: explain.then_some(explanation),
        })
    }
}

/// The roles that a request is about: those every app gets, those asked for, those pinned.
pub(super) fn wanted_roles(
    request: &AllocationRequest,
    policy: &Policy,
) -> Result<BTreeSet<Role>, Refusal> {
    let asked = request.roles.iter().chain(request.pins.keys());
    let mut roles = policy.base_roles().clone();
    for role in asked {
        if policy.range(role).is_none() {
            return Err(Refusal::UnknownRole(role.clone()));
        }
        roles.insert(role.clone());
    }
    if !request.pins.is_empty() && request.apps.len() > 1 {
        return Err(Refusal::PinsForSeveral(request.apps.len()));
    }
    let mut seen = BTreeSet::new();
    for port in request.pins.values() {
        if !seen.insert(*port) {
            return Err(Refusal::PinnedTwice(*port));
        }
    }
    Ok(roles)
}

/// Refuses roles that one app cannot be told of. Who has such already keeps them.
fn refuse_shared_variables<'a>(roles: impl Iterator<Item = &'a Role>) -> Result<(), Refusal> {
    let mut seen: Vec<&Role> = Vec::new();
    for other in roles {
        if let Some(one) = seen.iter().find(|one| one.shares_variable_with(other)) {
            return Err(Refusal::SharedVariable {
                one: (*one).clone(),
                other: other.clone(),
            });
        }
        seen.push(other);
    }
    Ok(())
}

/// Ports for roles of an app, and where they came from.
pub(super) struct Choice {
    pub(super) ports: Ports,
    pub(super) source: Source,
    /// Promised ports that something on the host uses.
    pub(super) in_use: Vec<Port>,
}

/// Chooses ports for one app.
pub(super) struct Chooser<'a> {
    pub(super) app: &'a AppKey,
    pub(super) space: &'a SpaceBook,
    pub(super) host: &'a dyn HostView,
    pub(super) policy: &'a Policy,
    pub(super) eligibility: Eligibility<'a>,
}

impl<'a> Chooser<'a> {
    pub(super) fn new(
        app: &'a AppKey,
        space: &'a SpaceBook,
        host: &'a dyn HostView,
        policy: &'a Policy,
        now: Timestamp,
    ) -> Self {
        Self {
            app,
            space,
            host,
            policy,
            eligibility: Eligibility::of(app, space, policy, now),
        }
    }

    /// A port for each of `roles` (and, for an app that comes back, each role that it had), the
    /// pinned ones as pinned.
    pub(super) fn choose(&self, roles: &BTreeSet<Role>, pins: &Ports) -> Result<Choice, Refusal> {
        if !pins.is_empty() {
            self.check_pins(pins)?;
            let ports = self.complete(self.with_promised(pins, roles), roles)?;
            return Ok(self.choice(ports, Source::Pinned));
        }
        if let Some(promised) = self.promised(roles) {
            let in_use = self.in_use(&promised)?;
            let ports = self.complete(promised, roles)?;
            return Ok(Choice {
                ports,
                source: Source::PortConfig,
                in_use,
            });
        }
        if let Some(former) = self.former()? {
            let ports = self.complete(former, roles)?;
            return Ok(self.choice(ports, Source::Returning));
        }
        if let Some(ports) = self.pooled(roles)? {
            return Ok(self.choice(ports, Source::Pool));
        }
        let ports = self.complete(Ports::new(), roles)?;
        Ok(self.choice(ports, Source::Dynamic))
    }

    fn choice(&self, ports: Ports, source: Source) -> Choice {
        Choice {
            ports,
            source,
            in_use: Vec::new(),
        }
    }

    fn check_pins(&self, pins: &Ports) -> Result<(), Refusal> {
        for (role, port) in pins {
            let mut reason = self.eligibility.why_not_even_pinned(*port);
            if reason.is_none() && self.host.is_in_use(*port)? {
                reason = Some(Ineligible::InUse(self.host.holder(*port)));
            }
            if let Some(reason) = reason {
                return Err(Refusal::PinTaken {
                    app: self.app.clone(),
                    role: role.clone(),
                    port: *port,
                    reason,
                });
            }
        }
        Ok(())
    }

    /// What files promise the app in these roles, unless another app holds some of it already.
    ///
    /// A promise is somebody's decision: it is kept for a port that browsers block, and for one that
    /// the host uses, since whoever has it now is most often the app itself.
    fn promised(&self, roles: &BTreeSet<Role>) -> Option<Ports> {
        let promised: Ports = self
            .space
            .promises
            .of(self.app)?
            .iter()
            .filter(|(role, _)| roles.contains(*role))
            .map(|(role, port)| (role.clone(), *port))
            .collect();
        // A file may name one port for two roles, which no app can have.
        let mut seen = self.space.taken.clone();
        let free = promised.values().all(|port| seen.insert(*port));
        (free && !promised.is_empty()).then_some(promised)
    }

    /// What files promise the app in roles for which another port was chosen.
    fn unkept(&self, chosen: &Ports) -> Ports {
        let promised = self.space.promises.of(self.app).into_iter().flatten();
        promised
            .filter(|(role, port)| chosen.get(*role).is_some_and(|chosen| chosen != *port))
            .map(|(role, port)| (role.clone(), *port))
            .collect()
    }

    /// Pins with what files promise the app in its other roles.
    fn with_promised(&self, pins: &Ports, roles: &BTreeSet<Role>) -> Ports {
        let others = roles.iter().filter(|role| !pins.contains_key(*role));
        let mut ports = pins.clone();
        let promised = self
            .promised(&others.cloned().collect())
            .unwrap_or_default();
        if !promised
            .values()
            .any(|port| pins.values().any(|pin| pin == port))
        {
            ports.extend(promised);
        }
        ports
    }

    fn in_use(&self, ports: &Ports) -> Result<Vec<Port>, HostUnknown> {
        let mut in_use = Vec::new();
        for port in ports.values() {
            if self.host.is_in_use(*port)? {
                in_use.push(*port);
            }
        }
        Ok(in_use)
    }

    /// What the app had before it was released, if all of it is still eligible.
    fn former(&self) -> Result<Option<Ports>, HostUnknown> {
        let Some(ports) = self.had_before() else {
            return Ok(None);
        };
        for port in ports.values() {
            if self.why_not(*port)?.is_some() {
                return Ok(None);
            }
        }
        Ok(Some(ports))
    }

    /// What the app had before it was released, but for roles that the configuration has no more.
    pub(super) fn had_before(&self) -> Option<Ports> {
        let AppRecord::Former(former) = self.space.apps.get(self.app)? else {
            return None;
        };
        let ports: Ports = former
            .ports
            .iter()
            .filter(|(role, _)| self.policy.range(role).is_some())
            .map(|(role, port)| (role.clone(), *port))
            .collect();
        (!ports.is_empty()).then_some(ports)
    }

    /// Why a port is not given to the app on its own, the host's use of it included.
    pub(super) fn why_not(&self, port: Port) -> Result<Option<Ineligible>, HostUnknown> {
        if let Some(reason) = self.eligibility.why_not(port) {
            return Ok(Some(reason));
        }
        Ok(self
            .host
            .is_in_use(port)?
            .then(|| Ineligible::InUse(self.host.holder(port))))
    }

    /// The lowest eligible ports of the model's pools, if they have one for each role.
    pub(super) fn pooled(&self, roles: &BTreeSet<Role>) -> Result<Option<Ports>, HostUnknown> {
        let mut wanted = roles.iter();
        let mut role = wanted.next();
        let mut ports = Ports::new();
        let barred = self.eligibility.barred();
        for port in self
            .own_pools()
            .into_iter()
            .flat_map(|pool| pool.ports.ports())
        {
            let Some(name) = role else { break };
            if !barred.contains(port) && !self.host.is_in_use(port)? {
                ports.insert(name.clone(), port);
                role = wanted.next();
            }
        }
        Ok((role.is_none() && !ports.is_empty()).then_some(ports))
    }

    /// The pools that are for the app's model, lowest ports first.
    pub(super) fn own_pools(&self) -> Vec<&'a Pool> {
        let mut pools: Vec<_> = self
            .space
            .pools
            .values()
            .filter(|pool| pool.models.matches(&self.app.model))
            .collect();
        pools.sort_by_key(|pool| pool.ports.first());
        pools
    }

    /// Adds to `ports` the ports of the lowest slot that serves every role still without one.
    pub(super) fn complete(
        &self,
        mut ports: Ports,
        roles: &BTreeSet<Role>,
    ) -> Result<Ports, Refusal> {
        let missing: Vec<&Role> = roles
            .iter()
            .filter(|role| !ports.contains_key(*role))
            .collect();
        if missing.is_empty() {
            return Ok(ports);
        }
        let mut search = SlotSearch::new(self, &missing, &ports);
        let found = match search.lowest()? {
            Some(found) => found,
            None => return Err(Refusal::Exhausted(Box::new(search.exhaustion()))),
        };
        ports.extend(found);
        Ok(ports)
    }
}
