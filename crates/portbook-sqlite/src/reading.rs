//! Reading rows.
//!
//! Nothing that lies in the file is trusted to be what this crate wrote: a value that no portbook
//! writes is [`StoreError::Damaged`], with the row that it stands in.

use std::fmt::{self, Display};

use portbook_model::{
    Allocation, AppKey, AppNumber, AppRecord, BookId, Change, CommitId, FormerAllocation, Head,
    Lease, Model, ModelPattern, Needs, Notes, Owner, Pool, PoolName, Port, PortStretch, Ports,
    PromiseFile, Recorded, Rest, Revision, Role, Source, Space, SpaceBook, Span, Timestamp,
};
use portbook_store::{Filter, HistoryFilter, StoreError};
use rusqlite::types::{FromSql, ValueRef};
use rusqlite::{CachedStatement, Connection, Params, Row, Rows, Statement, params};

use crate::error::plain;
use crate::place::Place;

/// The book as one transaction sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    /// The connection that the transaction is on.
    pub(crate) sqlite: &'a Connection,
    /// Where the book is, for messages.
    pub(crate) place: &'a Place,
}

/// A query for apps, whose columns are those that [`app_record`] reads.
macro_rules! apps {
    ($which:literal) => {
        concat!(
            "SELECT identity, app_num, spelling, ports, source, created_at, updated_at, expires_at, ttl, notes, released_at
             FROM apps LEFT JOIN models USING (space, identity) WHERE space = ?1 AND ",
            $which
        )
    };
}

const ONE_APP: &str = apps!("app_num = ?2 AND identity = ?3");

/// What a value that makes no sense is, in words.
type Nonsense = String;

