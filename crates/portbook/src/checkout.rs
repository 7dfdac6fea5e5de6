//! Which app a checkout is: the directory in which somebody works on a project, such as a worktree of git's.
//!
//! The project is the model, and every checkout of it an app of its own. The book remembers an app's
//! directory, so a checkout is known again by where it is; one that was moved, or removed and made anew
//! elsewhere, by its branch, since git has a branch checked out at one place only.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use portbook_model::{
    Allocation, AllocationRequest, AppDirectory, AppKey, AppNumber, Grant, Model, Note,
};
use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;

use crate::{Error, PortAllocationService};

/// What tells git of another repository than that of the directory, as in a hook: git(1), "The Git Repository".
const ELSEWHERE: [&str; 5] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
];

/// A directory in which somebody works on a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// Its topmost directory, absolute and without symbolic links.
    pub root: PathBuf,
    /// What the project is called.
    pub project: Model,
    /// The branch that is checked out, if it is a worktree of git's and on one.
    pub branch: Option<String>,
    /// What all checkouts of the project have in common, to take turns by.
    shared: PathBuf,
}

impl Checkout {
    /// The checkout that a directory belongs to: the worktree of git's around it, or else the directory itself.
    pub fn of(directory: &Path) -> Result<Self, Error> {
        let directory = fs::canonicalize(directory).map_err(|error| Error::File {
            path: directory.to_owned(),
            reason: error.to_string(),
        })?;
        let is_in_git = directory
            .ancestors()
            .any(|folder| folder.join(".git").symlink_metadata().is_ok());
        if is_in_git {
            return Self::of_worktree(&directory);
        }
        Ok(Self {
            project: project_of(&directory)?,
            branch: None,
            shared: directory.clone(),
            root: directory,
        })
    }

    /// Git is asked itself: it knows best where its files are, and how they are to be read.
    fn of_worktree(directory: &Path) -> Result<Self, Error> {
        let untold = |reason: String| Error::Checkout {
            directory: directory.to_owned(),
            reason,
        };
        let git = |arguments: &[&str]| {
            let mut git = Command::new("git");
            git.arg("-C").arg(directory).args(arguments);
            ELSEWHERE.iter().for_each(|name| {
                git.env_remove(name);
            });
            git.output()
                .map_err(|error| untold(format!("git cannot be asked: {error}")))
        };
        let places = git(&[
            "rev-parse",
            "--path-format=absolute",
            "--show-toplevel",
            "--git-common-dir",
        ])?;
        if !places.status.success() {
            return Err(untold(first_line(&places.stderr)));
        }
        let [root, shared] =
            lines(&places).ok_or_else(|| untold("git does not name its directories".to_owned()))?;
        let branch = git(&["symbolic-ref", "--quiet", "--short", "HEAD"])?;
        Ok(Self {
            project: project_of(&repository(&shared))?,
            branch: branch.status.success().then(|| first_line(&branch.stdout)),
            shared,
            root,
        })
    }

    fn record(&self) -> AppDirectory {
        AppDirectory {
            path: self.root.display().to_string(),
            template: None,
            branch: self.branch.clone(),
        }
    }

    /// Whether the app lives here.
    pub fn is_home_of(&self, allocation: &Allocation) -> bool {
        directory_of(allocation).is_some_and(|directory| Path::new(&directory.path) == self.root)
    }

    /// Whether the app lived where this branch was checked out before, and nothing is there any more.
    fn succeeds(&self, allocation: &Allocation) -> bool {
        directory_of(allocation).is_some_and(|directory| {
            directory.branch.is_some()
                && directory.branch == self.branch
                && !Path::new(&directory.path).exists()
        })
    }
}

impl PortAllocationService {
    /// The app that a checkout is, which has to be in the book. Nothing changes.
    pub fn here(&self, checkout: &Checkout) -> Result<AppKey, Error> {
        let siblings = self.apps_of_project(checkout)?;
        let here = found(&siblings, checkout).map(|allocation| allocation.app.clone());
        here.ok_or_else(|| Error::NotHere(checkout.root.clone()))
    }

