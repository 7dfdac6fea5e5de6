//! The compose projects and `.env` files at some paths, found and read by several threads at once.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use portbook_apps::compose::{self, Environment, Project, Sources};
use portbook_apps::dot_env::DotEnv;
use portbook_apps::written::SourceFile;
use portbook_model::AppKey;

use super::UnreadFile;
use crate::truths::Homes;

/// Directories of package managers: what lies in them is others' work.
const LEFT_OUT: [&str; 5] = [
    "node_modules",
    "bower_components",
    "vendor",
    "venv",
    "__pycache__",
];
/// How deep directories may lie in one another.
const DEEPEST: usize = 64;

/// What there is.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) projects: Vec<FoundProject>,
    pub(super) dot_envs: Vec<FoundDotEnv>,
    pub(super) unread: Vec<UnreadFile>,
}

/// A compose project, and where it is.
pub(super) struct FoundProject {
    pub(super) project: Project,
    pub(super) home: Home,
}

/// An `.env` file, and where it is.
pub(super) struct FoundDotEnv {
    pub(super) dot_env: DotEnv,
    pub(super) home: Home,
}

/// A directory, by the path by which it was reached and by those that the book may know it by.
#[derive(Debug, Clone)]
pub(super) struct Home {
    shown: PathBuf,
    absolute: PathBuf,
    /// With links followed.
    canonical: PathBuf,
}

impl Home {
    fn of(path: &Path) -> Self {
        let parts = path.components();
        let shown: PathBuf = parts.filter(|part| *part != Component::CurDir).collect();
        let here = match shown.as_os_str().is_empty() {
            true => Path::new("."),
            false => &shown,
        };
        let absolute = std::path::absolute(here).unwrap_or_else(|_| here.to_owned());
        let canonical = fs::canonicalize(here).unwrap_or_else(|_| absolute.clone());
        Self {
            shown,
            absolute,
            canonical,
        }
    }

    fn child(&self, name: &OsStr) -> Self {
        Self {
            shown: self.shown.join(name),
            absolute: self.absolute.join(name),
            canonical: self.canonical.join(name),
        }
    }

    /// The app whose directory it is or lies in.
    pub(super) fn app(&self, homes: &Homes) -> Option<AppKey> {
        let app = homes.of_directory(&self.absolute);
        app.or_else(|| homes.of_directory(&self.canonical))
    }

    /// The `{model identity}` and `{n}` of the app that the directory is made for, by its name.
    pub(super) fn made_for(&self) -> Option<(&str, u32)> {
        self.canonical.ancestors().find_map(|folder| {
            let number = folder.file_name()?.to_str()?.strip_prefix("app")?;
            let identity = folder.parent()?.file_name()?.to_str()?;
            Some((identity, number.parse().ok().filter(|number| *number > 0)?))
        })
    }
}

