//! What a port in a file should be by the book.

use std::collections::{BTreeMap, HashMap};

use portbook_apps::compose::{Project, Protocol, Published, PublishedPort, Service};
use portbook_apps::dot_env::{DotEnv, Entry};
use portbook_apps::interpolation::{Filled, Origin};
use portbook_apps::variables::port_variable;
use portbook_apps::{ProjectNames, short_names};
use portbook_model::{Allocation, AppKey, Model, Policy, Port, Role, browser_blocked};

use super::file_place;
use super::survey::Home;
use crate::check::{Conflict, ConflictKind, FilePlace};

/// The book, asked by port, by app and by the names of variables.
pub(super) struct Book<'b> {
    owners: BTreeMap<Port, (&'b Allocation, &'b Role)>,
    held: HashMap<&'b AppKey, &'b Allocation>,
    short_names: HashMap<&'b Model, String>,
    /// The variables that say a role's port, for apps without ports of their own.
    variables: HashMap<String, Role>,
    policy: &'b Policy,
}

/// Something in a file that claims ports.
struct Said<'s> {
    /// Who says it: "the service `web` publishes", "BACKEND_PORT is".
    what: String,
    ports: Vec<Port>,
    /// The role that the file says that the port is for.
    role: Option<Role>,
    /// Whether somebody is to open it in a browser.
    is_for_browsers: bool,
    place: FilePlace,
    /// Where the value comes from, if not from the place.
    because: String,
    app: Option<&'s Allocation>,
    home: &'s Home,
}

impl<'b> Book<'b> {
    pub(super) fn new(
        allocations: &'b [Allocation],
        models: &'b [Model],
        policy: &'b Policy,
    ) -> Self {
        let owned = allocations.iter().flat_map(|held| {
            let ports = held.ports.iter();
            ports.map(move |(role, port)| (*port, (held, role)))
        });
        let roles = policy.ranges();
        let roles = roles.map(|(role, _)| role.clone());
        let roles = roles.chain([Role::backend(), Role::frontend()]);
        Self {
            owners: owned.collect(),
            held: allocations.iter().map(|held| (&held.app, held)).collect(),
            short_names: models.iter().zip(short_names(models)).collect(),
            variables: roles.map(|role| (port_variable(&role), role)).collect(),
            policy,
        }
    }

    /// What is wrong with the ports of a project.
    pub(super) fn on_project(
        &self,
        project: &Project,
        app: Option<&AppKey>,
        home: &Home,
    ) -> Vec<Conflict> {
        let app = app.and_then(|app| self.held.get(app).copied());
        let mut conflicts = Vec::new();
        for (service, port) in project.ports() {
            match port.published.stretch() {
                Some(stretch) => {
                    let said = self.said(service, port, stretch.ports().collect(), app, home);
                    conflicts.extend(self.on(&said));
                }
                None => conflicts.extend(self.on_blank(service, port, app)),
            }
        }
        conflicts
    }

