//! A book that this process keeps itself: the writer, and readings of its store.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use portbook_apps::export::PortConfiguration;
use portbook_model::{
    Allocation, AllocationRequest, AppKey, AppNumber, AppRecord, Ask, Command, Grant, Head, Holder,
    Model, ModelPattern, Outcome, Policy, Pool, PoolName, Port, PortSet, Ports, PromiseFile,
    Recorded, Revision, Role, Space, SpaceBook, Timestamp,
};
use portbook_store::{Filter, HistoryFilter, Reading, Store, StoreError};

use crate::Error;
use crate::check::Conflict;
use crate::claims::Claims;
use crate::desk::{Answers, Desk, Held, HistoryOf, HostLook, Scope, Seen};
use crate::ownership::{Whose, apps_that_answer, port_uses};
use crate::repair::{HostFindings, RepairIntent};
use crate::replay::Replays;
use crate::rules::Rules;
use crate::sightings::Sightings;
use crate::truths::LiveContainers;
use crate::usage::{PortLine, Stats};
use crate::watching::Watcher;
use crate::writer::{MOST_LOSSES, Writer};

/// This process's own desk.
pub(crate) struct LocalDesk {
    writer: Writer,
    acquainted: Acquaintances,
    claims: Claims,
    replays: Replays,
}

/// The apps that this process has allocated: those that probably still stand when they ask again, so
/// that a look before the queue pays. Any other is most likely new, but for the first that a process
/// asks for, since a command asks once, mostly for what is there. A wrong guess costs a look.
#[derive(Default)]
struct Acquaintances {
    asked: AtomicBool,
    apps: RwLock<HashSet<AppKey>>,
}

impl Acquaintances {
    /// Enough for every app of a space; then it begins anew.
    const MOST: usize = 65_536;

    fn may_stand(&self, apps: &[AppKey]) -> bool {
        let is_first = !self.asked.swap(true, Ordering::Relaxed);
        let known = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        is_first || apps.iter().all(|app| known.contains(app))
    }

    fn note(&self, grants: &[Grant]) {
        let mut known = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() + grants.len() > Self::MOST {
            known.clear();
        }
        known.extend(grants.iter().map(|grant| grant.allocation.app.clone()));
    }
}

impl LocalDesk {
    pub(crate) fn new(store: Box<dyn Store>, sightings: Sightings, rules: Rules) -> Self {
        Self {
            writer: Writer::new(store, sightings, rules),
            acquainted: Acquaintances::default(),
            claims: Claims::default(),
            replays: Replays::default(),
        }
    }

    /// Asks something of one reading of the book; of another one where the connection to the book broke.
    fn read<T>(&self, ask: impl Fn(&mut dyn Reading) -> Result<T, Error>) -> Result<T, Error> {
        let read = || ask(&mut *self.writer.store().read()?);
        for _ in 0..MOST_LOSSES {
            match read() {
                Err(Error::Store(StoreError::Lost { .. })) => {}
                answer => return answer,
            }
        }
        read()
    }

    fn rules(&self) -> &Rules {
        self.writer.rules()
    }

    fn checks_host(&self, scope: &Scope) -> bool {
        scope.checks_host && self.rules().checks_host()
    }

    /// The allocated ports that are known to be used by somebody else. A machine that does not say
    /// who has its ports makes none known.
    fn ports_of_strangers(&self, scope: &Scope, allocations: &[Allocation]) -> PortSet {
        if !self.checks_host(scope) {
            return PortSet::new();
        }
        let uses = port_uses(allocations).unwrap_or_default();
        uses.into_iter()
            .filter(|port_use| port_use.whose == Whose::Stranger)
            .map(|port_use| port_use.holder.port)
            .collect()
    }
}

impl Desk for LocalDesk {
    fn location(&self) -> String {
        self.writer.store().location()
    }

    fn policy(&self) -> Result<Arc<Policy>, Error> {
        Ok(self.rules().policy())
    }

    fn own_rules(&self) -> Option<&Rules> {
        Some(self.rules())
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) {
        self.writer.watch(watcher);
    }

    fn submit(&self, scope: &Scope, asks: Vec<Ask>) -> Result<Answers, Error> {
        let answers = self.writer.submit(commands(scope, asks), &scope.waits)?;
        for answer in &answers {
            if let Ok(Outcome::Allocated(grants)) = answer {
                self.acquainted.note(grants);
            }
        }
        Ok(answers)
    }