impl View<'_> {
    pub(crate) fn head(&self) -> Result<Head, StoreError> {
        let sql = "SELECT id, revision, at FROM book LEFT JOIN changes
                   ON revision = (SELECT max(revision) FROM changes)";
        let mut statement = self.statement(sql)?;
        let (book, revision, changed_at) = statement
            .query_row([], |row| {
                let revision: Option<i64> = row.get(1)?;
                let changed_at: Option<i64> = row.get(2)?;
                Ok((row.get(0)?, revision.unwrap_or(0), changed_at.unwrap_or(0)))
            })
            .map_err(|error| self.failure(error))?;
        Ok(Head {
            book: BookId(book),
            revision: self.sane("the last change", revision_of(revision))?,
            changed_at: Timestamp::from_millis(changed_at),
        })
    }

    pub(crate) fn changes_since(&self, after: Revision) -> Result<Vec<Recorded>, StoreError> {
        let sql = "SELECT revision, commit_id, at, actor, space, payload
                   FROM changes WHERE revision > ?1 ORDER BY revision";
        // No book has a revision that SQLite cannot hold.
        let after = i64::try_from(after.0).unwrap_or(i64::MAX);
        let mut changes = Vec::new();
        self.each(sql, params![after], |row| {
            changes.push(self.change(row)?);
            Ok(())
        })?;
        Ok(changes)
    }

    pub(crate) fn commit_at(&self, revision: Revision) -> Result<Option<CommitId>, StoreError> {
        let Ok(revision) = i64::try_from(revision.0) else {
            return Ok(None);
        };
        let mut commit = None;
        let sql = "SELECT commit_id FROM changes WHERE revision = ?1";
        self.each(sql, params![revision], |row| {
            let bytes = column(row, 0).map(CommitId);
            commit = Some(self.sane("a row of changes", bytes)?);
            Ok(())
        })?;
        Ok(commit)
    }

    pub(crate) fn space(
        &self,
        space: &Space,
        released_after: Timestamp,
    ) -> Result<SpaceBook, StoreError> {
        let name = space.as_str();
        let mut book = SpaceBook::default();
        let taken = "SELECT port FROM ports WHERE space = ?1";
        self.each(taken, params![name], |row| {
            let port = column(row, 0).and_then(|port: i64| sensible(Port::try_from(port)));
            book.taken.insert(self.sane("a row of ports", port)?);
            Ok(())
        })?;
        let files = "SELECT source, digest, promises FROM promise_files WHERE space = ?1";
        self.each(files, params![name], |row| {
            book.promises
                .set(self.sane("a row of promise_files", promise_file(row))?);
            Ok(())
        })?;
        let pools = "SELECT name, first_port, last_port, models FROM pools WHERE space = ?1";
        self.each(pools, params![name], |row| {
            let pool = self.sane("a row of pools", pool(row))?;
            book.pools.insert(pool.name.clone(), pool);
            Ok(())
        })?;
        let rests = "SELECT port, since, model, app_num FROM rests WHERE space = ?1 AND since > ?2";
        self.each(rests, params![name, released_after.millis()], |row| {
            let (port, rest) = self.sane("a row of rests", rest(row))?;
            if !book.taken.contains(port) {
                book.rests.insert(port, rest);
            }
            Ok(())
        })?;
        Ok(book)
    }

    pub(crate) fn load(
        &self,
        space: &Space,
        needs: &Needs,
        book: &mut SpaceBook,
    ) -> Result<(), StoreError> {
        let mut query = self.statement(ONE_APP)?;
        for app in &needs.apps {
            if let Some(record) = self.one_app(&mut query, space, app)? {
                book.load(record);
            } else if !book.models.contains(&app.model) {
                book.models
                    .extend(self.model_as_first_spelt(space, &app.model)?);
            }
        }
        const OWNERS: &str = "
            SELECT port, role, spelling, apps.app_num
            FROM ports
            LEFT JOIN apps USING (space, app_num, identity)
            LEFT JOIN models USING (space, identity)
            WHERE space = ?1";
        let mut own = |row: &Row<'_>| {
            let (port, owner) = self.sane("a row of ports", owner(row))?;
            book.owners.insert(port, owner);
            Ok(())
        };
        if needs.every_owner {
            return self.each(OWNERS, params![space.as_str()], own);
        }
        let one = format!("{OWNERS} AND port = ?2");
        for port in needs.owners.iter() {
            self.each(&one, params![space.as_str(), port.get()], &mut own)?;
        }
        Ok(())
    }

    fn model_as_first_spelt(
        &self,
        space: &Space,
        model: &Model,
    ) -> Result<Option<Model>, StoreError> {
        let sql = "SELECT spelling FROM models WHERE space = ?1 AND identity = ?2";
        let mut found = None;
        self.each(sql, params![space.as_str(), model.identity()], |row| {
            found = Some(self.sane("a row of models", model_of(row))?);
            Ok(())
        })?;
        Ok(found)
    }

    pub(crate) fn app(&self, space: &Space, app: &AppKey) -> Result<Option<AppRecord>, StoreError> {
        let mut query = self.statement(ONE_APP)?;
        self.one_app(&mut query, space, app)
    }

    fn one_app(
        &self,
        query: &mut Statement<'_>,
        space: &Space,
        app: &AppKey,
    ) -> Result<Option<AppRecord>, StoreError> {
        let values = params![space.as_str(), app.number.get(), app.model.identity()];
        let mut rows = query.query(values).map_err(|error| self.failure(error))?;
        let row = self.next(&mut rows)?;
        row.map(|row| self.record(space, row)).transpose()
    }

    pub(crate) fn allocations(&self, filter: &Filter) -> Result<Vec<Allocation>, StoreError> {
        let space = filter.space.as_str();
        let mut held = Vec::new();
        let mut keep = |record| {
            if let AppRecord::Held(allocation) = record
                && filter.means(&allocation.app)
            {
                held.push(allocation);
            }
        };
        match filter.only_identity() {
            Some(identity) => {
                let sql = apps!("identity = ?2 AND released_at IS NULL ORDER BY app_num");
                self.records(&filter.space, sql, params![space, identity], &mut keep)?;
            }
            None => {
                let sql = apps!("released_at IS NULL ORDER BY identity, app_num");
                self.records(&filter.space, sql, params![space], &mut keep)?;
            }
        }
        Ok(held)
    }

    pub(crate) fn lapsed(&self, now: Timestamp) -> Result<Vec<(Space, AppKey)>, StoreError> {
        let sql = "SELECT space, spelling, app_num FROM apps JOIN models USING (space, identity)
                   WHERE expires_at IS NOT NULL AND expires_at <= ?1
                   ORDER BY expires_at";
        let mut lapsed = Vec::new();
        self.each(sql, params![now.millis()], |row| {
            let found = (|| {
                let space: String = column(row, 0)?;
                Ok((sensible(Space::new(&space))?, app_key(row, 1)?))
            })();
            lapsed.push(self.sane("a row of apps", found)?);
            Ok(())
        })?;
        Ok(lapsed)
    }

    pub(crate) fn history(&self, filter: &HistoryFilter) -> Result<Vec<Recorded>, StoreError> {
        let of = &filter.of;
        let everything = of.models.is_none() && of.number.is_none();
        let last = filter.last.unwrap_or(usize::MAX);
        // From the newest back, so that the end of a long history costs only its end.
        let sql = "SELECT revision, commit_id, at, actor, space, payload
                   FROM changes
                   WHERE space = ?1 AND (?2 IS NULL OR json_extract(payload, '$.app_num') = ?2)
                   ORDER BY revision DESC";
        let number = of.number.map(AppNumber::get);
        let mut statement = self.statement(sql)?;
        let mut rows = statement
            .query(params![of.space.as_str(), number])
            .map_err(|error| self.failure(error))?;
        let mut recorded = Vec::new();
        while recorded.len() < last {
            let Some(row) = self.next(&mut rows)? else {
                break;
            };
            let change = self.change(row)?;
            if change.change.app().map_or(everything, |app| of.means(app)) {
                recorded.push(change);
            }
        }
        recorded.reverse();
        Ok(recorded)
    }

    pub(crate) fn spaces(&self) -> Result<Vec<Space>, StoreError> {
        let sql = "SELECT space FROM apps UNION SELECT space FROM ports
                   UNION SELECT space FROM promise_files UNION SELECT space FROM pools ORDER BY 1";
        let mut spaces = Vec::new();
        self.each(sql, [], |row| {
            let space = column(row, 0).and_then(|name: String| sensible(Space::new(&name)));
            spaces.push(self.sane("the name of a space", space)?);
            Ok(())
        })?;
        Ok(spaces)
    }

    pub(crate) fn models(&self, space: &Space) -> Result<Vec<Model>, StoreError> {
        let sql = "SELECT spelling FROM models WHERE space = ?1 ORDER BY place";
        let mut models = Vec::new();
        self.each(sql, params![space.as_str()], |row| {
            models.push(self.sane("a row of models", model_of(row))?);
            Ok(())
        })?;
        Ok(models)
    }

    /// Calls `take` with each app of a query by [`apps!`].
    fn records(
        &self,
        space: &Space,
        sql: &str,
        values: impl Params,
        mut take: impl FnMut(AppRecord),
    ) -> Result<(), StoreError> {
        self.each(sql, values, |row| {
            take(self.record(space, row)?);
            Ok(())
        })
    }

    /// What a row of a query by [`apps!`] says, with the app's ports.
    fn record(&self, space: &Space, row: &Row<'_>) -> Result<AppRecord, StoreError> {
        let (mut record, listed) = self.sane(AppRow(row), app_record(row))?;
        if let AppRecord::Held(allocation) = &mut record {
            let ports = self.ports_of(space, &allocation.app, &listed)?;
            allocation.ports = match ports.is_empty() {
                true => self.sane(
                    AppRow(row),
                    Err("it is said to hold ports, and has none".to_owned()),
                )?,
                false => ports,
            };
        }
        Ok(record)
    }

    /// What an app holds by the rows of ports. Its own row lists where they are; where they are not,
    /// the list is worth nothing, and every row is looked at.
    pub(crate) fn ports_of(
        &self,
        space: &Space,
        app: &AppKey,
        listed: &[Port],
    ) -> Result<Ports, StoreError> {
        let at_port = "SELECT port, role FROM ports WHERE space = ?1 AND app_num = ?2 AND identity = ?3 AND port = ?4";
        let (space, number, identity) = (space.as_str(), app.number.get(), app.model.identity());
        let mut ports = Ports::new();
        let mut take = |row: &Row<'_>| -> Result<(), StoreError> {
            let (port, role) = self.sane("a row of ports", port_and_role(row))?;
            ports.insert(role, port);
            Ok(())
        };
        let mut found = 0;
        for port in listed {
            let values = params![space, number, identity, port.get()];
            self.each(at_port, values, |row| {
                found += 1;
                take(row)
            })?;
        }
        if listed.is_empty() || found != listed.len() {
            let anywhere =
                "SELECT port, role FROM ports WHERE space = ?1 AND app_num = ?2 AND identity = ?3";
            self.each(anywhere, params![space, number, identity], take)?;
        }
        Ok(ports)
    }

    fn change(&self, row: &Row<'_>) -> Result<Recorded, StoreError> {
        let revision: i64 = self.sane("a row of changes", column(row, 0))?;
        self.sane(format!("the change {revision}"), recorded(row, revision))
    }

    /// Calls `take` with every row of a query.
    fn each(
        &self,
        sql: &str,
        values: impl Params,
        mut take: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.statement(sql)?;
        let mut rows = statement
            .query(values)
            .map_err(|error| self.failure(error))?;
        while let Some(row) = self.next(&mut rows)? {
            take(row)?;
        }
        Ok(())
    }

    fn next<'r, 's>(&self, rows: &'r mut Rows<'s>) -> Result<Option<&'r Row<'s>>, StoreError> {
        rows.next().map_err(|error| self.failure(error))
    }

    fn statement(&self, sql: &str) -> Result<CachedStatement<'_>, StoreError> {
        self.sqlite
            .prepare_cached(sql)
            .map_err(|error| self.failure(error))
    }

    fn failure(&self, error: rusqlite::Error) -> StoreError {
        self.place.failure(&error)
    }

    fn sane<T>(&self, row: impl Display, value: Result<T, Nonsense>) -> Result<T, StoreError> {
        value.map_err(|nonsense| self.place.damaged(format!("{row}: {nonsense}")))
    }
}