    fn said<'s>(
        &self,
        service: &Service,
        port: &PublishedPort,
        ports: Vec<Port>,
        app: Option<&'s Allocation>,
        home: &'s Home,
    ) -> Said<'s> {
        let verb = match port.published {
            Published::OneOf(_) => "publishes any free one of",
            _ => "publishes",
        };
        let outside = port.wording.uses.iter().find(|used| {
            port.wording.number.is_none() && used.filled == Filled::Value(Origin::Environment)
        });
        Said {
            what: format!("the service `{}` {verb}", service.name),
            role: self.role_of(port, service, app),
            ports,
            is_for_browsers: port.protocol == Protocol::Tcp,
            place: file_place(port.wording.number.as_ref().unwrap_or(&port.wording.place)),
            because: outside.map_or(String::new(), |used| {
                format!(", which {} says in the environment", used.name)
            }),
            app,
            home,
        }
    }

    /// The role that a port is for: by its variable, else by the service's name.
    fn role_of(
        &self,
        port: &PublishedPort,
        service: &Service,
        app: Option<&Allocation>,
    ) -> Option<Role> {
        let mut names = port.wording.uses.iter().map(|used| used.name.as_str());
        let by_variable = names.find_map(|name| self.role_of_variable(name, app));
        by_variable.or_else(|| {
            let mut held = app?.ports.iter();
            let (role, due) = held.find(|(role, _)| role.as_str() == service.name)?;
            let says_it = |entry: &PublishedPort| {
                let stretch = entry.published.stretch();
                stretch.is_some_and(|stretch| stretch.ports().any(|port| port == *due))
            };
            // Beside the entry that says the role's port, another is for something else.
            let is_another = !says_it(port) && service.ports.iter().any(says_it);
            (!is_another).then(|| role.clone())
        })
    }

    fn role_of_variable(&self, name: &str, app: Option<&Allocation>) -> Option<Role> {
        // Most variables are no port's, and cheaply told from those.
        if !name.ends_with("_PORT") {
            return None;
        }
        let mut own = app.into_iter().flat_map(|app| app.ports.keys());
        let own = own.find(|role| port_variable(role) == name);
        own.or_else(|| self.variables.get(name)).cloned()
    }

    /// What is wrong with the variables of an `.env` file.
    pub(super) fn on_dot_env(
        &self,
        dot_env: &DotEnv,
        app: Option<&AppKey>,
        home: &Home,
    ) -> Vec<Conflict> {
        let app = app.and_then(|app| self.held.get(app).copied());
        let mut conflicts = Vec::new();
        // Of several lines for one variable, the last one counts.
        let entries = dot_env.entries().iter();
        for entry in entries.filter(|entry| is_last(dot_env, entry)) {
            if let Some(role) = self.role_of_variable(&entry.name, app) {
                conflicts.extend(self.on_variable(entry, role, app, home));
            }
            if let Some(app) = app {
                conflicts.extend(self.on_name(entry, app));
            }
        }
        conflicts
    }

    fn on_variable(
        &self,
        entry: &Entry,
        role: Role,
        app: Option<&Allocation>,
        home: &Home,
    ) -> Vec<Conflict> {
        let value = entry.value.as_str();
        let digits = entry.value.place(0..value.len());
        let place = file_place(digits.as_ref().unwrap_or(&entry.value_place));
        let Ok(port) = value.parse::<Port>() else {
            let Some(due) = app.and_then(|app| app.ports.get(&role)) else {
                return Vec::new();
            };
            return vec![Conflict {
                kind: ConflictKind::ComposeMismatch,
                port: Some(*due),
                apps: app.iter().map(|app| app.app.to_string()).collect(),
                message: format!("{} is `{value}`, which is no port", entry.name),
                hint: format!("write {due}"),
                place: Some(place),
            }];
        };
        self.on(&Said {
            what: format!("{} is", entry.name),
            ports: vec![port],
            role: Some(role),
            is_for_browsers: true,
            place,
            because: String::new(),
            app,
            home,
        })
    }

    /// The names that an app is to have, where its `.env` file gives it some.
    fn on_name(&self, entry: &Entry, app: &Allocation) -> Option<Conflict> {
        let due = match entry.name.as_str() {
            "PROJECT_NAME" => self.names(&app.app)?.project,
            "COMPOSE_PROJECT_NAME" => self.names(&app.app)?.compose,
            _ => return None,
        };
        (entry.value.as_str() != due).then(|| Conflict {
            kind: ConflictKind::ComposeMismatch,
            port: None,
            apps: vec![app.app.to_string()],
            message: format!(
                "{} is `{}`, and {} is called `{due}`",
                entry.name,
                entry.value.as_str(),
                app.app
            ),
            hint: format!(
                "write {due}, or `portbook env {} --write .env`",
                words(&app.app)
            ),
            place: Some(file_place(&entry.value_place)),
        })
    }

    fn names(&self, app: &AppKey) -> Option<ProjectNames> {
        let short = self.short_names.get(&app.model)?;
        Some(ProjectNames {
            project: format!("{short}_app{}", app.number),
            compose: format!("{short}-app{}", app.number),
        })
    }

    /// A variable without a value leaves the port to the engine, which is hardly meant.
    fn on_blank(
        &self,
        service: &Service,
        port: &PublishedPort,
        app: Option<&Allocation>,
    ) -> Option<Conflict> {
        let app = app?;
        let mut blank = port
            .wording
            .uses
            .iter()
            .filter(|used| used.filled == Filled::Nothing);
        let (name, role) = blank
            .find_map(|used| Some((&used.name, self.role_of_variable(&used.name, Some(app))?)))?;
        let due = app.ports.get(&role)?;
        Some(Conflict {
            kind: ConflictKind::ComposeMismatch,
            port: Some(*due),
            apps: vec![app.app.to_string()],
            message: format!(
                "the service `{}` publishes any port, since {name} has no value, where {due} is the {role} of {}",
                service.name, app.app
            ),
            hint: format!(
                "`portbook env {} --write .env` gives it one",
                words(&app.app)
            ),
            place: Some(file_place(&port.wording.place)),
        })
    }

    fn on(&self, said: &Said<'_>) -> Vec<Conflict> {
        let own = |owner: &&Allocation| said.app.is_some_and(|app| app.app == owner.app);
        let owner = |port: &Port| self.owners.get(port).copied();
        let mut conflicts = Vec::new();
        let others = said
            .ports
            .iter()
            .filter_map(|port| Some((*port, owner(port)?)));
        let mut others = others.filter(|(_, (owner, _))| !own(owner));
        if let Some((port, (owner, role))) = others.next() {
            conflicts.push(self.of_another(said, port, owner, role));
        }
        if let Some(port) = said.ports.iter().find(|port| owner(port).is_none()) {
            conflicts.extend(self.of_nobody(said, *port));
        }
        conflicts.extend(self.of_another_role(said));
        let blocked = said
            .ports
            .iter()
            .find(|port| browser_blocked().contains(**port));
        if let Some(port) = blocked.filter(|_| said.is_for_browsers) {
            let message = format!("{} {port}, and no browser opens that port", said.what);
            let hint = said
                .write_instead()
                .unwrap_or_else(|| "choose another port".to_owned());
            conflicts.push(said.conflict(ConflictKind::BrowserBlocked, *port, message, hint));
        }
        conflicts
    }

    fn of_another(&self, said: &Said<'_>, port: Port, owner: &Allocation, role: &Role) -> Conflict {
        let mut message = format!(
            "{} {}{}, which is allocated to {} as its {role}",
            said.what,
            said.range(port),
            said.because,
            owner.app
        );
        let hint = match said.app {
            Some(app) => said.write_instead().unwrap_or_else(|| held_by(app)),
            None => {
                message.push_str("; the file belongs to no app of the book");
                let project = self.names(&owner.app).map_or(String::new(), |names| {
                    format!(", or name the project {}", names.compose)
                });
                format!(
                    "publish another port; if it is {}'s file, put it into {}/app{}{project}",
                    owner.app,
                    owner.app.model.identity(),
                    owner.app.number
                )
            }
        };
        let mut conflict = said.conflict(ConflictKind::ComposeMismatch, port, message, hint);
        conflict.apps.push(owner.app.to_string());
        conflict
    }

    fn of_nobody(&self, said: &Said<'_>, port: Port) -> Option<Conflict> {
        let what = format!("{} {}{}", said.what, said.range(port), said.because);
        if let Some((app, role, due)) = said.due() {
            let message = format!("{what}, where {due} is the {role} of {}", app.app);
            let hint = format!("write {due}");
            return Some(said.conflict(ConflictKind::ComposeMismatch, port, message, hint));
        }
        let message = format!("{what}, which is allocated to nobody");
        let hint = match (said.app, said.home.made_for()) {
            (Some(app), _) => format!(
                "{}; for one more port, name a role in the configuration and `portbook allocate {} --roles ROLE`",
                held_by(app),
                words(&app.app)
            ),
            (None, Some((model, number))) => {
                format!("{model}/app{number} holds no ports: `portbook allocate {model} {number}`")
            }
            // The configuration says that it is somebody's, and portbook gives it to nobody.
            (None, None) if self.is_set_aside(port) => return None,
            (None, None) => {
                "allocate it to an app with --ports, or keep it out of apps' hands: block it in the configuration"
                    .to_owned()
            }
        };
        let mut conflict = said.conflict(ConflictKind::ComposeUnallocated, port, message, hint);
        if let (None, Some((model, number))) = (said.app, said.home.made_for()) {
            conflict.apps.push(format!("{model}/app{number}"));
        }
        Some(conflict)
    }

    fn is_set_aside(&self, port: Port) -> bool {
        self.policy.blocked(port).is_some() && !browser_blocked().contains(port)
    }

    /// A role's variable with another role's port.
    fn of_another_role(&self, said: &Said<'_>) -> Option<Conflict> {
        let (app, role, due) = said.due()?;
        let [port] = said.ports.as_slice() else {
            return None;
        };
        let (owner, other) = self.owners.get(port)?;
        if owner.app != app.app || *other == role {
            return None;
        }
        let message = format!(
            "{} {port}{}, the {other} of {}, where {due} is its {role}",
            said.what, said.because, app.app
        );
        let hint = format!("write {due}");
        Some(said.conflict(ConflictKind::ComposeMismatch, *port, message, hint))
    }
}

