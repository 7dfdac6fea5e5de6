//! Writing changes: what each of them does to the rows.
//!
//! The mirror of the model's `SpaceBook::apply`. Every statement says which rows it expects to touch;
//! where it finds others, the plan was made on a wrong picture of the book, and the whole batch is
//! refused. New allocations, which most batches are made of, are gathered and written together.

use std::collections::HashSet;

use portbook_model::{
    AppKey, Batch, Change, Lease, Pool, Ports, PromiseFile, Revision, Source, Space, SpaceChange,
    Timestamp,
};

use crate::connection::Connection;
use crate::error::Refused;
use crate::reading::number_of;

/// Writes a batch inside the transaction that is open, if the book is still at `expected`.
///
/// The head comes first: a plan on an old book is merely stale, whatever else is wrong with it.
pub(crate) fn write(
    connection: &Connection,
    expected: Revision,
    batch: &Batch,
) -> Result<(), Refused> {
    // A revision that the database cannot hold is not the book's.
    let first = i64::try_from(expected.0).map_err(|_| Refused::Stale)?;
    let last = i64::try_from(expected.after(batch.changes.len()).0).map_err(|_| Refused::Stale)?;
    let moved = connection.execute(
        "UPDATE portbook_head SET revision = $1, changed_at = greatest(changed_at, $2) WHERE revision = $3",
        &[&last, &batch.at.millis(), &first],
    )?;
    if moved != 1 {
        return Err(Refused::Stale);
    }
    let mut rows = Rows {
        connection,
        at: batch.at,
        new: NewRows::default(),
    };
    let mut changes = ChangeRows::default();
    for (revision, SpaceChange { space, by, change }) in (first + 1..).zip(&batch.changes) {
        rows.apply(space, revision, change)?;
        changes.add(revision, space, by.as_str(), change)?;
    }
    rows.write_new()?;
    changes.write(connection, batch)
}

fn json(value: &impl serde::Serialize) -> Result<String, Refused> {
    serde_json::to_string(value).map_err(|error| Refused::Unwritable(error.to_string()))
}

fn expect(rows: u64, expected: usize, otherwise: impl FnOnce() -> String) -> Result<(), Refused> {
    if usize::try_from(rows) == Ok(expected) {
        Ok(())
    } else {
        Err(Refused::Duplicate(otherwise()))
    }
}

fn end_of(lease: Option<Lease>) -> (Option<i64>, Option<i64>) {
    let ttl = |lease: Lease| i64::try_from(lease.ttl.duration().as_millis()).unwrap_or(i64::MAX);
    (lease.map(|lease| lease.expires_at.millis()), lease.map(ttl))
}

/// What is recorded of a batch, column by column.
#[derive(Default)]
struct ChangeRows<'a> {
    revisions: Vec<i64>,
    actors: Vec<&'a str>,
    spaces: Vec<&'a str>,
    identities: Vec<Option<&'a str>>,
    numbers: Vec<Option<i32>>,
    payloads: Vec<String>,
}

impl<'a> ChangeRows<'a> {
    fn add(
        &mut self,
        revision: i64,
        space: &'a Space,
        actor: &'a str,
        change: &'a Change,
    ) -> Result<(), Refused> {
        let app = change.app();
        self.revisions.push(revision);
        self.actors.push(actor);
        self.spaces.push(space.as_str());
        self.identities.push(app.map(|app| app.model.identity()));
        self.numbers.push(app.map(|app| number_of(app.number)));
        self.payloads.push(json(change)?);
        Ok(())
    }

    fn write(&self, connection: &Connection, batch: &Batch) -> Result<(), Refused> {
        let written = connection.execute(
            "INSERT INTO portbook_changes (revision, commit_id, at, actor, space, identity, app_num, payload)
             SELECT revision, $1, $2, actor, space, identity, app_num, payload
             FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::integer[], $8::text[])
               AS new (revision, actor, space, identity, app_num, payload)",
            &[
                &batch.commit.0.as_slice(),
                &batch.at.millis(),
                &self.revisions,
                &self.actors,
                &self.spaces,
                &self.identities,
                &self.numbers,
                &self.payloads,
            ],
        )?;
        expect(written, self.revisions.len(), || {
            "changes got lost".to_owned()
        })
    }
}

