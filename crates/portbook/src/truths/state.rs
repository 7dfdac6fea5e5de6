//! In which state an app is, by what has its ports and what its files say.

use portbook_engine::{Container, ContainerState, Network};
use portbook_model::{Allocation, AppKey, Holder, Port, Process, Role, SocketUse};
use serde::Serialize;

use super::Sighting;
use super::containers::{Containers, Placed};
use crate::check::{Conflict, FilePlace};
use crate::ownership::Whose;

/// How the book and the rest of the world agree on an app or on one of its ports. An app is in the
/// state of that port of its which is furthest along this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AppState {
    /// Only the book knows of it: nobody is there.
    Reserved,
    /// The app's own process or container answers.
    Confirmed,
    /// Somebody is there, on behalf of a container of an engine that was not asked or does not know it.
    Unclear,
    /// A file, or the app's own container, says another port.
    Drifting,
    /// Somebody else is there; or, while nobody is, a stranger's container that does not run wants it.
    Foreign,
}

impl AppState {
    /// The state's name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            AppState::Reserved => "reserved",
            AppState::Confirmed => "confirmed",
            AppState::Unclear => "unclear",
            AppState::Drifting => "drifting",
            AppState::Foreign => "foreign",
        }
    }

    /// Whether something is to be done about it.
    pub fn is_conflict(self) -> bool {
        matches!(self, AppState::Drifting | AppState::Foreign)
    }
}

/// What there is to an app besides the book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AppTruth {
    /// The app.
    #[serde(flatten)]
    pub app: AppKey,
    /// In which state it is.
    pub state: AppState,
    /// Its ports.
    pub ports: Vec<PortTruth>,
    /// What says other ports than the book.
    pub drifts: Vec<Drift>,
}

/// What there is at a port besides the book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortTruth {
    /// What the port is for.
    pub role: Role,
    /// The port.
    pub port: Port,
    /// In which state it is; never drifting.
    pub state: AppState,
    /// Who has it, and which containers want it when they start.
    pub holders: Vec<PortHolder>,
}

/// Whose a holder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Belonging {
    /// The app's own.
    Own,
    /// Somebody else's.
    Stranger,
    /// A container engine's, which was not asked or does not know it.
    Unclear,
}

/// Who has a port, or wants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortHolder {
    /// Whose it is.
    pub whose: Belonging,
    /// Whether it has the port now; a container that does not run only wants it.
    pub is_there: bool,
    /// The process that has the port open; for a container most often its engine's.
    pub process: Option<Process>,
    /// The container.
    pub container: Option<ContainerName>,
    /// All of it in words.
    pub text: String,
}

/// What a container is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContainerName {
    /// Its number, 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The image it was made from.
    pub image: String,
    /// Whether it runs, in the engine's word.
    pub state: ContainerState,
    /// Its Compose project.
    pub project: Option<String>,
    /// Its service of the project.
    pub service: Option<String>,
}

/// Something that says another port than the book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// The port that it is about: the one that it says, or the one that it should say.
    pub port: Option<Port>,
    /// What it says, as one sentence.
    pub message: String,
    /// Where, if it is a file.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub place: Option<FilePlace>,
}

