//! The planner: commands in, answers and changes out.
//!
//! Pure: no I/O, no clock, no randomness that is not passed in. The same book, commands, host and time
//! give the same plan, which is what lets a recorded history be replayed and checked.
//!
//! Commands are planned one after the other on the working state, each seeing what those before it
//! decided, so that two picks of one request cannot collide. A command that is refused leaves the
//! working state as it was.

mod allocate;
mod eligibility;
mod explain;
mod import;
mod relocate;
mod repair;
mod run;
mod slots;

pub use eligibility::Ineligible;
pub use explain::{Explanation, PassedOver};
pub use repair::{Fault, Hindrance, Repair, RepairMove, RepairView, Unmoved, plan_repair};

use std::collections::BTreeSet;

use crate::{
    Allocation, AppKey, Ask, Book, Change, Command, HostView, Lease, Note, Outcome, Policy, Pool,
    Ports, Refusal, ReleaseCause, Role, SpaceBook, SpaceChange, Span, Timestamp, UncheckedHost,
};

/// The answers to some commands, and what is to be committed before anybody may hear them.
#[derive(Debug, Default)]
pub struct Plan {
    /// One answer a command, in order.
    pub answers: Vec<Result<Outcome, Refusal>>,
    /// What happens to the book, in order; empty when all was as asked already.
    pub changes: Vec<SpaceChange>,
}

/// Plans `commands` one after the other and leaves `book` as it will be after their commit.
///
/// What [`Needs::of`](crate::Needs::of) names must have been loaded into `book`. `now` must not lie
/// before the book's last change: [`Book::clock`] sees to that.
pub fn plan(
    book: &mut Book,
    commands: &[Command],
    host: &dyn HostView,
    policy: &Policy,
    now: Timestamp,
) -> Plan {
    let mut plan = Plan::default();
    for command in commands {
        let mut draft = Draft {
            space: book.space(&command.space),
            host: if command.checks_host {
                host
            } else {
                &UncheckedHost
            },
            policy,
            now,
            changes: Vec::new(),
        };
        let answer = draft.answer(&command.ask);
        let changes = draft.changes.into_iter().map(|change| SpaceChange {
            space: command.space.clone(),
            by: command.by.clone(),
            change,
        });
        plan.changes.extend(changes);
        plan.answers.push(answer);
    }
    plan
}

impl Book {
    /// The time to plan with: the clock's, but never before the book's last change, so that a
    /// clock that jumps back cannot lengthen a lease or reorder the history.
    pub fn clock(&self, wall: Timestamp) -> Timestamp {
        wall.max(self.head.changed_at)
    }
}

/// One command on its way: the space it changes, and the changes made so far.
struct Draft<'a> {
    space: &'a mut SpaceBook,
    host: &'a dyn HostView,
    policy: &'a Policy,
    now: Timestamp,
    changes: Vec<Change>,
}