/// Allocations that are not written yet, column by column.
#[derive(Default)]
struct NewRows<'a> {
    apps: HashSet<(&'a str, &'a AppKey)>,
    spaces: Vec<&'a str>,
    identities: Vec<&'a str>,
    numbers: Vec<i32>,
    models: Vec<&'a str>,
    revisions: Vec<i64>,
    sources: Vec<&'a str>,
    created: Vec<i64>,
    ends: Vec<Option<i64>>,
    ttls: Vec<Option<i64>>,
    ports: PortRows<'a>,
}

/// Ports that are to be claimed, column by column.
#[derive(Default)]
struct PortRows<'a> {
    spaces: Vec<&'a str>,
    ports: Vec<i32>,
    identities: Vec<&'a str>,
    numbers: Vec<i32>,
    roles: Vec<&'a str>,
}

impl<'a> PortRows<'a> {
    fn of(space: &'a Space, app: &'a AppKey, ports: &'a Ports) -> Self {
        let mut rows = Self::default();
        rows.add(space, app, ports);
        rows
    }

    fn add(&mut self, space: &'a Space, app: &'a AppKey, ports: &'a Ports) {
        for (role, port) in ports {
            self.spaces.push(space.as_str());
            self.ports.push(i32::from(port.get()));
            self.identities.push(app.model.identity());
            self.numbers.push(number_of(app.number));
            self.roles.push(role.as_str());
        }
    }

    fn claim(&self, connection: &Connection) -> Result<(), Refused> {
        if self.ports.is_empty() {
            return Ok(());
        }
        let claimed = connection.execute(
            "INSERT INTO portbook_ports (space, port, identity, app_num, role)
             SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::integer[], $5::text[])",
            &[&self.spaces, &self.ports, &self.identities, &self.numbers, &self.roles],
        )?;
        expect(claimed, self.ports.len(), || "ports got lost".to_owned())?;
        connection.execute(
            "DELETE FROM portbook_rests AS rest
             USING unnest($1::text[], $2::integer[]) AS claimed (space, port)
             WHERE rest.space = claimed.space AND rest.port = claimed.port",
            &[&self.spaces, &self.ports],
        )?;
        Ok(())
    }

    /// Takes these ports away, which are an app's, and lets them rest.
    fn vacate(&self, connection: &Connection, app: &AppKey, at: Timestamp) -> Result<(), Refused> {
        if self.ports.is_empty() {
            return Ok(());
        }
        let gone = connection.execute(
            "DELETE FROM portbook_ports AS held
             USING unnest($1::text[], $2::integer[], $3::text[], $4::integer[], $5::text[])
               AS given (space, port, identity, app_num, role)
             WHERE held.space = given.space AND held.port = given.port
               AND held.identity = given.identity AND held.app_num = given.app_num
               AND held.role = given.role",
            &[
                &self.spaces,
                &self.ports,
                &self.identities,
                &self.numbers,
                &self.roles,
            ],
        )?;
        expect(gone, self.ports.len(), || {
            format!("{app} does not hold what it gives back")
        })?;
        connection.execute(
            "INSERT INTO portbook_rests (space, port, since, model, app_num)
             SELECT space, port, $3, $4, $5 FROM unnest($1::text[], $2::integer[]) AS given (space, port)
             ON CONFLICT (space, port) DO UPDATE
             SET since = excluded.since, model = excluded.model, app_num = excluded.app_num",
            &[
                &self.spaces,
                &self.ports,
                &at.millis(),
                &app.model.spelling(),
                &number_of(app.number),
            ],
        )?;
        Ok(())
    }
}

/// The rows, at the moment of the batch.
struct Rows<'a> {
    connection: &'a Connection,
    at: Timestamp,
    new: NewRows<'a>,
}

