//! Writing a filled-in copy of a template.
//!
//! Everything is written to a folder beside the destination, which takes the destination's place at
//! the end: whatever goes wrong before, the destination is as it was.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::copy::{Copier, CopyError};
use super::merge::merge;
use super::source::{Source, SourceFolder};
use super::staging::Staging;
use super::survey::{Entry, EntryKind, Folder, Progress, Step, report};
use super::{Destination, Placeholders, Survey, TemplateError};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaffolded {
    /// How many files and links the template has.
    pub files: usize,
    /// What was replaced, where it is kept.
    pub kept: Vec<PathBuf>,
}

/// What the owner must be able to do with a folder while it is filled.
const WRITABLE: u32 = 0o700;

/// Writes the template's tree to its destination with `values` filled in: all of it, or nothing.
pub fn scaffold(
    survey: &Survey,
    destination: &Destination,
    values: &Placeholders,
    progress: &mut Progress<'_>,
) -> Result<Scaffolded, TemplateError> {
    let dest = destination.path();
    let made = Made::folders_above(dest)?;
    let staging = Staging::beside(dest)?;
    Writing {
        survey,
        source: Source::of(survey)?,
        staging: staging.path(),
        copier: Copier::new(values),
        done: 0,
        progress,
    }
    .write_all()?;
    destination.refuse_occupied()?;
    let kept = if destination.exists() {
        merge(survey, staging.path(), dest)?
    } else {
        put_in_place(staging.path(), dest)?;
        staging.forget();
        Vec::new()
    };
    made.stay();
    close_folders(survey, dest);
    Ok(Scaffolded {
        files: survey.total(),
        kept,
    })
}

fn put_in_place(staging: &Path, dest: &Path) -> Result<(), TemplateError> {
    match rename_to_nothing(staging, dest) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST | Errno::NOTEMPTY) => Err(TemplateError::Occupied(dest.to_owned())),
        Err(error) => Err(TemplateError::io("put in place", dest)(error)),
    }
}

/// Renames, and replaces nothing.
pub(super) fn rename_to_nothing(from: &Path, to: &Path) -> rustix::io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can.
        Err(Errno::INVAL | Errno::NOSYS) if to.symlink_metadata().is_err() => {
            rustix::fs::rename(from, to)
        }
        other => other,
    }
}

/// Folders that their owner may not write to get their permissions once everything is in its place.
fn close_folders(survey: &Survey, dest: &Path) {
    let closed = |folder: &&Folder| folder.mode & WRITABLE != WRITABLE;
    for folder in survey.folders().iter().rev().filter(closed) {
        // The copy is there and whole: too late to refuse it.
        let _ = fs::set_permissions(dest.join(&folder.path), Permissions::from_mode(folder.mode));
    }
}

/// The folders above the destination that were not there: they go again if it comes to nothing.
struct Made(Vec<PathBuf>);

impl Made {
    fn folders_above(dest: &Path) -> Result<Self, TemplateError> {
        let Some(parent) = dest.parent() else {
            return Ok(Made(Vec::new()));
        };
        let missing = parent.ancestors().take_while(|folder| !folder.exists());
        let made = Made(missing.map(Path::to_owned).collect());
        fs::create_dir_all(parent).map_err(TemplateError::io("made", parent))?;
        Ok(made)
    }

    fn stay(mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for folder in &self.0 {
            // Somebody may have put something there meanwhile.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// A copy on its way.
struct Writing<'a, 'p> {
    survey: &'a Survey,
    source: Source,
    staging: &'a Path,
    copier: Copier<'a>,
    done: usize,
    progress: &'a mut Progress<'p>,
}

impl Writing<'_, '_> {
    fn write_all(mut self) -> Result<(), TemplateError> {
        for folder in self.survey.folders() {
            self.write_folder(folder)?;
        }
        for folder in self.survey.folders().iter().rev() {
            let path = self.staging.join(&folder.path);
            fs::set_permissions(&path, Permissions::from_mode(folder.mode | WRITABLE))
                .map_err(TemplateError::io("written", &path))?;
        }
        Ok(())
    }

    fn write_folder(&mut self, folder: &Folder) -> Result<(), TemplateError> {
        let from = self.source.folder(folder)?;
        let path = self.staging.join(&folder.path);
        if !folder.path.as_os_str().is_empty() {
            fs::create_dir(&path).map_err(TemplateError::io("written", &path))?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let to = rustix::fs::open(&path, flags, Mode::empty())
            .map_err(TemplateError::io("written", &path))?;
        for entry in &folder.entries {
            match &entry.kind {
                EntryKind::Link(target) => {
                    rustix::fs::symlinkat(target, &to, entry.becomes())
                        .map_err(TemplateError::io("written", &path.join(entry.becomes())))?;
                }
                EntryKind::File(mode) => self.write_file(entry, *mode, &from, &path, &to)?,
            }
            self.done += 1;
            report(self.progress, Step::Written(self.done, self.survey.total()))?;
        }
        Ok(())
    }

    fn write_file(
        &mut self,
        entry: &Entry,
        mode: u32,
        from: &SourceFolder,
        path: &Path,
        to: &OwnedFd,
    ) -> Result<(), TemplateError> {
        const NEW: OFlags = OFlags::WRONLY
            .union(OFlags::CREATE)
            .union(OFlags::EXCL)
            .union(OFlags::NOFOLLOW)
            .union(OFlags::CLOEXEC);
        let content = from.open(entry)?;
        let place = path.join(entry.becomes());
        let file = rustix::fs::openat(to.as_fd(), entry.becomes(), NEW, Mode::RUSR | Mode::WUSR)
            .map_err(TemplateError::io("written", &place))?;
        let file = File::from(file);
        let step = Step::Written(self.done, self.survey.total());
        let mut go_on = || report(self.progress, step);
        let copied = self.copier.copy(&content, &file, &mut go_on);
        copied.map_err(|error| match error {
            CopyError::Reading(error) => TemplateError::unreadable(&from.place(entry))(error),
            CopyError::Writing(error) => TemplateError::io("written", &place)(error),
            CopyError::Stopped(error) => error,
        })?;
        file.set_permissions(Permissions::from_mode(mode))
            .map_err(TemplateError::io("written", &place))
    }
}
