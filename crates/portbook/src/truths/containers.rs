//! The containers of this machine's engines: whose each is, which one is behind a port, and what they
//! have or want that the book sees otherwise.

use std::collections::HashMap;

use portbook_engine::{Container, Engine, Network, Publication, Wanted};
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
    /// The app, by its Compose project, else by the folder that it was started from, else by what uses
    /// its network.
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
        let sharers: Vec<(String, AppKey)> = placed.iter().filter_map(Placed::shares).collect();
        for owner in placed.iter_mut().filter(|owner| owner.app.is_none()) {
            owner.app = app_of_sharers(&owner.container, &sharers);
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
            let first = container.pid.filter(|_| container.network == Network::Host);
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

/// The app of those that use the network of a container of nobody's, if they are all of one: it
/// publishes for them, as a pod's first container does.
fn app_of_sharers(owner: &Container, sharers: &[(String, AppKey)]) -> Option<AppKey> {
    let is_meant =
        |(network, _): &&(String, AppKey)| *network == owner.id || *network == owner.name;
    let mut apps = sharers.iter().filter(is_meant).map(|(_, app)| app);
    let first = apps.next()?;
    apps.all(|app| app == first).then(|| first.clone())
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

    /// The container whose network it uses, and the app that it does so for.
    fn shares(&self) -> Option<(String, AppKey)> {
        match &self.container.network {
            Network::Of(other) => Some((other.clone(), self.app.clone()?)),
            Network::Own | Network::Host | Network::Nothing => None,
        }
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

#[cfg(test)]
mod tests {
    use portbook_engine::{Compose, ContainerState, Endpoint};
    use portbook_model::{Model, Notes, Source, Timestamp, Transport};

    use super::*;

    fn port(number: u16) -> Port {
        Port::new(number).unwrap()
    }

    fn held(number: u32, backend: u16) -> Allocation {
        let role = |name: &str| name.parse::<Role>().unwrap();
        Allocation {
            app: AppKey::new(
                Model::new("m").unwrap(),
                number.to_string().parse().unwrap(),
            ),
            ports: [(role("backend"), port(backend))].into(),
            source: Source::Dynamic,
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
            lease: None,
            notes: Notes::default(),
        }
    }

    /// What is told of a container of app 1, or of nobody, that publishes this.
    fn told(project: Option<&str>, wanted: Wanted, has: Option<u16>) -> Option<String> {
        let allocations = [held(1, 5001), held(2, 5003)];
        let homes = Homes::of(&allocations, vec![Model::new("m").unwrap()]);
        let container = Container {
            id: "0".repeat(64),
            name: "web".to_owned(),
            image: "nginx".to_owned(),
            state: match has {
                Some(_) => ContainerState::Running,
                None => ContainerState::Exited,
            },
            compose: Compose {
                project: project.map(str::to_owned),
                ..Compose::default()
            },
            pid: None,
            network: Network::Own,
            published: vec![Publication {
                transport: Transport::Tcp,
                address: None,
                wanted,
                has: has.map(port),
            }],
        };
        let engine = Engine {
            endpoint: Endpoint::Unix("/run/docker.sock".into()),
            containers: vec![container],
        };
        let mismatches = Containers::of(vec![engine], &homes).mismatches(&allocations);
        let messages: Vec<String> = mismatches
            .into_iter()
            .map(|mismatch| mismatch.conflict.message)
            .collect();
        assert!(messages.len() < 2, "{messages:?}");
        messages.into_iter().next()
    }

    #[test]
    fn only_what_the_book_sees_otherwise_is_told() {
        let own = Some("m-app1");
        let exactly = |number: u16| Wanted::Exactly(port(number));
        let range = Wanted::OneOf(port(5000), port(5009));
        // The app's own port, what nobody holds, and what no claim is.
        for (project, wanted, has) in [
            (own, exactly(5001), Some(5001)),
            (own, exactly(5001), None),
            (own, Wanted::Any, Some(32_768)),
            (own, Wanted::Any, None),
            (own, range, Some(5001)),
            (None, exactly(80), Some(80)),
            (None, exactly(80), None),
            (None, Wanted::Any, None),
            (None, Wanted::OneOf(port(6000), port(6009)), None),
        ] {
            assert_eq!(
                told(project, wanted, has),
                None,
                "{project:?} {wanted:?} {has:?}"
            );
        }
        for (project, wanted, has, says) in [
            (
                own,
                exactly(5003),
                Some(5003),
                "port 5003, the backend of m/app2, is published by",
            ),
            (
                own,
                exactly(5003),
                None,
                "is wanted by the container web (image nginx, project m-app1, exited) of m/app1",
            ),
            (
                own,
                exactly(80),
                Some(80),
                "of m/app1 publishes port 80, which is not allocated to it",
            ),
            (own, exactly(80), None, "of m/app1 wants port 80"),
            (own, range, Some(5005), "publishes port 5005"),
            (
                own,
                range,
                None,
                "port 5003, the backend of m/app2, may be taken by",
            ),
            (own, Wanted::Any, Some(5003), "port 5003"),
            (
                None,
                exactly(5001),
                Some(5001),
                "port 5001, the backend of m/app1, is published by",
            ),
            (
                None,
                exactly(5001),
                None,
                "port 5001, the backend of m/app1, is wanted by",
            ),
            (
                None,
                range,
                None,
                "port 5001, the backend of m/app1, may be taken by",
            ),
            (Some("other"), Wanted::Any, Some(5001), "port 5001"),
        ] {
            let told = told(project, wanted, has).unwrap_or_default();
            assert!(
                told.contains(says),
                "{project:?} {wanted:?} {has:?}: {told}"
            );
        }
    }
}
