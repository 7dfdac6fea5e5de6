//! The containers of this machine's engines: whose each is, which one is behind a port, and what they
//! have or want that the book sees otherwise.

use std::collections::HashMap;

use portbook_engine::{Container, Engine, Publication, Wanted};
use portbook_host::{container_of, descends_from, is_container_proxy};
use portbook_model::{Allocation, AppKey, Holder, Port, Role};

use super::homes::Homes;
use crate::check::{Conflict, ConflictKind};

/// Containers, each with the app that it is of.
#[derive(Default)]
pub(crate) struct Containers(Vec<Placed>);

/// A container and the app that it is of.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) container: Container,
    /// The app, by its Compose project, else by the folder that it was started from.
    pub(crate) app: Option<AppKey>,
    /// Whether its ports are ports of this machine.
    is_here: bool,
}

/// A container against the book.
pub(crate) struct Mismatch {
    /// The app that the container is of.
    pub(crate) app: Option<AppKey>,
    pub(crate) conflict: Conflict,
}

impl Containers {
    pub(crate) fn of(engines: Vec<Engine>, homes: &Homes) -> Self {
        let mut placed = Vec::new();
        for engine in engines {
            let is_here = engine.endpoint.is_local();
            placed.extend(engine.containers.into_iter().map(|container| Placed {
                app: app_of(&container, homes),
                container,
                is_here,
            }));
        }
        Self(placed)
    }

    /// The container that a holder of a port is part of, or has the port for.
    pub(crate) fn behind(&self, holder: &Holder) -> Option<&Placed> {
        let process = holder.process.as_ref()?;
        let proxied = || is_container_proxy(process).then(|| self.publisher(holder));
        proxied().flatten().or_else(|| self.around(process.pid))
    }

    /// The container that publishes a port; of several at different addresses, that at the holder's.
    fn publisher(&self, holder: &Holder) -> Option<&Placed> {
        let address = holder.address.filter(|address| !address.is_unspecified());
        self.0
            .iter()
            .filter(|placed| placed.is_here)
            .filter_map(|placed| {
                let published = placed
                    .container
                    .published_at(holder.port, holder.transport)?;
                Some((placed, published))
            })
            .min_by_key(|(_, published)| published.address != address)
            .map(|(placed, _)| placed)
    }

    /// The container that a process runs in. Where control groups do not tell, only one that uses the
    /// host's network can have a port of the host.
    fn around(&self, pid: u32) -> Option<&Placed> {
        let id = container_of(pid);
        let runs_it = |container: &Container| {
            let first = container.pid.filter(|_| container.uses_host_network);
            first.is_some_and(|first| first == pid || descends_from(pid, first))
        };
        self.0
            .iter()
            .filter(|placed| placed.is_here)
            .find(|placed| {
                Some(&placed.container.id) == id.as_ref()
                    || (id.is_none() && runs_it(&placed.container))
            })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Placed> {
        self.0.iter()
    }

    /// What containers have or want of the ports that the book sees otherwise.
    pub(crate) fn mismatches(&self, allocations: &[Allocation]) -> Vec<Mismatch> {
        let book = Book::of(allocations);
        let mut found = Vec::new();
        for placed in &self.0 {
            let published = placed.container.published.iter();
            let conflicts = published.filter_map(|published| placed.conflict(published, &book));
            found.extend(conflicts.map(|conflict| Mismatch {
                app: placed.app.clone(),
                conflict,
            }));
        }
        found
    }
}

fn app_of(container: &Container, homes: &Homes) -> Option<AppKey> {
    let compose = &container.compose;
    let by_project = compose
        .project
        .as_deref()
        .and_then(|project| homes.of_project(project));
    by_project.or_else(|| {
        let directory = compose.directory.as_deref()?;
        let by_name = homes.of_directory(directory);
        by_name.or_else(|| homes.of_directory(&directory.canonicalize().ok()?))
    })
}

/// The allocations by port and by app.
struct Book<'a> {
    owners: HashMap<Port, (&'a Allocation, &'a Role)>,
    apps: HashMap<&'a AppKey, &'a Allocation>,
}

impl<'a> Book<'a> {
    fn of(allocations: &'a [Allocation]) -> Self {
        let owners = allocations.iter().flat_map(|held| {
            let ports = held.ports.iter();
            ports.map(move |(role, port)| (*port, (held, role)))
        });
        Self {
            owners: owners.collect(),
            apps: allocations.iter().map(|held| (&held.app, held)).collect(),
        }
    }
}

impl Placed {
    /// Whether the container is of this app.
    pub(crate) fn is_of(&self, app: &AppKey) -> bool {
        self.app.as_ref() == Some(app)
    }

    fn conflict(&self, published: &Publication, book: &Book<'_>) -> Option<Conflict> {
        let is_anothers = |port: &Port| {
            let owner = book.owners.get(port);
            owner.is_some_and(|(held, _)| !self.is_of(&held.app))
        };
        let port = match (published.has, published.wanted) {
            (Some(port), _) | (None, Wanted::Exactly(port)) => port,
            (None, Wanted::OneOf(..)) => published.wanted.ports()?.ports().find(is_anothers)?,
            (None, Wanted::Any) => return None,
        };
        match (book.owners.get(&port), &self.app) {
            (Some((held, _)), Some(app)) if held.app == *app => None,
            (Some((held, role)), _) => Some(self.takes(published, port, held, role, book)),
            // What the engine picks by itself is no claim.
            (None, Some(app)) if published.wanted != Wanted::Any => {
                Some(self.strays(published, port, app, book))
            }
            (None, _) => None,
        }
    }

    /// The port is another app's.
    fn takes(
        &self,
        published: &Publication,
        port: Port,
        held: &Allocation,
        role: &Role,
        book: &Book<'_>,
    ) -> Conflict {
        let how = match (published.has, published.wanted) {
            (Some(_), _) => "is published by",
            (None, Wanted::OneOf(..)) => "may be taken by",
            (None, _) => "is wanted by",
        };
        let owner = &held.app;
        let mut apps = vec![owner.to_string()];
        let (of, hint) = match &self.app {
            Some(app) => {
                apps.insert(0, app.to_string());
                (format!(" of {app}"), own_ports(app, book))
            }
            None => (
                String::new(),
                "give that container another port, or remove it if nobody needs it".to_owned(),
            ),
        };
        Conflict {
            kind: ConflictKind::DockerMismatch,
            port: Some(port),
            apps,
            message: format!(
                "port {port}, the {role} of {owner}, {how} {}{of}",
                self.container
            ),
            hint,
            place: None,
        }
    }

    /// The port is nobody's, and the container an app's.
    fn strays(
        &self,
        published: &Publication,
        port: Port,
        app: &AppKey,
        book: &Book<'_>,
    ) -> Conflict {
        let how = match published.has {
            Some(_) => "publishes",
            None => "wants",
        };
        Conflict {
            kind: ConflictKind::DockerMismatch,
            port: Some(port),
            apps: vec![app.to_string()],
            message: format!(
                "{} of {app} {how} port {port}, which is not allocated to it",
                self.container
            ),
            hint: own_ports(app, book),
            place: None,
        }
    }
}

fn own_ports(app: &AppKey, book: &Book<'_>) -> String {
    let ports = book.apps.get(app).map(|held| {
        let ports = held.ports.iter();
        let named: Vec<String> = ports.map(|(role, port)| format!("{role} {port}")).collect();
        named.join(", ")
    });
    format!(
        "publish the app's own ports ({}) and create the container anew",
        ports.unwrap_or_default()
    )
}
