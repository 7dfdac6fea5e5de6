//! A batch as writes: what each change does to the keys.
//!
//! The mirror of the model's `SpaceBook::apply`. Every change says what it expects to find; where it finds
//! something else, the plan was made on a wrong picture of the book, and the whole batch is refused.

use std::collections::{BTreeMap, BTreeSet};

use portbook_model::{
    AppKey, Batch, Change, Lease, Notes, Ports, Revision, Space, SpaceChange, Timestamp,
};
use portbook_store::StoreError;
use serde::Serialize;

use crate::error::Refused;
use crate::keys;
use crate::records::{
    AppRow, ChangeRecord, ChangesRecord, LeaseRow, ModelRow, PortRow, RestRow, State,
};
use crate::snapshot::Snapshot;

/// So many bytes of changes lie under one key: a value is read and written whole.
const STRETCH: usize = 64 * 1024;
/// The largest value that etcd takes in a request of the usual 1.5 MiB.
const LARGEST_VALUE: usize = 1400 * 1024;

/// What a batch comes to.
pub(crate) struct Draft {
    /// What is to lie under which key; `None`: nothing.
    pub(crate) writes: BTreeMap<String, Option<String>>,
    /// Keys that are new, and of which it was not read that there are none.
    pub(crate) new: BTreeSet<String>,
}

impl Draft {
    /// What the batch comes to on a book at `after`.
    pub(crate) fn of(
        batch: &Batch,
        after: Revision,
        snapshot: &Snapshot<'_>,
    ) -> Result<Self, Refused> {
        // In one request, what would be asked for one by one below.
        let touched = batch.changes.iter().filter_map(|step| {
            let app = step.change.app()?;
            Some([
                keys::app(&step.space, app),
                keys::model(&step.space, &app.model),
            ])
        });
        let touched: BTreeSet<String> = touched.flatten().collect();
        snapshot.learn(&touched.into_iter().collect::<Vec<_>>(), &[])?;
        let mut drafting = Drafting {
            snapshot,
            at: batch.at,
            writes: BTreeMap::new(),
            new: BTreeSet::new(),
        };
        for (number, SpaceChange { space, change, .. }) in (1..).zip(&batch.changes) {
            drafting.apply(space, Revision(after.0 + number), change)?;
        }
        drafting.record(batch, after)?;
        Ok(Draft {
            writes: drafting.writes,
            new: drafting.new,
        })
    }
}

struct Drafting<'a, 's> {
    snapshot: &'a Snapshot<'s>,
    at: Timestamp,
    writes: BTreeMap<String, Option<String>>,
    new: BTreeSet<String>,
}

impl Drafting<'_, '_> {
    fn apply(&mut self, space: &Space, revision: Revision, change: &Change) -> Result<(), Refused> {
        match change {
            Change::Allocated {
                app,
                ports,
                source,
                created_at,
                lease,
            } => {
                self.introduce(space, app, revision)?;
                let row = AppRow {
                    model: app.model.clone(),
                    ports: ports.clone(),
                    state: State::Held {
                        source: *source,
                        created_at: created_at.unwrap_or(self.at),
                        updated_at: self.at,
                        lease: *lease,
                        notes: Notes::default(),
                    },
                };
                self.begin(space, app, &row)?;
                self.claim(space, app, ports)
            }
            Change::Extended { app, ports } => self
                .change(space, app, |row, _| {
                    for (role, port) in ports {
                        if let Some(other) = row.ports.insert(role.clone(), *port) {
                            return Err(format!("{app} has {other} as its {role} already"));
                        }
                    }
                    Ok(())
                })
                .and_then(|()| self.claim(space, app, ports)),
            Change::Released { app, ports, .. } => self.release(space, app, ports),
            Change::Renewed { app, lease } => self.change(space, app, |_, held| {
                *held.lease = Some(*lease);
                Ok(())
            }),
            Change::Noted { app, notes } => self.change(space, app, |_, held| {
                *held.notes = notes.clone();
                Ok(())
            }),
            Change::Moved { app, from, to, .. } => {
                self.change(space, app, |row, _| {
                    for (role, port) in from {
                        if row.ports.remove(role) != Some(*port) {
                            return Err(format!("{app} does not hold {port} as its {role}"));
                        }
                    }
                    for (role, port) in to {
                        if let Some(other) = row.ports.insert(role.clone(), *port) {
                            return Err(format!("{app} has {other} as its {role} already"));
                        }
                    }
                    Ok(())
                })?;
                self.vacate(space, app, from)?;
                self.claim(space, app, to)
            }
            Change::Promised { file } => {
                let value = self.json(file)?;
                self.put(keys::promise(space, &file.source), value);
                Ok(())
            }
            Change::Unpromised { source } => {
                let key = keys::promise(space, source);
                self.remove(key, || format!("no file {source} is known"))
            }
            Change::PoolAdded { pool } => {
                let value = self.json(pool)?;
                let key = keys::pool(space, &pool.name);
                self.make(key, value, || {
                    format!("there is a pool `{}` already", pool.name)
                })
            }
            Change::PoolRemoved { pool } => {
                let key = keys::pool(space, &pool.name);
                self.remove(key, || format!("there is no pool `{}`", pool.name))
            }
            Change::Accepted => Ok(()),
        }
    }

