//! A book in memory: for tests, and for books that need not outlast their process.
//!
//! It keeps rows as a database does, with keys that refuse a second owner, instead of following
//! changes by [`SpaceBook::apply`]: so what the one makes of a change checks what the other does.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portbook_model::{
    Allocation, AppKey, AppRecord, Batch, BookId, Change, CommitId, FormerAllocation, Head, Lease,
    Model, Needs, Notes, Owner, Pool, PoolName, Port, Ports, PromiseFile, Recorded, Rest, Revision,
    Role, Source, Space, SpaceBook, SpaceChange, Timestamp,
};

use crate::{
    Audit, Claim, CommitError, Filter, HistoryFilter, Place, Queue, Reading, Store, StoreError,
    Turn,
};

const LOCATION: &str = "memory";

/// A book in memory.
///
/// A reading keeps the state that it began with; a commit that comes meanwhile changes a copy.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<Arc<State>>,
    queue: Option<Queue>,
}

impl MemoryStore {
    /// A new, empty book.
    pub fn new() -> Self {
        Self {
            state: Mutex::new(Arc::new(State::new())),
            queue: Some(Queue::default()),
        }
    }

    /// A new, empty book whose turns nobody waits for: to show that every promise holds without
    /// them.
    pub fn without_turns() -> Self {
        Self {
            queue: None,
            ..Self::new()
        }
    }

    /// A commit cannot fail half-way, so a thread that died left a whole state behind.
    fn state(&self) -> MutexGuard<'_, Arc<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn snapshot(&self) -> Arc<State> {
        Arc::clone(&self.state())
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for MemoryStore {
    fn read(&self) -> Result<Box<dyn Reading + '_>, StoreError> {
        Ok(Box::new(Snapshot(self.snapshot())))
    }

    fn turn(&self, patience: Duration) -> Result<Box<dyn Turn + '_>, StoreError> {
        let began = Instant::now();
        let place = match &self.queue {
            None => None,
            Some(queue) => {
                let place = queue.wait(patience).ok_or_else(|| StoreError::Busy {
                    location: LOCATION.to_owned(),
                    waited: began.elapsed(),
                    holder: "another thread of this process".to_owned(),
                })?;
                Some(place)
            }
        };
        Ok(Box::new(MemoryTurn {
            snapshot: Snapshot(self.snapshot()),
            store: self,
            _place: place,
        }))
    }

    fn find_commit(&self, commit: CommitId, after: Revision) -> Result<bool, StoreError> {
        let state = self.snapshot();
        Ok(state
            .changes_after(after)
            .iter()
            .any(|recorded| recorded.commit == commit))
    }

    fn location(&self) -> String {
        LOCATION.to_owned()
    }
}

/// Everything that the book holds.
#[derive(Debug, Clone)]
struct State {
    head: Head,
    /// The change with revision n stands at n - 1.
    changes: Vec<Recorded>,
    spaces: BTreeMap<Space, Rows>,
}

impl State {
    fn new() -> Self {
        let name = RandomState::new();
        let (high, low) = (name.hash_one("high"), name.hash_one("low"));
        Self {
            head: Head {
                book: BookId(format!("{high:016x}{low:016x}")),
                revision: Revision(0),
                changed_at: Timestamp::EPOCH,
            },
            changes: Vec::new(),
            spaces: BTreeMap::new(),
        }
    }

    fn changes_after(&self, after: Revision) -> &[Recorded] {
        let skipped = usize::try_from(after.0).unwrap_or(usize::MAX);
        self.changes.get(skipped..).unwrap_or_default()
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        for SpaceChange { space, change, .. } in &batch.changes {
            let rows = self.spaces.entry(space.clone()).or_default();
            if let Err(refused) = rows.write(change, batch.at) {
                self.restore();
                return Err(refused);
            }
        }
        for SpaceChange { space, by, change } in &batch.changes {
            self.head.revision = self.head.revision.after(1);
            self.changes.push(Recorded {
                revision: self.head.revision,
                commit: batch.commit,
                at: batch.at,
                actor: by.to_string(),
                space: space.clone(),
                change: change.clone(),
            });
            self.head.changed_at = self.head.changed_at.max(batch.at);
        }
        Ok(())
    }

    /// Builds the rows anew from what was committed, after a batch was refused half-way. That takes
    /// a planner's mistake, so it may be slow; a copy of the rows for each commit may not.
    fn restore(&mut self) {
        self.spaces.clear();
        for recorded in &self.changes {
            let rows = self.spaces.entry(recorded.space.clone()).or_default();
            // What was let in once is let in again.
            let _ = rows.write(&recorded.change, recorded.at);
        }
    }
}

