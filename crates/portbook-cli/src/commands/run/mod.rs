//! `portbook run`: a command with an app's ports.

mod becoming;
mod sockets;
mod supervision;

use std::io;
use std::path::Path;
use std::time::Duration;

use portbook::model::{
    Allocation, AllocationRequest, AppKey, Grant, ProcessIdentity, Role, RunRequest,
};
use portbook::{EndedRun, Error, PortAllocationService, RunPlace, process_identity};
use rustix::io::Errno;

use self::becoming::{Becoming, Orders};
use self::sockets::{Sockets, Told};
use self::supervision::{End, Supervisor};
use super::{Answer, Ending};
use crate::arguments::Run;
use crate::output::{Complaint, Output};

pub(crate) use self::becoming::become_command;

/// The shortest time between two renewals of a lease.
const SHORTEST_RENEWAL: Duration = Duration::from_millis(100);

pub(super) fn run(arguments: &Run, service: &PortAllocationService, output: &Output) -> Ending {
    let becoming = Becoming::start(&arguments.command).map_err(|error| unstarted(&error))?;
    let process = process_identity(becoming.pid()).ok_or_else(unnamed)?;
    let begun = service.begin_run(RunRequest {
        app: app(arguments, service)?,
        roles: roles(arguments),
        ttl: arguments.ttl,
        process: process.clone(),
        release_on_exit: arguments.release_on_exit,
        ended: None,
    })?;
    let running = Running {
        arguments,
        service,
        output,
        grant: begun.grant,
        place: begun.place,
        process,
    };
    running.tell_of_others();
    let mut survivors = Vec::new();
    let ended = running.carry_out(becoming, &mut survivors);
    running.close(&survivors);
    Ok(Answer::Status(ended?.exit_status()))
}

/// The app to run. A checkout has to be known to the book before anything can be run as the app that it is.
fn app(arguments: &Run, service: &PortAllocationService) -> Result<AppKey, Error> {
    if !arguments.app.here {
        return super::here::app(&arguments.app, service);
    }
    let request = AllocationRequest {
        roles: roles(arguments),
        ttl: arguments.ttl,
        ..AllocationRequest::plain(Vec::new())
    };
    let grant = service.allocate_here(&super::here::checkout()?, &request)?;
    Ok(grant.allocation.app)
}

/// The roles to ask for: a role whose port is to be PORT is wanted, too.
fn roles(arguments: &Run) -> std::collections::BTreeSet<Role> {
    let named = arguments.roles.iter().chain(&arguments.role);
    named.cloned().collect()
}

/// A command from its ports to its end.
struct Running<'a> {
    arguments: &'a Run,
    service: &'a PortAllocationService,
    output: &'a Output,
    grant: Grant,
    place: RunPlace,
    process: ProcessIdentity,
}