    fn json(&self, value: &impl Serialize) -> Result<String, Refused> {
        let failed = |reason: String| {
            Refused::Failed(StoreError::Failed {
                location: self.snapshot.location().to_owned(),
                reason,
            })
        };
        let text = serde_json::to_string(value).map_err(|error| failed(error.to_string()))?;
        match text.len() <= LARGEST_VALUE {
            true => Ok(text),
            false => Err(failed(format!(
                "one change of it has {} KiB, and etcd takes no more than 1.5 MiB at once: divide it",
                text.len() / 1024
            ))),
        }
    }

    /// What lies under the key after the changes so far.
    fn get(&self, key: &str) -> Result<Option<String>, Refused> {
        match self.writes.get(key) {
            Some(value) => Ok(value.clone()),
            None => Ok(self.snapshot.get(key)?),
        }
    }

    fn put(&mut self, key: String, value: String) {
        self.writes.insert(key, Some(value));
    }

    /// Puts what is not there yet. Where that was not read, the commit is on the condition of it.
    fn make(
        &mut self,
        key: String,
        value: String,
        otherwise: impl FnOnce() -> String,
    ) -> Result<(), Refused> {
        let there = match self.writes.get(&key) {
            Some(value) => value.is_some(),
            None => match self.snapshot.known(&key) {
                Some(Some(_)) => true,
                Some(None) | None => {
                    self.new.insert(key.clone());
                    false
                }
            },
        };
        if there {
            return Err(Refused::Duplicate(otherwise()));
        }
        self.put(key, value);
        Ok(())
    }

    fn remove(&mut self, key: String, otherwise: impl FnOnce() -> String) -> Result<(), Refused> {
        if self.get(&key)?.is_none() {
            return Err(Refused::Duplicate(otherwise()));
        }
        self.writes.insert(key, None);
        Ok(())
    }

    fn app(&self, space: &Space, app: &AppKey) -> Result<Option<AppRow>, Refused> {
        let key = keys::app(space, app);
        let value = self.get(&key)?;
        let row = value.map(|value| self.snapshot.record(&key, &value));
        Ok(row.transpose()?)
    }

    /// The space comes to know the model, unless it does.
    fn introduce(
        &mut self,
        space: &Space,
        app: &AppKey,
        revision: Revision,
    ) -> Result<(), Refused> {
        let key = keys::model(space, &app.model);
        if self.get(&key)?.is_none() {
            let row = ModelRow {
                model: app.model.clone(),
                since: revision,
            };
            let value = self.json(&row)?;
            self.put(key, value);
        }
        Ok(())
    }

    /// The app, which holds nothing, comes to hold ports.
    fn begin(&mut self, space: &Space, app: &AppKey, row: &AppRow) -> Result<(), Refused> {
        let key = keys::app(space, app);
        let value = self.json(row)?;
        match self.app(space, app)? {
            None => self.make(key, value, || format!("{app} has an allocation already"))?,
            Some(former) if matches!(former.state, State::Former { .. }) => self.put(key, value),
            Some(_) => {
                return Err(Refused::Duplicate(format!(
                    "{app} has an allocation already"
                )));
            }
        }
        self.note_lease(space, app, None, row.lease())
    }

