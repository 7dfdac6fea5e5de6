//! The book as the planner sees it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    AppKey, Change, Model, Notes, Pool, PoolName, Port, PortSet, Promises, Role, Source, Space,
    Span, Timestamp,
};

/// Every role's port of one app.
pub type Ports = BTreeMap<Role, Port>;

/// The number of the last change that the book holds; 0 for a new book.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision after so many more changes.
    pub fn after(self, changes: usize) -> Revision {
        Revision(self.0 + changes as u64)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name that a book got when it was made; a copy has it too, another book never.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BookId(pub String);

impl fmt::Display for BookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which book it is and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Which book.
    pub book: BookId,
    /// Its last change.
    pub revision: Revision,
    /// When that was; the book's clock never runs behind it.
    pub changed_at: Timestamp,
}

/// The end of an allocation that is not for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// When the allocation ends unless it is renewed.
    pub expires_at: Timestamp,
    /// How long it was asked for, and is renewed for when no other length is named.
    pub ttl: Span,
}

/// The ports that an app holds, with when and how it came to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    /// The app, with its model as it was first spelt.
    pub app: AppKey,
    /// One port a role.
    pub ports: Ports,
    /// How the allocation came to be.
    pub source: Source,
    /// When it came to be.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Its end, if it has one.
    pub lease: Option<Lease>,
    /// What else the book remembers of the app.
    pub notes: Notes,
}

impl Allocation {
    /// Whether its lease ended at or before `now`, so that it is about to be reclaimed.
    pub fn has_lapsed(&self, now: Timestamp) -> bool {
        self.lease.is_some_and(|lease| lease.expires_at <= now)
    }
}

/// The ports that an app had until it was released: what it gets again if it comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerAllocation {
    /// The app.
    pub app: AppKey,
    /// The ports it had.
    pub ports: Ports,
    /// When it was released.
    pub released_at: Timestamp,
}

/// What the book knows of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AppRecord {
    /// It holds ports.
    Held(Allocation),
    /// It held ports once.
    Former(FormerAllocation),
}

impl AppRecord {
    /// The app.
    pub fn app(&self) -> &AppKey {
        match self {
            AppRecord::Held(allocation) => &allocation.app,
            AppRecord::Former(former) => &former.app,
        }
    }

    /// The allocation, if the app holds one.
    pub fn held(&self) -> Option<&Allocation> {
        match self {
            AppRecord::Held(allocation) => Some(allocation),
            AppRecord::Former(_) => None,
        }
    }
}

/// Whose a port is, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The app.
    pub app: AppKey,
    /// The role.
    pub role: Role,
}

/// The last release of a port that nobody holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// When it was released.
    pub since: Timestamp,
    /// The app that gave it back, which meets only its own leftovers.
    pub by: AppKey,
}

/// One number line, as far as the commands at hand need it.
///
/// Always complete: `taken`, `promises`, `pools`. As far as loaded: `apps`, `models` and `owners`, for
/// the apps and ports that [`Needs`](crate::Needs) names (whoever plans loads them, in the same reading); and
/// `rests`, as far back as the policy's cool-down reaches.
#[derive(Debug, Clone, Default)]
pub struct SpaceBook {
    /// Every port that an app holds.
    pub taken: PortSet,
    /// The pre-configured ports.
    pub promises: Promises,
    /// The pools.
    pub pools: BTreeMap<PoolName, Pool>,
    /// Ports that were released, by whom and when.
    pub rests: HashMap<Port, Rest>,
    /// The apps that the commands name; one that is missing has never held a port.
    pub apps: HashMap<AppKey, AppRecord>,
    /// Whose the ports are that the commands name.
    pub owners: HashMap<Port, Owner>,
    /// The models that the commands name and the book knows, as they were first spelt. A spelling
    /// never changes, so these are kept.
    pub models: HashSet<Model>,
}

impl SpaceBook {
    /// The allocation of an app that was loaded.
    pub fn allocation(&self, app: &AppKey) -> Option<&Allocation> {
        self.apps.get(app).and_then(AppRecord::held)
    }

    /// The app by the first spelling of its model, which is the one that is shown.
    pub fn as_first_spelt(&self, app: &AppKey) -> AppKey {
        let model = self.models.get(&app.model).unwrap_or(&app.model);
        AppKey::new(model.clone(), app.number)
    }

