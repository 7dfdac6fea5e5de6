//! Whether an app's directory is gone.
//!
//! That a path does not exist says little: the volume that it lies on may not be mounted, or the user
//! may not look. A directory counts as gone only where its surroundings are there to say so.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use portbook_model::{Allocation, AppKey};

use super::CleanupRefused;

/// What every new file system has, and an empty one nothing else.
const LOST_AND_FOUND: &str = "lost+found";

/// A directory that has folders in it, so that one which is not there is gone.
#[derive(Debug)]
pub(super) struct AppsDirectory {
    path: PathBuf,
    canonical: PathBuf,
}

/// What a look for an app's directory found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DirectorySighting {
    /// Nobody knows where it would be.
    Unsought,
    /// It is there.
    Found,
    /// It is gone: where it was looked for.
    Gone(PathBuf),
    /// It cannot be told, and why.
    Untold(String),
}

/// The apps directory, if it can be relied on to say which apps are gone.
pub(super) fn open(path: &Path) -> Result<AppsDirectory, CleanupRefused> {
    let refused = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => CleanupRefused::Missing(path.to_owned()),
        io::ErrorKind::NotADirectory => CleanupRefused::NotAFolder(path.to_owned()),
        _ => CleanupRefused::Unreadable {
            path: path.to_owned(),
            reason: error.to_string(),
        },
    };
    let absolute = std::path::absolute(path).map_err(refused)?;
    let canonical = path.canonicalize().map_err(refused)?;
    let mut has_folder = false;
    for entry in fs::read_dir(&canonical).map_err(refused)? {
        let entry = entry.map_err(refused)?;
        // Whoever may list a folder may not always look at what is in it.
        entry.metadata().map_err(refused)?;
        has_folder |= entry.path().is_dir() && entry.file_name() != LOST_AND_FOUND;
    }
    match has_folder {
        true => Ok(AppsDirectory {
            path: absolute,
            canonical,
        }),
        false => Err(CleanupRefused::Empty(path.to_owned())),
    }
}

impl AppsDirectory {
    /// Where an app's directory is below it.
    fn of(&self, app: &AppKey) -> PathBuf {
        self.path.join(app.model.identity()).join(folder_name(app))
    }

    fn holds(&self, path: &Path) -> bool {
        path.starts_with(&self.path) || path.starts_with(&self.canonical)
    }
}

fn folder_name(app: &AppKey) -> String {
    format!("app{}", app.number)
}

impl DirectorySighting {
    /// Looks for the app's directory where the book remembers it, and below the apps directory.
    pub(super) fn of(allocation: &Allocation, apps_directory: Option<&AppsDirectory>) -> Self {
        let app = &allocation.app;
        let remembered = allocation.notes.directory.as_ref();
        let remembered = remembered.map(|directory| Path::new(&directory.path));
        let mut sightings = Vec::new();
        if let Some(path) = remembered {
            let is_vouched_for = apps_directory.is_some_and(|apps| apps.holds(path));
            sightings.push(look(path, || match is_vouched_for {
                true => Ok(()),
                false => surroundings(path, app),
            }));
        }
        if let Some(apps) = apps_directory {
            sightings.push(look(&apps.of(app), || Ok(())));
        }
        // Found anywhere is found; and it is gone only if every place says so.
        sightings
            .into_iter()
            .min_by_key(|sighting| match sighting {
                DirectorySighting::Found => 0,
                DirectorySighting::Untold(_) => 1,
                DirectorySighting::Gone(_) | DirectorySighting::Unsought => 2,
            })
            .unwrap_or(DirectorySighting::Unsought)
    }
}