/// The rows of one space.
#[derive(Debug, Clone, Default)]
struct Rows {
    /// Unique: one row for each app that holds ports.
    held: BTreeMap<AppKey, HeldRow>,
    /// Unique: one row for each port that an app holds.
    ports: BTreeMap<Port, Owner>,
    /// Unique: one port for each role of an app.
    roles: BTreeMap<AppKey, Ports>,
    former: BTreeMap<AppKey, FormerAllocation>,
    rests: BTreeMap<Port, Rest>,
    promises: BTreeMap<String, PromiseFile>,
    pools: BTreeMap<PoolName, Pool>,
}

/// An app that holds ports, without them: those are rows of their own.
#[derive(Debug, Clone)]
struct HeldRow {
    app: AppKey,
    source: Source,
    created_at: Timestamp,
    updated_at: Timestamp,
    lease: Option<Lease>,
    notes: Notes,
}

fn refused(reason: String) -> CommitError {
    CommitError::Duplicate(reason)
}

impl Rows {
    fn write(&mut self, change: &Change, at: Timestamp) -> Result<(), CommitError> {
        match change {
            Change::Allocated {
                app,
                ports,
                source,
                created_at,
                lease,
            } => {
                let row = HeldRow {
                    app: app.clone(),
                    source: *source,
                    created_at: created_at.unwrap_or(at),
                    updated_at: at,
                    lease: *lease,
                    notes: Notes::default(),
                };
                if self.held.insert(app.clone(), row).is_some() {
                    return Err(refused(format!("{app} has an allocation already")));
                }
                self.former.remove(app);
                self.claim(app, ports)
            }
            Change::Extended { app, ports } => {
                self.held_row(app)?.updated_at = at;
                self.claim(app, ports)
            }
            Change::Released { app, ports, .. } => self.release(app, ports, at),
            Change::Renewed { app, lease } => {
                let row = self.held_row(app)?;
                row.lease = Some(*lease);
                row.updated_at = at;
                Ok(())
            }
            Change::Noted { app, notes } => {
                let row = self.held_row(app)?;
                row.notes = notes.clone();
                row.updated_at = at;
                Ok(())
            }
            Change::Moved { app, from, to, .. } => {
                self.held_row(app)?.updated_at = at;
                self.vacate(app, from, at)?;
                self.claim(app, to)
            }
            Change::Promised { file } => {
                self.promises.insert(file.source.clone(), file.clone());
                Ok(())
            }
            Change::Unpromised { source } => match self.promises.remove(source) {
                Some(_) => Ok(()),
                None => Err(refused(format!("no file {source} is known"))),
            },
            Change::PoolAdded { pool } => {
                match self.pools.insert(pool.name.clone(), pool.clone()) {
                    None => Ok(()),
                    Some(_) => Err(refused(format!("there is a pool `{}` already", pool.name))),
                }
            }
            Change::PoolRemoved { pool } => match self.pools.remove(&pool.name) {
                Some(_) => Ok(()),
                None => Err(refused(format!("there is no pool `{}`", pool.name))),
            },
            Change::Accepted => Ok(()),
        }
    }

    fn held_row(&mut self, app: &AppKey) -> Result<&mut HeldRow, CommitError> {
        let row = self.held.get_mut(app);
        row.ok_or_else(|| refused(format!("{app} holds no ports")))
    }

    fn claim(&mut self, app: &AppKey, ports: &Ports) -> Result<(), CommitError> {
        for (role, port) in ports {
            let owner = Owner {
                app: app.clone(),
                role: role.clone(),
            };
            if let Some(other) = self.ports.insert(*port, owner) {
                return Err(refused(format!(
                    "port {port} belongs to {} already",
                    other.app
                )));
            }
            let roles = self.roles.entry(app.clone()).or_default();
            if let Some(other) = roles.insert(role.clone(), *port) {
                return Err(refused(format!("{app} has {other} as its {role} already")));
            }
            self.rests.remove(port);
        }
        Ok(())
    }

    /// Takes away what the app holds, and nothing else: a release that names other ports than
    /// those was planned on a wrong book.
    fn release(&mut self, app: &AppKey, ports: &Ports, at: Timestamp) -> Result<(), CommitError> {
        self.held_row(app)?;
        self.held.remove(app);
        if self.roles.remove(app).unwrap_or_default() != *ports {
            return Err(refused(format!(
                "{app} holds other ports than it gives back"
            )));
        }
        for port in ports.values() {
            self.rest(app, *port, at);
        }
        let former = FormerAllocation {
            app: app.clone(),
            ports: ports.clone(),
            released_at: at,
        };
        self.former.insert(app.clone(), former);
        Ok(())
    }

