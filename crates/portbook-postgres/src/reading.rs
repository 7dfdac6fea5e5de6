//! Reading rows.
//!
//! Nothing that lies in the tables is trusted to be what this crate wrote: a value that no portbook
//! writes is [`StoreError::Damaged`], with the row that it stands in.

use std::fmt::Display;

use portbook_model::{
    Allocation, AppKey, AppNumber, AppRecord, BookId, Change, CommitId, FormerAllocation, Head,
    Lease, Model, ModelPattern, Needs, Notes, Owner, Pool, PoolName, Port, PortStretch, Ports,
    PromiseFile, Recorded, Rest, Revision, Role, Source, Space, SpaceBook, Span, Timestamp,
};
use portbook_store::{Filter, HistoryFilter, StoreError};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};

use crate::connection::{Connection, Values};

/// The head, as [`head`] reads it.
pub(crate) const HEAD: &str = "SELECT book_id, revision, changed_at FROM portbook_head";

/// The columns of an app with its ports, as [`app_record`] reads them.
macro_rules! apps {
    ($where:literal) => {
        concat!(
            "SELECT identity, app_num, model, state, source, created_at, updated_at, expires_at, ttl, notes,
                    former_ports, released_at,
                    (SELECT json_object_agg(role, port)::text FROM portbook_ports AS held
                     WHERE held.space = app.space AND held.identity = app.identity
                       AND held.app_num = app.app_num) AS ports
             FROM portbook_apps AS app WHERE ",
            $where
        )
    };
}

/// What a value that makes no sense is, in words.
type Nonsense = String;

/// The book as one transaction sees it.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) location: &'a str,
}

/// The head that [`HEAD`] reads.
pub(crate) fn head(rows: &[Row], location: &str) -> Result<Head, StoreError> {
    let read = || -> Result<Head, Nonsense> {
        let [row] = rows else {
            return Err(format!("it has {} rows", rows.len()));
        };
        Ok(Head {
            book: BookId(column(row, 0)?),
            revision: revision_of(column(row, 1)?)?,
            changed_at: Timestamp::from_millis(column(row, 2)?),
        })
    };
    read().map_err(|nonsense| damaged(location, "the head", &nonsense))
}

fn damaged(location: &str, what: impl Display, nonsense: &str) -> StoreError {
    StoreError::Damaged {
        location: location.to_owned(),
        reason: format!("{what}: {nonsense}"),
    }
}