impl Draft<'_> {
    fn answer(&mut self, ask: &Ask) -> Result<Outcome, Refusal> {
        match ask {
            Ask::Allocate(request) => self.allocate(request),
            Ask::Release { apps } => Ok(self.release(apps)),
            Ask::Reclaim { orphans } => Ok(self.reclaim(orphans)),
            Ask::GiveBack { seen, roles } => Ok(self.give_back(seen, roles)),
            Ask::Note { notes } => Ok(self.note(notes)),
            Ask::BeginRun(request) => self.begin_run(request),
            Ask::Move { moves } => self.relocate(moves),
            Ask::Renew { app, ttl } => self.renew(app, *ttl),
            Ask::Expire => Ok(self.expire()),
            Ask::Import { entries } => self.import(entries),
            Ask::Promise { file } => {
                let news = self.space.promises.file(&file.source) != Some(file);
                if news {
                    self.record(Change::Promised { file: file.clone() });
                }
                Ok(Outcome::Promised(news))
            }
            Ask::Unpromise { source } => {
                let known = self.space.promises.file(source).is_some();
                if known {
                    let source = source.clone();
                    self.record(Change::Unpromised { source });
                }
                Ok(Outcome::Unpromised(known))
            }
            Ask::AddPool { pool } => self.add_pool(pool),
            Ask::RemovePool { name } => {
                let pool = self.space.pools.get(name).cloned();
                let pool = pool.ok_or_else(|| Refusal::NoPool(name.clone()))?;
                self.record(Change::PoolRemoved { pool: pool.clone() });
                Ok(Outcome::PoolRemoved(pool))
            }
            Ask::Accept => {
                self.record(Change::Accepted);
                Ok(Outcome::Accepted)
            }
        }
    }

    fn record(&mut self, change: Change) {
        self.space.apply(&change, self.now);
        self.changes.push(change);
    }

    fn release(&mut self, apps: &[crate::AppKey]) -> Outcome {
        let mut released = Vec::with_capacity(apps.len());
        for app in apps {
            let held = self.space.allocation(app).cloned();
            if let Some(allocation) = &held {
                self.record(Change::Released {
                    app: allocation.app.clone(),
                    ports: allocation.ports.clone(),
                    cause: ReleaseCause::Asked,
                });
            }
            let app = held
                .as_ref()
                .map_or(app, |allocation| &allocation.app)
                .clone();
            released.push((app, held.map(|allocation| allocation.ports)));
        }
        Outcome::Released(released)
    }

    fn reclaim(&mut self, orphans: &[(Allocation, ReleaseCause)]) -> Outcome {
        let mut reclaimed = Vec::new();
        for (seen, cause) in orphans {
            let held = self.space.allocation(&seen.app);
            if !held.is_some_and(|held| is_as_seen(held, seen)) {
                continue;
            }
            self.record(Change::Released {
                app: seen.app.clone(),
                ports: seen.ports.clone(),
                cause: *cause,
            });
            reclaimed.push(seen.app.clone());
        }
        Outcome::Reclaimed(reclaimed)
    }

    fn give_back(&mut self, seen: &Allocation, roles: &BTreeSet<Role>) -> Outcome {
        let held = self.space.allocation(&seen.app);
        let held = held.filter(|held| is_as_seen(held, seen));
        let pair = [Role::backend(), Role::frontend()];
        let is_given = |role: &Role| roles.contains(role) && !pair.contains(role);
        let given: Ports = held
            .into_iter()
            .flat_map(|held| &held.ports)
            .filter(|(role, _)| is_given(role))
            .map(|(role, port)| (role.clone(), *port))
            .collect();
        if let Some(app) = held
            .map(|held| held.app.clone())
            .filter(|_| !given.is_empty())
        {
            self.record(Change::Moved {
                app,
                from: given.clone(),
                to: Ports::new(),
                why: "given back".to_owned(),
            });
        }
        Outcome::GivenBack(given)
    }

    fn note(&mut self, notes: &[(AppKey, Note)]) -> Outcome {
        let mut noted = 0;
        for (app, note) in notes {
            let Some(allocation) = self.space.allocation(app) else {
                continue;
            };
            let notes = allocation.notes.with(note, self.now);
            if notes != allocation.notes {
                let app = allocation.app.clone();
                self.record(Change::Noted { app, notes });
                noted += 1;
            }
        }
        Outcome::Noted(noted)
    }

    fn renew(&mut self, app: &crate::AppKey, ttl: Option<Span>) -> Result<Outcome, Refusal> {
        let allocation = self
            .space
            .allocation(app)
            .ok_or_else(|| Refusal::NothingToRenew(app.clone()))?;
        let held = allocation
            .lease
            .ok_or_else(|| Refusal::NoLease(app.clone()))?;
        let mut renewed = allocation.clone();
        let lease = self.lease(ttl.unwrap_or(held.ttl))?;
        if lease != held {
            self.record(Change::Renewed {
                app: renewed.app.clone(),
                lease,
            });
            renewed.lease = Some(lease);
            renewed.updated_at = self.now;
        }
        Ok(Outcome::Renewed(renewed))
    }

    fn lease(&self, ttl: Span) -> Result<Lease, Refusal> {
        if ttl.is_zero() {
            return Err(Refusal::ZeroTtl);
        }
        Ok(Lease {
            expires_at: self.now.after(ttl.duration()),
            ttl,
        })
    }

    fn expire(&mut self) -> Outcome {
        let mut lapsed: Vec<_> = self
            .space
            .apps
            .values()
            .filter_map(|record| record.held())
            .filter(|allocation| allocation.has_lapsed(self.now))
            .map(|allocation| (allocation.app.clone(), allocation.ports.clone()))
            .collect();
        lapsed.sort();
        for (app, ports) in &lapsed {
            self.record(Change::Released {
                app: app.clone(),
                ports: ports.clone(),
                cause: ReleaseCause::LeaseEnded,
            });
        }
        Outcome::Expired(lapsed)
    }

    fn add_pool(&mut self, pool: &Pool) -> Result<Outcome, Refusal> {
        if let Some(standing) = self.space.pools.get(&pool.name) {
            return if standing == pool {
                Ok(Outcome::PoolAdded(false))
            } else {
                Err(Refusal::PoolExists(standing.clone()))
            };
        }
        let overlapped = |other: &&Pool| other.ports.overlaps(&pool.ports);
        if let Some(other) = self.space.pools.values().find(overlapped) {
            return Err(Refusal::PoolOverlaps {
                wanted: pool.ports,
                other: other.clone(),
            });
        }
        self.record(Change::PoolAdded { pool: pool.clone() });
        Ok(Outcome::PoolAdded(true))
    }
}

/// Whether an allocation is still the one that was seen.
fn is_as_seen(held: &Allocation, seen: &Allocation) -> bool {
    held.ports == seen.ports
        && held.created_at == seen.created_at
        && held.lease == seen.lease
        && held.notes == seen.notes
}
