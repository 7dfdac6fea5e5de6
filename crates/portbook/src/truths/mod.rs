//! Four truths that must agree: the book, the apps' `.env` and compose files, and what is there at
//! their ports, processes and containers.
//!
//! | question | file |
//! | --- | --- |
//! | which app is a Compose project or a folder of | `homes.rs` |
//! | whose is a container, and what does it have or want against the book | `containers.rs` |
//! | in which state is an app | `state.rs` |
//! | which apps run in containers, for who has no use for more | `live.rs` |
//!
//! Nothing is changed, and nobody's process or container is ended: who is in the way is named.

mod containers;
mod homes;
mod live;
mod state;

pub use state::{AppState, AppTruth, Belonging, ContainerName, Drift, PortHolder, PortTruth};

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use portbook_engine::{EngineError, Surroundings};
use portbook_model::{Allocation, AppKey};
use portbook_store::StoreError;

use crate::check::{Conflict, used_by};
use crate::cleanup::orphans;
use crate::ownership::{PortUse, Whose, port_uses};
use crate::validate::{UnreadFile, Validated};
use crate::{Error, PortAllocationService};
use containers::{Containers, Placed};
pub(crate) use homes::Homes;
pub(crate) use live::LiveContainers;

/// What to hold against the book.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// Whether to look at who has the ports of this machine, wherever the book is kept.
    pub host: bool,
    /// Where to look for container engines, if they are to be asked.
    pub engines: Option<Surroundings>,
    /// Compose files, `.env` files, and directories to search for them.
    pub files: Vec<PathBuf>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Every conflict: by port, and after them those of files, by place.
    pub conflicts: Vec<Conflict>,
    /// In which state each app is, by model, then app number; none of a book that is damaged.
    pub apps: Vec<AppTruth>,
    /// Engines whose sockets are there and that did not answer, while others did.
    pub silent: Vec<EngineError>,
    /// What kept files from being read, while the others were compared.
    pub unread: Vec<UnreadFile>,
}

/// What was found of containers alone.
#[derive(Debug)]
pub struct ContainerFindings {
    /// What they have or want that the book sees otherwise, by port.
    pub conflicts: Vec<Conflict>,
    /// How many containers there are.
    pub containers: usize,
    /// Engines whose sockets are there and that did not answer, while others did.
    pub silent: Vec<EngineError>,
}

