//! Writing changes: what each of them does to the rows.
//!
//! The mirror of the model's `SpaceBook::apply`. Every statement says which rows it expects to touch;
//! where it finds others, the plan was made on a wrong picture of the book, and the whole batch is
//! refused.

use portbook_model::{
    Actor, AppKey, Batch, Change, Lease, Pool, Port, Ports, PromiseFile, Revision, Role, Source,
    Space, SpaceChange, Timestamp,
};
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::error::plain;

/// Why a batch was not written.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The book is at another revision.
    Stale,
    /// The rows are not those that the plan supposed.
    Duplicate(String),
    /// SQLite failed.
    Sqlite(rusqlite::Error),
    /// A value that SQLite or JSON cannot take.
    Unwritable(String),
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

/// Writes a batch inside the transaction that is open, if the book is still at `expected`.
///
/// The head comes first: a plan on an old book is merely stale, whatever else is wrong with it.
pub(crate) fn write(sqlite: &Connection, expected: Revision, batch: &Batch) -> Result<(), Refused> {
    // A revision that SQLite cannot hold is not the book's.
    let first = i64::try_from(expected.0).map_err(|_| Refused::Stale)?;
    let last = i64::try_from(expected.after(batch.changes.len()).0).map_err(|_| Refused::Stale)?;
    let moved = sqlite
        .prepare_cached(
            "UPDATE head SET revision = ?1, changed_at = max(changed_at, ?2) WHERE revision = ?3",
        )?
        .execute(params![last, batch.at.millis(), first])?;
    if moved != 1 {
        return Err(Refused::Stale);
    }
    for (revision, SpaceChange { space, by, change }) in (first + 1..).zip(&batch.changes) {
        let rows = SpaceRows {
            sqlite,
            space,
            at: batch.at,
        };
        rows.apply(change)?;
        record(sqlite, revision, batch, (space, by), change)?;
    }
    Ok(())
}

fn record(
    sqlite: &Connection,
    revision: i64,
    batch: &Batch,
    (space, by): (&Space, &Actor),
    change: &Change,
) -> Result<(), Refused> {
    let app = change.app();
    sqlite
        .prepare_cached("INSERT INTO changes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            revision,
            batch.commit.0,
            batch.at.millis(),
            by.as_str(),
            space.as_str(),
            app.map(|app| app.model.identity()),
            app.map(|app| app.number.get()),
            json(change)?,
        ])?;
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

fn end_of(lease: Option<Lease>) -> (Option<i64>, Option<i64>) {
    let ttl = |lease: Lease| i64::try_from(lease.ttl.duration().as_millis()).unwrap_or(i64::MAX);
    (lease.map(|lease| lease.expires_at.millis()), lease.map(ttl))
}

/// The rows of one space, at the moment of the batch.
struct SpaceRows<'a> {
    sqlite: &'a Connection,
    space: &'a Space,
    at: Timestamp,
}

