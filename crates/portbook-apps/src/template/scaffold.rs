//! Writing a filled-in copy of a template.
//!
//! Everything is written to a folder beside the destination, which takes the destination's place at
//! the end: whatever goes wrong before, the destination is as it was.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use tempfile::TempDir;

use super::fill::copy;
use super::{Entry, EntryKind, Placeholders, Survey, TemplateError};

/// What is to become of files that are in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// A destination that holds files is refused.
    Refuse,
    /// What differs is replaced, and kept beside what replaced it as `NAME.portbook-old`.
    Keep,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaffolded {
    /// The destination's absolute path.
    pub directory: PathBuf,
    /// How many files.
    pub files: usize,
    /// What was replaced, where it is kept.
    pub kept: Vec<PathBuf>,
}

/// Tells somebody how far it has come, and asks whether to go on.
pub struct Progress<'a>(pub &'a mut dyn FnMut(usize, Option<usize>) -> bool);

impl Progress<'_> {
    pub(super) fn report(&mut self, done: usize, of: Option<usize>) -> Result<(), TemplateError> {
        match (self.0)(done, of) {
            true => Ok(()),
            false => Err(TemplateError::Interrupted),
        }
    }
}

/// Refuses a destination that [`scaffold`] would refuse, before anything else is done.
pub(super) fn check_destination(
    survey: &Survey,
    dest: &Path,
    existing: Existing,
) -> Result<PathBuf, TemplateError> {
    let dest = std::path::absolute(dest).map_err(TemplateError::io("reached", dest))?;
    let mut there = dest.as_path();
    let canonical = loop {
        match there.canonicalize() {
            Ok(canonical) => break canonical,
            Err(_) => match there.parent() {
                Some(parent) => there = parent,
                None => break PathBuf::from("/"),
            },
        }
    };
    let is_whole = there == dest;
    if canonical.starts_with(survey.root()) || (is_whole && survey.root().starts_with(&canonical)) {
        return Err(TemplateError::Nested {
            dest,
            template: survey.root().to_owned(),
        });
    }
    match fs::symlink_metadata(&dest) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(dest),
        Err(error) => Err(TemplateError::io("reached", &dest)(error)),
        Ok(metadata) if !metadata.is_dir() => Err(TemplateError::DestinationNotAFolder(dest)),
        Ok(_) => {
            let mut files = fs::read_dir(&dest).map_err(TemplateError::io("read", &dest))?;
            match files.next().is_some() && existing == Existing::Refuse {
                true => Err(TemplateError::Occupied(dest)),
                false => Ok(dest),
            }
        }
    }
}

impl Survey {
    /// Whether the template could be written to `dest`, as far as can be told beforehand; its absolute
    /// path if so.
    pub fn fits(&self, dest: &Path, existing: Existing) -> Result<PathBuf, TemplateError> {
        check_destination(self, dest, existing)
    }
}