    fn preview(&self, scope: &Scope, asks: Vec<Ask>) -> Result<Answers, Error> {
        self.writer.preview(&commands(scope, asks))
    }

    fn standing(
        &self,
        scope: &Scope,
        request: &AllocationRequest,
    ) -> Result<Option<Vec<Grant>>, Error> {
        if request.ttl.is_some() || request.explain || !self.acquainted.may_stand(&request.apps) {
            return Ok(None);
        }
        let configured = self.rules().configured();
        let mut roles: Vec<&Role> = configured.base_roles().iter().collect();
        roles.extend(request.roles.iter());
        self.read(|reading| {
            let mut grants = Vec::with_capacity(request.apps.len());
            for app in &request.apps {
                let record = reading.app(&scope.space, app)?;
                let Some(allocation) = record.as_ref().and_then(AppRecord::held) else {
                    return Ok(None);
                };
                let has_pins = request
                    .pins
                    .iter()
                    .all(|(role, port)| allocation.ports.get(role) == Some(port));
                let has_roles = roles
                    .iter()
                    .all(|role| allocation.ports.contains_key(*role));
                // Without a lease, the time that the book goes by is no matter.
                let has_lapsed = allocation.lease.is_some() && allocation.has_lapsed(now(reading)?);
                if has_lapsed || !has_pins || !has_roles {
                    return Ok(None);
                }
                grants.push(Grant {
                    allocation: allocation.clone(),
                    created: false,
                    added: Vec::new(),
                    in_use: Vec::new(),
                    unkept: Ports::new(),
                    explanation: None,
                });
            }
            Ok(Some(grants))
        })
    }

    fn record(&self, scope: &Scope, app: &AppKey) -> Result<Seen, Error> {
        self.read(|reading| {
            Ok(Seen {
                record: reading.app(&scope.space, app)?,
                now: now(reading)?,
            })
        })
    }

    fn held(
        &self,
        scope: &Scope,
        models: Option<ModelPattern>,
        number: Option<AppNumber>,
    ) -> Result<Held, Error> {
        self.read(|reading| held(reading, filter(scope, models.clone(), number)))
    }

    fn configurations(
        &self,
        scope: &Scope,
        models: Option<ModelPattern>,
    ) -> Result<Vec<PortConfiguration>, Error> {
        let allocations = self.held(scope, models, None)?.standing();
        let strangers = self.ports_of_strangers(scope, &allocations);
        let policy = self.rules().policy();
        let usable = |allocation: &Allocation| {
            let mut ports = allocation.ports.values();
            ports.all(|port| !strangers.contains(*port) && policy.blocked(*port).is_none())
        };
        let configuration = |allocation: &Allocation| {
            PortConfiguration::new(
                allocation.app.clone(),
                allocation.ports.clone(),
                usable(allocation),
                scope.space.clone(),
                allocation.created_at,
            )
            .map_err(|incomplete| Error::IncompletePair(incomplete.app))
        };
        allocations.iter().map(configuration).collect()
    }

    fn conflicts(
        &self,
        scope: &Scope,
        file: Option<PromiseFile>,
        host: HostLook,
    ) -> Result<Vec<Conflict>, Error> {
        let host = match host {
            HostLook::AsConfigured => self.checks_host(scope),
            HostLook::Always => scope.is_of_this_host,
            HostLook::Never => false,
        };
        let policy = self.rules().policy();
        self.read(|reading| {
            let file = file.clone();
            crate::check::conflicts(reading, &scope.space, &policy, &self.replays, file, host)
        })
    }

    fn repair_intent(
        &self,
        scope: &Scope,
        file: Option<PromiseFile>,
        containers: &LiveContainers,
        moves_running: bool,
    ) -> Result<RepairIntent, Error> {
        self.read(|reading| {
            let allocations = held(reading, filter(scope, None, None))?.standing();
            let mut book = space_book(reading, &scope.space)?;
            if let Some(file) = &file {
                book.promises.set(file.clone());
            }
            crate::repair::intent(
                reading,
                &scope.space,
                &allocations,
                &book,
                &HostFindings::of(&allocations, &book, self.checks_host(scope), containers)?,
                moves_running,
            )
        })
    }

