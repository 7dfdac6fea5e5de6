//! What the book says, held against itself: its history replayed, its list, its own check.

use std::collections::{BTreeMap, BTreeSet};

use portbook::model::Timestamp;
use serde_json::Value;

use crate::kit::Desk;

/// An app: its model as it was spelt, and its number.
pub(crate) type App = (String, u64);
/// A port a role.
pub(crate) type Ports = BTreeMap<String, u64>;

/// One change of the history.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) commit: String,
    pub(crate) at: Timestamp,
    pub(crate) kind: String,
    pub(crate) app: Option<App>,
    pub(crate) ports: Ports,
}

/// A book that was found whole.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) history: Vec<Entry>,
    pub(crate) held: BTreeMap<App, Ports>,
}

impl Ledger {
    /// Reads the book of a desk and makes sure that it is whole.
    pub(crate) fn of(desk: &Desk) -> Self {
        let ledger = Self::of_history_and_list(desk);
        let conflicts = desk.json("check");
        assert_eq!(conflicts, Value::Array(Vec::new()));
        ledger
    }

    /// The same without the book's own check.
    pub(crate) fn of_history_and_list(desk: &Desk) -> Self {
        let recorded = desk.json("history");
        let listed = desk.json("list");
        let history = entries(&recorded);
        let held = replay(&history);
        assert_eq!(
            list(&listed),
            held,
            "the list is not what the history adds up to"
        );
        for (app, ports) in &held {
            let has = |role: &str| ports.contains_key(role);
            assert!(
                has("backend") && has("frontend"),
                "{app:?} is not whole: {ports:?}"
            );
        }
        Self { history, held }
    }

    /// What happened to the apps of one model, in order.
    pub(crate) fn of_model(&self, model: &str) -> Vec<&Entry> {
        let of = |entry: &&Entry| entry.app.as_ref().is_some_and(|(name, _)| name == model);
        self.history.iter().filter(of).collect()
    }

    pub(crate) fn ports(&self, model: &str, number: u64) -> Option<&Ports> {
        self.held.get(&(model.to_owned(), number))
    }
}

pub(crate) fn app_of(value: &Value) -> Option<App> {
    let model = value.get("model")?.as_str()?.to_owned();
    Some((model, value.get("app_num")?.as_u64()?))
}

pub(crate) fn ports_of(value: &Value) -> Ports {
    let ports = value.get("ports").and_then(Value::as_object);
    let ports = ports.into_iter().flatten();
    ports
        .map(|(role, port)| (role.clone(), port.as_u64().unwrap()))
        .collect()
}

/// The apps of a list, an export or several answers.
pub(crate) fn list(listed: &Value) -> BTreeMap<App, Ports> {
    let rows = listed.as_array().unwrap();
    let apps: BTreeMap<_, _> = rows
        .iter()
        .map(|row| (app_of(row).unwrap(), ports_of(row)))
        .collect();
    assert_eq!(apps.len(), rows.len(), "an app is listed twice");
    apps
}

/// The changes, which are numbered without a gap, of which each commit's stand together, and of
/// which none is dated before another.
fn entries(recorded: &Value) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut commits = BTreeSet::new();
    for (index, row) in recorded.as_array().unwrap().iter().enumerate() {
        assert_eq!(
            row["revision"].as_u64(),
            Some(index as u64 + 1),
            "a gap before {row}"
        );
        let entry = Entry {
            commit: row["commit"].as_str().unwrap().to_owned(),
            at: row["at"].as_str().unwrap().parse().unwrap(),
            kind: row["change"].as_str().unwrap().to_owned(),
            app: app_of(row),
            ports: ports_of(row),
        };
        if let Some(last) = entries.last() {
            assert!(last.at <= entry.at, "time runs backwards at {row}");
        }
        if entries
            .last()
            .is_none_or(|last| last.commit != entry.commit)
        {
            let is_new = commits.insert(entry.commit.clone());
            assert!(is_new, "a commit in two pieces at {row}");
        }
        entries.push(entry);
    }
    entries
}

/// What apps hold after these changes, no port having two owners at any time.
fn replay(history: &[Entry]) -> BTreeMap<App, Ports> {
    let mut held: BTreeMap<App, Ports> = BTreeMap::new();
    let mut owners: BTreeMap<u64, App> = BTreeMap::new();
    for entry in history {
        let Some(app) = entry.app.clone() else {
            continue;
        };
        match entry.kind.as_str() {
            "allocated" | "extended" => {
                assert_eq!(
                    entry.kind == "extended",
                    held.contains_key(&app),
                    "{entry:?}"
                );
                for port in entry.ports.values() {
                    let former = owners.insert(*port, app.clone());
                    assert_eq!(former, None, "port {port} has two owners: {entry:?}");
                }
                held.entry(app).or_default().extend(entry.ports.clone());
            }
            "released" => {
                assert_eq!(held.remove(&app).as_ref(), Some(&entry.ports), "{entry:?}");
                for port in entry.ports.values() {
                    owners.remove(port);
                }
            }
            "renewed" => assert!(held.contains_key(&app), "{entry:?}"),
            other => panic!("an unknown change {other}"),
        }
    }
    held
}
