//! A container, as far as ports are concerned.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use portbook_model::{Port, PortStretch, Transport};
use serde::Serialize;

/// A container of an engine, running or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its number, 64 hexadecimal digits.
    pub id: String,
    /// Its name, without the slash that the engine puts before it.
    pub name: String,
    /// The image it was made from, as it was asked for.
    pub image: String,
    /// Whether it runs.
    pub state: ContainerState,
    /// What Compose wrote on it.
    pub compose: Compose,
    /// Its first process, while it runs, as the engine's machine counts them.
    pub pid: Option<u32>,
    /// Whose network it uses.
    pub network: Network,
    /// The ports of the host that it has or wants, by container port: none without a network of its own.
    pub published: Vec<Publication>,
}

/// What Compose notes of its containers in their labels; empty for one that it did not make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compose {
    /// The project.
    pub project: Option<String>,
    /// The service of the project.
    pub service: Option<String>,
    /// The folder that the project was started from.
    pub directory: Option<PathBuf>,
}

/// Whose network a container uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// Its own, into which the ports lead that it publishes.
    Own,
    /// The host's: what it listens on, it listens on the host.
    Host,
    /// That of another container, by number or name, which publishes for both: so do the containers of
    /// a podman pod.
    Of(String),
    /// None.
    Nothing,
}

impl Network {
    /// By the engine's word, its "network mode".
    pub(crate) fn of(mode: &str) -> Self {
        match mode.split_once(':') {
            Some(("container", other)) => Network::Of(other.to_owned()),
            _ if mode == "host" => Network::Host,
            _ if mode == "none" => Network::Nothing,
            _ => Network::Own,
        }
    }
}

/// What an engine says of a container's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub enum ContainerState {
    /// Made, and not started yet: also one whose start failed since its port was taken.
    Created,
    /// Running.
    Running,
    /// Running, and held still.
    Paused,
    /// Between two starts.
    Restarting,
    /// Ended; it may be started again.
    Exited,
    /// Something else, in the engine's word.
    Other(String),
}

impl ContainerState {
    pub(crate) fn of(word: String) -> Self {
        match word.as_str() {
            "created" | "configured" | "initialized" => ContainerState::Created,
            "running" => ContainerState::Running,
            "paused" => ContainerState::Paused,
            "restarting" => ContainerState::Restarting,
            "exited" | "stopped" => ContainerState::Exited,
            _ => ContainerState::Other(word),
        }
    }

    /// Whether the container has its ports now; any other wants them when it starts.
    pub fn has_ports(&self) -> bool {
        matches!(self, ContainerState::Running | ContainerState::Paused)
    }
}

impl Container {
    /// Whether it runs, or is about to run again by itself.
    pub fn is_up(&self) -> bool {
        self.state.has_ports() || self.state == ContainerState::Restarting
    }
}

impl fmt::Display for ContainerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ContainerState::Created => "created",
            ContainerState::Running => "running",
            ContainerState::Paused => "paused",
            ContainerState::Restarting => "restarting",
            ContainerState::Exited => "exited",
            ContainerState::Other(word) => word,
        })
    }
}

impl From<ContainerState> for String {
    fn from(state: ContainerState) -> String {
        state.to_string()
    }
}

/// A port of the host that leads into a container, or is to once it runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Publication {
    /// The protocol.
    pub transport: Transport,
    /// The host's address; `None` for every one.
    pub address: Option<IpAddr>,
    /// Which port is wanted whenever the container starts.
    pub wanted: Wanted,
    /// The port that it has, while it runs.
    pub has: Option<Port>,
}

/// Which port of the host a container wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// This one, and no other will do.
    Exactly(Port),
    /// Whichever of these is free when the container starts.
    OneOf(Port, Port),
    /// Whichever the engine picks when the container starts.
    Any,
}

impl Wanted {
    /// Whether it may come to this port.
    pub fn may_be(&self, port: Port) -> bool {
        self.ports().is_none_or(|ports| ports.contains(port))
    }

    /// The ports that it may come to; `None` where the engine picks.
    pub fn ports(&self) -> Option<PortStretch> {
        match *self {
            Wanted::Exactly(port) => PortStretch::new(port, port).ok(),
            Wanted::OneOf(first, last) => PortStretch::new(first, last).ok(),
            Wanted::Any => None,
        }
    }
}

impl Container {
    /// How it comes to have this port of its host, if it has it now.
    pub fn published_at(&self, port: Port, transport: Transport) -> Option<&Publication> {
        self.published
            .iter()
            .find(|published| published.transport == transport && published.has == Some(port))
    }
}

/// `the container web (image nginx:1.25, project shop-app1, exited)`
impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the container {} (image {}", self.name, self.image)?;
        if let Some(project) = &self.compose.project {
            write!(f, ", project {project}")?;
        }
        write!(f, ", {})", self.state)
    }
}