    /// Takes some of an app's ports away.
    fn vacate(&mut self, app: &AppKey, ports: &Ports, at: Timestamp) -> Result<(), CommitError> {
        for (role, port) in ports {
            let roles = self.roles.entry(app.clone()).or_default();
            if roles.remove(role) != Some(*port) {
                return Err(refused(format!("{app} does not hold {port} as its {role}")));
            }
            self.rest(app, *port, at);
        }
        Ok(())
    }

    fn rest(&mut self, app: &AppKey, port: Port, at: Timestamp) {
        self.ports.remove(&port);
        let rest = Rest {
            since: at,
            by: app.clone(),
        };
        self.rests.insert(port, rest);
    }

    fn allocation(&self, row: &HeldRow) -> Allocation {
        Allocation {
            app: row.app.clone(),
            ports: self.roles.get(&row.app).cloned().unwrap_or_default(),
            source: row.source,
            created_at: row.created_at,
            updated_at: row.updated_at,
            lease: row.lease,
            notes: row.notes.clone(),
        }
    }

    fn as_first_spelt(&self, model: &Model) -> Option<Model> {
        let mut known = self.held.keys().chain(self.former.keys());
        known
            .find(|app| app.model == *model)
            .map(|app| app.model.clone())
    }

    fn app(&self, app: &AppKey) -> Option<AppRecord> {
        let held = self
            .held
            .get(app)
            .map(|row| AppRecord::Held(self.allocation(row)));
        held.or_else(|| self.former.get(app).cloned().map(AppRecord::Former))
    }

    fn is_empty(&self) -> bool {
        self.held.is_empty()
            && self.former.is_empty()
            && self.promises.is_empty()
            && self.pools.is_empty()
    }
}

/// The book as it was when the reading began.
struct Snapshot(Arc<State>);

impl Snapshot {
    fn rows(&self, space: &Space) -> Option<&Rows> {
        self.0.spaces.get(space)
    }
}

impl HistoryFilter {
    fn lets_through(&self, recorded: &Recorded) -> bool {
        recorded.space == self.of.space
            && match recorded.change.app() {
                Some(app) => self.of.means(app),
                None => self.of.models.is_none() && self.of.number.is_none(),
            }
    }
}

impl Reading for Snapshot {
    fn head(&mut self) -> Result<Head, StoreError> {
        Ok(self.0.head.clone())
    }

    fn changes_since(&mut self, after: Revision) -> Result<Vec<Recorded>, StoreError> {
        Ok(self.0.changes_after(after).to_vec())
    }

    fn commit_at(&mut self, revision: Revision) -> Result<Option<CommitId>, StoreError> {
        let mut changes = self.0.changes.iter();
        let change = changes.find(|recorded| recorded.revision == revision);
        Ok(change.map(|recorded| recorded.commit))
    }

    fn space(&mut self, space: &Space, released_after: Timestamp) -> Result<SpaceBook, StoreError> {
        let mut book = SpaceBook::default();
        let Some(rows) = self.rows(space) else {
            return Ok(book);
        };
        book.taken = rows.ports.keys().copied().collect();
        for file in rows.promises.values() {
            book.promises.set(file.clone());
        }
        book.pools = rows.pools.clone();
        let rests = rows
            .rests
            .iter()
            .filter(|(_, rest)| rest.since > released_after);
        book.rests = rests.map(|(port, rest)| (*port, rest.clone())).collect();
        Ok(book)
    }

    fn load(
        &mut self,
        space: &Space,
        needs: &Needs,
        book: &mut SpaceBook,
    ) -> Result<(), StoreError> {
        let Some(rows) = self.rows(space) else {
            return Ok(());
        };
        needs
            .apps
            .iter()
            .filter_map(|app| rows.app(app))
            .for_each(|record| book.load(record));
        let models = needs
            .apps
            .iter()
            .filter_map(|app| rows.as_first_spelt(&app.model));
        book.models.extend(models);
        let wanted = |port: &Port| needs.every_owner || needs.owners.contains(port);
        let owners = rows.ports.iter().filter(|(port, _)| wanted(port));
        book.owners
            .extend(owners.map(|(port, owner)| (*port, owner.clone())));
        Ok(())
    }

    fn app(&mut self, space: &Space, app: &AppKey) -> Result<Option<AppRecord>, StoreError> {
        Ok(self.rows(space).and_then(|rows| rows.app(app)))
    }

    fn allocations(&mut self, filter: &Filter) -> Result<Vec<Allocation>, StoreError> {
        let Some(rows) = self.rows(&filter.space) else {
            return Ok(Vec::new());
        };
        let meant = rows.held.values().filter(|row| filter.means(&row.app));
        Ok(meant.map(|row| rows.allocation(row)).collect())
    }

