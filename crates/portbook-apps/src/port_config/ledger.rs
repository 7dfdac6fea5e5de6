//! Every entry of a file so far: who claims what.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use portbook_model::{AppKey, ImportEntry, Port, Space};

use super::draft::Draft;
use super::problem::{Fault, MOST_PROBLEMS, Problem};
use super::{Format, ListedApp, Listing};

/// Collects entries and problems, and finds what is claimed twice.
///
/// An entry that has problems claims its app and ports all the same: one reading finds everything
/// that is wrong.
#[derive(Default)]
pub(super) struct Ledger {
    entries: Vec<ListedApp>,
    problems: Vec<Problem>,
    further_problems: usize,
    apps: HashMap<(Option<Space>, AppKey), usize>,
    ports: HashMap<(Option<Space>, Port), (usize, Option<AppKey>)>,
}

impl Ledger {
    pub(super) fn note(&mut self, problem: Problem) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(problem);
        } else {
            self.further_problems += 1;
        }
    }

    /// Takes an entry in: among the sound ones, or with its problems.
    pub(super) fn enter(&mut self, mut draft: Draft) {
        let app = draft
            .model
            .take()
            .zip(draft.number)
            .map(|(model, number)| AppKey::new(model, number));
        if let Some(fault) = self.claim(&mut draft, app.as_ref()) {
            let line = draft.line;
            draft.fault(line, fault);
        }
        match app {
            Some(app) if draft.problems.is_empty() => {
                let ports = draft.ports.into_iter();
                self.entries.push(ListedApp {
                    entry: ImportEntry {
                        app,
                        ports: ports.map(|(role, placed)| (role, placed.port)).collect(),
                        created_at: draft.created_at,
                    },
                    space: draft.space,
                    line: draft.line,
                });
            }
            _ => {
                draft.problems.sort_by_key(|problem| problem.line);
                draft
                    .problems
                    .into_iter()
                    .for_each(|problem| self.note(problem));
            }
        }
    }

    /// Claims the app and its ports. That an app is there twice is told once, not again for each of
    /// its ports.
    fn claim(&mut self, draft: &mut Draft, app: Option<&AppKey>) -> Option<Fault> {
        if let Some(app) = app {
            match self.apps.entry((draft.space.clone(), app.clone())) {
                Entry::Occupied(earlier) => {
                    return Some(Fault::AppTwice {
                        app: app.clone(),
                        earlier: *earlier.get(),
                    });
                }
                Entry::Vacant(entry) => {
                    entry.insert(draft.line);
                }
            }
        }
        let mut twice = Vec::new();
        let mut own = Vec::new();
        for placed in draft.ports.values() {
            // A port for two roles of this app has its problem already.
            if own.contains(&placed.port) {
                continue;
            }
            own.push(placed.port);
            match self.ports.entry((draft.space.clone(), placed.port)) {
                Entry::Occupied(earlier) => {
                    let (earlier, by) = earlier.get().clone();
                    let port = placed.port;
                    twice.push((placed.line, Fault::PortTwice { port, earlier, by }));
                }
                Entry::Vacant(entry) => {
                    entry.insert((placed.line, app.cloned()));
                }
            }
        }
        for (line, fault) in twice {
            draft.fault(line, fault);
        }
        None
    }

    pub(super) fn close(self, format: Format) -> Listing {
        Listing {
            format,
            entries: self.entries,
            problems: self.problems,
            further_problems: self.further_problems,
        }
    }
}
