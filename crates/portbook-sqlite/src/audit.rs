//! The rows as they lie, however wrong.
//!
//! For checks after somebody else's hand, or a disk's, was in the file: nothing here supposes that
//! a key still holds, that a value has its column's type, or that a table is there at all. What
//! cannot be read is a sentence in [`Audit::damage`], and the rest is read all the same.

use std::collections::{BTreeMap, BTreeSet};

use portbook_model::{Model, Space};
use portbook_store::{Audit, Claim, StoreError};
use rusqlite::types::ValueRef;
use rusqlite::{Row, params};

use crate::error::plain;
use crate::reading::{View, shown};
use crate::schema;

/// More lines of SQLite's own check than anybody reads.
const LINES: usize = 100;

impl View<'_> {
    pub(crate) fn audit(&self, space: &Space) -> Result<Audit, StoreError> {
        let mut audit = Audit::default();
        self.own_check(&mut audit);
        self.structure(&mut audit);
        let mut listed = self.apps_said_to_hold(space, &mut audit);
        self.claims(space, &mut listed, &mut audit);
        let unclaimed = listed
            .into_iter()
            .map(|(port, app)| format!("{app} lists port {port}, which is not its own"));
        audit.damage.extend(unclaimed);
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

    /// The tables, indices and views against those of a new book, and triggers, which a book has none of.
    fn structure(&self, audit: &mut Audit) {
        let expected = match schema::structure() {
            Ok(expected) => expected,
            Err(error) => return audit.damage.push(format!("SQLite says: {}", plain(&error))),
        };
        let mut found = BTreeMap::new();
        let read = self.each_row(schema::STRUCTURE, None, |row| {
            found.insert((shown(row, 0), shown(row, 1)), shown(row, 2));
        });
        audit.damage.extend(read.err());
        for ((kind, name), sql) in &expected {
            match found.get(&(kind.clone(), name.clone())) {
                None => audit.damage.push(format!("the {kind} {name} is missing")),
                Some(other) if other != sql => audit
                    .damage
                    .push(format!("the {kind} {name} is not as portbook makes it")),
                Some(_) => {}
            }
        }
        let triggers = found.keys().filter(|(kind, _)| kind == "trigger");
        let strange = |(_, name): &(String, String)| {
            format!("the trigger {name} changes what portbook writes")
        };
        audit.damage.extend(triggers.map(strange));
    }

    /// Every row of ports. What it says is taken out of `listed`, where the apps' own rows say it too.
    fn claims(&self, space: &Space, listed: &mut BTreeSet<(i64, String)>, audit: &mut Audit) {
        let sql = "SELECT port, role, spelling, apps.app_num, released_at
                   FROM ports
                   LEFT JOIN apps USING (space, app_num, identity)
                   LEFT JOIN models USING (space, identity)
                   WHERE space = ?1 ORDER BY port";
        let read = self.each_row(sql, Some(space), |row| {
            let Ok(ValueRef::Integer(port)) = row.get_ref(0) else {
                let sentence = format!("a row of ports has the port `{}`", shown(row, 0));
                audit.damage.push(sentence);
                return;
            };
            let role = shown(row, 1);
            let is = |index, value: ValueRef<'_>| row.get_ref(index).is_ok_and(|it| it == value);
            let app = (!is(3, ValueRef::Null)).then(|| name(row, 2));
            if let Some(app) = &app
                && !listed.remove(&(port, app.clone()))
            {
                let which = match is(4, ValueRef::Null) {
                    true => "does not list it",
                    false => "gave its ports back",
                };
                let sentence = format!("port {port} is the {role} of {app}, which {which}");
                audit.damage.push(sentence);
            }
            audit.claims.push(Claim { port, app, role });
        });
        audit.damage.extend(read.err());
    }

    /// Every app that holds ports by its own row, and the ports that these rows list.
    fn apps_said_to_hold(&self, space: &Space, audit: &mut Audit) -> BTreeSet<(i64, String)> {
        let mut listed = BTreeSet::new();
        let sql = "SELECT spelling, app_num, identity, ports
                   FROM apps LEFT JOIN models USING (space, identity)
                   WHERE space = ?1 AND released_at IS NULL ORDER BY identity, app_num";
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
            let list = shown(row, 3);
            match serde_json::from_str::<Vec<i64>>(&list) {
                Ok(list) => listed.extend(list.into_iter().map(|port| (port, app.clone()))),
                Err(error) => audit
                    .damage
                    .push(format!("{app} lists its ports as `{list}`: {error}")),
            }
            audit.apps.push(app);
        });
        audit.damage.extend(read.err());
        listed
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
