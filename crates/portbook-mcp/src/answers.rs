//! What the tools answer.

use std::collections::BTreeMap;

use portbook::model::{Allocation, AppKey, Grant, Holder, Port, Space};
use portbook::{Conflict, ExplanationRecord, PortState};
use schemars::JsonSchema;
use serde::Serialize;

/// An app's ports.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AppPorts {
    /// The app, written `model/appN`.
    pub(crate) app: String,
    /// Its model or project.
    pub(crate) model: String,
    /// Its number.
    pub(crate) app_num: u32,
    /// The port that its backend listens on.
    pub(crate) backend: Option<u16>,
    /// The port that its frontend listens on.
    pub(crate) frontend: Option<u16>,
    /// Every role's port.
    pub(crate) ports: BTreeMap<String, u16>,
    /// When the allocation ends, RFC 3339; absent: it is for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<String>,
    /// Where the app's files are, as far as the book knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) directory: Option<String>,
}

impl AppPorts {
    pub(crate) fn of(allocation: &Allocation) -> Self {
        let port = |role: &str| {
            let mut ports = allocation.ports.iter();
            ports.find_map(|(name, port)| (name.as_str() == role).then_some(port.get()))
        };
        let ports = allocation.ports.iter();
        Self {
            app: allocation.app.to_string(),
            model: allocation.app.model.spelling().to_owned(),
            app_num: allocation.app.number.get(),
            backend: port("backend"),
            frontend: port("frontend"),
            ports: ports
                .map(|(role, port)| (role.as_str().to_owned(), port.get()))
                .collect(),
            expires_at: allocation.lease.map(|lease| lease.expires_at.to_string()),
            directory: allocation
                .notes
                .directory
                .as_ref()
                .map(|directory| directory.path.clone()),
        }
    }
}

/// An app's ports, new or not.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Allocated {
    #[serde(flatten)]
    pub(crate) app: AppPorts,
    /// Whether this call made the allocation; otherwise the app had it before.
    pub(crate) created: bool,
    /// How the ports were chosen, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) explanation: Option<Explanation>,
    /// What to know before the ports are used.
    pub(crate) notes: Vec<String>,
}

/// How ports were chosen.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Explanation {
    /// One sentence on the way they came.
    pub(crate) reason: String,
    /// The ports that came before them and were not taken, with the reason.
    pub(crate) passed_over: Vec<String>,
}

impl Explanation {
    pub(crate) fn of(explanation: ExplanationRecord) -> Self {
        let passed_over = explanation.passed_over.into_iter();
        Self {
            reason: explanation.reason,
            passed_over: passed_over
                .map(|passed| format!("{} {}: {}", passed.role, passed.port, passed.why))
                .collect(),
        }
    }
}

/// What to know of ports that a file promised and that are not quite as promised.
pub(crate) fn notes(grant: &Grant) -> Vec<String> {
    let in_use = grant.in_use.iter().map(|port| {
        format!("port {port} is in use on this host: by the app itself, or by a stranger; the tool explain_port says who")
    });
    let unkept = grant.unkept.iter().map(|(role, port)| {
        format!("port {port} is promised as the {role}, but another app holds it; the tool check_conflicts tells more")
    });
    in_use.chain(unkept).collect()
}

/// Apps and their ports.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Listed {
    /// The apps, by model, then number.
    pub(crate) apps: Vec<AppPorts>,
    /// How many there are, those that were left out among them.
    pub(crate) total: usize,
    /// The port space: hosts that share one number line.
    pub(crate) space: String,
}

/// An app that gave its ports back.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Released {
    /// The app, written `model/appN`.
    pub(crate) app: String,
    /// The ports that it had. It gets them again if it asks before others need them.
    pub(crate) ports: BTreeMap<String, u16>,
}

/// What a port is used for.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Explained {
    /// The port.
    pub(crate) port: u16,
    /// In a word: free, ephemeral, blocked, pool, in-use, promised, backend, frontend or other-role.
    pub(crate) state: PortWord,
    /// The app that holds it, written `model/appN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) app: Option<String>,
    /// Who has it open on this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) used_by: Option<String>,
    /// One sentence, with what to do.
    pub(crate) sentence: String,
}

/// A port's state in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PortWord {
    Free,
    Ephemeral,
    Blocked,
    Pool,
    InUse,
    Promised,
    OtherRole,
    Frontend,
    Backend,
}