    /// Changes the record of an app that holds ports.
    fn change(
        &mut self,
        space: &Space,
        app: &AppKey,
        change: impl FnOnce(&mut AppRow, Held<'_>) -> Result<(), String>,
    ) -> Result<(), Refused> {
        let found = self.app(space, app)?;
        let Some(mut row) = found else {
            return Err(holds_nothing(app));
        };
        let before = row.lease();
        let State::Held {
            mut lease,
            mut notes,
            source,
            created_at,
            ..
        } = row.state.clone()
        else {
            return Err(holds_nothing(app));
        };
        let held = Held {
            lease: &mut lease,
            notes: &mut notes,
        };
        change(&mut row, held).map_err(Refused::Duplicate)?;
        row.state = State::Held {
            source,
            created_at,
            updated_at: self.at,
            lease,
            notes,
        };
        let value = self.json(&row)?;
        self.put(keys::app(space, app), value);
        self.note_lease(space, app, before, lease)
    }

    /// Takes away what the app holds, and nothing else.
    fn release(&mut self, space: &Space, app: &AppKey, ports: &Ports) -> Result<(), Refused> {
        let Some(row) = self.app(space, app)? else {
            return Err(holds_nothing(app));
        };
        if matches!(row.state, State::Former { .. }) {
            return Err(holds_nothing(app));
        }
        if row.ports != *ports {
            return Err(Refused::Duplicate(format!(
                "{app} holds other ports than it gives back"
            )));
        }
        self.vacate(space, app, ports)?;
        let former = AppRow {
            model: app.model.clone(),
            ports: ports.clone(),
            state: State::Former {
                released_at: self.at,
            },
        };
        let value = self.json(&former)?;
        self.put(keys::app(space, app), value);
        self.note_lease(space, app, row.lease(), None)
    }

    fn claim(&mut self, space: &Space, app: &AppKey, ports: &Ports) -> Result<(), Refused> {
        for (role, port) in ports {
            let row = PortRow {
                app: app.clone(),
                role: role.clone(),
            };
            let value = self.json(&row)?;
            self.make(keys::port(space, *port), value, || {
                format!("port {port} belongs to another app already")
            })?;
        }
        Ok(())
    }

    /// Takes these ports away, which are the app's, and lets them rest.
    fn vacate(&mut self, space: &Space, app: &AppKey, ports: &Ports) -> Result<(), Refused> {
        for (role, port) in ports {
            let key = keys::port(space, *port);
            let owner = self.get(&key)?;
            let owner = owner.map(|value| self.snapshot.record::<PortRow>(&key, &value));
            let owner = owner.transpose()?;
            if !owner.is_some_and(|owner| owner.app == *app && owner.role == *role) {
                return Err(Refused::Duplicate(format!(
                    "{app} does not hold {port} as its {role}"
                )));
            }
            self.writes.insert(key, None);
            let rest = RestRow {
                since: self.at,
                by: app.clone(),
            };
            let value = self.json(&rest)?;
            self.put(keys::rest(space, *port), value);
        }
        Ok(())
    }

    fn note_lease(
        &mut self,
        space: &Space,
        app: &AppKey,
        before: Option<Lease>,
        after: Option<Lease>,
    ) -> Result<(), Refused> {
        if let Some(before) = before {
            self.writes
                .insert(keys::lease(before.expires_at, space, app), None);
        }
        if let Some(after) = after {
            let row = LeaseRow {
                space: space.clone(),
                app: app.clone(),
            };
            let value = self.json(&row)?;
            self.put(keys::lease(after.expires_at, space, app), value);
        }
        Ok(())
    }

    /// Records what happened, in stretches that etcd likes.
    fn record(&mut self, batch: &Batch, after: Revision) -> Result<(), Refused> {
        let mut stretch = ChangesRecord {
            first: after.after(1),
            commit: batch.commit,
            at: batch.at,
            changes: Vec::new(),
        };
        let mut size = 0;
        for SpaceChange { space, by, change } in &batch.changes {
            let length = self.json(change)?.len();
            if size + length > STRETCH && !stretch.changes.is_empty() {
                self.put_stretch(&mut stretch)?;
                size = 0;
            }
            size += length;
            stretch.changes.push(ChangeRecord {
                space: space.clone(),
                by: by.to_string(),
                change: change.clone(),
            });
        }
        if stretch.changes.is_empty() {
            return Ok(());
        }
        self.put_stretch(&mut stretch)
    }

    fn put_stretch(&mut self, stretch: &mut ChangesRecord) -> Result<(), Refused> {
        let next = stretch.first.after(stretch.changes.len());
        let value = self.json(stretch)?;
        self.put(keys::change(Revision(next.0 - 1)), value);
        stretch.first = next;
        stretch.changes.clear();
        Ok(())
    }
}

/// What of an app that holds ports may change beside them.
struct Held<'a> {
    lease: &'a mut Option<Lease>,
    notes: &'a mut Notes,
}

fn holds_nothing(app: &AppKey) -> Refused {
    Refused::Duplicate(format!("{app} holds no ports"))
}
