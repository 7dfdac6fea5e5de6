//! Moving ports: an app keeps its key and gets another number.

use std::collections::{BTreeMap, BTreeSet};

use super::Draft;
use super::allocate::Chooser;
use super::eligibility::Ineligible;
use crate::{AppKey, Change, Move, MovedApp, Outcome, Port, PortSet, Ports, Refusal, Role};

impl Draft<'_> {
    /// Moves every port as asked, or none of them.
    ///
    /// The ports to be left count as taken while new ones are looked for, so that nobody is moved to
    /// a port that somebody had to leave; a port that is named is another matter, since two apps may
    /// have to change places.
    pub(super) fn relocate(&mut self, moves: &[Move]) -> Result<Outcome, Refusal> {
        let before = self.space.clone();
        let outcome = self.relocate_all(moves);
        if outcome.is_err() {
            *self.space = before;
            self.changes.clear();
        }
        outcome
    }

    fn relocate_all(&mut self, moves: &[Move]) -> Result<Outcome, Refusal> {
        let leaving = self.leaving(moves)?;
        let mut arriving = self.named_destinations(moves, &leaving)?;
        self.search_destinations(moves, &mut arriving)?;
        let mut moved: BTreeMap<AppKey, MovedApp> = BTreeMap::new();
        for (step, to) in moves.iter().zip(arriving) {
            let to = to
                .filter(|to| *to != step.from)
                .ok_or_else(|| Refusal::NothingToMove(step.app.clone()))?;
            let app = self.space.as_first_spelt(&step.app);
            let entry = moved.entry(app.clone()).or_insert_with(|| MovedApp {
                app,
                from: Ports::new(),
                to: Ports::new(),
                why: step.why.clone(),
            });
            if entry.why != step.why {
                entry.why = format!("{}; {}", entry.why, step.why);
            }
            entry.from.insert(step.role.clone(), step.from);
            entry.to.insert(step.role.clone(), to);
        }
        let moved: Vec<MovedApp> = moved.into_values().collect();
        self.record_in_order(moved.clone());
        Ok(Outcome::Moved(moved))
    }

    /// The ports that are to be left, each still held as the asker supposes.
    fn leaving(&self, moves: &[Move]) -> Result<PortSet, Refusal> {
        let mut leaving = PortSet::new();
        let mut asked = BTreeSet::new();
        for step in moves {
            let held = self
                .space
                .allocation(&step.app)
                .and_then(|allocation| allocation.ports.get(&step.role));
            if held != Some(&step.from) || !asked.insert((&step.app, &step.role)) {
                return Err(Refusal::NotHeldAsSupposed {
                    app: step.app.clone(),
                    role: step.role.clone(),
                    supposed: step.from,
                    held: held.copied(),
                });
            }
            leaving.insert(step.from);
        }
        Ok(leaving)
    }

    /// The destinations that were named, each of them to be had; `None` where one is to be found.
    fn named_destinations(
        &self,
        moves: &[Move],
        leaving: &PortSet,
    ) -> Result<Vec<Option<Port>>, Refusal> {
        let mut vacated = self.space.clone();
        for port in leaving.iter() {
            vacated.taken.remove(port);
        }
        let mut claimed = PortSet::new();
        let mut destinations = Vec::with_capacity(moves.len());
        for step in moves {
            if let Some(port) = step.to {
                if !claimed.insert(port) {
                    return Err(Refusal::PinnedTwice(port));
                }
                let chooser = Chooser::new(&step.app, &vacated, self.host, self.policy, self.now);
                let is_promised = self.space.promises.to(port) == Some(&step.app);
                let mut reason = chooser.eligibility.why_not_even_pinned(port);
                if reason.is_none() && !is_promised && self.host.is_in_use(port)? {
                    reason = Some(Ineligible::InUse(self.host.holder(port)));
                }
                if let Some(reason) = reason {
                    return Err(Refusal::PinTaken {
                        app: step.app.clone(),
                        role: step.role.clone(),
                        port,
                        reason,
                    });
                }
            }
            destinations.push(step.to);
        }
        Ok(destinations)
    }

    fn search_destinations(
        &mut self,
        moves: &[Move],
        destinations: &mut [Option<Port>],
    ) -> Result<(), Refusal> {
        let mut crowded = self.space.clone();
        for port in destinations.iter().flatten() {
            crowded.taken.insert(*port);
        }
        for (step, destination) in moves.iter().zip(destinations) {
            if destination.is_some() {
                continue;
            }
            let chooser = Chooser::new(&step.app, &crowded, self.host, self.policy, self.now);
            let port = chooser.another(&step.role)?;
            crowded.taken.insert(port);
            *destination = Some(port);
        }
        Ok(())
    }

    /// Records the moves so that no port has two owners in between: who moves to a free port goes
    /// first. Apps that change places in a circle all leave before any of them arrives.
    fn record_in_order(&mut self, mut waiting: Vec<MovedApp>) {
        while !waiting.is_empty() {
            let free = |moved: &MovedApp| {
                let others = moved.to.values();
                others.clone().all(|port| {
                    !self.space.taken.contains(*port)
                        || moved.from.values().any(|from| from == port)
                })
            };
            match waiting.iter().position(free) {
                Some(next) => {
                    let moved = waiting.remove(next);
                    self.record_move(moved.app, moved.from, moved.to, moved.why);
                }
                None => {
                    for moved in &mut waiting {
                        let from = std::mem::take(&mut moved.from);
                        if !from.is_empty() {
                            let why = moved.why.clone();
                            self.record_move(moved.app.clone(), from, Ports::new(), why);
                        }
                    }
                }
            }
        }
    }

    fn record_move(&mut self, app: AppKey, from: Ports, to: Ports, why: String) {
        self.record(Change::Moved { app, from, to, why });
    }
}

impl Chooser<'_> {
    /// The lowest eligible port for one role of an app that has to leave the one it has; a pool of
    /// its model's comes first, as for a new app.
    fn another(&self, role: &Role) -> Result<Port, Refusal> {
        if self.policy.range(role).is_none() {
            return Err(Refusal::UnknownRole(role.clone()));
        }
        let wanted = BTreeSet::from([role.clone()]);
        let ports = match self.pooled(&wanted)? {
            Some(ports) => ports,
            None => self.complete(Ports::new(), &wanted)?,
        };
        ports
            .get(role)
            .copied()
            .ok_or_else(|| Refusal::UnknownRole(role.clone()))
    }
}
