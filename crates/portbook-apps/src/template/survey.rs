//! Looking a template over before anything is done with it.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use super::{Progress, TemplateError};

/// A template whose every entry was looked at: all of it can be copied, and nothing leads out of it.
#[derive(Debug, Clone)]
pub struct Survey {
    root: PathBuf,
    entries: Vec<Entry>,
    bytes: u64,
}

/// Something in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is, from the template's root.
    pub source: PathBuf,
    /// Where it goes, from the destination.
    pub destination: PathBuf,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder with these permissions.
    Folder(u32),
    /// A file with these permissions.
    File(u32),
    /// A symbolic link to this place in the tree.
    Link(PathBuf),
}

/// Read, write and execute for everybody: whose file it runs as (setuid) is not copied.
const PERMISSIONS: u32 = 0o777;
/// What a version control system keeps is no part of the app.
const LEFT_OUT: [&str; 1] = [".git"];

impl Survey {
    /// Walks a template. Only the names are kept in memory.
    pub fn of(template: &Path, progress: &mut Progress<'_>) -> Result<Self, TemplateError> {
        let not_a_folder = || TemplateError::NotAFolder(template.to_owned());
        let root = template.canonicalize().map_err(|_| not_a_folder())?;
        if !root.is_dir() {
            return Err(not_a_folder());
        }
        let mode = fs::metadata(&root)
            .map_err(TemplateError::io("read", &root))?
            .mode();
        let mut survey = Self {
            root,
            entries: vec![Entry {
                source: PathBuf::new(),
                destination: PathBuf::new(),
                kind: EntryKind::Folder(mode & PERMISSIONS),
            }],
            bytes: 0,
        };
        survey.walk(progress)?;
        survey.refuse_clashes()?;
        Ok(survey)
    }

    /// The template's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Everything in it, each folder before what is in it.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many bytes its files have.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn walk(&mut self, progress: &mut Progress<'_>) -> Result<(), TemplateError> {
        let mut next = 0;
        while next < self.entries.len() {
            if matches!(self.entries[next].kind, EntryKind::Folder(_)) {
                let folder = self.entries[next].clone();
                self.list(&folder)?;
                progress.report(next, None)?;
            }
            next += 1;
        }
        Ok(())
    }

    fn list(&mut self, folder: &Entry) -> Result<(), TemplateError> {
        let path = self.root.join(&folder.source);
        let failed = || TemplateError::io("read", &path);
        let mut names = Vec::new();
        for entry in fs::read_dir(&path).map_err(failed())? {
            names.push(entry.map_err(failed())?.file_name());
        }
        names.sort();
        for name in names {
            if LEFT_OUT.iter().any(|left_out| name == *left_out) {
                continue;
            }
            let source = folder.source.join(&name);
            let kind = self.kind(&source)?;
            let becomes = match name.to_str() {
                Some(".env.example") if !matches!(kind, EntryKind::Folder(_)) => ".env".into(),
                _ => name,
            };
            self.entries.push(Entry {
                source,
                destination: folder.destination.join(becomes),
                kind,
            });
        }
        Ok(())
    }

    fn kind(&mut self, source: &Path) -> Result<EntryKind, TemplateError> {
        let path = self.root.join(source);
        let metadata = fs::symlink_metadata(&path).map_err(TemplateError::io("read", &path))?;
        let mode = metadata.mode() & PERMISSIONS;
        let file_type = metadata.file_type();
        if file_type.is_dir() {
            return Ok(EntryKind::Folder(mode));
        }
        if file_type.is_file() {
            self.bytes += metadata.len();
            return Ok(EntryKind::File(mode));
        }
        if file_type.is_symlink() {
            let target = fs::read_link(&path).map_err(TemplateError::io("read", &path))?;
            return match self.leads_out(source, &target) {
                true => Err(TemplateError::LinkOut { link: path, target }),
                false => Ok(EntryKind::Link(target)),
            };
        }
        let what = match () {
            () if file_type.is_fifo() => "a pipe",
            () if file_type.is_socket() => "a socket",
            () => "a device",
        };
        Err(TemplateError::Special { what, path })
    }

    /// By its text and by what it leads to: either alone can be led astray by another link.
    fn leads_out(&self, link: &Path, target: &Path) -> bool {
        let mut depth = link.components().count() - 1;
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
        match self.root.join(link).canonicalize() {
            Ok(there) => !there.starts_with(&self.root),
            // It may lead to a file that only the copy has, such as `.env`.
            Err(_) => climbs,
        }
    }

    fn refuse_clashes(&self) -> Result<(), TemplateError> {
        let mut seen: HashMap<&Path, &Path> = HashMap::with_capacity(self.entries.len());
        for entry in &self.entries {
            if let Some(one) = seen.insert(&entry.destination, &entry.source) {
                return Err(TemplateError::Clash {
                    one: one.to_owned(),
                    other: entry.source.clone(),
                    becomes: entry.destination.clone(),
                });
            }
        }
        Ok(())
    }
}
