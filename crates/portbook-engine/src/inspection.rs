//! What an engine's inspection of a container says, in its JSON and in ours.
//!
//! Docker and podman leave out, or set to null, whatever has nothing in it, so that all is optional.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

use portbook_model::{Port, Transport};
use serde::Deserialize;

use crate::container::{Compose, Container, ContainerState, Network, Publication, Wanted};

/// An entry of the list of containers: the rest of it is not told of those that do not run.
#[derive(Debug, Deserialize)]
pub(crate) struct Listed {
    #[serde(rename = "Id")]
    pub(crate) id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Inspection {
    id: String,
    name: String,
    #[serde(default)]
    state: State,
    #[serde(default)]
    config: Config,
    #[serde(default)]
    host_config: HostConfig,
    #[serde(default)]
    network_settings: NetworkSettings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct State {
    status: String,
    pid: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    image: String,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    network_mode: String,
    port_bindings: Bindings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NetworkSettings {
    ports: Bindings,
}

/// By container port, `80/tcp`.
type Bindings = Option<BTreeMap<String, Option<Vec<Binding>>>>;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Binding {
    #[serde(rename = "HostIp")]
    address: String,
    #[serde(rename = "HostPort")]
    port: String,
}

impl From<Inspection> for Container {
    fn from(inspection: Inspection) -> Container {
        let state = ContainerState::of(inspection.state.status);
        let network = Network::of(&inspection.host_config.network_mode);
        let published = match network {
            Network::Own => published(
                inspection.host_config.port_bindings,
                inspection.network_settings.ports,
                &state,
            ),
            // Docker keeps a wish that it passes over here, and podman shows what another publishes.
            Network::Host | Network::Of(_) | Network::Nothing => Vec::new(),
        };
        Container {
            id: inspection.id,
            name: inspection.name.trim_start_matches('/').to_owned(),
            image: inspection.config.image,
            compose: compose(inspection.config.labels.unwrap_or_default()),
            pid: Some(inspection.state.pid).filter(|pid| *pid != 0),
            network,
            published,
            state,
        }
    }
}

fn compose(mut labels: BTreeMap<String, String>) -> Compose {
    // podman-compose writes its own label beside Docker's, and its first versions only that.
    let project = labels
        .remove("com.docker.compose.project")
        .or_else(|| labels.remove("io.podman.compose.project"));
    Compose {
        project,
        service: labels.remove("com.docker.compose.service"),
        directory: labels
            .remove("com.docker.compose.project.working_dir")
            .map(PathBuf::from),
    }
}

/// What a container wants of the host's ports, and what it has of it: the network's settings of a
/// running container tell which port "any" or a range came to.
fn published(wishes: Bindings, had: Bindings, state: &ContainerState) -> Vec<Publication> {
    let mut had = had.unwrap_or_default();
    if !state.has_ports() {
        // podman shows them of a container that does not run, too.
        had.clear();
    }
    let mut published = Vec::new();
    for (container_port, wishes) in wishes.unwrap_or_default() {
        let had = had.remove(&container_port).flatten().unwrap_or_default();
        published.extend(pair(&container_port, &wishes.unwrap_or_default(), &had));
    }
    // What was published with `--publish-all` was not wished for port by port.
    for (container_port, had) in had {
        published.extend(pair(&container_port, &[], &had.unwrap_or_default()));
    }
    published.sort();
    published.dedup();
    published
}

/// Puts the wishes for one container port and what became of them together. What a wish came to is
/// listed for IPv4 and IPv6 apart.
fn pair(container_port: &str, wishes: &[Binding], had: &[Binding]) -> Vec<Publication> {
    let transport = match container_port.rsplit_once('/') {
        Some((_, "udp")) => Transport::Udp,
        Some((_, "tcp")) | None => Transport::Tcp,
        // SCTP has a number line of its own.
        Some(_) => return Vec::new(),
    };
    let mut had: BTreeSet<Port> = had.iter().filter_map(|had| had.port.parse().ok()).collect();
    let mut wishes: Vec<Publication> = wishes
        .iter()
        .filter_map(|wish| {
            Some(Publication {
                transport,
                address: address(&wish.address),
                wanted: wanted(&wish.port)?,
                has: None,
            })
        })
        .collect();
    for wish in &mut wishes {
        if let Wanted::Exactly(port) = wish.wanted {
            wish.has = had.contains(&port).then_some(port);
        }
    }
    had.retain(|port| wishes.iter().all(|wish| wish.has != Some(*port)));
    for port in had {
        let open = wishes
            .iter_mut()
            .find(|wish| wish.has.is_none() && wish.wanted.may_be(port));
        match open {
            Some(wish) => wish.has = Some(port),
            None => wishes.push(Publication {
                transport,
                address: None,
                wanted: Wanted::Any,
                has: Some(port),
            }),
        }
    }
    wishes
}

fn address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    (!address.is_unspecified()).then_some(address)
}

fn wanted(text: &str) -> Option<Wanted> {
    match text.split_once('-') {
        _ if text.is_empty() || text == "0" => Some(Wanted::Any),
        None => text.parse::<Port>().ok().map(Wanted::Exactly),
        Some((first, last)) => {
            let (first, last): (Port, Port) = (first.parse().ok()?, last.parse().ok()?);
            Some(if first == last {
                Wanted::Exactly(first)
            } else {
                Wanted::OneOf(first, last)
            })
        }
    }
}