impl Running<'_> {
    fn app(&self) -> &AppKey {
        &self.grant.allocation.app
    }

    /// Says who else has to do with the app or its ports: the command may well cope with that.
    fn tell_of_others(&self) {
        super::allocate::warn(&self.grant, self.service, self.output);
        let app = self.app();
        let allocation = &self.grant.allocation;
        match &self.place {
            RunPlace::Within(_) => return,
            RunPlace::Beside(run) => {
                let process = portbook_host::process(run.process.pid);
                let name = process.map(|process| format!(" ({})", process.name));
                return self.output.note(&format!(
                    "{app} is run already by {}{}; this command runs beside it",
                    run.process,
                    name.unwrap_or_default()
                ));
            }
            RunPlace::Noted(run) => {
                if self.arguments.release_on_exit && !run.release_on_exit {
                    self.output.note(&format!(
                        "{app} had its ports before this run, so it keeps them"
                    ));
                }
            }
        }
        if self.arguments.ttl.is_some() && allocation.lease.is_none() {
            self.output.note(&format!(
                "{app} has its ports for good, so --ttl says nothing"
            ));
        }
        // Those that were just allocated have been looked at, those to be bound will be.
        if !self.grant.created && self.arguments.listen.is_none() {
            self.tell_of_holders();
        }
    }

    fn tell_of_holders(&self) {
        let host = self.service.host_view();
        for (role, port) in &self.grant.allocation.ports {
            // Whether a port is free is asked for a note only: that it cannot be told is none.
            if host.is_in_use(*port) != Ok(true) {
                continue;
            }
            let who = match host.holder(*port) {
                Some(holder) => holder.to_string(),
                None => "a process that cannot be seen from here".to_owned(),
            };
            let app = self.app();
            self.output.note(&format!(
                "port {port}, the {role} of {app}, is in use on this host by {who}"
            ));
        }
    }

    /// Has the command run, and gives its end. Whatever happens to be left of it is in `survivors`.
    fn carry_out(&self, becoming: Becoming, survivors: &mut Vec<u32>) -> Result<End, Complaint> {
        let sockets = self.sockets()?;
        let told = self.arguments.listen.map(|how| sockets.told(how));
        let Told {
            variables,
            placeholders,
        } = told.unwrap_or_default();
        let orders = Orders {
            variables: self.variables()?.into_iter().chain(variables).collect(),
            sockets: sockets.names(),
            placeholders,
        };
        let mut supervisor = Supervisor::of(becoming.pid()).map_err(|error| unstarted(&error))?;
        becoming
            .proceed(&orders, sockets.descriptors())
            .map_err(|error| self.not_executed(&error))?;
        drop(sockets);
        let lease = self.grant.allocation.lease;
        let interval = lease.map(|lease| renewal_interval(lease.ttl.duration()));
        let mut renewal = Renewal {
            running: self,
            interval,
            has_failed: false,
        };
        let end = supervisor.await_end(interval, || renewal.renew());
        let end = end.map_err(|error| unsupervised(&error))?;
        *survivors = supervisor
            .survivors()
            .map_err(|error| unsupervised(&error))?;
        Ok(end)
    }

    fn sockets(&self) -> Result<Sockets, Complaint> {
        let Run {
            listen, role, bind, ..
        } = self.arguments;
        match listen {
            Some(_) => Sockets::bind(&self.grant.allocation, role.as_ref(), *bind),
            None => Ok(Sockets::default()),
        }
    }

    fn variables(&self) -> Result<std::collections::BTreeMap<String, String>, Complaint> {
        let Allocation { ports, .. } = &self.grant.allocation;
        let mut variables = self.service.variables(&self.grant.allocation)?;
        let role = self.arguments.role.clone().unwrap_or_else(Role::backend);
        if let Some(port) = ports.get(&role) {
            variables.insert("PORT".to_owned(), port.to_string());
        }
        Ok(variables)
    }

    /// Has the book know that the command has ended. That it does not know is no failure of the
    /// command's: whoever looks next finds the process gone.
    fn close(&self, survivors: &[u32]) {
        if !matches!(self.place, RunPlace::Noted(_)) {
            return;
        }
        let app = self.app();
        match self.service.end_run(app, &self.process, survivors) {
            Ok(EndedRun::Forgotten | EndedRun::NotNoted) => {}
            Ok(EndedRun::Released(ports)) => {
                let ports: Vec<String> = ports.values().map(ToString::to_string).collect();
                let ports = ports.join(", ");
                self.output.detail(&format!("released {ports} of {app}"));
            }
            Ok(EndedRun::GoesOn(holder)) => self.output.note(&format!(
                "the command has ended, and {app} goes on: port {} is in use by {holder}",
                holder.port
            )),
            Err(error) => self.output.note(&format!(
                "the book could not be told that the command of {app} has ended: {error}"
            )),
        }
    }

    /// As shells tell it: 127 where there is no such command, 126 where it cannot be executed.
    fn not_executed(&self, error: &io::Error) -> Complaint {
        let name = self.arguments.command.first().map(Path::new);
        let name = name.unwrap_or(Path::new(""));
        let shown = name.display();
        let is_missing = error.kind() == io::ErrorKind::NotFound;
        // A path that names a file: what is missing is the interpreter in its first line.
        if is_missing && name.components().count() > 1 && name.exists() {
            let message = format!("`{shown}` cannot be executed: its interpreter is missing");
            return Complaint::not_run("command-not-executable", message, 126);
        }
        if is_missing {
            let message = format!("`{shown}` is no command that can be found");
            return Complaint::not_run("command-not-found", message, 127);
        }
        let reason = match Errno::from_io_error(error) {
            Some(Errno::ACCESS) if name.is_dir() => "it is a directory".to_owned(),
            Some(Errno::ACCESS) => "it is not executable (chmod +x)".to_owned(),
            _ => error.to_string(),
        };
        let message = format!("`{shown}` cannot be executed: {reason}");
        Complaint::not_run("command-not-executable", message, 126)
    }
}

/// The lease is renewed while the command runs.
struct Renewal<'a> {
    running: &'a Running<'a>,
    interval: Option<Duration>,
    has_failed: bool,
}

impl Renewal<'_> {
    /// Renews it, and says when the next time is; `None` where there is nothing to be renewed any more.
    fn renew(&mut self) -> Option<Duration> {
        let Running {
            service, output, ..
        } = self.running;
        let app = self.running.app();
        match service.renew(app.clone(), None) {
            Ok(_) => self.has_failed = false,
            Err(Error::Refused(refusal)) => {
                output.note(&format!("the lease of {app} is not renewed: {refusal}"));
                return None;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.has_failed, true) {
                    output.note(&format!(
                        "the lease of {app} could not be renewed, and is tried again: {error}"
                    ));
                }
            }
        }
        self.interval
    }
}

/// Two renewals may fail before the lease ends.
fn renewal_interval(ttl: Duration) -> Duration {
    (ttl / 3).max(SHORTEST_RENEWAL)
}

fn unstarted(error: &io::Error) -> Complaint {
    let message = format!("no process could be started for the command: {error}");
    Complaint::not_run("not-started", message, 5)
}

fn unnamed() -> Complaint {
    let message = "the command's process cannot be told from others: mount /proc".to_owned();
    Complaint::not_run("not-started", message, 5)
}

fn unsupervised(error: &io::Error) -> Complaint {
    let message = format!("the command runs on, and its end cannot be waited for: {error}");
    Complaint::not_run("not-supervised", message, 5)
}