impl From<PortState> for PortWord {
    fn from(state: PortState) -> Self {
        match state {
            PortState::Free => PortWord::Free,
            PortState::Ephemeral => PortWord::Ephemeral,
            PortState::Blocked => PortWord::Blocked,
            PortState::Pool => PortWord::Pool,
            PortState::InUse => PortWord::InUse,
            PortState::Promised => PortWord::Promised,
            PortState::OtherRole => PortWord::OtherRole,
            PortState::Frontend => PortWord::Frontend,
            PortState::Backend => PortWord::Backend,
        }
    }
}

impl Explained {
    pub(crate) fn of(
        port: Port,
        state: PortState,
        app: Option<&AppKey>,
        holder: Option<&Holder>,
    ) -> Self {
        let used_by = holder.map(ToString::to_string);
        let used = used_by.as_ref().map_or_else(String::new, |user| {
            format!("; on this host {user} has it open")
        });
        let sentence = match (state, app) {
            (_, Some(app)) => format!("port {port} belongs to {app}{used}"),
            (PortState::Promised, None) => format!(
                "port {port} is promised to an app by a file of pre-configured ports{used}: it is nobody else's"
            ),
            (PortState::Blocked, None) => format!(
                "port {port} is blocked: no browser opens it, or the configuration keeps it back{used}"
            ),
            (PortState::Pool, None) => {
                format!("port {port} is in a pool that is kept for certain models{used}")
            }
            (PortState::Ephemeral, None) => format!(
                "port {port} is in the range that this host takes for outgoing connections, and given out last{used}"
            ),
            _ => format!("port {port} belongs to no app{used}"),
        };
        Self {
            port: port.get(),
            state: state.into(),
            app: app.map(ToString::to_string),
            used_by,
            sentence: format!(
                "{sentence}. Do not pick a port by hand: the tool allocate_ports gives one that is yours"
            ),
        }
    }
}

/// What is wrong.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Checked {
    /// The conflicts; none: all is well.
    pub(crate) conflicts: Vec<Wrong>,
}

/// Two claims on one port, or a claim that cannot be honoured.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Wrong {
    /// What kind of conflict it is.
    pub(crate) kind: String,
    /// Whether it is only a warning.
    pub(crate) is_warning: bool,
    /// The port, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    /// The apps that are concerned.
    pub(crate) apps: Vec<String>,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: String,
}

impl Wrong {
    pub(crate) fn of(conflict: Conflict) -> Self {
        Self {
            kind: conflict.kind.as_str().to_owned(),
            is_warning: conflict.kind.is_warning(),
            port: conflict.port.map(Port::get),
            apps: conflict.apps,
            message: conflict.message,
            hint: conflict.hint,
        }
    }
}

/// How to run an app on its ports.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RunHints {
    /// The app, written `model/appN`.
    pub(crate) app: String,
    /// The variables that the app should read its ports and names from.
    pub(crate) variables: BTreeMap<String, String>,
    /// Ways to run it, each a command or a line of a file, with what it is good for.
    pub(crate) ways: Vec<Way>,
}

/// A way to run an app.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Way {
    /// When to take it.
    pub(crate) when: String,
    /// What to write.
    pub(crate) write: String,
}

impl RunHints {
    pub(crate) fn of(
        allocation: &Allocation,
        variables: BTreeMap<String, String>,
        words: &str,
        space: &Space,
    ) -> Self {
        let space = match space.as_str() {
            "default" => String::new(),
            name => format!(" --space {name}"),
        };
        let way = |when: &str, write: String| Way {
            when: when.to_owned(),
            write,
        };
        let compose = allocation.ports.keys().next().map(|role| {
            let name = role.as_str().to_uppercase().replace('-', "_");
            let inside = allocation.ports.get(role).map_or(0, |port| port.get());
            format!("ports: [\"${{{name}_PORT:-{inside}}}:{inside}\"]")
        });
        let mut ways = vec![
            way(
                "a server that reads PORT or BACKEND_PORT",
                format!("portbook{space} run {words} -- COMMAND"),
            ),
            way(
                "a frontend's development server that reads PORT",
                format!("portbook{space} run {words} --role frontend -- COMMAND"),
            ),
            way(
                "a server that takes a listening socket (gunicorn, uvicorn, node): no stranger can take the port meanwhile",
                format!("portbook{space} run {words} --listen=fd -- COMMAND"),
            ),
            way(
                "a program that reads an .env file, Docker Compose among them",
                format!("portbook{space} env {words} --write .env"),
            ),
        ];
        ways.extend(compose.map(|line| way("docker-compose.yml", line)));
        Self {
            app: allocation.app.to_string(),
            variables,
            ways,
        }
    }
}