impl SpaceRows<'_> {
    fn apply(&self, change: &Change) -> Result<(), Refused> {
        match change {
            Change::Allocated {
                app,
                ports,
                source,
                created_at,
                lease,
            } => {
                let created_at = created_at.unwrap_or(self.at);
                let id = self.hold(app, *source, created_at, *lease)?;
                self.claim(app, id, ports)
            }
            Change::Extended { app, ports } => {
                let id = self.held(app)?;
                self.sqlite
                    .prepare_cached("UPDATE apps SET updated_at = ?1 WHERE id = ?2")?
                    .execute(params![self.at.millis(), id])?;
                self.claim(app, id, ports)
            }
            Change::Released { app, ports, .. } => self.release(app, ports),
            Change::Renewed { app, lease } => self.renew(app, *lease),
            Change::Noted { app, notes } => {
                let id = self.held(app)?;
                let notes = (!notes.is_empty()).then(|| json(notes)).transpose()?;
                self.sqlite
                    .prepare_cached("UPDATE apps SET notes = ?1, updated_at = ?2 WHERE id = ?3")?
                    .execute(params![notes, self.at.millis(), id])?;
                Ok(())
            }
            Change::Moved { app, from, to, .. } => {
                let id = self.held(app)?;
                self.vacate(app, id, from)?;
                self.sqlite
                    .prepare_cached("UPDATE apps SET updated_at = ?1 WHERE id = ?2")?
                    .execute(params![self.at.millis(), id])?;
                self.claim(app, id, to)
            }
            Change::Promised { file } => self.promise(file),
            Change::Unpromised { source } => {
                let gone = self
                    .sqlite
                    .prepare_cached("DELETE FROM promise_files WHERE space = ?1 AND source = ?2")?
                    .execute(params![self.space.as_str(), source])?;
                expect_one(gone, || format!("no file {source} is known"))
            }
            Change::PoolAdded { pool } => self.add_pool(pool),
            Change::PoolRemoved { pool } => {
                let gone = self
                    .sqlite
                    .prepare_cached("DELETE FROM pools WHERE space = ?1 AND name = ?2")?
                    .execute(params![self.space.as_str(), pool.name.as_str()])?;
                expect_one(gone, || format!("there is no pool `{}`", pool.name))
            }
        }
    }

    /// Makes the app one that holds ports, and says which row is its. Most apps are new, so that is
    /// tried first; one that comes back has a row already.
    fn hold(
        &self,
        app: &AppKey,
        source: Source,
        created_at: Timestamp,
        lease: Option<Lease>,
    ) -> Result<i64, Refused> {
        let (expires_at, ttl) = end_of(lease);
        let values = params![
            self.space.as_str(),
            app.model.identity(),
            app.number.get(),
            app.model.spelling(),
            source.as_str(),
            created_at.millis(),
            self.at.millis(),
            expires_at,
            ttl,
        ];
        let new = self
            .sqlite
            .prepare_cached(
                "INSERT INTO apps (space, identity, app_num, model, state, source, created_at, updated_at, expires_at, ttl)
                 VALUES (?1, ?2, ?3, ?4, 'held', ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(values);
        match new {
            Ok(_) => return Ok(self.sqlite.last_insert_rowid()),
            Err(error) if violates_key(&error) => {}
            Err(error) => return Err(error.into()),
        }
        let returned = self
            .sqlite
            .prepare_cached(
                "UPDATE apps SET model = ?4, state = 'held', source = ?5, created_at = ?6, updated_at = ?7,
                     expires_at = ?8, ttl = ?9, former_ports = NULL, released_at = NULL
                 WHERE space = ?1 AND identity = ?2 AND app_num = ?3 AND state = 'former'",
            )?
            .execute(values)?;
        expect_one(returned, || format!("{app} has an allocation already"))?;
        self.held(app)
    }

    /// The row of an app that holds ports.
    fn held(&self, app: &AppKey) -> Result<i64, Refused> {
        self.sqlite
            .prepare_cached(
                "SELECT id FROM apps WHERE space = ?1 AND identity = ?2 AND app_num = ?3 AND state = 'held'",
            )?
            .query_row(
                params![self.space.as_str(), app.model.identity(), app.number.get()],
                |row| row.get(0),
            )
            .optional()?
            .ok_or_else(|| Refused::Duplicate(format!("{app} holds no ports")))
    }

    fn claim(&self, app: &AppKey, id: i64, ports: &Ports) -> Result<(), Refused> {
        for (role, port) in ports {
            let claimed = self
                .sqlite
                .prepare_cached(
                    "INSERT INTO ports (space, port, app_id, role) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![self.space.as_str(), port.get(), id, role.as_str()]);
            claimed.map_err(|error| match violates_key(&error) {
                true => Refused::Duplicate(self.why_not(app, role, *port)),
                false => error.into(),
            })?;
            self.sqlite
                .prepare_cached("DELETE FROM rests WHERE space = ?1 AND port = ?2")?
                .execute(params![self.space.as_str(), port.get()])?;
        }
        Ok(())
    }

    /// Why the keys refused a port.
    fn why_not(&self, app: &AppKey, role: &Role, port: Port) -> String {
        let owner: rusqlite::Result<String> = self.sqlite.query_row(
            "SELECT model || '/app' || app_num FROM ports JOIN apps ON apps.id = app_id
             WHERE ports.space = ?1 AND port = ?2",
            params![self.space.as_str(), port.get()],
            |row| row.get(0),
        );
        match owner {
            Ok(owner) => format!("port {port} belongs to {owner} already"),
            Err(_) => format!("{app} cannot have {port} as its {role}: it has another already"),
        }
    }

    /// Takes some of an app's ports away.
    fn vacate(&self, app: &AppKey, id: i64, ports: &Ports) -> Result<(), Refused> {
        for (role, port) in ports {
            let gone = self
                .sqlite
                .prepare_cached(
                    "DELETE FROM ports WHERE space = ?1 AND port = ?2 AND app_id = ?3 AND role = ?4",
                )?
                .execute(params![self.space.as_str(), port.get(), id, role.as_str()])?;
            expect_one(gone, || format!("{app} does not hold {port} as its {role}"))?;
            self.sqlite
                .prepare_cached(
                    "INSERT INTO rests (space, port, since, model, app_num) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (space, port) DO UPDATE
                     SET since = excluded.since, model = excluded.model, app_num = excluded.app_num",
                )?
                .execute(params![
                    self.space.as_str(),
                    port.get(),
                    self.at.millis(),
                    app.model.spelling(),
                    app.number.get(),
                ])?;
        }
        Ok(())
    }

    /// Takes away what the app holds, and nothing else.
    fn release(&self, app: &AppKey, ports: &Ports) -> Result<(), Refused> {
        let id = self.held(app)?;
        self.vacate(app, id, ports)?;
        let left = self
            .sqlite
            .prepare_cached("SELECT 1 FROM ports WHERE app_id = ?1")?
            .exists(params![id])?;
        if left {
            return Err(Refused::Duplicate(format!(
                "{app} holds more ports than it gives back"
            )));
        }
        self.sqlite
            .prepare_cached(
                "UPDATE apps SET model = ?1, state = 'former', former_ports = ?2, released_at = ?3, updated_at = ?3,
                     expires_at = NULL, ttl = NULL, notes = NULL
                 WHERE id = ?4",
            )?
            .execute(params![
                app.model.spelling(),
                json(ports)?,
                self.at.millis(),
                id,
            ])?;
        Ok(())
    }

    fn renew(&self, app: &AppKey, lease: Lease) -> Result<(), Refused> {
        let (expires_at, ttl) = end_of(Some(lease));
        let renewed = self
            .sqlite
            .prepare_cached(
                "UPDATE apps SET expires_at = ?4, ttl = ?5, updated_at = ?6
                 WHERE space = ?1 AND identity = ?2 AND app_num = ?3 AND state = 'held'",
            )?
            .execute(params![
                self.space.as_str(),
                app.model.identity(),
                app.number.get(),
                expires_at,
                ttl,
                self.at.millis(),
            ])?;
        expect_one(renewed, || format!("{app} holds no ports"))
    }

    fn promise(&self, file: &PromiseFile) -> Result<(), Refused> {
        self.sqlite
            .prepare_cached(
                "INSERT INTO promise_files (space, source, digest, promises) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (space, source) DO UPDATE
                 SET digest = excluded.digest, promises = excluded.promises",
            )?
            .execute(params![
                self.space.as_str(),
                file.source,
                file.digest,
                json(&file.promises)?,
            ])?;
        Ok(())
    }

    fn add_pool(&self, pool: &Pool) -> Result<(), Refused> {
        let added = self
            .sqlite
            .prepare_cached(
                "INSERT INTO pools (space, name, first_port, last_port, models) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                self.space.as_str(),
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
