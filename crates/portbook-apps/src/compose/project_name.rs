//! What a project is called (the Compose Specification, "Version and name top-level elements").

use std::path::Path;

use super::loading::cleaned;
use super::problem::{Fault, Problem};
use super::scope::Scope;
use super::yaml::Tree;
use crate::interpolation::{Origin, interpolate, shortened};
use crate::written::Place;

/// Where a project's name comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameOrigin {
    /// `COMPOSE_PROJECT_NAME`, in the environment or in `.env`.
    Variable(Origin),
    /// `name:` in a compose file.
    File(Place),
    /// The name of its directory.
    Directory,
}

/// The name of the project whose files these are.
pub(super) fn of(files: &[Tree<'_>], directory: &Path, scope: &Scope<'_>) -> (String, NameOrigin) {
    let variable = scope.get("COMPOSE_PROJECT_NAME");
    if let Some(variable) = variable.filter(|variable| !variable.value.as_str().is_empty()) {
        let name = variable.value.as_str().to_owned();
        return (name, NameOrigin::Variable(variable.origin));
    }
    let named = files.iter().rev().find_map(|file| named_in(file, scope));
    named.unwrap_or_else(|| {
        // The directory where one stands may have an empty path.
        let absolute = std::path::absolute(Path::new(".").join(directory));
        let absolute = absolute.unwrap_or_else(|_| directory.to_owned());
        let name = cleaned(&absolute);
        let name = name.file_name().unwrap_or_default().to_string_lossy();
        (normalized(&name), NameOrigin::Directory)
    })
}

/// What Compose has against a name: one in a variable has to be as it is to be, and a directory may give
/// none at all. That in a file is changed where it has to be.
pub(super) fn problem(name: &str, origin: &NameOrigin, beginning: Place) -> Option<Problem> {
    let place = match origin {
        NameOrigin::Variable(_) if normalized(name) == name => return None,
        NameOrigin::Variable(Origin::File(place)) | NameOrigin::File(place) => place.clone(),
        NameOrigin::Variable(_) | NameOrigin::Directory => beginning,
    };
    match origin {
        NameOrigin::Variable(_) => {
            let fault = Fault::ProjectName(shortened(name));
            Some(Problem::at(place, fault))
        }
        _ if name.is_empty() => Some(Problem::at(place, Fault::NoProjectName)),
        _ => None,
    }
}

fn named_in(file: &Tree<'_>, scope: &Scope<'_>) -> Option<(String, NameOrigin)> {
    file.roots().iter().rev().find_map(|root| {
        let pairs = file.pairs(*root).ok()??;
        let named = pairs.iter().find(|pair| pair.key == "name")?.value;
        let text = interpolate(&file.text(named)?, &|name| scope.get(name)).ok()?;
        let name = normalized(text.text.as_str());
        let place = file.file.place(file.bytes(named));
        (!name.is_empty()).then_some((name, NameOrigin::File(place)))
    })
}

/// A name in lower case, without all that a project's name must not have.
fn normalized(name: &str) -> String {
    let kept = |c: &char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-');
    let name: String = name.to_lowercase().chars().filter(kept).collect();
    name.trim_start_matches(['_', '-']).to_owned()
}
