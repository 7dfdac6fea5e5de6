//! Writing changes: what each of them does to the rows.
//!
//! The mirror of the model's `SpaceBook::apply`. Every statement says which rows it expects to touch;
//! where it finds others, the plan was made on a wrong picture of the book, and the whole batch is
//! refused.

use portbook_model::{
    AppKey, Batch, Change, CommitId, Head, Lease, Notes, Pool, Port, Ports, PromiseFile, Revision,
    Source, Space, SpaceChange, Timestamp,
};
use portbook_store::StoreError;
use rusqlite::{CachedStatement, Connection, ErrorCode, OptionalExtension, params};

use crate::error::plain;
use crate::reading::View;

/// Why a batch was not written.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The book is at another revision.
    Stale,
    /// The rows are not those that the plan supposed.
    Duplicate(String),
    /// SQLite failed.
    Sqlite(rusqlite::Error),
    /// What stands there makes no sense.
    Unreadable(StoreError),
    /// A value that SQLite or JSON cannot take.
    Unwritable(String),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Refused::Unreadable(error)
    }
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        if violates_key(&error) {
            Refused::Duplicate(plain(&error))
        } else {
            Refused::Sqlite(error)
        }
    }
}

fn violates_key(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
}

/// Writes a batch inside the transaction that is open, if the book is still at `expected`. `head` is the
/// book's as this transaction found it once it had SQLite's lock for writing: nobody else can write then.
///
/// That comes first: a plan on an old book is merely stale, whatever else is wrong with it.
pub(crate) fn write(
    view: View<'_>,
    head: &Head,
    expected: Revision,
    batch: &Batch,
) -> Result<(), Refused> {
    if head.revision != expected {
        return Err(Refused::Stale);
    }
    // A revision that SQLite cannot hold is not the book's.
    let last = i64::try_from(expected.0).map_err(|_| Refused::Stale)?;
    let at = match expected {
        Revision(0) => batch.at,
        _ => batch.at.max(head.changed_at),
    };
    let mut rows = Rows::new(view, last, at)?;
    for step in &batch.changes {
        rows.revision += 1;
        rows.apply(&step.space, &step.change)?;
        rows.record(batch.commit, step)?;
    }
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<String, Refused> {
    serde_json::to_string(value).map_err(|error| Refused::Unwritable(error.to_string()))
}

fn expect_one(rows: usize, otherwise: impl FnOnce() -> String) -> Result<(), Refused> {
    if rows == 1 {
        Ok(())
    } else {
        Err(Refused::Duplicate(otherwise()))
    }
}

/// Which ports these are, for an app's row. Their roles are in the rows of ports.
fn listed(ports: &Ports) -> Result<String, Refused> {
    json(&ports.values().collect::<Vec<_>>())
}

/// Ports that an app has, and further ones in roles that it has none for.
fn joined(app: &AppKey, mut held: Ports, further: &Ports) -> Result<Ports, Refused> {
    for (role, port) in further {
        if let Some(other) = held.insert(role.clone(), *port) {
            return Err(Refused::Duplicate(format!(
                "{app} cannot have {port} as its {role}: it has {other} already"
            )));
        }
    }
    Ok(held)
}

fn end_of(lease: Option<Lease>) -> (Option<i64>, Option<i64>) {
    let ttl = |lease: Lease| i64::try_from(lease.ttl.duration().as_millis()).unwrap_or(i64::MAX);
    (lease.map(|lease| lease.expires_at.millis()), lease.map(ttl))
}

fn expect_held(rows: usize, app: &AppKey) -> Result<(), Refused> {
    expect_one(rows, || format!("{app} holds no ports"))
}

/// The rows of a book, as one batch changes them.
struct Rows<'a> {
    view: View<'a>,
    sqlite: &'a Connection,
    revision: i64,
    at: Timestamp,
    // What nearly every change needs, looked up once for the batch.
    spell: CachedStatement<'a>,
    hold: CachedStatement<'a>,
    claim: CachedStatement<'a>,
    record: CachedStatement<'a>,
}