    /// Gets or allocates a checkout's ports: those of the app that it is, or of the project's first free
    /// app number, of which the book remembers the checkout from then on.
    ///
    /// What is asked for besides is as `request` says; the apps that it names are not looked at. Checkouts of
    /// one project on this machine take turns, so one that is asked about twice at once is one app.
    pub fn allocate_here(
        &self,
        checkout: &Checkout,
        request: &AllocationRequest,
    ) -> Result<Grant, Error> {
        let _turn = turn(checkout)?;
        let siblings = self.apps_of_project(checkout)?;
        if let Some(known) = found(&siblings, checkout) {
            let grant = self.allocate_one(known.app.clone(), request)?;
            if directory_of(known) != Some(&checkout.record()) {
                self.note_home(&known.app, checkout)?;
            }
            return Ok(grant);
        }
        for number in (1..=u32::MAX).map_while(AppNumber::new) {
            if siblings.iter().any(|sibling| sibling.app.number == number) {
                continue;
            }
            let app = AppKey::new(checkout.project.clone(), number);
            let grant = self.allocate_one(app.clone(), request)?;
            // Somebody else may have made the app meanwhile: then it is theirs.
            if grant.created {
                self.note_home(&app, checkout)?;
                return Ok(grant);
            }
        }
        Err(Error::Internal("every app number is taken".to_owned()))
    }

    fn apps_of_project(&self, checkout: &Checkout) -> Result<Vec<Allocation>, Error> {
        let mut allocations = self.allocations(None)?;
        allocations.retain(|allocation| allocation.app.model == checkout.project);
        Ok(allocations)
    }

    /// Gets or allocates one app's ports, as [`allocate`](Self::allocate) does; the apps that the request
    /// names are not looked at.
    pub fn allocate_one(&self, app: AppKey, request: &AllocationRequest) -> Result<Grant, Error> {
        let request = AllocationRequest {
            apps: vec![app],
            ..request.clone()
        };
        let grant = self.allocate(&request)?.pop();
        grant.ok_or_else(|| Error::Internal("a grant expected, none found".to_owned()))
    }

    fn note_home(&self, app: &AppKey, checkout: &Checkout) -> Result<(), Error> {
        let note = Note::Directory(checkout.record());
        self.note(vec![(app.clone(), note)]).map(drop)
    }
}

fn directory_of(allocation: &Allocation) -> Option<&AppDirectory> {
    allocation.notes.directory.as_ref()
}

fn found<'a>(siblings: &'a [Allocation], checkout: &Checkout) -> Option<&'a Allocation> {
    let here = siblings.iter().find(|sibling| checkout.is_home_of(sibling));
    here.or_else(|| siblings.iter().find(|sibling| checkout.succeeds(sibling)))
}

/// Waits for this project's turn on this machine, which lasts as long as what is returned.
fn turn(checkout: &Checkout) -> Result<File, Error> {
    let locked = File::open(&checkout.shared).and_then(|shared| {
        retry_on_intr(|| flock(&shared, FlockOperation::LockExclusive))?;
        Ok(shared)
    });
    locked.map_err(|error| Error::File {
        path: checkout.shared.clone(),
        reason: error.to_string(),
    })
}

/// The folder that is named as the repository is: `project/.git` and `project/.bare` are `project`'s,
/// `project.git` is one of itself.
fn repository(shared: &Path) -> PathBuf {
    let is_hidden = shared
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    match (is_hidden, shared.parent()) {
        (true, Some(parent)) => parent.to_owned(),
        _ if shared
            .extension()
            .is_some_and(|extension| extension == "git") =>
        {
            shared.with_extension("")
        }
        _ => shared.to_owned(),
    }
}

fn project_of(directory: &Path) -> Result<Model, Error> {
    let name = directory.file_name().unwrap_or_default();
    Ok(Model::new(&name.to_string_lossy())?)
}

fn lines(output: &Output) -> Option<[PathBuf; 2]> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let mut lines = output.stdout.split(|byte| *byte == b'\n');
    let mut next = || {
        lines
            .next()
            .filter(|line| !line.is_empty())
            .map(|line| PathBuf::from(OsStr::from_bytes(line)))
    };
    Some([next()?, next()?])
}

fn first_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    text.lines().next().unwrap_or_default().to_owned()
}
