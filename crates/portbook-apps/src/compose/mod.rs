//! Compose projects, read as Compose reads them, for the ports that they publish.
//!
//! The rules are the Compose Specification's, and where it is silent, those of Docker Compose 2, which the
//! tests compare with. Only what bears on ports is read: a mistake elsewhere in a file is Compose's to
//! tell.
//!
//! | question | file |
//! | --- | --- |
//! | which files make a project | `sources.rs` |
//! | how do several files become one | `loading.rs` |
//! | which variables does a file see | `scope.rs` |
//! | what does a file say of a service | `service.rs` |
//! | what is a port | `port.rs` |
//! | where in the file is it written | `yaml.rs`, `crate::written` |

mod loading;
mod port;
mod problem;
mod project_name;
mod scope;
mod service;
mod sources;
mod yaml;

use std::path::PathBuf;
use std::sync::Arc;

pub use port::{PortFault, Protocol, Published, PublishedPort, Wording};
pub use problem::{Fault, Problem};
pub use project_name::NameOrigin;
pub use scope::{Environment, variable};
pub use service::Named;
pub use sources::{Sources, is_compose_file};

use crate::dot_env::DotEnv;
use crate::written::{Place, SourceFile};
use loading::{Loader, Model, trees};
use scope::Scope;

/// A project: what `docker compose` would run.
///
/// ```
/// use portbook_apps::compose::{Environment, Project, Sources};
/// # let folder = tempfile::tempdir()?;
/// # let directory = folder.path();
///
/// std::fs::write(directory.join(".env"), "BACKEND_PORT=5001\n")?;
/// std::fs::write(
///     directory.join("compose.yaml"),
///     "services: { web: { ports: ['${BACKEND_PORT:-5000}:5000'] } }\n",
/// )?;
/// let sources = Sources::in_directory(directory)?.unwrap();
/// let project = Project::read(&sources, &Environment::new());
/// let (service, port) = project.ports().next().unwrap();
/// assert_eq!(service.name, "web");
/// assert_eq!(port.wording.value, "5001:5000");
/// // What would have to be changed for another port:
/// let number = port.wording.number.as_ref().unwrap();
/// assert!(number.file.ends_with(".env"));
/// assert_eq!((number.line, number.column), (1, 14));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// Where the name comes from.
    pub name_origin: NameOrigin,
    /// The directory that its paths start from.
    pub directory: PathBuf,
    /// Its services, by name, those of every profile.
    pub services: Vec<Service>,
    /// The compose files that were read: first those that lie over one another to make it, then those
    /// that they include or extend.
    pub files: Vec<Arc<SourceFile>>,
    /// How many of the files are of the first kind.
    pub own_files: usize,
    /// The file `.env` beside them, if there is one.
    pub dot_env: Option<DotEnv>,
    /// What Compose would refuse. What can be read besides is read.
    pub problems: Vec<Problem>,
}

/// A service, all files taken together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Where the last file that has it says its name.
    pub place: Place,
    /// The profiles that it is started with; none: always.
    pub profiles: Vec<String>,
    /// The name of its container, where a file gives one.
    pub container_name: Option<Named>,
    /// The ports that it publishes, in the order of the files; none twice.
    pub ports: Vec<PublishedPort>,
}

impl Project {
    /// Reads a project. `environment` are the variables of the process that would run Compose, which
    /// are stronger than those of `.env`.
    ///
    /// What cannot be read is among the [problems](Self::problems), with its place.
    pub fn read(sources: &Sources, environment: &Environment) -> Self {
        let directory = loading::cleaned(&sources.directory);
        let mut loader = Loader::default();
        let mut scope = Scope::of_process(environment);
        if let Err(problem) = scope.take_default(&directory) {
            loader.problems.push(problem);
        }
        let opened = loader.open(&sources.files(&directory, &scope), None);
        let opened = opened.unwrap_or_else(|problem| loader.excused(problem));
        let files = trees(&opened).unwrap_or_else(|problem| loader.excused(problem));
        let (name, name_origin) = project_name::of(&files, &directory, &scope);
        if let Some(first) = opened.first() {
            let wrong = project_name::problem(&name, &name_origin, first.place(0..0));
            loader.problems.extend(wrong);
        }
        let model = Model {
            files: &files,
            directory: &directory,
            scope: &Scope::named(&name, &scope),
            including: &[],
        };
        let drafts = loader.services(&model);
        let drafts = drafts.unwrap_or_else(|problem| loader.excused(problem));
        let service = |(name, draft): (String, service::Draft)| Service {
            name,
            place: draft.place,
            profiles: draft.profiles.value,
            container_name: draft.container_name.value,
            ports: without_doubles(draft.ports.value),
        };
        Self {
            services: drafts.into_iter().map(service).collect(),
            name,
            name_origin,
            directory,
            files: loader.files,
            own_files: opened.len(),
            problems: loader.problems,
            dot_env: scope.into_own().pop(),
        }
    }

    /// Every published port with the service that publishes it.
    pub fn ports(&self) -> impl Iterator<Item = (&Service, &PublishedPort)> {
        let services = self.services.iter();
        services.flat_map(|service| service.ports.iter().map(move |port| (service, port)))
    }
}

/// Of entries that publish the same, the last one counts.
fn without_doubles(ports: Vec<PublishedPort>) -> Vec<PublishedPort> {
    let mut kept: Vec<PublishedPort> = Vec::with_capacity(ports.len());
    let mut seen = std::collections::HashMap::new();
    for port in ports {
        let stretch = port
            .published
            .stretch()
            .map(|stretch| (stretch.first(), stretch.last()));
        let key = (port.host, stretch, port.target.clone(), port.protocol);
        match seen.get(&key) {
            Some(index) => kept[*index] = port,
            None => {
                seen.insert(key, kept.len());
                kept.push(port);
            }
        }
    }
    kept
}