impl<'a> Rows<'a> {
    fn new(view: View<'a>, revision: i64, at: Timestamp) -> rusqlite::Result<Self> {
        let sqlite = view.sqlite;
        Ok(Self {
            view,
            sqlite,
            revision,
            at,
            spell: sqlite.prepare_cached("INSERT OR IGNORE INTO models VALUES (?1, ?2, ?3, ?4)")?,
            hold: sqlite.prepare_cached(
                "INSERT INTO apps (space, app_num, identity, ports, source, created_at, updated_at, expires_at, ttl)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, nullif(?7, ?6), ?8, ?9)
                 ON CONFLICT (space, app_num, identity) DO UPDATE
                 SET ports = ?4, source = ?5, created_at = ?6, updated_at = nullif(?7, ?6), expires_at = ?8, ttl = ?9,
                     released_at = NULL
                 WHERE released_at IS NOT NULL",
            )?,
            claim: sqlite.prepare_cached("INSERT INTO ports VALUES (?1, ?2, ?3, ?4, ?5)")?,
            record: sqlite.prepare_cached("INSERT INTO changes VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?,
        })
    }

    fn record(&mut self, commit: CommitId, step: &SpaceChange) -> Result<(), Refused> {
        self.record.execute(params![
            self.revision,
            commit.0,
            self.at.millis(),
            step.by.as_str(),
            step.space.as_str(),
            json(&step.change)?,
        ])?;
        Ok(())
    }

    fn apply(&mut self, space: &Space, change: &Change) -> Result<(), Refused> {
        match change {
            Change::Allocated {
                app,
                ports,
                source,
                created_at,
                lease,
            } => {
                let created_at = created_at.unwrap_or(self.at);
                self.hold(space, app, ports, *source, created_at, *lease)?;
                self.claim(space, app, ports)
            }
            Change::Extended { app, ports } => {
                let held = joined(app, self.held(space, app)?, ports)?;
                self.list(space, app, &held)?;
                self.claim(space, app, ports)
            }
            Change::Released { app, ports, .. } => self.release(space, app, ports),
            Change::Renewed { app, lease } => self.renew(space, app, *lease),
            Change::Noted { app, notes } => self.note(space, app, notes),
            Change::Moved { app, from, to, .. } => {
                let mut held = self.held(space, app)?;
                held.retain(|role, port| from.get(role) != Some(port));
                self.list(space, app, &joined(app, held, to)?)?;
                self.vacate(space, app, from)?;
                self.claim(space, app, to)
            }
            Change::Promised { file } => self.promise(space, file),
            Change::Unpromised { source } => {
                let gone = self
                    .sqlite
                    .prepare_cached("DELETE FROM promise_files WHERE space = ?1 AND source = ?2")?
                    .execute(params![space.as_str(), source])?;
                expect_one(gone, || format!("no file {source} is known"))
            }
            Change::PoolAdded { pool } => self.add_pool(space, pool),
            Change::PoolRemoved { pool } => {
                let gone = self
                    .sqlite
                    .prepare_cached("DELETE FROM pools WHERE space = ?1 AND name = ?2")?
                    .execute(params![space.as_str(), pool.name.as_str()])?;
                expect_one(gone, || format!("there is no pool `{}`", pool.name))
            }
            Change::Accepted => Ok(()),
        }
    }

    /// Makes the app one that holds ports: it is new, or comes back.
    fn hold(
        &mut self,
        space: &Space,
        app: &AppKey,
        ports: &Ports,
        source: Source,
        created_at: Timestamp,
        lease: Option<Lease>,
    ) -> Result<(), Refused> {
        self.spell.execute(params![
            space.as_str(),
            app.model.identity(),
            app.model.spelling(),
            self.revision,
        ])?;
        let (expires_at, ttl) = end_of(lease);
        let held = self.hold.execute(params![
            space.as_str(),
            app.number.get(),
            app.model.identity(),
            listed(ports)?,
            source.as_str(),
            created_at.millis(),
            self.at.millis(),
            expires_at,
            ttl,
        ])?;
        expect_one(held, || format!("{app} has an allocation already"))
    }

    /// What an app holds; in the middle of a batch that may be nothing for now.
    fn held(&self, space: &Space, app: &AppKey) -> Result<Ports, Refused> {
        let listed: Option<String> = self
            .sqlite
            .prepare_cached(
                "SELECT ports FROM apps
                 WHERE space = ?1 AND app_num = ?2 AND identity = ?3 AND released_at IS NULL",
            )?
            .query_row(
                params![space.as_str(), app.number.get(), app.model.identity()],
                |row| row.get(0),
            )
            .optional()?;
        expect_held(listed.iter().len(), app)?;
        // What is no list is as good as an empty one.
        let listed: Vec<Port> =
            serde_json::from_str(&listed.unwrap_or_default()).unwrap_or_default();
        Ok(self.view.ports_of(space, app, &listed)?)
    }

    /// Lists the ports that an app holds from now on.
    fn list(&self, space: &Space, app: &AppKey, ports: &Ports) -> Result<(), Refused> {
        let rows = self
            .sqlite
            .prepare_cached(
                "UPDATE apps SET ports = ?4, updated_at = ?5
                 WHERE space = ?1 AND app_num = ?2 AND identity = ?3 AND released_at IS NULL",
            )?
            .execute(params![
                space.as_str(),
                app.number.get(),
                app.model.identity(),
                listed(ports)?,
                self.at.millis(),
            ])?;
        expect_held(rows, app)
    }

    fn claim(&mut self, space: &Space, app: &AppKey, ports: &Ports) -> Result<(), Refused> {
        for (role, port) in ports {
            let claimed = self.claim.execute(params![
                space.as_str(),
                port.get(),
                app.number.get(),
                app.model.identity(),
                role.as_str(),
            ]);
            claimed.map_err(|error| match violates_key(&error) {
                true => Refused::Duplicate(self.why_not(space, *port)),
                false => error.into(),
            })?;
        }
        Ok(())
    }

    /// Why the key refused a port.
    fn why_not(&self, space: &Space, port: Port) -> String {
        let owner: rusqlite::Result<String> = self.sqlite.query_row(
            "SELECT identity || '/app' || app_num FROM ports WHERE space = ?1 AND port = ?2",
            params![space.as_str(), port.get()],
            |row| row.get(0),
        );
        match owner {
            Ok(owner) => format!("port {port} belongs to {owner} already"),
            Err(_) => format!("port {port} cannot be given out"),
        }
    }

    /// Takes some of an app's ports away.
    fn vacate(&self, space: &Space, app: &AppKey, ports: &Ports) -> Result<(), Refused> {
        for (role, port) in ports {
            let gone = self
                .sqlite
                .prepare_cached(
                    "DELETE FROM ports WHERE space = ?1 AND port = ?2 AND identity = ?3 AND app_num = ?4 AND role = ?5",
                )?
                .execute(params![
                    space.as_str(),
                    port.get(),
                    app.model.identity(),
                    app.number.get(),
                    role.as_str(),
                ])?;
            expect_one(gone, || format!("{app} does not hold {port} as its {role}"))?;
            self.sqlite
                .prepare_cached(
                    "INSERT INTO rests (space, port, since, model, app_num) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (space, port) DO UPDATE
                     SET since = excluded.since, model = excluded.model, app_num = excluded.app_num",
                )?
                .execute(params![
                    space.as_str(),
                    port.get(),
                    self.at.millis(),
                    app.model.spelling(),
                    app.number.get(),
                ])?;
        }
        Ok(())
    }

    /// Takes away what the app holds, and nothing else.
    fn release(&self, space: &Space, app: &AppKey, ports: &Ports) -> Result<(), Refused> {
        if self.held(space, app)? != *ports {
            return Err(Refused::Duplicate(format!(
                "{app} does not hold just the ports that it gives back"
            )));
        }
        self.vacate(space, app, ports)?;
        self.sqlite
            .prepare_cached(
                "UPDATE apps SET ports = ?4, released_at = ?5, updated_at = ?5, expires_at = NULL, ttl = NULL, notes = NULL
                 WHERE space = ?1 AND app_num = ?2 AND identity = ?3",
            )?
            .execute(params![
                space.as_str(),
                app.number.get(),
                app.model.identity(),
                json(ports)?,
                self.at.millis(),
            ])?;
        Ok(())
    }

    fn renew(&self, space: &Space, app: &AppKey, lease: Lease) -> Result<(), Refused> {
        let (expires_at, ttl) = end_of(Some(lease));
        let renewed = self
            .sqlite
            .prepare_cached(
                "UPDATE apps SET expires_at = ?4, ttl = ?5, updated_at = ?6
                 WHERE space = ?1 AND app_num = ?2 AND identity = ?3 AND released_at IS NULL",
            )?
            .execute(params![
                space.as_str(),
                app.number.get(),
                app.model.identity(),
                expires_at,
                ttl,
                self.at.millis(),
            ])?;
        expect_held(renewed, app)
    }

    fn note(&self, space: &Space, app: &AppKey, notes: &Notes) -> Result<(), Refused> {
        let notes = (!notes.is_empty()).then(|| json(notes)).transpose()?;
        let noted = self
            .sqlite
            .prepare_cached(
                "UPDATE apps SET notes = ?4, updated_at = ?5
                 WHERE space = ?1 AND app_num = ?2 AND identity = ?3 AND released_at IS NULL",
            )?
            .execute(params![
                space.as_str(),
                app.number.get(),
                app.model.identity(),
                notes,
                self.at.millis(),
            ])?;
        expect_held(noted, app)
    }

    fn promise(&self, space: &Space, file: &PromiseFile) -> Result<(), Refused> {
        self.sqlite
            .prepare_cached(
                "INSERT INTO promise_files (space, source, digest, promises) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (space, source) DO UPDATE
                 SET digest = excluded.digest, promises = excluded.promises",
            )?
            .execute(params![
                space.as_str(),
                file.source,
                file.digest,
                json(&file.promises)?,
            ])?;
        Ok(())
    }

    fn add_pool(&self, space: &Space, pool: &Pool) -> Result<(), Refused> {
        let added = self
            .sqlite
            .prepare_cached(
                "INSERT INTO pools (space, name, first_port, last_port, models) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                space.as_str(),
                pool.name.as_str(),
                pool.ports.first().get(),
                pool.ports.last().get(),
                pool.models.as_str(),
            ]);
        match added {
            Err(error) if violates_key(&error) => Err(Refused::Duplicate(format!(
                "there is a pool `{}` already",
                pool.name
            ))),
            added => Ok(added.map(|_| ())?),
        }
    }
}
