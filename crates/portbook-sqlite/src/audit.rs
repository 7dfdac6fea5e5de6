//! The rows as they lie, however wrong.
//!
//! For checks after somebody else's hand, or a disk's, was in the file: nothing here supposes that
//! a key still holds, that a value has its column's type, or that a table is there at all. What
//! cannot be read is a sentence in [`Audit::damage`], and the rest is read all the same.

use portbook_model::{Model, Space};
use portbook_store::{Audit, Claim, StoreError};
use rusqlite::types::ValueRef;
use rusqlite::{Row, params};

use crate::error::plain;
use crate::reading::View;

/// More lines of SQLite's own check than anybody reads.
const LINES: usize = 100;

impl View<'_> {
    pub(crate) fn audit(&self, space: &Space) -> Result<Audit, StoreError> {
        let mut audit = Audit::default();
        self.own_check(&mut audit);
        self.claims(space, &mut audit);
        self.apps_said_to_hold(space, &mut audit);
        Ok(audit)
    }

    fn own_check(&self, audit: &mut Audit) {
        let sql = format!("PRAGMA integrity_check({LINES})");
        let read = self.each_row(&sql, None, |row| {
            let line = shown(row, 0);
            if line != "ok" {
                audit.damage.push(line);
            }
        });
        audit.damage.extend(read.err());
    }

    fn claims(&self, space: &Space, audit: &mut Audit) {
        let sql = "SELECT port, role, model, app_num, apps.id, apps.space
                   FROM ports LEFT JOIN apps ON apps.id = app_id
                   WHERE ports.space = ?1 ORDER BY port";
        let read = self.each_row(sql, Some(space), |row| {
            let Ok(ValueRef::Integer(port)) = row.get_ref(0) else {
                let sentence = format!("a row of ports has the port `{}`", shown(row, 0));
                audit.damage.push(sentence);
                return;
            };
            let is_there = !matches!(row.get_ref(4), Ok(ValueRef::Null) | Err(_));
            let app = is_there.then(|| name(row, 2));
            let home = shown(row, 5);
            if let Some(app) = app.as_ref().filter(|_| home != space.as_str()) {
                let sentence = format!("port {port} belongs to {app} of the space {home}");
                audit.damage.push(sentence);
            }
            let role = shown(row, 1);
            audit.claims.push(Claim { port, app, role });
        });
        audit.damage.extend(read.err());
    }

    fn apps_said_to_hold(&self, space: &Space, audit: &mut Audit) {
        let sql = "SELECT model, app_num, identity FROM apps
                   WHERE space = ?1 AND state = 'held' ORDER BY identity, app_num";
        let read = self.each_row(sql, Some(space), |row| {
            let app = name(row, 0);
            let identity = shown(row, 2);
            match Model::new(&shown(row, 0)) {
                Ok(model) if model.identity() == identity => {}
                Ok(_) => audit
                    .damage
                    .push(format!("{app} has the identity `{identity}`")),
                Err(error) => audit.damage.push(format!("{app}: {error}")),
            }
            audit.apps.push(app);
        });
        audit.damage.extend(read.err());
    }

    /// Hands every row to `take`, as far as they can be read; the error is a sentence.
    fn each_row(
        &self,
        sql: &str,
        space: Option<&Space>,
        mut take: impl FnMut(&Row<'_>),
    ) -> Result<(), String> {
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.sqlite.prepare(sql)?;
            let mut rows = match space {
                Some(space) => statement.query(params![space.as_str()])?,
                None => statement.query([])?,
            };
            while let Some(row) = rows.next()? {
                take(row);
            }
            Ok(())
        };
        read().map_err(|error| format!("SQLite says: {}", plain(&error)))
    }
}

/// The app whose model stands at `index` and whose number stands next.
fn name(row: &Row<'_>, index: usize) -> String {
    format!("{}/app{}", shown(row, index), shown(row, index + 1))
}

/// A value of whatever type.
fn shown(row: &Row<'_>, index: usize) -> String {
    match row.get_ref(index) {
        Ok(ValueRef::Null) => "NULL".to_owned(),
        Ok(ValueRef::Integer(number)) => number.to_string(),
        Ok(ValueRef::Real(number)) => number.to_string(),
        Ok(ValueRef::Text(text)) => String::from_utf8_lossy(text).into_owned(),
        Ok(ValueRef::Blob(blob)) => format!("{} bytes", blob.len()),
        Err(error) => plain(&error),
    }
}