impl<'a> Rows<'a> {
    fn apply(
        &mut self,
        space: &'a Space,
        revision: i64,
        change: &'a Change,
    ) -> Result<(), Refused> {
        if let Change::Allocated {
            app,
            ports,
            source,
            created_at,
            lease,
        } = change
        {
            if self.new.apps.contains(&(space.as_str(), app)) {
                self.write_new()?;
            }
            let created_at = created_at.unwrap_or(self.at);
            self.gather(space, revision, app, *source, created_at, *lease);
            self.new.ports.add(space, app, ports);
            return Ok(());
        }
        // Whatever else happens may happen to an app that was just made.
        self.write_new()?;
        match change {
            Change::Allocated { .. } => Ok(()),
            Change::Extended { app, ports } => {
                self.touch(space, app)?;
                PortRows::of(space, app, ports).claim(self.connection)
            }
            Change::Released { app, ports, .. } => self.release(space, app, ports),
            Change::Renewed { app, lease } => self.renew(space, app, *lease),
            Change::Noted { app, notes } => {
                let notes = (!notes.is_empty()).then(|| json(notes)).transpose()?;
                let noted = self.connection.execute(
                    "UPDATE portbook_apps SET notes = $4, updated_at = $5
                     WHERE space = $1 AND identity = $2 AND app_num = $3 AND state = 'held'",
                    &[
                        &space.as_str(),
                        &app.model.identity(),
                        &number_of(app.number),
                        &notes,
                        &self.at.millis(),
                    ],
                )?;
                expect(noted, 1, || holds_nothing(app))
            }
            Change::Moved { app, from, to, .. } => {
                self.touch(space, app)?;
                PortRows::of(space, app, from).vacate(self.connection, app, self.at)?;
                PortRows::of(space, app, to).claim(self.connection)
            }
            Change::Promised { file } => self.promise(space, file),
            Change::Unpromised { source } => {
                let gone = self.connection.execute(
                    "DELETE FROM portbook_promise_files WHERE space = $1 AND source = $2",
                    &[&space.as_str(), source],
                )?;
                expect(gone, 1, || format!("no file {source} is known"))
            }
            Change::PoolAdded { pool } => self.add_pool(space, pool),
            Change::PoolRemoved { pool } => {
                let gone = self.connection.execute(
                    "DELETE FROM portbook_pools WHERE space = $1 AND name = $2",
                    &[&space.as_str(), &pool.name.as_str()],
                )?;
                expect(gone, 1, || format!("there is no pool `{}`", pool.name))
            }
            Change::Accepted => Ok(()),
        }
    }

    fn gather(
        &mut self,
        space: &'a Space,
        revision: i64,
        app: &'a AppKey,
        source: Source,
        created_at: Timestamp,
        lease: Option<Lease>,
    ) {
        let (expires_at, ttl) = end_of(lease);
        let new = &mut self.new;
        new.apps.insert((space.as_str(), app));
        new.spaces.push(space.as_str());
        new.identities.push(app.model.identity());
        new.numbers.push(number_of(app.number));
        new.models.push(app.model.spelling());
        new.revisions.push(revision);
        new.sources.push(source.as_str());
        new.created.push(created_at.millis());
        new.ends.push(expires_at);
        new.ttls.push(ttl);
    }