impl AppTruth {
    /// The truth of an app: `sightings` are those of its ports.
    pub(super) fn of(
        allocation: &Allocation,
        sightings: &[&Sighting<'_>],
        containers: &Containers,
        drifts: Vec<Drift>,
    ) -> Self {
        let ports: Vec<PortTruth> = allocation
            .ports
            .iter()
            .map(|(role, port)| {
                let here = sightings.iter().copied();
                let here = here.filter(|sighting| sighting.seen.holder.port == *port);
                let holders = holders(&allocation.app, *port, here, containers);
                PortTruth {
                    role: role.clone(),
                    port: *port,
                    state: state(&holders),
                    holders,
                }
            })
            .collect();
        let drift = drifts.first().map(|_| AppState::Drifting);
        let states = ports.iter().map(|port| port.state).chain(drift);
        Self {
            app: allocation.app.clone(),
            state: states.max().unwrap_or(AppState::Reserved),
            ports,
            drifts,
        }
    }
}

fn state(holders: &[PortHolder]) -> AppState {
    let is_there = |whose: Belonging| {
        let mut holders = holders.iter();
        holders.any(|holder| holder.is_there && holder.whose == whose)
    };
    if is_there(Belonging::Stranger) {
        AppState::Foreign
    } else if is_there(Belonging::Unclear) {
        AppState::Unclear
    } else if is_there(Belonging::Own) {
        AppState::Confirmed
    } else if holders
        .iter()
        .any(|holder| holder.whose == Belonging::Stranger)
    {
        AppState::Foreign
    } else {
        AppState::Reserved
    }
}

/// Who has a port, each container once: what the host shows of it first, then what only its engine
/// knows.
fn holders<'a>(
    app: &AppKey,
    port: Port,
    sightings: impl Iterator<Item = &'a Sighting<'a>>,
    containers: &Containers,
) -> Vec<PortHolder> {
    let mut holders: Vec<PortHolder> = Vec::new();
    for sighting in sightings {
        let is_it = |known: &PortHolder| match sighting.container {
            Some(placed) => known.is_container(&placed.container),
            None => known.container.is_none() && known.process == sighting.seen.holder.process,
        };
        if !holders.iter().any(is_it) {
            holders.push(PortHolder::seen(sighting));
        }
    }
    for placed in containers.iter() {
        let container = &placed.container;
        let claim = container.published.iter().filter(|published| {
            let wanted = published.wanted.ports();
            published.has == Some(port)
                || published.has.is_none() && wanted.is_some_and(|wanted| wanted.contains(port))
        });
        let is_there = claim.map(|published| published.has.is_some()).max();
        let is_known = holders.iter().any(|known| known.is_container(container));
        if let Some(is_there) = is_there.filter(|_| !is_known) {
            holders.push(PortHolder::published(app, placed, is_there));
        }
    }
    holders
}

impl PortHolder {
    fn seen(sighting: &Sighting<'_>) -> Self {
        let container = sighting.container.map(|placed| &placed.container);
        let holder = &sighting.seen.holder;
        Self {
            whose: match sighting.seen.whose {
                Whose::Own => Belonging::Own,
                Whose::Stranger => Belonging::Stranger,
                Whose::Engine => Belonging::Unclear,
            },
            is_there: true,
            process: holder.process.clone(),
            container: container.map(ContainerName::of),
            text: in_words(holder, container),
        }
    }

    fn published(app: &AppKey, placed: &Placed, is_there: bool) -> Self {
        Self {
            whose: match placed.is_of(app) {
                true => Belonging::Own,
                false => Belonging::Stranger,
            },
            is_there,
            process: None,
            container: Some(ContainerName::of(&placed.container)),
            text: placed.container.to_string(),
        }
    }

    fn is_container(&self, container: &Container) -> bool {
        let known = self.container.as_ref();
        known.is_some_and(|known| known.id == container.id)
    }
}

impl ContainerName {
    fn of(container: &Container) -> Self {
        Self {
            id: container.id.clone(),
            name: container.name.clone(),
            image: container.image.clone(),
            state: container.state.clone(),
            project: container.compose.project.clone(),
            service: container.compose.service.clone(),
        }
    }
}

impl Drift {
    pub(crate) fn of(conflict: &Conflict) -> Self {
        Self {
            port: conflict.port,
            message: conflict.message.clone(),
            place: conflict.place.clone(),
        }
    }
}

/// A container is named in place of the engine's process that holds the port for it; a process of its
/// own, on the host's network, goes before it.
fn in_words(holder: &Holder, container: Option<&Container>) -> String {
    let local_end = match holder.usage {
        SocketUse::Connected => "the local end of a connection of ",
        SocketUse::Listening | SocketUse::Bound => "",
    };
    match container {
        Some(container) if container.network == Network::Host => {
            format!("{local_end}{holder} in {container}")
        }
        Some(container) => container.to_string(),
        None => format!("{local_end}{holder}"),
    }
}
