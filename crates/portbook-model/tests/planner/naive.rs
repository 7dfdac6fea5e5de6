//! A planner that is slow and obviously right: maps, numbers, and a loop over the slots from 0.
//!
//! It shares nothing with the real one but the questions and, for patterns of models, the matching.

use std::collections::{BTreeMap, BTreeSet};

use portbook_model::{
    AllocationRequest, AppKey, Ask, Model, Pool, Port, Refusal, Source, browser_blocked,
};

/// An app: the identity of its model, its number.
pub(crate) type App = (String, u32);
/// Its ports by role.
pub(crate) type Numbers = BTreeMap<String, u16>;

/// The rules: ranges as base, step and max.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    pub(crate) ranges: BTreeMap<String, (u16, u16, u16)>,
    pub(crate) base_roles: BTreeSet<String>,
    pub(crate) block_list: BTreeSet<u16>,
    pub(crate) ephemeral: BTreeSet<u16>,
    pub(crate) reuse_delay: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Held {
    pub(crate) ports: Numbers,
    pub(crate) source: Source,
    pub(crate) created_at: i64,
    /// Its end and its length.
    pub(crate) lease: Option<(i64, i64)>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Naive {
    pub(crate) rules: Rules,
    pub(crate) in_use: BTreeSet<u16>,
    pub(crate) held: BTreeMap<App, Held>,
    former: BTreeMap<App, Numbers>,
    last_release: BTreeMap<u16, (i64, App)>,
    files: BTreeMap<String, Vec<(App, Numbers)>>,
    digests: BTreeMap<String, String>,
    pools: BTreeMap<String, Pool>,
}

/// What one app was given: its ports, whether it is new, which roles were added.
pub(crate) type Given = (Numbers, bool, BTreeSet<String>);

/// An answer without its words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Allocated(Vec<Given>),
    Released(Vec<Option<Numbers>>),
    GivenBack(Numbers),
    Renewed,
    Expired(Vec<App>),
    Imported(usize, usize),
    Promised(bool),
    Unpromised(bool),
    PoolAdded(bool),
    PoolRemoved,
    Refused(Why),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Why {
    UnknownRole,
    SharedVariable,
    PinsForSeveral,
    PinnedTwice,
    PinTaken,
    PinDiffers,
    NotHeldAsSupposed,
    NothingToMove,
    Exhausted,
    NothingToRenew,
    NoLease,
    ZeroTtl,
    Import,
    PoolOverlaps,
    PoolExists,
    NoPool,
    Host,
}

impl From<&Refusal> for Why {
    fn from(refusal: &Refusal) -> Why {
        match refusal {
            Refusal::UnknownRole(_) => Why::UnknownRole,
            Refusal::SharedVariable { .. } => Why::SharedVariable,
            Refusal::PinsForSeveral(_) => Why::PinsForSeveral,
            Refusal::PinnedTwice(_) => Why::PinnedTwice,
            Refusal::PinTaken { .. } => Why::PinTaken,
            Refusal::PinDiffers { .. } => Why::PinDiffers,
            Refusal::NotHeldAsSupposed { .. } => Why::NotHeldAsSupposed,
            Refusal::NothingToMove(_) => Why::NothingToMove,
            Refusal::Exhausted(_) => Why::Exhausted,
            Refusal::NothingToRenew(_) => Why::NothingToRenew,
            Refusal::NoLease(_) => Why::NoLease,
            Refusal::ZeroTtl => Why::ZeroTtl,
            Refusal::Import(_) => Why::Import,
            Refusal::PoolOverlaps { .. } => Why::PoolOverlaps,
            Refusal::PoolExists(_) => Why::PoolExists,
            Refusal::NoPool(_) => Why::NoPool,
            Refusal::Host(_) => Why::Host,
        }
    }
}

pub(crate) fn name(app: &AppKey) -> App {
    (app.model.identity().to_owned(), app.number.get())
}

pub(crate) fn numbers(ports: &portbook_model::Ports) -> Numbers {
    ports
        .iter()
        .map(|(role, port)| (role.to_string(), port.get()))
        .collect()
}

impl Naive {
    pub(crate) fn with(rules: Rules) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// Answers, and changes the book if it can be done.
    pub(crate) fn ask(&mut self, ask: &Ask, now: i64) -> Answer {
        let before = self.clone();
        match self.try_ask(ask, now) {
            Ok(answer) => answer,
            Err(why) => {
                *self = before;
                Answer::Refused(why)
            }
        }
    }

    fn try_ask(&mut self, ask: &Ask, now: i64) -> Result<Answer, Why> {
        Ok(match ask {
            Ask::Reclaim { .. }
            | Ask::Note { .. }
            | Ask::BeginRun(_)
            | Ask::Move { .. }
            | Ask::Accept => {
                panic!("the naive planner does not know how to {ask:?}")
            }
            Ask::Allocate(request) => Answer::Allocated(self.allocate(request, now)?),
            Ask::Release { apps } => Answer::Released(
                apps.iter()
                    .map(|app| self.release(&name(app), now))
                    .collect(),
            ),
            Ask::GiveBack { seen, roles } => {
                let app = name(&seen.app);
                let lease = seen.lease.map(|lease| {
                    let length = i64::try_from(lease.ttl.duration().as_millis()).unwrap();
                    (lease.expires_at.millis(), length)
                });
                let mut given = Numbers::new();
                if let Some(held) = self.held.get_mut(&app)
                    && held.ports == numbers(&seen.ports)
                    && held.created_at == seen.created_at.millis()
                    && held.lease == lease
                {
                    for role in roles.iter().map(|role| role.as_str()) {
                        if role != "backend"
                            && role != "frontend"
                            && let Some(port) = held.ports.remove(role)
                        {
                            given.insert(role.to_owned(), port);
                        }
                    }
                }
                for port in given.values() {
                    self.last_release.insert(*port, (now, app.clone()));
                }
                Answer::GivenBack(given)
            }
            Ask::Renew { app, ttl } => {
                let held = self.held.get_mut(&name(app)).ok_or(Why::NothingToRenew)?;
                let (_, own) = held.lease.ok_or(Why::NoLease)?;
                let ttl = ttl.map_or(own, |ttl| {
                    i64::try_from(ttl.duration().as_millis()).unwrap()
                });
                if ttl == 0 {
                    return Err(Why::ZeroTtl);
                }
                held.lease = Some((now + ttl, ttl));
                Answer::Renewed
            }
            Ask::Expire => {
                let ended = |held: &Held| held.lease.is_some_and(|(end, _)| end <= now);
                let gone: Vec<App> = self
                    .held
                    .iter()
                    .filter(|(_, held)| ended(held))
                    .map(|(app, _)| app.clone())
                    .collect();
                for app in &gone {
                    self.release(app, now);
                }
                Answer::Expired(gone)
            }
            Ask::Import { entries } => {
                let mut registered = 0;
                let mut named = BTreeSet::new();
                let mut claimed = BTreeSet::new();
                for entry in entries {
                    let app = name(&entry.app);
                    let ports = numbers(&entry.ports);
                    if !named.insert(app.clone())
                        || !ports.values().all(|port| claimed.insert(*port))
                    {
                        return Err(Why::Import);
                    }
                    if let Some(held) = self.held.get(&app) {
                        if held.ports != ports {
                            return Err(Why::Import);
                        }
                        continue;
                    }
                    if ports.values().any(|port| {
                        self.is_taken(*port) || self.promised_to(*port).is_some_and(|to| to != app)
                    }) {
                        return Err(Why::Import);
                    }
                    registered += 1;
                    let created_at = entry.created_at.map_or(now, |at| at.millis().min(now));
                    self.held.insert(
                        app,
                        Held {
                            ports,
                            source: Source::Import,
                            created_at,
                            lease: None,
                        },
                    );
                }
                Answer::Imported(registered, entries.len() - registered)
            }
            Ask::Promise { file } => {
                let entries = file
                    .promises
                    .iter()
                    .map(|promise| (name(&promise.app), numbers(&promise.ports)));
                let entries: Vec<_> = entries.collect();
                let before = self.files.insert(file.source.clone(), entries.clone());
                let digest = self
                    .digests
                    .insert(file.source.clone(), file.digest.clone());
                Answer::Promised(before != Some(entries) || digest != Some(file.digest.clone()))
            }
            Ask::Unpromise { source } => Answer::Unpromised(self.files.remove(source).is_some()),
            Ask::AddPool { pool } => {
                if let Some(standing) = self.pools.get(pool.name.as_str()) {
                    return if standing == pool {
                        Ok(Answer::PoolAdded(false))
                    } else {
                        Err(Why::PoolExists)
                    };
                }
                let ports: BTreeSet<u16> = of_pool(pool).collect();
                if self
                    .pools
                    .values()
                    .any(|other| of_pool(other).any(|port| ports.contains(&port)))
                {
                    return Err(Why::PoolOverlaps);
                }
                self.pools.insert(pool.name.to_string(), pool.clone());
                Answer::PoolAdded(true)
            }
            Ask::RemovePool { name } => {
                self.pools.remove(name.as_str()).ok_or(Why::NoPool)?;
                Answer::PoolRemoved
            }
        })
    }

    fn release(&mut self, app: &App, now: i64) -> Option<Numbers> {
        let held = self.held.remove(app)?;
        for port in held.ports.values() {
            self.last_release.insert(*port, (now, app.clone()));
        }
        self.former.insert(app.clone(), held.ports.clone());
        Some(held.ports)
    }

    fn allocate(&mut self, request: &AllocationRequest, now: i64) -> Result<Vec<Given>, Why> {
        let pins = numbers(&request.pins);
        let mut roles = self.rules.base_roles.clone();
        roles.extend(request.roles.iter().map(|role| role.to_string()));
        roles.extend(pins.keys().cloned());
        if !roles
            .iter()
            .all(|role| self.rules.ranges.contains_key(role))
        {
            return Err(Why::UnknownRole);
        }
        if !pins.is_empty() && request.apps.len() > 1 {
            return Err(Why::PinsForSeveral);
        }
        if !all_different(&pins) {
            return Err(Why::PinnedTwice);
        }
        let lease = match request
            .ttl
            .map(|ttl| i64::try_from(ttl.duration().as_millis()).unwrap())
        {
            Some(0) => return Err(Why::ZeroTtl),
            Some(ttl) => Some((now + ttl, ttl)),
            None => None,
        };
        request
            .apps
            .iter()
            .map(|app| self.give(app, &roles, &pins, lease, now))
            .collect()
    }

    fn give(
        &mut self,
        key: &AppKey,
        roles: &BTreeSet<String>,
        pins: &Numbers,
        lease: Option<(i64, i64)>,
        now: i64,
    ) -> Result<Given, Why> {
        let app = name(key);
        let Some(mut held) = self.held.get(&app).cloned() else {
            let (ports, source) = self.choose(key, roles, pins, now)?;
            self.held.insert(
                app,
                Held {
                    ports: ports.clone(),
                    source,
                    created_at: now,
                    lease,
                },
            );
            return Ok((ports, true, BTreeSet::new()));
        };
        if pins
            .iter()
            .any(|(role, port)| held.ports.get(role).is_some_and(|has| has != port))
        {
            return Err(Why::PinDiffers);
        }
        let missing: BTreeSet<String> = roles
            .iter()
            .filter(|role| !held.ports.contains_key(*role))
            .cloned()
            .collect();
        if !missing.is_empty() {
            let pins = pins.iter().filter(|(role, _)| missing.contains(*role));
            let pins = pins.map(|(role, port)| (role.clone(), *port)).collect();
            held.ports.extend(self.choose(key, &missing, &pins, now)?.0);
        }
        if let (Some((end, _)), Some((later, _))) = (held.lease, lease)
            && later > end
        {
            held.lease = lease;
        }
        let ports = held.ports.clone();
        self.held.insert(app, held);
        Ok((ports, false, missing))
    }

    fn choose(
        &self,
        key: &AppKey,
        roles: &BTreeSet<String>,
        pins: &Numbers,
        now: i64,
    ) -> Result<(Numbers, Source), Why> {
        let app = name(key);
        if !pins.is_empty() {
            if pins
                .values()
                .any(|port| self.is_reserved(*port, key) || self.in_use.contains(port))
            {
                return Err(Why::PinTaken);
            }
            let others = roles.iter().filter(|role| !pins.contains_key(*role));
            let mut ports = self.promised(&app, &others.cloned().collect());
            ports.extend(pins.clone());
            if !all_different(&ports) {
                ports = pins.clone();
            }
            return Ok((self.with_slot(ports, roles, key, now)?, Source::Pinned));
        }
        let promised = self.promised(&app, roles);
        if !promised.is_empty() {
            return Ok((
                self.with_slot(promised, roles, key, now)?,
                Source::PortConfig,
            ));
        }
        if let (None, Some(former)) = (self.held.get(&app), self.former.get(&app)) {
            let had = former
                .iter()
                .filter(|(role, _)| self.rules.ranges.contains_key(*role));
            let had: Numbers = had.map(|(role, port)| (role.clone(), *port)).collect();
            if !had.is_empty() && had.values().all(|port| self.is_eligible(*port, key, now)) {
                return Ok((self.with_slot(had, roles, key, now)?, Source::Returning));
            }
        }
        let mut pooled: Vec<u16> = self
            .pools
            .values()
            .filter(|pool| pool.models.matches(&key.model))
            .flat_map(of_pool)
            .collect();
        pooled.sort_unstable();
        pooled.retain(|port| self.is_eligible(*port, key, now));
        if pooled.len() >= roles.len() {
            return Ok((roles.iter().cloned().zip(pooled).collect(), Source::Pool));
        }
        Ok((
            self.with_slot(Numbers::new(), roles, key, now)?,
            Source::Dynamic,
        ))
    }

    /// What the app is promised in these roles, if all of that can be kept.
    fn promised(&self, app: &App, roles: &BTreeSet<String>) -> Numbers {
        let mut promised = self.promises().remove(app).unwrap_or_default();
        promised.retain(|role, _| roles.contains(role));
        if !all_different(&promised) || promised.values().any(|port| self.is_taken(*port)) {
            promised.clear();
        }
        promised
    }

    /// Completes `ports` from the lowest slot that serves all the roles that are missing, of those
    /// without an ephemeral port if there is one.
    fn with_slot(
        &self,
        ports: Numbers,
        roles: &BTreeSet<String>,
        key: &AppKey,
        now: i64,
    ) -> Result<Numbers, Why> {
        let missing: Vec<&String> = roles
            .iter()
            .filter(|role| !ports.contains_key(*role))
            .collect();
        if missing.is_empty() {
            return Ok(ports);
        }
        let mut ephemeral = None;
        for slot in 0.. {
            let Some(more) = self.slot(&missing, slot) else {
                break;
            };
            let mut all = ports.clone();
            all.extend(more.clone());
            if !all_different(&all) || !more.values().all(|port| self.is_eligible(*port, key, now))
            {
                continue;
            }
            if !more
                .values()
                .any(|port| self.rules.ephemeral.contains(port))
            {
                return Ok(all);
            }
            ephemeral = ephemeral.or(Some(all));
        }
        ephemeral.ok_or(Why::Exhausted)
    }

    /// The ports of a slot, if every role has one.
    pub(crate) fn slot(&self, roles: &[&String], slot: u32) -> Option<Numbers> {
        let port = |role: &String| {
            let (base, step, max) = self.rules.ranges[role];
            let port = u32::from(base) + slot * u32::from(step);
            (port <= u32::from(max)).then_some(port as u16)
        };
        roles
            .iter()
            .map(|role| Some(((*role).clone(), port(role)?)))
            .collect()
    }

    pub(crate) fn is_eligible(&self, port: u16, key: &AppKey, now: i64) -> bool {
        !self.is_reserved(port, key)
            && !self.is_blocked(port)
            && !self.is_resting(port, &name(key), now)
            && !self.in_use.contains(&port)
    }

    /// Taken, promised to another, or, unless it is promised to the app, in a pool for others.
    fn is_reserved(&self, port: u16, key: &AppKey) -> bool {
        match self.promised_to(port) {
            _ if self.is_taken(port) => true,
            Some(to) => to != name(key),
            None => self.pool_for_others(port, &key.model).is_some(),
        }
    }

    pub(crate) fn is_taken(&self, port: u16) -> bool {
        self.held
            .values()
            .any(|held| held.ports.values().any(|held| *held == port))
    }

    pub(crate) fn owner(&self, port: u16) -> Option<(App, String)> {
        self.held.iter().find_map(|(app, held)| {
            let (role, _) = held.ports.iter().find(|(_, held)| **held == port)?;
            Some((app.clone(), role.clone()))
        })
    }

    /// The promises that count: of entries that name an app or a port twice, the first.
    fn promises(&self) -> BTreeMap<App, Numbers> {
        let mut kept: BTreeMap<App, Numbers> = BTreeMap::new();
        for (app, ports) in self.files.values().flatten() {
            let known: BTreeSet<u16> = kept
                .values()
                .flat_map(|ports| ports.values().copied())
                .collect();
            if !kept.contains_key(app) && !ports.values().any(|port| known.contains(port)) {
                kept.insert(app.clone(), ports.clone());
            }
        }
        kept
    }

    pub(crate) fn promised_to(&self, port: u16) -> Option<App> {
        let promises = self.promises();
        promises
            .into_iter()
            .find(|(_, ports)| ports.values().any(|promised| *promised == port))
            .map(|(app, _)| app)
    }

    pub(crate) fn pool_for_others(&self, port: u16, model: &Model) -> Option<String> {
        let foreign = |pool: &&Pool| {
            of_pool(pool).any(|pooled| pooled == port) && !pool.models.matches(model)
        };
        self.pools
            .values()
            .find(foreign)
            .map(|pool| pool.name.to_string())
    }

    pub(crate) fn is_blocked(&self, port: u16) -> bool {
        browser_blocked().contains(Port::new(port).unwrap())
            || self.rules.block_list.contains(&port)
    }

    pub(crate) fn is_resting(&self, port: u16, app: &App, now: i64) -> bool {
        let rest = self.last_release.get(&port);
        rest.is_some_and(|(since, by)| since + self.rules.reuse_delay > now && by != app)
    }
}

fn of_pool(pool: &Pool) -> impl Iterator<Item = u16> + use<> {
    pool.ports.first().get()..=pool.ports.last().get()
}

fn all_different(ports: &Numbers) -> bool {
    ports.values().collect::<BTreeSet<_>>().len() == ports.len()
}