impl<'s> Said<'s> {
    /// The port that should stand there, if the file says what it is for.
    fn due(&self) -> Option<(&'s Allocation, &Role, Port)> {
        let (app, role) = (self.app?, self.role.as_ref()?);
        Some((app, role, *app.ports.get(role)?))
    }

    fn write_instead(&self) -> Option<String> {
        let (app, role, due) = self.due()?;
        (!self.ports.contains(&due)).then(|| format!("write {due}, the {role} of {}", app.app))
    }

    /// The ports as they are told: `port 5001`, or `ports 5001-5010, of them 5003`.
    fn range(&self, port: Port) -> String {
        match self.ports.as_slice() {
            [first, .., last] => format!("{first}-{last}, of them {port}"),
            _ => port.to_string(),
        }
    }

    fn conflict(&self, kind: ConflictKind, port: Port, message: String, hint: String) -> Conflict {
        Conflict {
            kind,
            port: Some(port),
            apps: self.app.iter().map(|app| app.app.to_string()).collect(),
            message,
            hint,
            place: Some(self.place.clone()),
        }
    }
}

fn is_last(dot_env: &DotEnv, entry: &Entry) -> bool {
    let last = dot_env.get(&entry.name);
    last.is_some_and(|last| last.name_place == entry.name_place)
}

fn held_by(app: &Allocation) -> String {
    let ports = app.ports.iter();
    let ports: Vec<String> = ports.map(|(role, port)| format!("{role} {port}")).collect();
    format!("{} holds {}", app.app, ports.join(" and "))
}

/// An app as a command line names it.
fn words(app: &AppKey) -> String {
    crate::error::command_words(app)
}
