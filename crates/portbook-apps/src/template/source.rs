//! Opening what a survey found.
//!
//! Between the survey and the copy somebody may put a link where a folder was. So no path is trusted
//! twice: each folder is opened from its parent on, and no link is followed on the way.

use std::fs::File;
use std::path::{Component, Path, PathBuf};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags};

use super::shipped::{ShippedFile, ShippedTemplate};
use super::survey::{Entry, Folder};
use super::{Survey, Template, TemplateError};

/// A template open for reading.
pub(super) enum Source {
    Folder { path: PathBuf, root: OwnedFd },
    Shipped(&'static ShippedTemplate),
}

/// One folder of it.
pub(super) enum SourceFolder {
    Folder { path: PathBuf, folder: OwnedFd },
    Shipped(Vec<&'static ShippedFile>),
}

/// A file's content.
pub(super) enum Content {
    File(File),
    Shipped(&'static [u8]),
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// A pipe in the place of a file is not waited for.
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

impl Source {
    pub(super) fn of(survey: &Survey) -> Result<Self, TemplateError> {
        match survey.template() {
            Template::Folder(path) => Ok(Source::Folder {
                path: path.clone(),
                root: rustix::fs::open(path, FOLDER, Mode::empty())
                    .map_err(TemplateError::unreadable(path))?,
            }),
            Template::Shipped(shipped) => Ok(Source::Shipped(shipped)),
        }
    }

    pub(super) fn folder(&self, folder: &Folder) -> Result<SourceFolder, TemplateError> {
        match self {
            Source::Folder { path, root } => {
                let path = path.join(&folder.path);
                let folder = below(root, &folder.path).map_err(TemplateError::unreadable(&path))?;
                Ok(SourceFolder::Folder { path, folder })
            }
            Source::Shipped(shipped) => {
                let is_here =
                    |file: &&ShippedFile| Path::new(file.path).parent() == Some(&folder.path);
                Ok(SourceFolder::Shipped(
                    shipped.files.iter().filter(is_here).collect(),
                ))
            }
        }
    }
}

/// Opens a folder below another one.
fn below(root: &OwnedFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    let mut folder = root.try_clone().map_err(|_| rustix::io::Errno::MFILE)?;
    for component in path.components() {
        if let Component::Normal(name) = component {
            folder = rustix::fs::openat(&folder, name, FOLDER, Mode::empty())?;
        }
    }
    Ok(folder)
}

impl SourceFolder {
    pub(super) fn open(&self, entry: &Entry) -> Result<Content, TemplateError> {
        match self {
            SourceFolder::Folder { path, folder } => {
                let failed = || TemplateError::unreadable(&path.join(&entry.name));
                let file = rustix::fs::openat(folder, &entry.name, FILE, Mode::empty())
                    .map_err(failed())?;
                let mode = rustix::fs::fstat(file.as_fd()).map_err(failed())?.st_mode;
                if FileType::from_raw_mode(mode) != FileType::RegularFile {
                    return Err(TemplateError::Special {
                        what: "no file any more",
                        path: path.join(&entry.name),
                    });
                }
                Ok(Content::File(File::from(file)))
            }
            SourceFolder::Shipped(files) => {
                let named =
                    |file: &&&ShippedFile| Path::new(file.path).file_name() == Some(&entry.name);
                let content = files
                    .iter()
                    .find(named)
                    .map_or(&[][..], |file| file.content);
                Ok(Content::Shipped(content))
            }
        }
    }

    /// Where one of its files is, for messages.
    pub(super) fn place(&self, entry: &Entry) -> PathBuf {
        match self {
            SourceFolder::Folder { path, .. } => path.join(&entry.name),
            SourceFolder::Shipped(_) => PathBuf::from(&entry.name),
        }
    }
}