impl View<'_> {
    pub(crate) fn changes_since(&self, after: Revision) -> Result<Vec<Recorded>, StoreError> {
        // No book has a revision that the database cannot hold.
        let after = i64::try_from(after.0).unwrap_or(i64::MAX);
        self.changes(
            "SELECT revision, commit_id, at, actor, space, payload
             FROM portbook_changes WHERE revision > $1 ORDER BY revision",
            &[&after],
        )
    }

    pub(crate) fn commit_at(&self, revision: Revision) -> Result<Option<CommitId>, StoreError> {
        let Ok(revision) = i64::try_from(revision.0) else {
            return Ok(None);
        };
        let sql = "SELECT commit_id FROM portbook_changes WHERE revision = $1";
        let found = self.rows(sql, &[&revision], "a row of changes", |row| commit(row, 0))?;
        Ok(found.into_iter().next())
    }

    pub(crate) fn space(
        &self,
        space: &Space,
        released_after: Timestamp,
    ) -> Result<SpaceBook, StoreError> {
        let name = space.as_str();
        let mut book = SpaceBook::default();
        let taken = "SELECT port FROM portbook_ports WHERE space = $1";
        for port in self.rows(taken, &[&name], "a row of ports", |row| port(row, 0))? {
            book.taken.insert(port);
        }
        let files = "SELECT source, digest, promises FROM portbook_promise_files WHERE space = $1";
        for file in self.rows(files, &[&name], "a row of promise_files", promise_file)? {
            book.promises.set(file);
        }
        let pools =
            "SELECT name, first_port, last_port, models FROM portbook_pools WHERE space = $1";
        for pool in self.rows(pools, &[&name], "a row of pools", pool)? {
            book.pools.insert(pool.name.clone(), pool);
        }
        let rests = "SELECT port, since, model, app_num FROM portbook_rests WHERE space = $1 AND since > $2";
        let since = released_after.millis();
        book.rests
            .extend(self.rows(rests, &[&name, &since], "a row of rests", rest)?);
        Ok(book)
    }

    pub(crate) fn load(
        &self,
        space: &Space,
        needs: &Needs,
        book: &mut SpaceBook,
    ) -> Result<(), StoreError> {
        let apps: Vec<&AppKey> = needs.apps.iter().collect();
        let mut unknown = Vec::new();
        for (app, record) in apps.iter().zip(self.apps(space, &apps)?) {
            match record {
                Some(record) => book.load(record),
                None if !book.models.contains(&app.model) => unknown.push(app.model.identity()),
                None => {}
            }
        }
        if !unknown.is_empty() {
            let spellings = "SELECT DISTINCT ON (identity) model FROM portbook_apps
                             WHERE space = $1 AND identity = ANY($2)";
            let name = space.as_str();
            let models = self.rows(spellings, &[&name, &unknown], "a row of apps", |row| {
                model(row, 0)
            })?;
            book.models.extend(models);
        }
        let owners: Vec<i32> = needs
            .owners
            .iter()
            .map(|port| i32::from(port.get()))
            .collect();
        if needs.every_owner || !owners.is_empty() {
            let sql = "SELECT port, role, model, app.app_num FROM portbook_ports AS held
                       LEFT JOIN portbook_apps AS app USING (space, identity, app_num)
                       WHERE space = $1 AND ($2 OR port = ANY($3))";
            let values: Values<'_> = &[&space.as_str(), &needs.every_owner, &owners];
            book.owners
                .extend(self.rows(sql, values, "a row of ports", owner)?);
        }
        Ok(())
    }

    pub(crate) fn app(&self, space: &Space, app: &AppKey) -> Result<Option<AppRecord>, StoreError> {
        Ok(self.apps(space, &[app])?.pop().flatten())
    }

    /// The records of several apps, in that order.
    fn apps(&self, space: &Space, apps: &[&AppKey]) -> Result<Vec<Option<AppRecord>>, StoreError> {
        const ONE: &str = apps!("space = $1 AND identity = $2 AND app_num = $3");
        let name = space.as_str();
        let keys: Vec<(&str, i32)> = apps
            .iter()
            .map(|app| (app.model.identity(), number_of(app.number)))
            .collect();
        let values: Vec<Vec<&(dyn ToSql + Sync)>> = keys
            .iter()
            .map(|(identity, number)| -> Vec<&(dyn ToSql + Sync)> { vec![&name, identity, number] })
            .collect();
        let answers = self
            .connection
            .query_each(ONE, &values)
            .map_err(|failure| failure.for_book(self.location))?;
        answers
            .iter()
            .map(|rows| rows.first().map(|row| self.record(row)).transpose())
            .collect()
    }

    pub(crate) fn allocations(&self, filter: &Filter) -> Result<Vec<Allocation>, StoreError> {
        const HELD: &str = apps!(
            "space = $1 AND state = 'held' AND ($2::text IS NULL OR identity = $2)
             AND ($3::integer IS NULL OR app_num = $3) ORDER BY identity, app_num"
        );
        let identity = filter.only_identity();
        let number = filter.number.map(number_of);
        let rows = self.query(HELD, &[&filter.space.as_str(), &identity, &number])?;
        let mut held = Vec::with_capacity(rows.len());
        for row in &rows {
            if let AppRecord::Held(allocation) = self.record(row)?
                && filter.means(&allocation.app)
            {
                held.push(allocation);
            }
        }
        Ok(held)
    }

    pub(crate) fn lapsed(&self, now: Timestamp) -> Result<Vec<(Space, AppKey)>, StoreError> {
        let sql = "SELECT model, app_num, space FROM portbook_apps
                   WHERE expires_at IS NOT NULL AND expires_at <= $1 AND state = 'held'
                   ORDER BY expires_at";
        self.rows(sql, &[&now.millis()], "a row of apps", |row| {
            Ok((space(row, 2)?, app_key(row, 0)?))
        })
    }

    pub(crate) fn history(&self, filter: &HistoryFilter) -> Result<Vec<Recorded>, StoreError> {
        /// So many rows are read at once, from the newest back.
        const PAGE: i64 = 1000;
        let of = &filter.of;
        let everything = of.models.is_none() && of.number.is_none();
        let wanted = filter.last.unwrap_or(usize::MAX);
        let identity = of.only_identity();
        let number = of.number.map(number_of);
        let page = match filter.last {
            Some(last) => i64::try_from(last).unwrap_or(PAGE).clamp(1, PAGE),
            None => PAGE,
        };
        let mut before = i64::MAX;
        let mut recorded: Vec<Recorded> = Vec::new();
        while recorded.len() < wanted {
            let changes = self.changes(
                "SELECT revision, commit_id, at, actor, space, payload FROM portbook_changes
                 WHERE space = $1 AND ($2::text IS NULL OR identity = $2)
                   AND ($3::integer IS NULL OR app_num = $3) AND revision < $4
                 ORDER BY revision DESC LIMIT $5",
                &[&of.space.as_str(), &identity, &number, &before, &page],
            )?;
            let Some(oldest) = changes.last() else { break };
            before = i64::try_from(oldest.revision.0).unwrap_or(i64::MAX);
            let meant = changes.into_iter().filter(|change| {
                let app = change.change.app();
                app.map_or(everything, |app| of.means(app))
            });
            recorded.extend(meant.take(wanted - recorded.len()));
        }
        recorded.reverse();
        Ok(recorded)
    }

    pub(crate) fn spaces(&self) -> Result<Vec<Space>, StoreError> {
        let sql = "SELECT space FROM portbook_apps UNION SELECT space FROM portbook_ports
                   UNION SELECT space FROM portbook_promise_files UNION SELECT space FROM portbook_pools
                   ORDER BY 1";
        self.rows(sql, &[], "the name of a space", |row| space(row, 0))
    }

    pub(crate) fn models(&self, space: &Space) -> Result<Vec<Model>, StoreError> {
        let sql = "SELECT model FROM (
                       SELECT DISTINCT ON (identity) model, known_since FROM portbook_apps
                       WHERE space = $1 ORDER BY identity, known_since
                   ) AS firsts ORDER BY known_since";
        self.rows(sql, &[&space.as_str()], "a row of apps", |row| {
            model(row, 0)
        })
    }

    fn record(&self, row: &Row) -> Result<AppRecord, StoreError> {
        app_record(row).map_err(|nonsense| {
            let named = |index| row.try_get::<_, String>(index).unwrap_or_default();
            let number: i32 = row.try_get(1).unwrap_or_default();
            let what = format!("the row of {}/app{number}", named(0));
            damaged(self.location, what, &nonsense)
        })
    }

    fn changes(&self, sql: &'static str, values: Values<'_>) -> Result<Vec<Recorded>, StoreError> {
        self.rows(sql, values, "a row of changes", recorded)
    }

    fn rows<T>(
        &self,
        sql: &'static str,
        values: Values<'_>,
        what: &str,
        read: impl Fn(&Row) -> Result<T, Nonsense>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = self.query(sql, values)?;
        rows.iter()
            .map(|row| read(row).map_err(|nonsense| damaged(self.location, what, &nonsense)))
            .collect()
    }

    pub(crate) fn query(
        &self,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        self.connection
            .query(sql, values)
            .map_err(|failure| failure.for_book(self.location))
    }
}

