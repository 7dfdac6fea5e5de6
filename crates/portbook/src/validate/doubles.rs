//! What two files of a tree claim at once: ports of the host, and containers' names.

use std::collections::HashMap;
use std::net::IpAddr;

use portbook_apps::compose::{Protocol, Published, PublishedPort, Service};
use portbook_apps::written::Place;
use portbook_model::{AppKey, Port};

use super::file_place;
use super::survey::FoundProject;
use crate::check::{Conflict, ConflictKind};

/// A service of one of the projects.
#[derive(Clone, Copy)]
struct Claimant<'s> {
    project: usize,
    found: &'s FoundProject,
    app: Option<&'s AppKey>,
    service: &'s Service,
}

struct Claim<'s> {
    by: Claimant<'s>,
    port: &'s PublishedPort,
}

/// What is claimed twice. The later one is told of, with where the earlier is.
pub(super) fn among(projects: &[FoundProject]) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    let mut ports: HashMap<(Port, Protocol), Vec<Claim<'_>>> = HashMap::new();
    let mut names: HashMap<&str, (Claimant<'_>, &Place)> = HashMap::new();
    for (project, found) in projects.iter().enumerate() {
        for service in &found.services {
            let by = Claimant {
                project,
                found,
                app: found.app.as_ref(),
                service,
            };
            for port in &service.ports {
                conflicts.extend(claim_ports(&mut ports, by, port));
            }
            let Some(named) = &service.container_name else {
                continue;
            };
            match names.get(named.name.as_str()) {
                Some((earlier, place)) if may_run_together(*earlier, by) => {
                    conflicts.push(same_name(&named.name, &named.place, place, [by, *earlier]));
                }
                Some(_) => {}
                None => {
                    names.insert(&named.name, (by, &named.place));
                }
            }
        }
    }
    conflicts
}

/// Notes the ports of an entry, and gives the first that somebody has already.
fn claim_ports<'s>(
    claims: &mut HashMap<(Port, Protocol), Vec<Claim<'s>>>,
    by: Claimant<'s>,
    port: &'s PublishedPort,
) -> Option<Conflict> {
    // Whichever port of a stretch is free may be taken: that is no claim on any.
    let Published::Each(stretch) = &port.published else {
        return None;
    };
    let mut conflict = None;
    for number in stretch.ports() {
        let earlier = claims.entry((number, port.protocol)).or_default();
        let rival = earlier
            .iter()
            .find(|earlier| may_run_together(earlier.by, by) && share_address(earlier.port, port));
        match rival {
            Some(rival) if conflict.is_none() => {
                conflict = Some(same_port(number, by, port, rival))
            }
            Some(_) => {}
            None => earlier.push(Claim { by, port }),
        }
    }
    conflict
}

/// Two services of one project that no run of it starts together: their profiles are others. Nor is one
/// service there twice, if files of one directory for several occasions have it.
fn may_run_together(one: Claimant<'_>, other: Claimant<'_>) -> bool {
    let is_same = one.service.name == other.service.name;
    if one.project != other.project {
        let (ours, theirs) = (one.found, other.found);
        return !(is_same && ours.shown == theirs.shown && ours.name == theirs.name);
    }
    let (ours, theirs) = (&one.service.profiles, &other.service.profiles);
    let meet = ours.iter().any(|profile| theirs.contains(profile));
    !is_same && (ours.is_empty() || theirs.is_empty() || meet)
}

/// Whether two entries want one address of the host: a wildcard is every address of its family, and none
/// at all is every address.
fn share_address(one: &PublishedPort, other: &PublishedPort) -> bool {
    match (one.host, other.host) {
        (None, _) | (_, None) => true,
        (Some(one), Some(other)) => {
            // On `[::]`, unless told otherwise, a server has the port for IPv4 too.
            let is_everywhere = |ip: IpAddr, rival: IpAddr| {
                ip.is_unspecified() && (ip.is_ipv6() || rival.is_ipv4())
            };
            one == other || is_everywhere(one, other) || is_everywhere(other, one)
        }
    }
}

fn same_port(number: Port, by: Claimant<'_>, port: &PublishedPort, rival: &Claim<'_>) -> Conflict {
    let there = file_place(wording(rival.port));
    Conflict {
        kind: ConflictKind::DuplicatePort,
        port: Some(number),
        apps: apps([by, rival.by]),
        message: format!(
            "the service `{}` publishes {number}/{}, as `{}` does at {there}",
            by.service.name, port.protocol, rival.by.service.name
        ),
        hint: "only one of them can run: give one of them a port of its own".to_owned(),
        place: Some(file_place(wording(port))),
    }
}

fn wording(port: &PublishedPort) -> &Place {
    port.wording.number.as_ref().unwrap_or(&port.wording.place)
}

/// The apps that two services are of, each once.
fn apps(of: [Claimant<'_>; 2]) -> Vec<String> {
    let mut apps: Vec<String> = of
        .iter()
        .filter_map(|by| by.app.map(ToString::to_string))
        .collect();
    apps.dedup();
    apps
}

fn same_name(name: &str, place: &Place, earlier: &Place, by: [Claimant<'_>; 2]) -> Conflict {
    Conflict {
        kind: ConflictKind::DuplicateContainerName,
        port: None,
        apps: apps(by),
        message: format!(
            "the container is called `{name}`, as another is at {}",
            file_place(earlier)
        ),
        hint: "only one of them can run: leave `container_name` out, and Compose calls each by its project"
            .to_owned(),
        place: Some(file_place(place)),
    }
}
