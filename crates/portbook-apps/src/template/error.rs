//! What can go wrong with a template.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Why a template was not filled in. Nothing of it was left behind.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// There is no folder to copy.
    #[error("the template {} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// Neither a folder nor the name of a shipped template.
    #[error("there is no template {}", .0.display())]
    Unknown(PathBuf),
    /// A link that leads out of the tree.
    #[error("the template's link {} leads out of it, to {}", .link.display(), .target.display())]
    LinkOut {
        /// The link.
        link: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// Something that is no file, folder or link.
    #[error("the template has {} in it, which is {what}: only files, folders and links can be copied", .path.display())]
    Special {
        /// What it is.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
    },
    /// Two files that would become one.
    #[error("the template has both {} and {} in {}, which would both become {}", .one.display(), .other.display(), .folder.display(), .one.display())]
    Clash {
        /// Where they are.
        folder: PathBuf,
        /// What both would be called.
        one: OsString,
        /// The one that is renamed.
        other: OsString,
    },
    /// The destination lies in the template, or the other way round.
    #[error("{} and the template {} lie in one another", .dest.display(), .template.display())]
    Nested {
        /// The destination.
        dest: PathBuf,
        /// The template.
        template: PathBuf,
    },
    /// There are files already.
    #[error("{} holds files already", .0.display())]
    Occupied(PathBuf),
    /// The destination is something else than a folder.
    #[error("{} is there and is not a folder", .0.display())]
    DestinationNotAFolder(PathBuf),
    /// A destination that no text can name, so that the book could not remember it.
    #[error("the destination {} is not named in UTF-8", .0.display())]
    DestinationNotUtf8(PathBuf),
    /// Whoever asked does not want it any more.
    #[error("interrupted: nothing was written")]
    Interrupted,
    /// The template does not let itself be read.
    #[error("{} of the template cannot be read: {source}", .path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The destination cannot be written.
    #[error("{} cannot be {doing}: {source}", .path.display())]
    Io {
        /// What was to be done with it.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl TemplateError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            TemplateError::NotAFolder(_) => "name a folder whose files are to be copied",
            TemplateError::Unknown(_) => {
                "name a folder, or one of the templates that `portbook scaffold --list` shows"
            }
            TemplateError::LinkOut { .. } => "replace the link by what it leads to, or remove it",
            TemplateError::Special { .. } => "remove it from the template",
            TemplateError::Clash { .. } => "remove one of the two",
            TemplateError::Nested { .. } => "name a destination elsewhere",
            TemplateError::Occupied(_) => {
                "name another folder, or add --force: what it replaces is kept beside it"
            }
            TemplateError::DestinationNotAFolder(_) | TemplateError::DestinationNotUtf8(_) => {
                "name another destination"
            }
            TemplateError::Interrupted => "run it again",
            TemplateError::Unreadable { .. } | TemplateError::Io { .. } => {
                "see to it, and run it again"
            }
        }
    }

    pub(super) fn io<E: Into<io::Error>>(
        doing: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> Self + use<E> {
        let path = path.to_owned();
        move |source| TemplateError::Io {
            doing,
            path,
            source: source.into(),
        }
    }

    pub(super) fn unreadable<E: Into<io::Error>>(path: &Path) -> impl FnOnce(E) -> Self + use<E> {
        let path = path.to_owned();
        move |source| TemplateError::Unreadable {
            path,
            source: source.into(),
        }
    }
}
