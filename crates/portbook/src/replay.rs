//! The history against the rows: what the recorded changes add up to is what apps have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use portbook_model::{AppKey, BookId, Change, Head, Port, Ports, Recorded, Revision, Space};
use portbook_store::{Audit, Reading, StoreError};

use crate::check::{Conflict, damage};

/// What was added up before, so that whoever compares again reads only what happened since.
#[derive(Default)]
pub(crate) struct Replays {
    known: Mutex<BTreeMap<Space, (BookId, Replay)>>,
}

impl Replays {
    /// The rows of a space against its history, with the head that this is about.
    pub(crate) fn compare(
        &self,
        reading: &mut dyn Reading,
        space: &Space,
        audit: &Audit,
    ) -> Result<(Head, Vec<Conflict>), StoreError> {
        let head = reading.head()?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let former = known.remove(space);
        // Another book, or one that went back, is added up from its beginning.
        let former =
            former.filter(|(book, replay)| *book == head.book && replay.last <= head.revision);
        let mut replay = former.map(|(_, replay)| replay).unwrap_or_default();
        replay.follow(reading, space)?;
        let mut found = replay.against_head(head.revision);
        let disagreements = replay.against_rows(audit);
        found.extend(disagreements.iter().map(Disagreement::conflict));
        // What was found may be mended in the history itself: then all of it has to be read again.
        if found.is_empty() {
            known.insert(space.clone(), (head.book.clone(), replay));
        }
        Ok((head, found))
    }
}

/// What the recorded changes of a space add up to.
#[derive(Default)]
struct Replay {
    /// The last change that was read, of whatever space.
    last: Revision,
    /// How many were read.
    count: u64,
    held: BTreeMap<AppKey, Ports>,
}

impl Replay {
    fn follow(&mut self, reading: &mut dyn Reading, space: &Space) -> Result<(), StoreError> {
        for recorded in reading.changes_since(self.last)? {
            self.last = recorded.revision;
            self.count += 1;
            if recorded.space == *space {
                self.apply(recorded);
            }
        }
        Ok(())
    }

    fn apply(&mut self, recorded: Recorded) {
        match recorded.change {
            Change::Allocated { app, ports, .. } => {
                self.held.insert(app, ports);
            }
            Change::Extended { app, ports } => {
                self.held.entry(app).or_default().extend(ports);
            }
            Change::Moved { app, from, to, .. } => {
                let ports = self.held.entry(app).or_default();
                ports.retain(|role, _| !from.contains_key(role));
                ports.extend(to);
            }
            Change::Released { app, .. } => {
                self.held.remove(&app);
            }
            _ => {}
        }
    }

    /// The head against the changes: revisions run from 1 to the head's, without a gap.
    fn against_head(&self, head: Revision) -> Vec<Conflict> {
        let Self { last, count, .. } = self;
        let mut found = Vec::new();
        if head != *last {
            found.push(damage(format!(
                "the book says that it is at revision {head}, and its last change is {last}"
            )));
        }
        if *count != last.0 {
            found.push(damage(format!(
                "the book records {count} changes, and its last one is the {last}th"
            )));
        }
        found
    }

    fn against_rows(&self, audit: &Audit) -> Vec<Disagreement> {
        let apps: Vec<String> = self.held.keys().map(ToString::to_string).collect();
        let expected = apps
            .iter()
            .zip(self.held.values())
            .flat_map(|(app, ports)| {
                let claims = ports.iter();
                claims.map(move |(role, port)| (app.as_str(), role.as_str(), i64::from(port.get())))
            });
        let rows = audit.claims.iter();
        let mut only_rows: BTreeSet<(&str, &str, i64)> = rows
            .filter_map(|claim| Some((claim.app.as_deref()?, claim.role.as_str(), claim.port)))
            .collect();
        let only_history: Vec<_> = expected.filter(|port| !only_rows.remove(port)).collect();
        let differs = |(app, role, port): (&str, &str, i64), says| Disagreement {
            app: app.to_owned(),
            role: role.to_owned(),
            port,
            says,
        };
        let only_rows = only_rows
            .into_iter()
            .map(|row| differs(row, "rows, but not by its history"));
        let only_history = only_history
            .into_iter()
            .map(|row| differs(row, "history, but not by its rows"));
        only_rows.chain(only_history).collect()
    }
}

/// A port that an app has for a role by the rows alone, or by the history alone.
pub(crate) struct Disagreement {
    /// The app, `model/appN`.
    pub(crate) app: String,
    /// The role.
    pub(crate) role: String,
    port: i64,
    says: &'static str,
}

impl Disagreement {
    pub(crate) fn conflict(&self) -> Conflict {
        let Self {
            app,
            role,
            port,
            says,
        } = self;
        Conflict {
            port: Port::try_from(*port).ok(),
            apps: vec![app.clone()],
            ..damage(format!(
                "{app} has {port} as its {role} by the book's {says}"
            ))
        }
    }
}

/// Where the rows of a space and its whole history disagree.
pub(crate) fn disagreements(
    reading: &mut dyn Reading,
    space: &Space,
) -> Result<Vec<Disagreement>, StoreError> {
    let mut replay = Replay::default();
    replay.follow(reading, space)?;
    Ok(replay.against_rows(&reading.audit(space)?))
}
