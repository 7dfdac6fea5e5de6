//! Which files make a project.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::loading::resolved;
use super::scope::Scope;

/// The names that Compose looks for, the first one there being taken.
const NAMES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];
/// Those of a file that goes over it.
const OVERRIDE_NAMES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// The files of a project, one over the other, and the directory that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    pub(super) directory: PathBuf,
    files: Vec<PathBuf>,
    /// Whether `COMPOSE_FILE` in `.env` may name others.
    are_found: bool,
}

impl Sources {
    /// What `docker compose` would take in a directory: a file and the one that overrides it.
    pub fn in_directory(directory: &Path) -> io::Result<Option<Self>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            names.push(entry?.file_name());
        }
        Ok(Self::among(directory, names.iter().map(AsRef::as_ref)))
    }

    /// The same, of a directory in which these names are.
    pub fn among<'n>(directory: &Path, names: impl IntoIterator<Item = &'n OsStr>) -> Option<Self> {
        let (mut main, mut over) = (None, None);
        for name in names {
            main = main.min_some(rank(&NAMES, name));
            over = over.min_some(rank(&OVERRIDE_NAMES, name));
        }
        let main = NAMES.get(main?)?;
        let over = over.and_then(|over| OVERRIDE_NAMES.get(over));
        let files = std::iter::once(main).chain(over);
        Some(Self {
            directory: directory.to_owned(),
            files: files.map(|name| directory.join(name)).collect(),
            are_found: true,
        })
    }

    /// What `docker compose -f FILE -f FILE ...` would take; the project's directory is the first one's.
    pub fn of_files(files: Vec<PathBuf>) -> Self {
        let first = files.first().and_then(|file| file.parent());
        Self {
            directory: first.unwrap_or(Path::new("")).to_owned(),
            files,
            are_found: false,
        }
    }

    /// Files of one directory that somebody names: one that overrides another of them lies over it, as
    /// where Compose finds both; every other is a project of its own.
    pub fn among_named(directory: &Path, names: &[OsString]) -> Vec<Self> {
        let found = Self::among(directory, names.iter().map(AsRef::as_ref));
        let pair = found
            .map(|found| found.files)
            .filter(|files| files.len() > 1);
        let pair = pair.unwrap_or_default();
        let files = names.iter().map(|name| directory.join(name));
        let alone = files.filter(|file| !pair.contains(file));
        let mut projects: Vec<_> = alone.map(|file| Self::of_files(vec![file])).collect();
        if !pair.is_empty() {
            projects.push(Self::of_files(pair));
        }
        projects
    }

    /// The files, now that `.env` is read.
    pub(super) fn files(&self, directory: &Path, scope: &Scope<'_>) -> Vec<PathBuf> {
        let named = scope.get("COMPOSE_FILE").filter(|_| self.are_found);
        let Some(named) = named.filter(|named| !named.value.as_str().is_empty()) else {
            return self.files.clone();
        };
        let separator = scope.get("COMPOSE_PATH_SEPARATOR");
        let separator = separator.as_ref().map_or(":", |found| found.value.as_str());
        let paths = named
            .value
            .as_str()
            .split(if separator.is_empty() { ":" } else { separator });
        paths.map(|path| resolved(directory, path)).collect()
    }
}

/// Whether a file's name is one that Compose looks for.
pub fn is_compose_file(name: &OsStr) -> bool {
    rank(&NAMES, name).or(rank(&OVERRIDE_NAMES, name)).is_some()
}

fn rank(names: &[&str], name: &OsStr) -> Option<usize> {
    names.iter().position(|known| name == *known)
}

trait MinSome {
    /// The lesser of two that are there, or the one that is.
    fn min_some(self, other: Self) -> Self;
}

impl MinSome for Option<usize> {
    fn min_some(self, other: Self) -> Self {
        match (self, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }
}
