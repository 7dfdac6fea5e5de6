//! Exact ports for many apps at once, as a file names them.

use std::collections::HashMap;

use super::Draft;
use crate::{
    AppKey, Change, ImportEntry, ImportFault, ImportProblem, Outcome, Ports, Refusal, Source,
    SpaceBook,
};

impl Draft<'_> {
    /// Registers every entry or none; those that stand already are left as they are.
    ///
    /// No host check and no block list: a file says what is, and its apps may well be running.
    pub(super) fn import(&mut self, entries: &[ImportEntry]) -> Result<Outcome, Refusal> {
        let problems = import_problems(self.space, entries);
        if !problems.is_empty() {
            return Err(Refusal::Import(problems));
        }
        let mut registered = 0;
        for entry in entries {
            if self.space.allocation(&entry.app).is_some() {
                continue;
            }
            registered += 1;
            self.record(Change::Allocated {
                app: self.space.as_first_spelt(&entry.app),
                ports: entry.ports.clone(),
                source: Source::Import,
                // What a file says of the future is not believed.
                created_at: entry.created_at.map(|at| at.min(self.now)),
                lease: None,
            });
        }
        Ok(Outcome::Imported {
            registered,
            unchanged: entries.len() - registered,
        })
    }
}

/// Everything that keeps these entries from being registered in `space`, in the order of the file:
/// against each other and against the book. Nothing where they can be.
fn import_problems(space: &SpaceBook, entries: &[ImportEntry]) -> Vec<ImportProblem> {
    let mut problems = Vec::new();
    let mut apps: HashMap<&AppKey, usize> = HashMap::new();
    let mut ports = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let mut found = |fault| {
            problems.push(ImportProblem {
                entry: index,
                fault,
            })
        };
        if let Some(earlier) = apps.get(&entry.app) {
            found(ImportFault::AppTwice {
                app: entry.app.clone(),
                earlier: *earlier,
            });
            continue;
        }
        apps.insert(&entry.app, index);
        for port in entry.ports.values() {
            if let Some((earlier, app)) = ports.insert(*port, (index, &entry.app)) {
                found(ImportFault::PortTwice {
                    port: *port,
                    app: AppKey::clone(app),
                    earlier,
                });
            }
        }
        match space.allocation(&entry.app) {
            // A file need not know of roles that the app got since.
            Some(allocation) if has_all(&allocation.ports, &entry.ports) => {}
            Some(allocation) => found(ImportFault::HoldsOthers {
                app: entry.app.clone(),
                held: describe(&allocation.ports),
            }),
            None => unavailable(space, entry).into_iter().for_each(found),
        }
    }
    problems
}

fn has_all(held: &Ports, named: &Ports) -> bool {
    named
        .iter()
        .all(|(role, port)| held.get(role) == Some(port))
}

fn unavailable(space: &SpaceBook, entry: &ImportEntry) -> Vec<ImportFault> {
    let mut faults = Vec::new();
    for port in entry.ports.values() {
        if space.taken.contains(*port) {
            let owner = space.owners.get(port);
            faults.push(ImportFault::Taken {
                port: *port,
                by: owner.map(|owner| (owner.app.clone(), owner.role.clone())),
            });
        } else if let Some(to) = space.promises.to(*port).filter(|to| **to != entry.app) {
            faults.push(ImportFault::Promised {
                port: *port,
                to: to.clone(),
            });
        }
    }
    faults
}

fn describe(ports: &Ports) -> String {
    let parts: Vec<String> = ports
        .iter()
        .map(|(role, port)| format!("{role} {port}"))
        .collect();
    parts.join(", ")
}
