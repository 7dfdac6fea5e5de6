//! Where a copy goes.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use super::{Survey, Template, TemplateError};

/// What is to become of files that are in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// A destination that holds files is refused.
    Refuse,
    /// What differs is replaced, and kept beside what replaced it as `NAME.portbook-old`.
    Keep,
}

/// A place for a copy of a template, as far as can be told before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    path: PathBuf,
    existing: Existing,
}

impl Destination {
    /// The folder `named`, if the template may be written there.
    pub fn of(named: &Path, survey: &Survey, existing: Existing) -> Result<Self, TemplateError> {
        let path = without_links(named)?;
        if path.to_str().is_none() {
            return Err(TemplateError::DestinationNotUtf8(path));
        }
        let destination = Self { path, existing };
        destination.refuse_nested(survey)?;
        destination.refuse_occupied()?;
        Ok(destination)
    }

    /// Its absolute path, without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the folder is there.
    pub(super) fn exists(&self) -> bool {
        self.path.is_dir()
    }

    fn refuse_nested(&self, survey: &Survey) -> Result<(), TemplateError> {
        match survey.template() {
            Template::Folder(template)
                if self.path.starts_with(template)
                    || (template.starts_with(&self.path) && self.exists()) =>
            {
                Err(TemplateError::Nested {
                    dest: self.path.clone(),
                    template: template.clone(),
                })
            }
            Template::Folder(_) | Template::Shipped(_) => Ok(()),
        }
    }

    /// Refuses what is in the way now, if it may not be replaced.
    pub(super) fn refuse_occupied(&self) -> Result<(), TemplateError> {
        let path = &self.path;
        match fs::read_dir(path) {
            Ok(mut files) => match files.next().is_some() && self.existing == Existing::Refuse {
                true => Err(TemplateError::Occupied(path.clone())),
                false => Ok(()),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                Err(TemplateError::DestinationNotAFolder(path.clone()))
            }
            Err(error) => Err(TemplateError::io("read", path)(error)),
        }
    }
}

/// The absolute path of what is there, and of what is not there yet below it.
fn without_links(named: &Path) -> Result<PathBuf, TemplateError> {
    let absolute = std::path::absolute(named).map_err(TemplateError::io("reached", named))?;
    let mut there = absolute.as_path();
    let mut missing = Vec::new();
    loop {
        match there.canonicalize() {
            Ok(mut path) => {
                path.extend(missing.iter().rev());
                return Ok(path);
            }
            // A link that leads nowhere is there all the same, and `..` of nothing is nowhere.
            Err(error)
                if error.kind() == ErrorKind::NotFound && there.symlink_metadata().is_err() =>
            {
                match (there.components().next_back(), there.parent()) {
                    (Some(Component::Normal(name)), Some(parent)) => {
                        missing.push(name);
                        there = parent;
                    }
                    _ => return Err(TemplateError::io("reached", &absolute)(error)),
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(TemplateError::DestinationNotAFolder(there.to_owned()));
            }
            Err(error) => return Err(TemplateError::io("reached", &absolute)(error)),
        }
    }
}