    fn history(&self, scope: &Scope, of: &HistoryOf) -> Result<Vec<Recorded>, Error> {
        let filter = HistoryFilter {
            of: filter(scope, of.models.clone(), of.number),
            last: of.last,
        };
        self.read(|reading| Ok(reading.history(&filter)?))
    }

    fn stats(&self, scope: &Scope, file: Option<PromiseFile>) -> Result<Stats, Error> {
        self.read(|reading| {
            let allocations = held(reading, filter(scope, None, None))?.standing();
            let mut book = space_book(reading, &scope.space)?;
            if let Some(file) = &file {
                book.promises.set(file.clone());
            }
            let policy = self.rules().policy();
            Ok(Stats::of(&scope.space, &allocations, &book, &policy))
        })
    }

    fn port_line(&self, scope: &Scope, file: Option<PromiseFile>) -> Result<PortLine, Error> {
        self.read(|reading| {
            let allocations = held(reading, filter(scope, None, None))?.standing();
            let mut book = space_book(reading, &scope.space)?;
            if let Some(file) = &file {
                book.promises.set(file.clone());
            }
            let mut in_use = PortSet::new();
            if self.checks_host(scope) {
                let listeners = portbook_host::listeners()?.into_iter();
                in_use.extend(listeners.map(|socket| socket.port));
            }
            let policy = self.rules().policy();
            Ok(PortLine::of(&allocations, &book, &policy, &in_use))
        })
    }

    fn pools(&self, scope: &Scope) -> Result<BTreeMap<PoolName, Pool>, Error> {
        self.read(|reading| Ok(space_book(reading, &scope.space)?.pools))
    }

    fn spaces(&self) -> Result<Vec<Space>, Error> {
        self.read(|reading| Ok(reading.spaces()?))
    }

    fn models(&self, scope: &Scope) -> Result<Vec<Model>, Error> {
        self.read(|reading| Ok(reading.models(&scope.space)?))
    }

    fn holder(&self, scope: &Scope, port: Port) -> Result<Option<Holder>, Error> {
        Ok(if scope.checks_host {
            self.rules().host_view().holder(port)
        } else {
            None
        })
    }

    fn is_claimed(&self, scope: &Scope, port: Port) -> Result<bool, Error> {
        self.read(|reading| self.claims.contains(reading, &scope.space, port))
    }

    fn apps_that_answer(
        &self,
        scope: &Scope,
        containers: &LiveContainers,
    ) -> Result<BTreeSet<AppKey>, Error> {
        if !self.checks_host(scope) {
            return Ok(BTreeSet::new());
        }
        let held = self.held(scope, None, None)?;
        Ok(apps_that_answer(&port_uses(&held.allocations)?, containers))
    }

    fn head(&self) -> Result<Head, Error> {
        self.read(|reading| Ok(reading.head()?))
    }

    fn changes_since(&self, after: Revision) -> Result<Vec<Recorded>, Error> {
        self.read(|reading| Ok(reading.changes_since(after)?))
    }
}

fn commands(scope: &Scope, asks: Vec<Ask>) -> Vec<Command> {
    let command = |ask| Command {
        space: scope.space.clone(),
        ask,
        by: scope.by.clone(),
        checks_host: scope.checks_host,
    };
    asks.into_iter().map(command).collect()
}

fn filter(scope: &Scope, models: Option<ModelPattern>, number: Option<AppNumber>) -> Filter {
    Filter {
        space: scope.space.clone(),
        models,
        number,
    }
}

fn held(reading: &mut dyn Reading, filter: Filter) -> Result<Held, Error> {
    Ok(Held {
        allocations: reading.allocations(&filter)?,
        now: now(reading)?,
    })
}

fn space_book(reading: &mut dyn Reading, space: &Space) -> Result<SpaceBook, Error> {
    // How long ports have rested is no matter of the line.
    let released_after = Timestamp::from_millis(i64::MAX);
    Ok(reading.space(space, released_after)?)
}

/// The time that the book goes by: a clock that was put back does not bring a lease back to life.
fn now(reading: &mut dyn Reading) -> Result<Timestamp, Error> {
    let wall: Timestamp = std::time::SystemTime::now().into();
    Ok(wall.max(reading.head()?.changed_at))
}
