//! The sockets that a command is handed: bound before it starts, so that nobody can take its ports.
//!
//! portbook has them open only until the command runs: from then on the port is the command's alone. One
//! that stays open here would take connections that nobody accepts once the server has closed its own.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use portbook::apps::variables::port_variable;
use portbook::model::{Allocation, AppKey, HostView, Role};
use portbook_host::{ListenError, LocalHost, Reach, listen};

use super::becoming::FIRST_SOCKET;
use crate::arguments::Listen;
use crate::output::Complaint;

/// Listening sockets, one a role.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    roles: Vec<Role>,
    descriptors: Vec<OwnedFd>,
}

impl Sockets {
    /// Binds the app's ports: that of `role`, or all of them.
    pub(super) fn bind(
        allocation: &Allocation,
        role: Option<&Role>,
        reach: Reach,
    ) -> Result<Self, Complaint> {
        let mut sockets = Self::default();
        let wanted = |found: &Role| role.is_none_or(|role| role == found);
        let ports = allocation.ports.iter();
        for (role, port) in ports.filter(|(role, _)| wanted(role)) {
            let socket = listen(*port, reach);
            let socket = socket.map_err(|error| refused(error, role, &allocation.app))?;
            sockets.roles.push(role.clone());
            sockets.descriptors.push(socket);
        }
        Ok(sockets)
    }

    /// What they are called, in order.
    pub(super) fn names(&self) -> Vec<String> {
        self.roles.iter().map(ToString::to_string).collect()
    }

    /// The sockets, in order.
    pub(super) fn descriptors(&self) -> &[OwnedFd] {
        &self.descriptors
    }

    /// What the command is told of them besides LISTEN_FDS: variables, and what placeholders in its
    /// arguments stand for.
    pub(super) fn told(&self, how: Listen) -> Told {
        let mut told = Told::default();
        if how == Listen::Sockets {
            return told;
        }
        let numbered: Vec<(&Role, String)> = self
            .roles
            .iter()
            .zip((FIRST_SOCKET..).map(|number| number.to_string()))
            .collect();
        for (role, number) in &numbered {
            let variable = port_variable(role);
            let variable = variable.strip_suffix("_PORT").unwrap_or(&variable);
            told.variable(&format!("{variable}_FD"), number);
            told.placeholder(&format!("{role}_fd"), number);
        }
        if let Some((_, first)) = numbered.first() {
            told.placeholder("fd", first);
            told.variable("LISTEN_FD", first);
            // uvicorn reads each of its options from such a variable, here --fd.
            told.variable("UVICORN_FD", first);
            // `flask run` takes the socket that its reloader hands to the process that it starts.
            told.variable("WERKZEUG_SERVER_FD", first);
            told.variable("WERKZEUG_RUN_MAIN", "true");
        }
        told
    }
}

/// What a command is told of its sockets besides LISTEN_FDS.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) variables: BTreeMap<String, String>,
    pub(super) placeholders: BTreeMap<String, String>,
}

impl Told {
    fn variable(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    fn placeholder(&mut self, name: &str, value: &str) {
        let name = format!("{{{name}}}");
        self.placeholders.insert(name, value.to_owned());
    }
}

/// Whoever has the port is named, whether or not the host is looked at otherwise: it has shown itself.
fn refused(error: ListenError, role: &Role, app: &AppKey) -> Complaint {
    match error {
        ListenError::Taken(port) => {
            let who = match LocalHost::new().holder(port) {
                Some(holder) => holder.to_string(),
                None => "a process that cannot be seen from here".to_owned(),
            };
            let message = format!(
                "port {port}, the {role} of {app}, is in use on this host by {who}, so nothing was started"
            );
            Complaint::no("port-taken", message)
        }
        ListenError::NotHere(_) => Complaint::about_usage(
            format!("{error}, so nothing was started"),
            Some("`ip address` lists them"),
        ),
        error => Complaint::not_run(
            "not-listening",
            format!("{error}, so nothing was started"),
            5,
        ),
    }
}