impl Survey {
    pub(super) fn of(
        paths: &[PathBuf],
        environment: &Environment,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Self {
        let mut survey = Self::default();
        let mut directories = Vec::new();
        for path in paths {
            match fs::metadata(path) {
                Ok(metadata) if metadata.is_dir() => directories.push((Home::of(path), 0)),
                Ok(_) => survey.file(path, environment),
                Err(error) => survey.unread.push(UnreadFile::whole(path, &error)),
            }
        }
        if !directories.is_empty() {
            let queue = Queue::new(directories);
            let threads = thread::available_parallelism().map_or(1, usize::from);
            thread::scope(|scope| {
                let work = || survey_queue(&queue, environment, progress);
                let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
                for worker in workers {
                    match worker.join() {
                        Ok(found) => survey.add(found),
                        Err(panic) => std::panic::resume_unwind(panic),
                    }
                }
            });
        }
        survey.sort();
        survey.leave_out_parts();
        survey
    }

    fn add(&mut self, other: Self) {
        self.projects.extend(other.projects);
        self.dot_envs.extend(other.dot_envs);
        self.unread.extend(other.unread);
    }

    fn sort(&mut self) {
        self.projects
            .sort_by(|a, b| a.home.shown.cmp(&b.home.shown));
        self.dot_envs
            .sort_by(|a, b| a.home.shown.cmp(&b.home.shown));
    }

    /// A file that the caller names: an `.env` file by its name, a compose file by any other.
    fn file(&mut self, path: &Path, environment: &Environment) {
        let home = Home::of(path.parent().unwrap_or(Path::new("")));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name == ".env" || name.starts_with(".env.") || name.ends_with(".env") {
            self.dot_env(path, home, environment);
        } else {
            self.project(&Sources::of_files(vec![path.to_owned()]), home, environment);
        }
    }

    fn project(&mut self, sources: &Sources, home: Home, environment: &Environment) {
        let mut project = Project::read(sources, environment);
        if let Some(dot_env) = project.dot_env.take() {
            self.dot_envs.push(FoundDotEnv {
                dot_env,
                home: home.clone(),
            });
        }
        self.projects.push(FoundProject { project, home });
    }

    fn dot_env(&mut self, path: &Path, home: Home, environment: &Environment) {
        let file = match SourceFile::read(path) {
            Ok(file) => Arc::new(file),
            Err(error) => return self.unread.push(UnreadFile::whole(path, &error)),
        };
        match DotEnv::read(&file, &|name| compose::variable(environment, name)) {
            Ok(dot_env) => self.dot_envs.push(FoundDotEnv { dot_env, home }),
            Err(problem) => self
                .unread
                .push(UnreadFile::at(&problem.place, &problem.fault)),
        }
    }

    /// Reads what is in a directory, and gives the directories in it.
    fn directory(&mut self, home: &Home, environment: &Environment) -> Vec<Home> {
        let here = match home.shown.as_os_str().is_empty() {
            true => Path::new("."),
            false => &home.shown,
        };
        let (mut names, mut below) = (Vec::<OsString>::new(), Vec::new());
        let listed = fs::read_dir(here).and_then(|entries| {
            for entry in entries {
                let entry = entry?;
                let (name, kind) = (entry.file_name(), entry.file_type()?);
                match kind.is_dir() {
                    true if !is_left_out(&name) => below.push(home.child(&name)),
                    true => {}
                    false => names.push(name),
                }
            }
            Ok(())
        });
        if let Err(error) = listed {
            self.unread.push(UnreadFile::whole(here, &error));
        }
        let names = names.iter().map(OsString::as_os_str);
        if let Some(sources) = Sources::among(&home.shown, names.clone()) {
            self.project(&sources, home.clone(), environment);
        } else if names.clone().any(|name| name == ".env") {
            self.dot_env(&home.shown.join(".env"), home.clone(), environment);
        }
        below
    }

    /// A project that another one includes or extends is a part of that one.
    fn leave_out_parts(&mut self) {
        let mut parts = HashSet::new();
        for found in &self.projects {
            let files = found.project.files.iter().skip(found.project.own_files);
            parts.extend(files.map(|file| file.path().to_owned()));
        }
        self.projects.retain(|found| {
            let main = found.project.files.first();
            main.is_none_or(|main| !parts.contains(main.path()))
        });
    }
}

fn is_left_out(name: &OsStr) -> bool {
    let is_hidden = name.as_encoded_bytes().starts_with(b".");
    is_hidden || LEFT_OUT.iter().any(|left_out| name == *left_out)
}

/// Directories that wait to be searched.
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

struct QueueState {
    waiting: Vec<(Home, usize)>,
    /// How many are being searched, each of which may add more.
    busy: usize,
    done: usize,
}

impl Queue {
    fn new(waiting: Vec<(Home, usize)>) -> Self {
        let state = QueueState {
            waiting,
            busy: 0,
            done: 0,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// The next directory; `None` when all are done.
    fn next(&self) -> Option<(Home, usize)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(next) = state.waiting.pop() {
                state.busy += 1;
                return Some(next);
            }
            if state.busy == 0 {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Notes that a directory is done, and what is below it; gives how many are done.
    fn finish(&self, below: impl IntoIterator<Item = (Home, usize)>) -> usize {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.extend(below);
        state.busy -= 1;
        state.done += 1;
        self.changed.notify_all();
        state.done
    }
}

fn survey_queue(
    queue: &Queue,
    environment: &Environment,
    progress: &(dyn Fn(usize) + Sync),
) -> Survey {
    let mut survey = Survey::default();
    while let Some((home, depth)) = queue.next() {
        let mut below = survey.directory(&home, environment);
        if depth >= DEEPEST && !below.is_empty() {
            let message = format!("directories lie more than {DEEPEST} deep in one another");
            survey.unread.push(UnreadFile::whole(&home.shown, &message));
            below.clear();
        }
        progress(queue.finish(below.into_iter().map(|home| (home, depth + 1))));
    }
    survey
}