    /// Writes the gathered allocations. An app that comes back has a row already, a former one.
    fn write_new(&mut self) -> Result<(), Refused> {
        let new = std::mem::take(&mut self.new);
        if new.spaces.is_empty() {
            return Ok(());
        }
        let made = self.connection.execute(
            "INSERT INTO portbook_apps AS app (space, identity, app_num, model, known_since, state, source,
                 created_at, updated_at, expires_at, ttl)
             SELECT space, identity, app_num, model, known_since, 'held', source, created_at, $1, expires_at, ttl
             FROM unnest($2::text[], $3::text[], $4::integer[], $5::text[], $6::bigint[], $7::text[],
                 $8::bigint[], $9::bigint[], $10::bigint[])
               AS new (space, identity, app_num, model, known_since, source, created_at, expires_at, ttl)
             ON CONFLICT (space, identity, app_num) DO UPDATE
             SET model = excluded.model, state = 'held', source = excluded.source,
                 created_at = excluded.created_at, updated_at = excluded.updated_at,
                 expires_at = excluded.expires_at, ttl = excluded.ttl,
                 former_ports = NULL, released_at = NULL
             WHERE app.state = 'former'",
            &[
                &self.at.millis(),
                &new.spaces,
                &new.identities,
                &new.numbers,
                &new.models,
                &new.revisions,
                &new.sources,
                &new.created,
                &new.ends,
                &new.ttls,
            ],
        )?;
        expect(made, new.spaces.len(), || {
            "an app that is said to be new has an allocation already".to_owned()
        })?;
        new.ports.claim(self.connection)
    }

    /// The app has changed, and has to hold ports.
    fn touch(&self, space: &Space, app: &AppKey) -> Result<(), Refused> {
        let touched = self.connection.execute(
            "UPDATE portbook_apps SET updated_at = $4
             WHERE space = $1 AND identity = $2 AND app_num = $3 AND state = 'held'",
            &[
                &space.as_str(),
                &app.model.identity(),
                &number_of(app.number),
                &self.at.millis(),
            ],
        )?;
        expect(touched, 1, || holds_nothing(app))
    }

    /// Takes away what the app holds, and nothing else.
    fn release(&self, space: &Space, app: &AppKey, ports: &Ports) -> Result<(), Refused> {
        self.touch(space, app)?;
        PortRows::of(space, app, ports).vacate(self.connection, app, self.at)?;
        let released = self.connection.execute(
            "UPDATE portbook_apps AS app
             SET model = $4, state = 'former', former_ports = $5, released_at = $6, updated_at = $6,
                 expires_at = NULL, ttl = NULL, notes = NULL
             WHERE space = $1 AND identity = $2 AND app_num = $3 AND NOT EXISTS (
                 SELECT 1 FROM portbook_ports AS held
                 WHERE held.space = $1 AND held.identity = $2 AND held.app_num = $3)",
            &[
                &space.as_str(),
                &app.model.identity(),
                &number_of(app.number),
                &app.model.spelling(),
                &json(ports)?,
                &self.at.millis(),
            ],
        )?;
        expect(released, 1, || {
            format!("{app} holds more ports than it gives back")
        })
    }

    fn renew(&self, space: &Space, app: &AppKey, lease: Lease) -> Result<(), Refused> {
        let (expires_at, ttl) = end_of(Some(lease));
        let renewed = self.connection.execute(
            "UPDATE portbook_apps SET expires_at = $4, ttl = $5, updated_at = $6
             WHERE space = $1 AND identity = $2 AND app_num = $3 AND state = 'held'",
            &[
                &space.as_str(),
                &app.model.identity(),
                &number_of(app.number),
                &expires_at,
                &ttl,
                &self.at.millis(),
            ],
        )?;
        expect(renewed, 1, || holds_nothing(app))
    }

    fn promise(&self, space: &Space, file: &PromiseFile) -> Result<(), Refused> {
        self.connection.execute(
            "INSERT INTO portbook_promise_files (space, source, digest, promises) VALUES ($1, $2, $3, $4)
             ON CONFLICT (space, source) DO UPDATE
             SET digest = excluded.digest, promises = excluded.promises",
            &[&space.as_str(), &file.source, &file.digest, &json(&file.promises)?],
        )?;
        Ok(())
    }

    fn add_pool(&self, space: &Space, pool: &Pool) -> Result<(), Refused> {
        self.connection.execute(
            "INSERT INTO portbook_pools (space, name, first_port, last_port, models)
             VALUES ($1, $2, $3, $4, $5)",
            &[
                &space.as_str(),
                &pool.name.as_str(),
                &i32::from(pool.ports.first().get()),
                &i32::from(pool.ports.last().get()),
                &pool.models.as_str(),
            ],
        )?;
        Ok(())
    }
}

fn holds_nothing(app: &AppKey) -> String {
    format!("{app} holds no ports")
}
