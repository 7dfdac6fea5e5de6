//! What can go wrong with a template.

use std::io;
use std::path::{Path, PathBuf};

/// Why a template was not filled in. Nothing of it was left behind.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// There is no folder to copy.
    #[error("the template {} is not a folder", .0.display())]
    NotAFolder(PathBuf),
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
    #[error("the template has both {} and {}, which would both become {}", .one.display(), .other.display(), .becomes.display())]
    Clash {
        /// The one.
        one: PathBuf,
        /// The other.
        other: PathBuf,
        /// What both would be.
        becomes: PathBuf,
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
    /// Whoever asked does not want it any more.
    #[error("interrupted: nothing was written")]
    Interrupted,
    /// The file system did not play along.
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
            TemplateError::LinkOut { .. } => "replace the link by what it leads to, or remove it",
            TemplateError::Special { .. } => "remove it from the template",
            TemplateError::Clash { .. } => "remove one of the two",
            TemplateError::Nested { .. } => "name a destination elsewhere",
            TemplateError::Occupied(_) => {
                "name another folder, or add --force: what it replaces is kept beside it"
            }
            TemplateError::DestinationNotAFolder(_) => "name another destination",
            TemplateError::Interrupted => "run it again",
            TemplateError::Io { .. } => "see to it, and run it again",
        }
    }

    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| TemplateError::Io {
            doing,
            path,
            source,
        }
    }
}