    /// Forgets the apps and owners that were loaded for earlier commands.
    pub fn forget_loaded(&mut self) {
        self.apps.clear();
        self.owners.clear();
    }

    /// Puts one app's record in, as it was read.
    pub fn load(&mut self, record: AppRecord) {
        if let AppRecord::Held(allocation) = &record {
            for (role, port) in &allocation.ports {
                let owner = Owner {
                    app: allocation.app.clone(),
                    role: role.clone(),
                };
                self.owners.insert(*port, owner);
            }
        }
        self.models.insert(record.app().model.clone());
        self.apps.insert(record.app().clone(), record);
    }

    /// Follows one change of this space.
    ///
    /// The one place that says what a change means: the planner applies what it decides, a process
    /// what others committed, the history check everything.
    pub fn apply(&mut self, change: &Change, at: Timestamp) {
        match change {
            Change::Allocated {
                app,
                ports,
                source,
                created_at,
                lease,
            } => {
                self.claim(app, ports);
                let allocation = Allocation {
                    app: app.clone(),
                    ports: ports.clone(),
                    source: *source,
                    created_at: created_at.unwrap_or(at),
                    updated_at: at,
                    lease: *lease,
                    notes: Notes::default(),
                };
                self.apps.insert(app.clone(), AppRecord::Held(allocation));
            }
            Change::Extended { app, ports } => {
                self.claim(app, ports);
                if let Some(AppRecord::Held(allocation)) = self.apps.get_mut(app) {
                    allocation.ports.extend(ports.clone());
                    allocation.updated_at = at;
                }
            }
            Change::Released { app, ports, .. } => {
                self.vacate(app, ports, at);
                let former = FormerAllocation {
                    app: app.clone(),
                    ports: ports.clone(),
                    released_at: at,
                };
                self.apps.insert(app.clone(), AppRecord::Former(former));
            }
            Change::Renewed { app, lease } => {
                if let Some(AppRecord::Held(allocation)) = self.apps.get_mut(app) {
                    allocation.lease = Some(*lease);
                    allocation.updated_at = at;
                }
            }
            Change::Noted { app, notes } => {
                if let Some(AppRecord::Held(allocation)) = self.apps.get_mut(app) {
                    allocation.notes = notes.clone();
                    allocation.updated_at = at;
                }
            }
            Change::Moved { app, from, to, .. } => {
                self.vacate(app, from, at);
                self.claim(app, to);
                if let Some(AppRecord::Held(allocation)) = self.apps.get_mut(app) {
                    for role in from.keys() {
                        allocation.ports.remove(role);
                    }
                    allocation.ports.extend(to.clone());
                    allocation.updated_at = at;
                }
            }
            Change::Promised { file } => self.promises.set(file.clone()),
            Change::Unpromised { source } => self.promises.forget(source),
            Change::PoolAdded { pool } => {
                self.pools.insert(pool.name.clone(), pool.clone());
            }
            Change::PoolRemoved { pool } => {
                self.pools.remove(&pool.name);
            }
            Change::Accepted => {}
        }
    }

    fn vacate(&mut self, app: &AppKey, ports: &Ports, at: Timestamp) {
        for port in ports.values() {
            self.taken.remove(*port);
            self.owners.remove(port);
            let rest = Rest {
                since: at,
                by: app.clone(),
            };
            self.rests.insert(*port, rest);
        }
    }

    fn claim(&mut self, app: &AppKey, ports: &Ports) {
        // The first spelling stays.
        if !self.models.contains(&app.model) {
            self.models.insert(app.model.clone());
        }
        for (role, port) in ports {
            self.taken.insert(*port);
            self.rests.remove(port);
            let owner = Owner {
                app: app.clone(),
                role: role.clone(),
            };
            self.owners.insert(*port, owner);
        }
    }
}

/// The book as far as a process knows it: the revision, and the spaces it has read.
#[derive(Debug, Clone)]
pub struct Book {
    /// Which book, and up to which change it is known.
    pub head: Head,
    /// The spaces that were read.
    pub spaces: BTreeMap<Space, SpaceBook>,
}

impl Book {
    /// A book of which nothing but the head was read.
    pub fn new(head: Head) -> Self {
        Self {
            head,
            spaces: BTreeMap::new(),
        }
    }

    /// A space that was read; an unread one is empty.
    pub fn space(&mut self, space: &Space) -> &mut SpaceBook {
        self.spaces.entry(space.clone()).or_default()
    }
}
