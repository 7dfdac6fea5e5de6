//! What apps' compose and `.env` files say, against the book and against each other.
//!
//! | question | file |
//! | --- | --- |
//! | which files are there, and what do they say | `survey.rs` |
//! | who of several threads reads which directory | `queue.rs` |
//! | what should a port be by the book | `verdict.rs` |
//! | what do two of the files claim at once | `doubles.rs` |

mod doubles;
mod queue;
mod survey;
mod verdict;

use std::path::{Path, PathBuf};

use portbook_apps::compose::Environment;
use portbook_apps::written::Place;
use portbook_model::AppKey;
use serde::Serialize;

use crate::check::{Conflict, ConflictKind, FilePlace};
use crate::truths::{Drift, Homes};
use crate::{Error, PortAllocationService};
use survey::{Ground, Survey};
use verdict::Book;

/// What was found in files.
#[derive(Debug, Default, Serialize)]
pub struct Validated {
    /// What the files and the book disagree on, by file, line and column.
    pub conflicts: Vec<Conflict>,
    /// What kept files from being read. What could be read is compared all the same.
    pub unread: Vec<UnreadFile>,
    /// How many compose projects were compared.
    pub projects: usize,
    /// How many published ports.
    pub ports: usize,
    /// What the apps' own files say otherwise than the book.
    #[serde(skip)]
    pub(crate) drifts: Vec<(AppKey, Drift)>,
}

impl Validated {
    /// Takes what is wrong with an app's file, or with nobody's.
    fn take(&mut self, conflicts: Vec<Conflict>, app: Option<&AppKey>) {
        let is_drift = |conflict: &&Conflict| {
            let says = matches!(
                conflict.kind,
                ConflictKind::ComposeMismatch | ConflictKind::ComposeUnallocated
            );
            // A name that is not the app's is no port.
            says && conflict.port.is_some()
        };
        if let Some(app) = app {
            let drifts = conflicts.iter().filter(is_drift);
            self.drifts
                .extend(drifts.map(|conflict| (app.clone(), Drift::of(conflict))));
        }
        self.conflicts.extend(conflicts);
    }
}

/// A file, or a place in it, that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UnreadFile {
    /// The file or directory.
    pub file: String,
    /// The line, from 1; `None` where it is about all of it.
    pub line: Option<usize>,
    /// The column, in characters from 1.
    pub column: Option<usize>,
    /// Why not.
    pub message: String,
}

impl std::fmt::Display for UnreadFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl PortAllocationService {
    /// Compares every port that the files at `paths` publish with the book, and with each other.
    ///
    /// A path is a compose file, an `.env` file, or a directory, which is searched for the projects in it:
    /// not in hidden directories nor in those of package managers, and not through links. `progress` is
    /// told how many directories have been searched.
    ///
    /// The variables of this process are stronger than `.env`, as for Compose; those that steer Compose
    /// itself (`COMPOSE_...`) are left out, since they would be one project's.
    pub fn validate(
        &self,
        paths: &[PathBuf],
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Validated, Error> {
        let allocations = self.allocations(None)?;
        let models = self.models()?;
        let policy = self.policy()?;
        let book = Book::new(&allocations, &models, &policy);
        let homes = Homes::of(&allocations, models.clone());
        let environment: Environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| !name.starts_with("COMPOSE_"))
            .collect();
        let ground = Ground {
            environment: &environment,
            book,
            homes,
        };
        let survey = Survey::of(paths, &ground, progress);

        let mut validated = Validated {
            unread: survey.unread,
            projects: survey.projects.len(),
            ..Validated::default()
        };
        let doubles = doubles::among(&survey.projects);
        for mut found in survey.projects {
            validated.take(found.conflicts, found.app.as_ref());
            validated.ports += found
                .services
                .iter()
                .map(|service| service.ports.len())
                .sum::<usize>();
            validated.unread.append(&mut found.unread);
        }
        for found in survey.dot_envs {
            validated.take(found.conflicts, found.app.as_ref());
        }
        validated.conflicts.extend(doubles);
        let key = |conflict: &Conflict| (conflict.place.clone(), conflict.kind, conflict.port);
        validated.conflicts.sort_by_key(key);
        // One line of `.env` says a port for itself and for every service that takes it.
        validated.conflicts.dedup_by_key(|conflict| key(conflict));
        let key = |drift: &Drift| (drift.place.clone(), drift.port);
        validated.drifts.sort_by_key(|(_, drift)| key(drift));
        validated.drifts.dedup_by_key(|(_, drift)| key(drift));
        validated.unread.sort();
        validated.unread.dedup();
        Ok(validated)
    }
}

impl UnreadFile {
    fn at(place: &Place, fault: &impl std::fmt::Display) -> Self {
        Self {
            file: place.file.display().to_string(),
            line: Some(place.line),
            column: Some(place.column),
            message: fault.to_string(),
        }
    }

    fn whole(path: &Path, fault: &impl std::fmt::Display) -> Self {
        Self {
            file: path.display().to_string(),
            line: None,
            column: None,
            message: fault.to_string(),
        }
    }
}

fn file_place(place: &Place) -> FilePlace {
    FilePlace {
        file: place.file.display().to_string(),
        line: place.line,
        column: place.column,
    }
}
