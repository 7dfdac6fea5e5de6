//! Putting a copy into a folder that is there.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::scaffold::rename_to_nothing;
use super::survey::{Entry, EntryKind};
use super::{Survey, TemplateError};

/// Moves what is staged into the folder `dest`, and says where what it replaced is kept. If that fails
/// on the way, everything is put back.
pub(super) fn merge(
    survey: &Survey,
    staging: &Path,
    dest: &Path,
) -> Result<Vec<PathBuf>, TemplateError> {
    let mut undo = Undo::default();
    let mut placed: HashSet<&Path> = HashSet::new();
    for folder in survey.folders() {
        if folder.path.ancestors().any(|above| placed.contains(above)) {
            continue;
        }
        let (from, to) = (staging.join(&folder.path), dest.join(&folder.path));
        if !is_folder(&to) {
            undo.replace(&from, &to)?;
            placed.insert(&folder.path);
            continue;
        }
        for entry in &folder.entries {
            let (from, to) = (from.join(entry.becomes()), to.join(entry.becomes()));
            if !is_same(entry, &from, &to) {
                undo.replace(&from, &to)?;
            }
        }
    }
    Ok(undo.done())
}

/// A folder itself: what lies behind a link is not the destination's.
fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|there| there.is_dir())
}

/// Whether what is there is what would be put there.
fn is_same(entry: &Entry, from: &Path, to: &Path) -> bool {
    match &entry.kind {
        EntryKind::Link(target) => fs::read_link(to).is_ok_and(|there| there == *target),
        EntryKind::File(mode) => {
            let is_alike = |there: fs::Metadata| {
                there.is_file()
                    && there.permissions().mode() & 0o777 == *mode
                    && from
                        .symlink_metadata()
                        .is_ok_and(|new| new.size() == there.size())
            };
            to.symlink_metadata().is_ok_and(is_alike) && has_same_content(from, to).unwrap_or(false)
        }
    }
}

fn has_same_content(one: &Path, other: &Path) -> io::Result<bool> {
    const CHUNK: usize = 64 * 1024;
    let open = |path| Ok::<_, io::Error>(BufReader::with_capacity(CHUNK, File::open(path)?));
    let (mut one, mut other) = (open(one)?, open(other)?);
    let (mut of_one, mut of_other) = (Vec::new(), Vec::new());
    loop {
        of_one.clear();
        of_other.clear();
        one.by_ref().take(CHUNK as u64).read_to_end(&mut of_one)?;
        other
            .by_ref()
            .take(CHUNK as u64)
            .read_to_end(&mut of_other)?;
        if of_one != of_other {
            return Ok(false);
        }
        if of_one.is_empty() {
            return Ok(true);
        }
    }
}

/// What was done so far; it is taken back unless all of it was done.
#[derive(Default)]
struct Undo {
    steps: Vec<Replaced>,
}

struct Replaced {
    path: PathBuf,
    staged: PathBuf,
    kept: Option<PathBuf>,
    is_placed: bool,
}

impl Undo {
    fn replace(&mut self, staged: &Path, path: &Path) -> Result<(), TemplateError> {
        let is_there = path.symlink_metadata().is_ok();
        let kept = is_there.then(|| name_beside(path));
        if let Some(kept) = &kept {
            rename_to_nothing(path, kept).map_err(TemplateError::io("set aside", path))?;
        }
        self.steps.push(Replaced {
            path: path.to_owned(),
            staged: staged.to_owned(),
            kept,
            is_placed: false,
        });
        rename_to_nothing(staged, path).map_err(TemplateError::io("put in place", path))?;
        if let Some(step) = self.steps.last_mut() {
            step.is_placed = true;
        }
        Ok(())
    }

    /// Where what was replaced is kept, for good.
    fn done(mut self) -> Vec<PathBuf> {
        let steps = std::mem::take(&mut self.steps).into_iter();
        steps.filter_map(|step| step.kept).collect()
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        for step in self.steps.iter().rev() {
            // What cannot be put back stays where the other name tells of it.
            if step.is_placed {
                let _ = rename_to_nothing(&step.path, &step.staged);
            }
            if let Some(kept) = &step.kept {
                let _ = rename_to_nothing(kept, &step.path);
            }
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
    while candidate(number).symlink_metadata().is_ok() {
        number += 1;
    }
    candidate(number)
}
