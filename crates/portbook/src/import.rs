//! Files that name apps with their ports, on their way into the book.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use portbook_apps::port_config::{Listing, Problem, is_sqlite};
use portbook_model::{
    AppKey, AppNumber, ImportEntry, ImportProblem, Model, Port, Ports, Role, Space, browser_blocked,
};
use portbook_sqlite::legacy::LegacyRow;
use serde::Serialize;

use crate::Error;
use crate::promises::{parse, read_file};

/// What is wrong, or worth knowing, about one entry of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileProblem {
    /// The line on which it stands, or in an earlier database the row; counted from 1.
    pub line: usize,
    /// What it is.
    pub message: String,
}

impl FileProblem {
    pub(crate) fn of(problem: &Problem) -> Self {
        Self {
            line: problem.line,
            message: problem.fault.to_string(),
        }
    }
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportReport {
    /// How many apps were registered.
    pub imported: usize,
    /// How many had these ports already.
    pub unchanged: usize,
    /// What is worth knowing: ports that no browser opens, apps that the file has in another space.
    pub warnings: Vec<FileProblem>,
}

/// A file that names apps, read and judged by itself.
pub(crate) struct File {
    path: PathBuf,
    entries: Vec<(usize, ImportEntry)>,
    /// The spaces that the file names, each with the line on which it does so first.
    spaces: BTreeMap<Space, usize>,
    problems: Vec<FileProblem>,
    further_problems: usize,
}

impl File {
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        if begins_as_sqlite(path)? {
            return Ok(Self::of_rows(path, portbook_sqlite::read_legacy(path)?));
        }
        Self::of_bytes(path, &read_file(path)?)
    }

    /// A list that somebody read already.
    pub(crate) fn of_bytes(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        Ok(Self::of_listing(path, parse(path, bytes)?))
    }

    fn of_listing(path: &Path, listing: Listing) -> Self {
        let mut spaces = BTreeMap::new();
        for listed in &listing.entries {
            if let Some(space) = &listed.space {
                spaces.entry(space.clone()).or_insert(listed.line);
            }
        }
        Self {
            spaces,
            path: path.to_owned(),
            problems: listing.problems.iter().map(FileProblem::of).collect(),
            further_problems: listing.further_problems,
            entries: listing
                .entries
                .into_iter()
                .map(|listed| (listed.line, listed.entry))
                .collect(),
        }
    }

    fn of_rows(path: &Path, rows: Vec<LegacyRow>) -> Self {
        let mut file = Self {
            path: path.to_owned(),
            entries: Vec::with_capacity(rows.len()),
            spaces: BTreeMap::new(),
            problems: Vec::new(),
            further_problems: 0,
        };
        for row in rows {
            let line = usize::try_from(row.row).unwrap_or(0);
            match entry_of_row(&row) {
                Ok(entry) => file.entries.push((line, entry)),
                Err(message) => file.problems.push(FileProblem { line, message }),
            }
        }
        file
    }

    pub(crate) fn entries(&self) -> Vec<ImportEntry> {
        self.entries
            .iter()
            .map(|(_, entry)| entry.clone())
            .collect()
    }

    /// Whether something is wrong with the file by itself.
    pub(crate) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    /// Everything that is wrong: with the file by itself and, `against_book`, with what the book holds,
    /// in the file's order.
    pub(crate) fn problems(&self, against_book: &[ImportProblem]) -> Vec<FileProblem> {
        let mut problems = self.problems.clone();
        problems.extend(self.located(against_book));
        problems.sort_by_key(|problem| problem.line);
        problems
    }

    /// The planner's verdicts with the lines that they are about.
    pub(crate) fn located(&self, problems: &[ImportProblem]) -> Vec<FileProblem> {
        let line = |entry: usize| self.entries.get(entry).map_or(0, |(line, _)| *line);
        problems
            .iter()
            .map(|problem| FileProblem {
                line: line(problem.entry),
                message: problem.fault.to_string(),
            })
            .collect()
    }

    pub(crate) fn refused(&self, problems: Vec<FileProblem>) -> Error {
        Error::Entries {
            path: self.path.clone(),
            further: self.further_problems,
            problems,
        }
    }

    pub(crate) fn report(&self, imported: usize, unchanged: usize, into: &Space) -> ImportReport {
        let blocked = self.entries.iter().flat_map(|(line, entry)| {
            let ports = entry.ports.iter();
            ports
                .filter(|(_, port)| browser_blocked().contains(**port))
                .map(|(role, port)| FileProblem {
                    line: *line,
                    message: format!(
                        "port {port}, the {role} of {}, is one that no browser opens",
                        entry.app
                    ),
                })
        });
        let others = self.spaces.iter().filter(|(space, _)| *space != into);
        let others = others.map(|(space, line)| FileProblem {
            line: *line,
            message: format!("apps of the space `{space}` are registered in the space `{into}`"),
        });
        ImportReport {
            imported,
            unchanged,
            warnings: blocked.chain(others).collect(),
        }
    }
}

/// Whether the file is a database, which is opened and not read. What cannot be looked into, such as
/// standard input, is none.
fn begins_as_sqlite(path: &Path) -> Result<bool, Error> {
    let failed = |error: std::io::Error| Error::File {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Ok(false);
    }
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut beginning = Vec::new();
    file.take(16).read_to_end(&mut beginning).map_err(failed)?;
    Ok(is_sqlite(&beginning))
}

/// A row of an earlier database as an entry, or what is wrong with it.
fn entry_of_row(row: &LegacyRow) -> Result<ImportEntry, String> {
    let model = Model::new(&row.model).map_err(|error| error.to_string())?;
    let number: AppNumber = row.app_num.parse().map_err(display)?;
    let port = |text: &str| text.parse::<Port>().map_err(display);
    let (backend, frontend) = (port(&row.backend)?, port(&row.frontend)?);
    let app = AppKey::new(model, number);
    if backend == frontend {
        return Err(format!(
            "{app} has port {backend} as its backend and its frontend"
        ));
    }
    Ok(ImportEntry {
        app,
        ports: Ports::from([(Role::backend(), backend), (Role::frontend(), frontend)]),
        created_at: row.created_at,
    })
}

fn display(error: impl std::fmt::Display) -> String {
    error.to_string()
}