/// Whatever is at the path counts as the app: also a link that leads nowhere now.
fn look(path: &Path, vouch: impl FnOnce() -> Result<(), String>) -> DirectorySighting {
    match fs::symlink_metadata(path) {
        Ok(_) => DirectorySighting::Found,
        Err(error) if is_absence(&error) => match vouch() {
            Ok(()) => DirectorySighting::Gone(path.to_owned()),
            Err(reason) => DirectorySighting::Untold(reason),
        },
        Err(error) => {
            DirectorySighting::Untold(format!("{} cannot be reached: {error}", path.display()))
        }
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Whether the folder that an app's directory was in still holds something: a mount point without its
/// volume is empty, or not there at all. Of `{model identity}/app{n}` it is the folder above both, since
/// a model's folder goes with its last app.
fn surroundings(path: &Path, app: &AppKey) -> Result<(), String> {
    let mut folder = path.parent();
    let is_conventional = path
        .file_name()
        .is_some_and(|name| name == folder_name(app).as_str())
        && folder
            .and_then(Path::file_name)
            .is_some_and(|name| name == app.model.identity());
    if is_conventional {
        folder = folder.and_then(Path::parent);
    }
    let folder = folder.unwrap_or(Path::new("/"));
    let mut entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_absence(&error) => {
            return Err(format!(
                "{} is gone with the folder {} that it was in",
                path.display(),
                folder.display()
            ));
        }
        Err(error) => return Err(format!("{} cannot be read: {error}", folder.display())),
    };
    let holds_something =
        entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != LOST_AND_FOUND));
    match holds_something {
        true => Ok(()),
        false => Err(format!(
            "{} is gone and {} is empty, as where a volume is not mounted",
            path.display(),
            folder.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use portbook_model::{AppDirectory, Model, Notes, Ports, Source, Timestamp};

    use super::*;

    fn remembered(path: Option<&Path>) -> Allocation {
        let directory = path.map(|path| AppDirectory {
            path: path.display().to_string(),
            template: None,
            branch: None,
        });
        Allocation {
            app: AppKey::new(Model::new("x-ai/grok-4").unwrap(), "3".parse().unwrap()),
            ports: Ports::new(),
            source: Source::Dynamic,
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
            lease: None,
            notes: Notes {
                directory,
                ..Notes::default()
            },
        }
    }

    fn is_untold(sighting: &DirectorySighting) -> bool {
        matches!(sighting, DirectorySighting::Untold(_))
    }

    #[test]
    fn an_empty_place_does_not_say_that_an_app_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let conventional = root.path().join("apps/x-ai_grok-4/app3");
        let of = |path: &Path| DirectorySighting::of(&remembered(Some(path)), None);
        // Neither the volume nor its mount point is there.
        assert!(is_untold(&of(&conventional)));
        // The mount point is.
        fs::create_dir(root.path().join("apps")).unwrap();
        assert!(is_untold(&of(&conventional)));
        fs::create_dir(root.path().join("apps/lost+found")).unwrap();
        assert!(is_untold(&of(&conventional)));
        // The volume is, and has other models' apps.
        fs::create_dir(root.path().join("apps/other")).unwrap();
        assert_eq!(
            of(&conventional),
            DirectorySighting::Gone(conventional.clone())
        );
        // An app elsewhere stands in its parent alone.
        assert!(is_untold(&of(&root.path().join("apps/other/mine"))));
        fs::create_dir_all(&conventional).unwrap();
        assert_eq!(of(&conventional), DirectorySighting::Found);
    }

    #[test]
    fn an_app_is_gone_only_if_it_is_in_no_place() {
        let root = tempfile::tempdir().unwrap();
        let apps = root.path().join("apps");
        assert!(matches!(open(&apps), Err(CleanupRefused::Missing(_))));
        fs::create_dir(&apps).unwrap();
        assert!(matches!(open(&apps), Err(CleanupRefused::Empty(_))));
        fs::write(apps.join("README"), "").unwrap();
        assert!(matches!(open(&apps), Err(CleanupRefused::Empty(_))));
        assert!(matches!(
            open(&apps.join("README")),
            Err(CleanupRefused::NotAFolder(_))
        ));
        fs::create_dir(apps.join("other")).unwrap();
        let open = open(&apps).unwrap();
        let expected = DirectorySighting::Gone(apps.join("x-ai_grok-4/app3"));
        assert_eq!(
            DirectorySighting::of(&remembered(None), Some(&open)),
            expected
        );
        let elsewhere = root.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        assert_eq!(
            DirectorySighting::of(&remembered(Some(&elsewhere)), Some(&open)),
            DirectorySighting::Found
        );
        fs::create_dir_all(apps.join("x-ai_grok-4/app3")).unwrap();
        assert_eq!(
            DirectorySighting::of(&remembered(None), Some(&open)),
            DirectorySighting::Found
        );
        assert_eq!(
            DirectorySighting::of(&remembered(None), None),
            DirectorySighting::Unsought
        );
    }
}