    fn lapsed(&mut self, now: Timestamp) -> Result<Vec<(Space, AppKey)>, StoreError> {
        let mut lapsed = Vec::new();
        for (space, rows) in &self.0.spaces {
            let ended = |row: &&HeldRow| row.lease.is_some_and(|lease| lease.expires_at <= now);
            let apps = rows.held.values().filter(ended);
            lapsed.extend(apps.map(|row| (space.clone(), row.app.clone())));
        }
        Ok(lapsed)
    }

    fn history(&mut self, filter: &HistoryFilter) -> Result<Vec<Recorded>, StoreError> {
        let meant = self
            .0
            .changes
            .iter()
            .rev()
            .filter(|recorded| filter.lets_through(recorded));
        let mut last: Vec<Recorded> = meant
            .take(filter.last.unwrap_or(usize::MAX))
            .cloned()
            .collect();
        last.reverse();
        Ok(last)
    }

    fn spaces(&mut self) -> Result<Vec<Space>, StoreError> {
        let used = self.0.spaces.iter().filter(|(_, rows)| !rows.is_empty());
        Ok(used.map(|(space, _)| space.clone()).collect())
    }

    fn models(&mut self, space: &Space) -> Result<Vec<Model>, StoreError> {
        let of_space = |recorded: &&Recorded| recorded.space == *space;
        let changes = self.0.changes.iter().filter(of_space);
        let models = changes.filter_map(|recorded| Some(&recorded.change.app()?.model));
        let mut known = HashSet::new();
        Ok(models
            .filter(|model| known.insert(*model))
            .cloned()
            .collect())
    }

    fn audit(&mut self, space: &Space) -> Result<Audit, StoreError> {
        let Some(rows) = self.rows(space) else {
            return Ok(Audit::default());
        };
        let claim = |(port, owner): (&Port, &Owner)| Claim {
            port: i64::from(port.get()),
            app: rows.held.get(&owner.app).map(|row| row.app.to_string()),
            role: Role::to_string(&owner.role),
        };
        Ok(Audit {
            claims: rows.ports.iter().map(claim).collect(),
            apps: rows.held.values().map(|row| row.app.to_string()).collect(),
            damage: Vec::new(),
        })
    }
}

struct MemoryTurn<'a> {
    snapshot: Snapshot,
    store: &'a MemoryStore,
    _place: Option<Place<'a>>,
}

impl Reading for MemoryTurn<'_> {
    fn head(&mut self) -> Result<Head, StoreError> {
        self.snapshot.head()
    }

    fn changes_since(&mut self, after: Revision) -> Result<Vec<Recorded>, StoreError> {
        self.snapshot.changes_since(after)
    }

    fn commit_at(&mut self, revision: Revision) -> Result<Option<CommitId>, StoreError> {
        self.snapshot.commit_at(revision)
    }

    fn space(&mut self, space: &Space, released_after: Timestamp) -> Result<SpaceBook, StoreError> {
        self.snapshot.space(space, released_after)
    }

    fn load(
        &mut self,
        space: &Space,
        needs: &Needs,
        book: &mut SpaceBook,
    ) -> Result<(), StoreError> {
        self.snapshot.load(space, needs, book)
    }

    fn app(&mut self, space: &Space, app: &AppKey) -> Result<Option<AppRecord>, StoreError> {
        self.snapshot.app(space, app)
    }

    fn allocations(&mut self, filter: &Filter) -> Result<Vec<Allocation>, StoreError> {
        self.snapshot.allocations(filter)
    }

    fn lapsed(&mut self, now: Timestamp) -> Result<Vec<(Space, AppKey)>, StoreError> {
        self.snapshot.lapsed(now)
    }

    fn history(&mut self, filter: &HistoryFilter) -> Result<Vec<Recorded>, StoreError> {
        self.snapshot.history(filter)
    }

    fn spaces(&mut self) -> Result<Vec<Space>, StoreError> {
        self.snapshot.spaces()
    }

    fn models(&mut self, space: &Space) -> Result<Vec<Model>, StoreError> {
        self.snapshot.models(space)
    }

    fn audit(&mut self, space: &Space) -> Result<Audit, StoreError> {
        self.snapshot.audit(space)
    }
}

impl Turn for MemoryTurn<'_> {
    fn commit(self: Box<Self>, expected: Revision, batch: &Batch) -> Result<(), CommitError> {
        let MemoryTurn {
            snapshot,
            store,
            _place,
        } = *self;
        // The turn's own view must not make the commit copy everything.
        drop(snapshot);
        let mut state = store.state();
        if state.head.revision != expected {
            return Err(CommitError::Stale);
        }
        Arc::make_mut(&mut state).commit(batch)
    }
}
