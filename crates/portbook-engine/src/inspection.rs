//! What an engine's inspection of a container says, in its JSON and in ours.
//!
//! Docker and podman leave out, or set to null, whatever has nothing in it, so that all is optional.

use std::collections::BTreeMap;
use std::path::PathBuf;

use portbook_model::{Port, Transport};
use serde::Deserialize;

use crate::container::{Compose, Container, ContainerState, Publication, Wanted};

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
        let published = published(
            inspection.host_config.port_bindings,
            inspection.network_settings.ports,
            &state,
        );
        Container {
            id: inspection.id,
            name: inspection.name.trim_start_matches('/').to_owned(),
            image: inspection.config.image,
            compose: compose(inspection.config.labels.unwrap_or_default()),
            pid: Some(inspection.state.pid).filter(|pid| *pid != 0),
            uses_host_network: inspection.host_config.network_mode == "host",
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

/// What a container has of the host's ports, and what it wants of those that it does not have.
///
/// Of a running container the network's settings tell which port a range or "any" came to. They list
/// IPv4 and IPv6 apart where the wish was one for both.
fn published(wished: Bindings, had: Bindings, state: &ContainerState) -> Vec<Publication> {
    let mut had = had.unwrap_or_default();
    if !state.has_ports() {
        // podman shows them here of a container that does not run, too.
        had.clear();
    }
    let mut published = Vec::new();
    for (container_port, wishes) in wished.unwrap_or_default() {
        let actual = had.remove(&container_port).flatten().unwrap_or_default();
        let bindings = if actual.is_empty() {
            wishes.unwrap_or_default()
        } else {
            actual
        };
        published.extend(publications(&container_port, &bindings));
    }
    // What was published with `--publish-all` was not wished for port by port.
    for (container_port, actual) in had {
        published.extend(publications(&container_port, &actual.unwrap_or_default()));
    }
    published.sort();
    published.dedup();
    published
}

fn publications<'a>(
    container_port: &str,
    bindings: &'a [Binding],
) -> impl Iterator<Item = Publication> + use<'a> {
    let transport = match container_port.rsplit_once('/') {
        Some((_, "udp")) => Some(Transport::Udp),
        Some((_, "tcp")) | None => Some(Transport::Tcp),
        // SCTP has a number line of its own.
        Some(_) => None,
    };
    bindings.iter().filter_map(move |binding| {
        Some(Publication {
            transport: transport?,
            address: binding
                .address
                .parse()
                .ok()
                .filter(|address: &std::net::IpAddr| !address.is_unspecified()),
            port: wanted(&binding.port)?,
        })
    })
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
