//! The compose projects and `.env` files at some paths, found, read and held against the book by several
//! threads at once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::thread;

use portbook_apps::compose::{self, Environment, Project, Service, Sources};
use portbook_apps::dot_env::DotEnv;
use portbook_apps::written::SourceFile;
use portbook_model::AppKey;

use super::UnreadFile;
use super::queue::Queue;
use super::verdict::Book;
use crate::check::Conflict;
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

/// What files are read with and held against.
pub(super) struct Ground<'g> {
    pub(super) environment: &'g Environment,
    pub(super) book: Book<'g>,
    pub(super) homes: Homes,
}

/// What there is, and what is wrong with it.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) projects: Vec<FoundProject>,
    pub(super) dot_envs: Vec<FoundDotEnv>,
    pub(super) unread: Vec<UnreadFile>,
}

/// A compose project.
pub(super) struct FoundProject {
    pub(super) name: String,
    pub(super) shown: PathBuf,
    /// The files that lie over one another to make it.
    own: Vec<PathBuf>,
    /// The files that it includes or extends.
    parts: Vec<PathBuf>,
    pub(super) app: Option<AppKey>,
    pub(super) services: Vec<Service>,
    pub(super) conflicts: Vec<Conflict>,
    pub(super) unread: Vec<UnreadFile>,
}

/// An `.env` file.
pub(super) struct FoundDotEnv {
    shown: PathBuf,
    file: PathBuf,
    pub(super) app: Option<AppKey>,
    pub(super) conflicts: Vec<Conflict>,
}

/// A directory, by the path by which it was reached and by those that the book may know it by.
#[derive(Debug, Clone)]
pub(super) struct Home {
    root: Arc<Root>,
    /// The way from the root.
    below: PathBuf,
    depth: usize,
}

/// A directory that the caller names.
#[derive(Debug)]
struct Root {
    shown: PathBuf,
    absolute: PathBuf,
    /// With links followed, where that is another path.
    canonical: Option<PathBuf>,
}

impl Home {
    fn of(path: &Path) -> Self {
        let parts = path.components();
        let shown: PathBuf = parts.filter(|part| *part != Component::CurDir).collect();
        let here = match shown.as_os_str().is_empty() {
            true => Path::new("."),
            false => &shown,
        };
        let canonical = fs::canonicalize(here).ok();
        // `/srv/one/../two` does not lie in `/srv/one`.
        let leads_up = here.components().any(|part| part == Component::ParentDir);
        let plain = canonical.clone().filter(|_| leads_up);
        let plain = plain.or_else(|| std::path::absolute(here).ok());
        let absolute = plain.unwrap_or_else(|| here.to_owned());
        let root = Root {
            canonical: canonical.filter(|canonical| *canonical != absolute),
            shown,
            absolute,
        };
        Self {
            root: Arc::new(root),
            below: PathBuf::new(),
            depth: 0,
        }
    }

    fn child(&self, name: &OsStr) -> Self {
        Self {
            root: Arc::clone(&self.root),
            below: self.below.join(name),
            depth: self.depth + 1,
        }
    }

    /// A root that is the directory itself, joined with no more than a name: no slash comes after it.
    fn from(&self, root: &Path) -> PathBuf {
        match self.below.as_os_str().is_empty() {
            true => root.to_owned(),
            false => root.join(&self.below),
        }
    }

    fn shown(&self) -> PathBuf {
        self.from(&self.root.shown)
    }

    fn canonical(&self) -> PathBuf {
        self.from(self.root.canonical.as_ref().unwrap_or(&self.root.absolute))
    }

    /// The app whose directory it is or lies in.
    fn app(&self, homes: &Homes) -> Option<AppKey> {
        let app = homes.of_directory(&self.from(&self.root.absolute));
        app.or_else(|| homes.of_directory(&self.from(self.root.canonical.as_ref()?)))
    }

    /// The `{model identity}` and `{n}` of the app that the directory is made for, by its name.
    pub(super) fn made_for(&self) -> Option<(String, u32)> {
        self.canonical().ancestors().find_map(|folder| {
            let number = folder.file_name()?.to_str()?.strip_prefix("app")?;
            let identity = folder.parent()?.file_name()?.to_str()?;
            let number = number.parse().ok().filter(|number| *number > 0)?;
            Some((identity.to_owned(), number))
        })
    }
}

impl Survey {
    pub(super) fn of(
        paths: &[PathBuf],
        ground: &Ground<'_>,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Self {
        let mut survey = Self::default();
        let mut directories = Vec::new();
        let mut files: BTreeMap<&Path, Vec<OsString>> = BTreeMap::new();
        for path in paths {
            match fs::metadata(path) {
                Ok(metadata) if metadata.is_dir() => directories.push(Home::of(path)),
                Ok(_) => {
                    let folder = path.parent().unwrap_or(Path::new(""));
                    let names = files.entry(folder).or_default();
                    names.extend(path.file_name().map(OsStr::to_owned));
                }
                Err(error) => survey.unread.push(UnreadFile::whole(path, &error)),
            }
        }
        for (folder, names) in files {
            survey.files(folder, names, ground);
        }
        if !directories.is_empty() {
            let threads = thread::available_parallelism().map_or(1, usize::from);
            let queue = Queue::new(directories, threads);
            thread::scope(|scope| {
                let work = || survey_queue(&queue, ground, progress);
                let workers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
                survey.add(work());
                for worker in workers {
                    match worker.join() {
                        Ok(found) => survey.add(found),
                        Err(panic) => std::panic::resume_unwind(panic),
                    }
                }
            });
        }
        survey.sort();
        if paths.len() > 1 {
            survey.leave_out_repeats();
        }
        survey.leave_out_parts();
        survey
    }