/// A value of whatever type.
pub(crate) fn shown(row: &Row<'_>, index: usize) -> String {
    match row.get_ref(index) {
        Ok(ValueRef::Null) => "NULL".to_owned(),
        Ok(ValueRef::Integer(number)) => number.to_string(),
        Ok(ValueRef::Real(number)) => number.to_string(),
        Ok(ValueRef::Text(text)) => String::from_utf8_lossy(text).into_owned(),
        Ok(ValueRef::Blob(blob)) => format!("{} bytes", blob.len()),
        Err(error) => plain(&error),
    }
}

fn column<T: FromSql>(row: &Row<'_>, index: usize) -> Result<T, Nonsense> {
    row.get(index).map_err(|error| plain(&error))
}

fn sensible<T>(value: Result<T, impl Display>) -> Result<T, Nonsense> {
    value.map_err(|error| error.to_string())
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Nonsense> {
    sensible(serde_json::from_str(text))
}

fn revision_of(number: i64) -> Result<Revision, Nonsense> {
    let number = u64::try_from(number);
    number
        .map(Revision)
        .map_err(|_| "its revision is below 0".to_owned())
}

/// The app whose model's spelling stands at `index` and whose number stands next.
fn app_key(row: &Row<'_>, index: usize) -> Result<AppKey, Nonsense> {
    let model: String = column(row, index)?;
    let number: i64 = column(row, index + 1)?;
    Ok(AppKey::new(
        sensible(Model::new(&model))?,
        sensible(AppNumber::try_from(number))?,
    ))
}

/// A row of a query by [`apps!`], for messages.
struct AppRow<'a, 'b>(&'a Row<'b>);

impl Display for AppRow<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (identity, number) = (shown(self.0, 0), shown(self.0, 1));
        write!(f, "the row of {identity}/app{number} in apps")
    }
}

