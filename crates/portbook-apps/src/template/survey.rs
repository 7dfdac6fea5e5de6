//! Looking a template over before anything is done with it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use super::shipped::ShippedTemplate;
use super::{Template, TemplateError};

/// A template whose every entry was looked at: all of it can be copied, and nothing leads out of it.
/// Only the names are kept in memory.
#[derive(Debug, Clone)]
pub struct Survey {
    template: Template,
    folders: Vec<Folder>,
    total: usize,
}

/// A folder of a template, and what it has besides folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folder {
    /// Where it is, from the template's root, and goes, from the destination.
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    pub(super) entries: Vec<Entry>,
}

/// A file or link of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) kind: EntryKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EntryKind {
    /// A file with these permissions.
    File(u32),
    /// A symbolic link to this place in the copy.
    Link(PathBuf),
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// So many files were found so far.
    Found(usize),
    /// So many files of so many were written.
    Written(usize, usize),
}

/// Tells somebody how far it has come, and asks whether to go on.
pub type Progress<'a> = dyn FnMut(Step) -> ControlFlow<()> + 'a;

pub(super) fn report(progress: &mut Progress<'_>, step: Step) -> Result<(), TemplateError> {
    match progress(step) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(TemplateError::Interrupted),
    }
}

/// Read, write and execute for everybody: whose file it runs as (setuid) is not copied.
const PERMISSIONS: u32 = 0o777;
/// What version control keeps beside the files is no part of an app.
const LEFT_OUT: &str = ".git";
const EXAMPLE: &str = ".env.example";
const BECOMES: &str = ".env";

impl Entry {
    /// What it is called in the copy.
    pub(super) fn becomes(&self) -> &OsStr {
        match self.name == EXAMPLE {
            true => OsStr::new(BECOMES),
            false => &self.name,
        }
    }
}

impl Survey {
    /// Walks a template.
    pub fn of(template: &Template, progress: &mut Progress<'_>) -> Result<Self, TemplateError> {
        match template {
            Template::Folder(folder) => Self::of_folder(folder, progress),
            Template::Shipped(shipped) => Ok(Self::of_shipped(shipped)),
        }
    }

    fn of_folder(folder: &Path, progress: &mut Progress<'_>) -> Result<Self, TemplateError> {
        let root = match folder.canonicalize() {
            Ok(root) if root.is_dir() => root,
            Ok(_) => return Err(TemplateError::NotAFolder(folder.to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(TemplateError::Unknown(folder.to_owned()));
            }
            Err(error) => return Err(TemplateError::unreadable(folder)(error)),
        };
        let metadata = fs::metadata(&root).map_err(TemplateError::unreadable(&root))?;
        let mut walk = Walk {
            root,
            folders: vec![Folder::new(PathBuf::new(), metadata.mode() & PERMISSIONS)],
            total: 0,
        };
        let mut next = 0;
        while next < walk.folders.len() {
            walk.list(next, progress)?;
            next += 1;
        }
        Ok(Self {
            template: Template::Folder(walk.root),
            folders: walk.folders,
            total: walk.total,
        })
    }

    fn of_shipped(shipped: &'static ShippedTemplate) -> Self {
        const FOLDER_MODE: u32 = 0o755;
        let mut folders = vec![Folder::new(PathBuf::new(), FOLDER_MODE)];
        for file in shipped.files {
            let path = Path::new(file.path);
            let parent = path.parent().unwrap_or(Path::new(""));
            let index = folders.iter().position(|folder| folder.path == parent);
            let index = index.unwrap_or_else(|| {
                folders.push(Folder::new(parent.to_owned(), FOLDER_MODE));
                folders.len() - 1
            });
            folders[index].entries.push(Entry {
                name: path.file_name().unwrap_or_default().to_owned(),
                kind: EntryKind::File(file.mode),
            });
        }
        Self {
            template: Template::Shipped(shipped),
            folders,
            total: shipped.files.len(),
        }
    }

    /// The template, its folder by its path without links.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// How many files and links it has.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Its folders, each before those in it.
    pub(super) fn folders(&self) -> &[Folder] {
        &self.folders
    }
}

impl Folder {
    fn new(path: PathBuf, mode: u32) -> Self {
        Self {
            path,
            mode,
            entries: Vec::new(),
        }
    }
}

struct Walk {
    root: PathBuf,
    folders: Vec<Folder>,
    total: usize,
}

impl Walk {
    fn list(&mut self, index: usize, progress: &mut Progress<'_>) -> Result<(), TemplateError> {
        let below = self.folders[index].path.clone();
        let folder = self.root.join(&below);
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).map_err(TemplateError::unreadable(&folder))? {
            names.push(
                entry
                    .map_err(TemplateError::unreadable(&folder))?
                    .file_name(),
            );
        }
        names.retain(|name| name != LEFT_OUT);
        names.sort_unstable();
        let named = |name: &str| names.iter().any(|found| found == name);
        let has_both = named(BECOMES) && named(EXAMPLE);
        for name in names {
            let path = folder.join(&name);
            let metadata = fs::symlink_metadata(&path).map_err(TemplateError::unreadable(&path))?;
            let mode = metadata.mode() & PERMISSIONS;
            let file_type = metadata.file_type();
            if file_type.is_dir() {
                self.folders.push(Folder::new(below.join(name), mode));
                continue;
            }
            if has_both && name == EXAMPLE {
                return Err(TemplateError::Clash {
                    folder,
                    one: BECOMES.into(),
                    other: EXAMPLE.into(),
                });
            }
            let kind = if file_type.is_file() {
                EntryKind::File(mode)
            } else if file_type.is_symlink() {
                EntryKind::Link(self.link(&below, &path)?)
            } else {
                return Err(TemplateError::Special {
                    what: special(&file_type),
                    path,
                });
            };
            self.folders[index].entries.push(Entry { name, kind });
            self.total += 1;
            report(progress, Step::Found(self.total))?;
        }
        report(progress, Step::Found(self.total))
    }

    /// Where a link of the folder `below` leads in the copy.
    fn link(&self, below: &Path, path: &Path) -> Result<PathBuf, TemplateError> {
        let target = fs::read_link(path).map_err(TemplateError::unreadable(path))?;
        if self.leads_out(below, path, &target) {
            let link = path.to_owned();
            return Err(TemplateError::LinkOut { link, target });
        }
        let is_renamed = target.file_name().is_some_and(|name| name == EXAMPLE) && !path.is_dir();
        match is_renamed {
            true => Ok(target.with_file_name(BECOMES)),
            false => Ok(target),
        }
    }

    /// By its text and by what it leads to: either alone can be led astray by another link.
    fn leads_out(&self, below: &Path, link: &Path, target: &Path) -> bool {
        let mut depth = below.components().count();
        let mut climbs = false;
        for component in target.components() {
            match component {
                Component::Normal(_) => depth += 1,
                Component::CurDir => {}
                Component::ParentDir if depth > 0 => {
                    climbs = true;
                    depth -= 1;
                }
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => return true,
            }
        }
        match link.canonicalize() {
            Ok(there) => !there.starts_with(&self.root),
            // It may lead to a file that only the copy has, such as `.env`.
            Err(_) => climbs,
        }
    }
}

fn special(file_type: &fs::FileType) -> &'static str {
    match () {
        () if file_type.is_fifo() => "a pipe",
        () if file_type.is_socket() => "a socket",
        () => "a device",
    }
}