impl PortAllocationService {
    /// Compares the book with itself and with what `comparison` names; `progress` is told how many
    /// directories have been searched.
    ///
    /// Engines that are to be asked have to answer: where none does, that is the error.
    pub fn compare(
        &self,
        comparison: &Comparison,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Findings, Error> {
        let mut conflicts = self.check(false)?;
        let allocations = match self.allocations(None) {
            Ok(allocations) => allocations,
            // That is among the conflicts already, and there is nothing to hold anything else against.
            Err(Error::Store(StoreError::Damaged { .. })) => {
                return Ok(Findings {
                    conflicts,
                    ..Findings::default()
                });
            }
            Err(error) => return Err(error),
        };
        let (containers, silent) = match &comparison.engines {
            Some(surroundings) => self.containers(surroundings, &allocations)?,
            None => Default::default(),
        };
        let validated = match comparison.files.as_slice() {
            [] => Validated::default(),
            files => self.validate(files, progress)?,
        };
        let uses = match comparison.host {
            true => port_uses(&allocations)?,
            false => Vec::new(),
        };
        if comparison.host {
            let now = std::time::SystemTime::now().into();
            conflicts.extend(orphans(&allocations, &uses, now));
        }
        let sightings: Vec<Sighting<'_>> = uses
            .into_iter()
            .map(|seen| Sighting::of(seen, &containers))
            .collect();

        let mut drifts: HashMap<AppKey, Vec<Drift>> = HashMap::new();
        for (app, drift) in validated.drifts {
            drifts.entry(app).or_default().push(drift);
        }
        for mismatch in containers.mismatches(&allocations) {
            if let Some(app) = mismatch.app {
                let drift = Drift::of(&mismatch.conflict);
                drifts.entry(app).or_default().push(drift);
            }
            conflicts.push(mismatch.conflict);
        }
        conflicts.extend(sightings.iter().filter_map(Sighting::conflict));
        put_in_order(&mut conflicts);
        conflicts.extend(validated.conflicts);
        Ok(Findings {
            conflicts,
            apps: states(&allocations, &sightings, &containers, drifts),
            silent,
            unread: validated.unread,
        })
    }

    /// Compares the book with what containers publish, and with nothing else.
    pub fn check_containers(&self, engines: &Surroundings) -> Result<ContainerFindings, Error> {
        let allocations = self.allocations(None)?;
        let (containers, silent) = self.containers(engines, &allocations)?;
        let mismatches = containers.mismatches(&allocations).into_iter();
        let mut conflicts = mismatches.map(|mismatch| mismatch.conflict).collect();
        put_in_order(&mut conflicts);
        Ok(ContainerFindings {
            conflicts,
            containers: containers.iter().count(),
            silent,
        })
    }

    /// The apps that have a container, running or not; an engine that is there and does not answer is
    /// the error within.
    pub(crate) fn apps_with_containers(
        &self,
        engines: &Surroundings,
        allocations: &[Allocation],
    ) -> Result<Result<BTreeSet<AppKey>, EngineError>, Error> {
        match self.containers(engines, allocations) {
            Ok((containers, mut silent)) => Ok(match silent.pop() {
                Some(silent) => Err(silent),
                None => Ok(containers
                    .iter()
                    .filter_map(|placed| placed.app.clone())
                    .collect()),
            }),
            Err(Error::Engine(EngineError::Nowhere(_))) => Ok(Ok(BTreeSet::new())),
            Err(Error::Engine(error)) => Ok(Err(error)),
            Err(error) => Err(error),
        }
    }

    /// The containers that run, and the engines that did not answer while others did.
    pub(crate) fn apps_in_containers(
        &self,
        engines: &Surroundings,
    ) -> Result<(LiveContainers, Vec<EngineError>), Error> {
        let allocations = self.allocations(None)?;
        let (containers, silent) = self.containers(engines, &allocations)?;
        Ok((LiveContainers::of(&containers), silent))
    }

    fn containers(
        &self,
        engines: &Surroundings,
        allocations: &[Allocation],
    ) -> Result<(Containers, Vec<EngineError>), Error> {
        let survey = portbook_engine::survey(&engines.places()?)?;
        let homes = Homes::of(allocations, self.models()?);
        Ok((Containers::of(survey.engines, &homes), survey.silent))
    }
}

/// By port, each once: a container that has a port by TCP and UDP has it twice.
fn put_in_order(conflicts: &mut Vec<Conflict>) {
    conflicts.sort_by(|a, b| (a.port, a.kind, &a.message).cmp(&(b.port, b.kind, &b.message)));
    conflicts.dedup();
}

/// A use of an app's port, and the container behind it where an engine was asked and knows it.
struct Sighting<'a> {
    seen: PortUse<'a>,
    container: Option<&'a Placed>,
}

impl<'a> Sighting<'a> {
    fn of(mut seen: PortUse<'a>, containers: &'a Containers) -> Self {
        let container = containers.behind(&seen.holder);
        if let Some(placed) = container {
            seen.whose = match placed.is_of(&seen.allocation.app) {
                true => Whose::Own,
                false => Whose::Stranger,
            };
        }
        Self { seen, container }
    }

    /// The conflict that this is, unless it is told of otherwise: what a container publishes is held
    /// against the book by itself.
    fn conflict(&self) -> Option<Conflict> {
        let holder = &self.seen.holder;
        let container = self.container.map(|placed| &placed.container);
        let is_published = container.is_some_and(|container| {
            let published = container.published_at(holder.port, holder.transport);
            published.is_some()
        });
        let is_told = self.seen.whose == Whose::Stranger && !is_published;
        is_told.then(|| used_by(&self.seen, container))
    }
}

fn states(
    allocations: &[Allocation],
    sightings: &[Sighting<'_>],
    containers: &Containers,
    mut drifts: HashMap<AppKey, Vec<Drift>>,
) -> Vec<AppTruth> {
    let mut by_app: HashMap<&AppKey, Vec<&Sighting<'_>>> = HashMap::new();
    for sighting in sightings {
        let app = &sighting.seen.allocation.app;
        by_app.entry(app).or_default().push(sighting);
    }
    let truth = |allocation: &Allocation| {
        let app = &allocation.app;
        let sightings = by_app.remove(app).unwrap_or_default();
        let drifts = drifts.remove(app).unwrap_or_default();
        AppTruth::of(allocation, &sightings, containers, drifts)
    };
    allocations.iter().map(truth).collect()
}