    fn add(&mut self, other: Self) {
        self.projects.extend(other.projects);
        self.dot_envs.extend(other.dot_envs);
        self.unread.extend(other.unread);
    }

    fn sort(&mut self) {
        self.projects.sort_by(|a, b| a.shown.cmp(&b.shown));
        self.dot_envs.sort_by(|a, b| a.shown.cmp(&b.shown));
    }

    /// Files of one folder that the caller names: `.env` files by their names, compose files by any other.
    fn files(&mut self, folder: &Path, names: Vec<OsString>, ground: &Ground<'_>) {
        let home = Home::of(folder);
        let (dot_envs, compose): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| {
            let name = name.to_string_lossy();
            name == ".env" || name.starts_with(".env.") || name.ends_with(".env")
        });
        for name in dot_envs {
            self.dot_env(&folder.join(name), &home, ground);
        }
        for sources in Sources::among_named(folder, &compose) {
            self.project(&sources, &home, ground);
        }
    }

    fn project(&mut self, sources: &Sources, home: &Home, ground: &Ground<'_>) {
        let project = Project::read(sources, ground.environment);
        let by_home = home.app(&ground.homes);
        let app = by_home
            .clone()
            .or_else(|| ground.homes.of_project(&project.name));
        if let Some(dot_env) = &project.dot_env {
            self.dot_envs.push(FoundDotEnv {
                conflicts: ground.book.on_dot_env(dot_env, by_home.as_ref(), home),
                app: by_home,
                shown: home.shown(),
                file: home.shown().join(".env"),
            });
        }
        let mut files = project.files.iter().map(|file| file.path().to_owned());
        let own = files.by_ref().take(project.own_files).collect();
        let problems = project.problems.iter();
        self.projects.push(FoundProject {
            shown: home.shown(),
            conflicts: ground.book.on_project(&project, app.as_ref(), home),
            unread: problems
                .map(|problem| UnreadFile::at(&problem.place, &problem.fault))
                .collect(),
            own,
            parts: files.collect(),
            app,
            name: project.name,
            services: project.services,
        });
    }

    fn dot_env(&mut self, path: &Path, home: &Home, ground: &Ground<'_>) {
        let file = match SourceFile::read(path) {
            Ok(file) => Arc::new(file),
            Err(error) => return self.unread.push(UnreadFile::whole(path, &error)),
        };
        match DotEnv::read(&file, &|name| compose::variable(ground.environment, name)) {
            Ok(dot_env) => {
                let app = home.app(&ground.homes);
                self.dot_envs.push(FoundDotEnv {
                    conflicts: ground.book.on_dot_env(&dot_env, app.as_ref(), home),
                    app,
                    shown: home.shown(),
                    file: path.to_owned(),
                });
            }
            Err(problem) => self
                .unread
                .push(UnreadFile::at(&problem.place, &problem.fault)),
        }
    }

    /// Reads what is in a directory, and gives the directories in it.
    fn directory(&mut self, home: &Home, ground: &Ground<'_>) -> Vec<Home> {
        let shown = home.shown();
        let here = match shown.as_os_str().is_empty() {
            true => Path::new("."),
            false => &shown,
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
        if let Some(sources) = Sources::among(&shown, names.clone()) {
            self.project(&sources, home, ground);
        } else if names.clone().any(|name| name == ".env") {
            self.dot_env(&shown.join(".env"), home, ground);
        }
        if home.depth >= DEEPEST && !below.is_empty() {
            let message = format!("directories lie more than {DEEPEST} deep in one another");
            self.unread.push(UnreadFile::whole(&shown, &message));
            below.clear();
        }
        below
    }

    /// What several of the paths lead to is there once: trees lie in one another, files in trees.
    fn leave_out_repeats(&mut self) {
        // A directory's project has the file that overrides the one that was named.
        self.projects.sort_by_key(|found| Reverse(found.own.len()));
        let mut seen = HashSet::new();
        self.projects.retain(|found| {
            let own: Vec<_> = found.own.iter().map(|file| in_its_folder(file)).collect();
            let is_new = own.first().is_none_or(|main| !seen.contains(main));
            seen.extend(own);
            is_new
        });
        self.sort();
        let mut seen = HashSet::new();
        self.dot_envs
            .retain(|found| seen.insert(in_its_folder(&found.file)));
    }

    /// A project that another one includes or extends is a part of that one.
    fn leave_out_parts(&mut self) {
        let parts = self.projects.iter_mut();
        let parts: HashSet<PathBuf> = parts
            .flat_map(|found| std::mem::take(&mut found.parts))
            .collect();
        if parts.is_empty() {
            return;
        }
        self.projects.retain(|found| {
            let main = found.own.first();
            main.is_none_or(|main| !parts.contains(main))
        });
    }
}

/// The file, however its folder was reached. Where it is a link itself, two apps may share what it leads to.
fn in_its_folder(file: &Path) -> PathBuf {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::canonicalize(folder.unwrap_or(Path::new("."))).ok();
    match (folder, file.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => file.to_owned(),
    }
}

fn is_left_out(name: &OsStr) -> bool {
    let is_hidden = name.as_encoded_bytes().starts_with(b".");
    is_hidden || LEFT_OUT.iter().any(|left_out| name == *left_out)
}

fn survey_queue(
    queue: &Queue<Home>,
    ground: &Ground<'_>,
    progress: &(dyn Fn(usize) + Sync),
) -> Survey {
    let mut survey = Survey::default();
    let mut own = Vec::new();
    while let Some(home) = queue.next(&mut own) {
        own.append(&mut survey.directory(&home, ground));
        progress(queue.finish(&mut own));
    }
    survey
}