/// An app number as the database has it: it runs to 2147483647.
pub(crate) fn number_of(number: AppNumber) -> i32 {
    i32::try_from(number.get()).unwrap_or(i32::MAX)
}

fn column<'r, T: FromSql<'r>>(row: &'r Row, index: usize) -> Result<T, Nonsense> {
    row.try_get(index).map_err(|error| {
        use std::error::Error;
        error
            .source()
            .map_or_else(|| error.to_string(), ToString::to_string)
    })
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

fn port(row: &Row, index: usize) -> Result<Port, Nonsense> {
    sensible(Port::try_from(i64::from(column::<i32>(row, index)?)))
}

fn space(row: &Row, index: usize) -> Result<Space, Nonsense> {
    sensible(Space::new(column(row, index)?))
}

fn model(row: &Row, index: usize) -> Result<Model, Nonsense> {
    sensible(Model::new(column(row, index)?))
}

/// The app whose model's spelling stands at `index` and whose number stands next.
fn app_key(row: &Row, index: usize) -> Result<AppKey, Nonsense> {
    let number: i32 = column(row, index + 1)?;
    let number = sensible(AppNumber::try_from(i64::from(number)))?;
    Ok(AppKey::new(model(row, index)?, number))
}

fn app_record(row: &Row) -> Result<AppRecord, Nonsense> {
    let identity: &str = column(row, 0)?;
    let number = sensible(AppNumber::try_from(i64::from(column::<i32>(row, 1)?)))?;
    let app = AppKey::new(model(row, 2)?, number);
    if app.model.identity() != identity {
        return Err(format!(
            "its identity is `{identity}`, but that of its model {} is `{}`",
            app.model,
            app.model.identity()
        ));
    }
    match column(row, 3)? {
        "held" => Ok(AppRecord::Held(Allocation {
            app,
            ports: match column::<Option<&str>>(row, 12)? {
                Some(ports) => json(ports)?,
                None => return Err("it is said to hold ports, and has none".to_owned()),
            },
            source: source(row)?,
            created_at: Timestamp::from_millis(column(row, 5)?),
            updated_at: Timestamp::from_millis(column(row, 6)?),
            lease: lease(row)?,
            notes: match column::<Option<&str>>(row, 9)? {
                Some(notes) => json(notes)?,
                None => Notes::default(),
            },
        })),
        "former" => Ok(AppRecord::Former(FormerAllocation {
            app,
            ports: json::<Ports>(column(row, 10)?)?,
            released_at: Timestamp::from_millis(column(row, 11)?),
        })),
        other => Err(format!("its state is `{other}`")),
    }
}

fn source(row: &Row) -> Result<Source, Nonsense> {
    let name: &str = column(row, 4)?;
    Source::from_name(name).ok_or_else(|| format!("its source is `{name}`"))
}

fn lease(row: &Row) -> Result<Option<Lease>, Nonsense> {
    let Some(expires_at) = column(row, 7)? else {
        return Ok(None);
    };
    let ttl: i64 = column(row, 8)?;
    Ok(Some(Lease {
        expires_at: Timestamp::from_millis(expires_at),
        ttl: Span::from_millis(sensible(u64::try_from(ttl))?),
    }))
}

fn owner(row: &Row) -> Result<(Port, Owner), Nonsense> {
    let port = port(row, 0)?;
    if column::<Option<&str>>(row, 2)?.is_none() {
        return Err(format!(
            "the port {port} belongs to an app that is not there"
        ));
    }
    let role = sensible(Role::new(column(row, 1)?))?;
    let app = app_key(row, 2)?;
    Ok((port, Owner { app, role }))
}

fn promise_file(row: &Row) -> Result<PromiseFile, Nonsense> {
    Ok(PromiseFile {
        source: column(row, 0)?,
        digest: column(row, 1)?,
        promises: json(column(row, 2)?)?,
    })
}

fn pool(row: &Row) -> Result<Pool, Nonsense> {
    let models: String = column(row, 3)?;
    Ok(Pool {
        name: sensible(PoolName::new(column(row, 0)?))?,
        ports: sensible(PortStretch::new(port(row, 1)?, port(row, 2)?))?,
        models: sensible(ModelPattern::try_from(models))?,
    })
}

fn rest(row: &Row) -> Result<(Port, Rest), Nonsense> {
    let rest = Rest {
        since: Timestamp::from_millis(column(row, 1)?),
        by: app_key(row, 2)?,
    };
    Ok((port(row, 0)?, rest))
}

fn commit(row: &Row, index: usize) -> Result<CommitId, Nonsense> {
    let bytes: &[u8] = column(row, index)?;
    Ok(CommitId(sensible(bytes.try_into())?))
}

fn recorded(row: &Row) -> Result<Recorded, Nonsense> {
    let change: Change = json(column(row, 5)?)?;
    Ok(Recorded {
        revision: revision_of(column(row, 0)?)?,
        commit: commit(row, 1)?,
        at: Timestamp::from_millis(column(row, 2)?),
        actor: column(row, 3)?,
        space: space(row, 4)?,
        change,
    })
}