/// What a row of a query by [`apps!`] says.
///
/// A held app's ports are still to be found: those are listed beside it.
fn app_record(row: &Row<'_>) -> Result<(AppRecord, Vec<Port>), Nonsense> {
    let identity: String = column(row, 0)?;
    let number: i64 = column(row, 1)?;
    let Some(model) = column::<Option<String>>(row, 2)? else {
        return Err("its model is not among the models".to_owned());
    };
    let app = AppKey::new(
        sensible(Model::new(&model))?,
        sensible(AppNumber::try_from(number))?,
    );
    if app.model.identity() != identity {
        return Err(format!(
            "its identity is `{identity}`, but that of its model {model} is `{}`",
            app.model.identity()
        ));
    }
    let list: String = column(row, 3)?;
    if let Some(released_at) = column(row, 10)? {
        let former = FormerAllocation {
            app,
            ports: json(&list)?,
            released_at: Timestamp::from_millis(released_at),
        };
        return Ok((AppRecord::Former(former), Vec::new()));
    }
    // What is no list is as good as an empty one.
    let listed: Vec<Port> = json(&list).unwrap_or_default();
    let created_at = column(row, 5)?;
    let held = Allocation {
        app,
        ports: Ports::new(),
        source: source(row)?,
        created_at: Timestamp::from_millis(created_at),
        updated_at: Timestamp::from_millis(column::<Option<i64>>(row, 6)?.unwrap_or(created_at)),
        lease: lease(row)?,
        notes: match column::<Option<String>>(row, 9)? {
            Some(notes) => json(&notes)?,
            None => Notes::default(),
        },
    };
    Ok((AppRecord::Held(held), listed))
}

