//! Which variables a compose file sees.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::problem::{Fault, Problem};
use crate::dot_env::DotEnv;
use crate::interpolation::{Origin, Variable};
use crate::written::{NoText, Place, SourceFile, Text};

/// The variables of the process that would run Compose.
pub type Environment = BTreeMap<String, String>;

/// A variable that the process gives.
pub fn variable(environment: &Environment, name: &str) -> Option<Variable> {
    environment.get(name).map(|value| Variable {
        value: Text::unplaced(value),
        origin: Origin::Environment,
    })
}

/// The variables of a project, or of a part of it that another includes. What is outside is stronger.
pub(super) struct Scope<'s> {
    outer: Outer<'s>,
    /// Those of the `.env` files, the strongest last.
    own: Vec<DotEnv>,
}

enum Outer<'s> {
    Process(&'s Environment),
    Including(&'s Scope<'s>),
    /// With `COMPOSE_PROJECT_NAME`, which Compose sets once it knows the name.
    Named(&'s str, &'s Scope<'s>),
}

impl<'s> Scope<'s> {
    pub(super) fn of_process(environment: &'s Environment) -> Self {
        Self {
            outer: Outer::Process(environment),
            own: Vec::new(),
        }
    }

    pub(super) fn within(including: &'s Scope<'s>) -> Self {
        Self {
            outer: Outer::Including(including),
            own: Vec::new(),
        }
    }

    pub(super) fn named(name: &'s str, scope: &'s Scope<'s>) -> Self {
        Self {
            outer: Outer::Named(name, scope),
            own: Vec::new(),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<Variable> {
        let outer = match &self.outer {
            Outer::Process(environment) => variable(environment, name),
            Outer::Including(scope) => scope.get(name),
            Outer::Named(project, _) if name == "COMPOSE_PROJECT_NAME" => Some(Variable {
                value: Text::unplaced(*project),
                origin: Origin::Project,
            }),
            Outer::Named(_, scope) => scope.get(name),
        };
        outer.or_else(|| self.own.iter().rev().find_map(|file| file.variable(name)))
    }

    /// Takes in the file `.env`, if there is one.
    pub(super) fn take_default(&mut self, directory: &Path) -> Result<(), Problem> {
        let path = directory.join(".env");
        match SourceFile::read(&path) {
            Ok(file) => self.take_file(file),
            Err(NoText::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(NoText::NotAFile) if path.is_dir() => Ok(()),
            Err(error) => Err(unreadable(start_of(&path), &path, &error)),
        }
    }

    /// Takes in a file that has to be there.
    pub(super) fn take(&mut self, path: &Path, named_at: Place) -> Result<(), Problem> {
        let file = SourceFile::read(path).map_err(|error| unreadable(named_at, path, &error))?;
        self.take_file(file)
    }

    fn take_file(&mut self, file: SourceFile) -> Result<(), Problem> {
        let read = DotEnv::read(&Arc::new(file), &|name| self.get(name))?;
        self.own.push(read);
        Ok(())
    }

    /// The `.env` files that were taken in.
    pub(super) fn into_own(self) -> Vec<DotEnv> {
        self.own
    }
}

pub(super) fn unreadable(place: Place, path: &Path, error: &NoText) -> Problem {
    let fault = Fault::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    Problem::at(place, fault)
}

/// The beginning of a file that gives no text.
pub(super) fn start_of(path: &Path) -> Place {
    SourceFile::new(path, Vec::new()).place(0..0)
}