/// Writes the template's tree to `dest` with `values` filled in: all of it, or nothing.
pub fn scaffold(
    survey: &Survey,
    dest: &Path,
    values: &Placeholders,
    existing: Existing,
    progress: &mut Progress<'_>,
) -> Result<Scaffolded, TemplateError> {
    let dest = check_destination(survey, dest, existing)?;
    let made = Made::folders_above(&dest)?;
    let staging = staging_beside(&dest)?;
    let files = write_all(survey, staging.path(), values, progress)?;
    let kept = match fs::read_dir(&dest).map(|mut files| files.next().is_some()) {
        Ok(true) if existing == Existing::Refuse => return Err(TemplateError::Occupied(dest)),
        Ok(true) => merge(survey, staging.path(), &dest)?,
        Ok(false) | Err(_) => {
            fs::rename(staging.path(), &dest).map_err(TemplateError::io("put in place", &dest))?;
            Vec::new()
        }
    };
    made.stay();
    Ok(Scaffolded {
        directory: dest,
        files,
        kept,
    })
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

fn staging_beside(dest: &Path) -> Result<TempDir, TemplateError> {
    let parent = dest.parent().unwrap_or(dest);
    let mut prefix = OsString::from(".");
    prefix.push(dest.file_name().unwrap_or_default());
    prefix.push(".portbook-");
    tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir_in(parent)
        .map_err(TemplateError::io("written to", parent))
}

fn write_all(
    survey: &Survey,
    staging: &Path,
    values: &Placeholders,
    progress: &mut Progress<'_>,
) -> Result<usize, TemplateError> {
    let total = survey.entries().len();
    let mut files = 0;
    for (done, entry) in survey.entries().iter().enumerate() {
        let to = staging.join(&entry.destination);
        let failed = || TemplateError::io("written", &to);
        match &entry.kind {
            EntryKind::Folder(_) if entry.destination.as_os_str().is_empty() => {}
            EntryKind::Folder(_) => fs::create_dir(&to).map_err(failed())?,
            EntryKind::Link(target) => {
                symlink(target, &to).map_err(failed())?;
                files += 1;
            }
            EntryKind::File(mode) => {
                write_file(&survey.root().join(&entry.source), &to, *mode, values)?;
                files += 1;
            }
        }
        progress.report(done + 1, Some(total))?;
    }
    // A folder that nobody may write to gets its permissions once everything is in it.
    for entry in survey.entries().iter().rev() {
        if let EntryKind::Folder(mode) = entry.kind {
            let to = staging.join(&entry.destination);
            fs::set_permissions(&to, Permissions::from_mode(mode | 0o700))
                .map_err(TemplateError::io("written", &to))?;
        }
    }
    Ok(files)
}

fn write_file(
    from: &Path,
    to: &Path,
    mode: u32,
    values: &Placeholders,
) -> Result<(), TemplateError> {
    // It was a file when it was looked at: a link in its place now is not followed, a pipe not waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let source = rustix::fs::open(from, flags, Mode::empty())
        .map_err(io::Error::from)
        .map_err(TemplateError::io("read", from))?;
    let failed = || TemplateError::io("written", to);
    let file = File::create_new(to).map_err(failed())?;
    let mut writer = BufWriter::new(file);
    copy(&mut File::from(source), &mut writer, values).map_err(failed())?;
    writer.flush().map_err(failed())?;
    let permissions = Permissions::from_mode(mode);
    writer
        .get_ref()
        .set_permissions(permissions)
        .map_err(failed())
}

/// Puts the staged files into a folder that has others, and says where what they replaced is kept. If
/// it fails on the way, everything is put back.
fn merge(survey: &Survey, staging: &Path, dest: &Path) -> Result<Vec<PathBuf>, TemplateError> {
    let mut undo = Undo::default();
    for entry in survey.entries() {
        let to = dest.join(&entry.destination);
        let from = staging.join(&entry.destination);
        if let EntryKind::Folder(_) = entry.kind {
            if fs::symlink_metadata(&to).is_ok_and(|there| there.is_dir()) {
                continue;
            }
            undo.set_aside(&to)?;
            fs::create_dir(&to).map_err(TemplateError::io("made", &to))?;
            undo.made.push(to);
            continue;
        }
        if is_same(entry, &from, &to) {
            continue;
        }
        undo.set_aside(&to)?;
        fs::rename(&from, &to).map_err(TemplateError::io("put in place", &to))?;
        undo.made.push(to);
    }
    undo.made.clear();
    Ok(std::mem::take(&mut undo.aside)
        .into_iter()
        .map(|(_, kept)| kept)
        .collect())
}

fn is_same(entry: &Entry, from: &Path, to: &Path) -> bool {
    match &entry.kind {
        EntryKind::Link(target) => fs::read_link(to).is_ok_and(|there| there == *target),
        EntryKind::File(mode) => {
            let is_plain = fs::symlink_metadata(to)
                .is_ok_and(|there| there.is_file() && there.permissions().mode() & 0o777 == *mode);
            is_plain && matches!((fs::read(from), fs::read(to)), (Ok(a), Ok(b)) if a == b)
        }
        EntryKind::Folder(_) => true,
    }
}

/// What a merge did so far, and takes back unless it is told that all went well.
#[derive(Default)]
struct Undo {
    made: Vec<PathBuf>,
    aside: Vec<(PathBuf, PathBuf)>,
}

impl Undo {
    fn set_aside(&mut self, path: &Path) -> Result<(), TemplateError> {
        if fs::symlink_metadata(path).is_err() {
            return Ok(());
        }
        let kept = name_beside(path);
        fs::rename(path, &kept).map_err(TemplateError::io("set aside", path))?;
        self.aside.push((path.to_owned(), kept));
        Ok(())
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        for made in self.made.iter().rev() {
            let _ = fs::remove_file(made).or_else(|_| fs::remove_dir(made));
        }
        for (path, kept) in self.aside.iter().rev() {
            let _ = fs::rename(kept, path);
        }
    }
}

/// A name for a kept copy that nothing has yet: `NAME.portbook-old`, `NAME.portbook-old.2`, ...
pub(crate) fn name_beside(path: &Path) -> PathBuf {
    let candidate = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(".portbook-old");
        if number > 1 {
            name.push(format!(".{number}"));
        }
        PathBuf::from(name)
    };
    let mut number = 1;
    while fs::symlink_metadata(candidate(number)).is_ok() {
        number += 1;
    }
    candidate(number)
}