fn source(row: &Row<'_>) -> Result<Source, Nonsense> {
    let name: String = column(row, 4)?;
    Source::from_name(&name).ok_or_else(|| format!("its source is `{name}`"))
}

fn lease(row: &Row<'_>) -> Result<Option<Lease>, Nonsense> {
    let Some(expires_at) = column(row, 7)? else {
        return Ok(None);
    };
    let ttl: i64 = column(row, 8)?;
    Ok(Some(Lease {
        expires_at: Timestamp::from_millis(expires_at),
        ttl: Span::from_millis(sensible(u64::try_from(ttl))?),
    }))
}

fn port_and_role(row: &Row<'_>) -> Result<(Port, Role), Nonsense> {
    let (port, role): (i64, String) = (column(row, 0)?, column(row, 1)?);
    Ok((sensible(Port::try_from(port))?, sensible(Role::new(&role))?))
}

fn model_of(row: &Row<'_>) -> Result<Model, Nonsense> {
    sensible(Model::new(&column::<String>(row, 0)?))
}

fn owner(row: &Row<'_>) -> Result<(Port, Owner), Nonsense> {
    let port = sensible(Port::try_from(column::<i64>(row, 0)?))?;
    let role: String = column(row, 1)?;
    let app = match column::<Option<String>>(row, 2)? {
        Some(_) => app_key(row, 2)?,
        None => {
            return Err(format!(
                "the port {port} belongs to an app that is not there"
            ));
        }
    };
    let role = sensible(Role::new(&role))?;
    Ok((port, Owner { app, role }))
}

fn promise_file(row: &Row<'_>) -> Result<PromiseFile, Nonsense> {
    Ok(PromiseFile {
        source: column(row, 0)?,
        digest: column(row, 1)?,
        promises: json(&column::<String>(row, 2)?)?,
    })
}

fn pool(row: &Row<'_>) -> Result<Pool, Nonsense> {
    let name: String = column(row, 0)?;
    let port = |index| column::<i64>(row, index).and_then(|port| sensible(Port::try_from(port)));
    let models: String = column(row, 3)?;
    Ok(Pool {
        name: sensible(PoolName::new(&name))?,
        ports: sensible(PortStretch::new(port(1)?, port(2)?))?,
        models: sensible(ModelPattern::try_from(models))?,
    })
}

fn rest(row: &Row<'_>) -> Result<(Port, Rest), Nonsense> {
    let port = sensible(Port::try_from(column::<i64>(row, 0)?))?;
    let rest = Rest {
        since: Timestamp::from_millis(column(row, 1)?),
        by: app_key(row, 2)?,
    };
    Ok((port, rest))
}

fn recorded(row: &Row<'_>, revision: i64) -> Result<Recorded, Nonsense> {
    let space: String = column(row, 4)?;
    let payload: String = column(row, 5)?;
    let change: Change = json(&payload)?;
    Ok(Recorded {
        revision: revision_of(revision)?,
        commit: CommitId(column(row, 1)?),
        at: Timestamp::from_millis(column(row, 2)?),
        actor: column(row, 3)?,
        space: sensible(Space::new(&space))?,
        change,
    })
}
