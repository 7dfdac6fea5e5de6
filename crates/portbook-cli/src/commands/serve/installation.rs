//! `portbook serve --install`: writes the files that make the server a service, and says what they do.
//! Nothing is started or enabled unless that is asked for.

use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

use super::units::{Kind, Manager, UnitFile, Wanted};
use crate::arguments::{Global, Serve};
use crate::commands::{Answer, Ending};
use crate::output::{Complaint, Output};

/// What was found where a file is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Found {
    Nothing,
    Same,
    Different,
}

/// A file with its place.
#[derive(Serialize)]
struct Placed {
    path: PathBuf,
    found: Found,
    text: String,
}

#[derive(Serialize)]
struct Installed<'a> {
    files: &'a [Placed],
    next: &'a [String],
    enabled: bool,
}

pub(super) fn run(arguments: &Serve, global: &Global, output: &Output) -> Ending {
    let manager = match arguments.user {
        true => Manager::User,
        false => Manager::System,
    };
    let wanted = Wanted {
        manager,
        arguments,
        global,
        program: env::current_exe()
            .map_err(|error| failed(format!("this program cannot be found again: {error}")))?,
        runtime: match manager {
            Manager::System => Some("/run".into()),
            Manager::User => env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from),
        },
    };
    let places = Places::of(manager, arguments)?;
    let files: Vec<Placed> = wanted
        .files()?
        .into_iter()
        .map(|file| places.place(file))
        .collect::<Result<_, _>>()?;
    let next = places.next_steps(&wanted);
    if arguments.print {
        print(&files, output)?;
        return Ok(Answer::Yes);
    }
    refuse_to_replace(&files, arguments)?;
    for file in files.iter().filter(|file| file.found != Found::Same) {
        write(file).map_err(|error| {
            failed(format!(
                "{} cannot be written: {error}",
                file.path.display()
            ))
        })?;
    }
    if output.is_json() {
        output.answer_json(&Installed {
            files: &files,
            next: &next,
            enabled: arguments.enable,
        })?;
    } else {
        output.answer(&explained(&files, &next, &wanted))?;
    }
    warn(&wanted, output);
    if arguments.enable {
        for step in &next {
            output.note(&format!("running {step}"));
            carry_out(step)?;
        }
    }
    Ok(Answer::Yes)
}

/// Where the files go.
struct Places {
    manager: Manager,
    units: PathBuf,
    users: PathBuf,
    /// Whether the manager looks there by itself.
    are_the_managers: bool,
}

impl Places {
    fn of(manager: Manager, arguments: &Serve) -> Result<Self, Complaint> {
        let root = arguments.install.clone().flatten();
        let are_the_managers = root.is_none();
        let units = match (manager, &root) {
            (Manager::System, _) => PathBuf::from("/etc/systemd/system"),
            (Manager::User, Some(_)) => PathBuf::from("/etc/systemd/user"),
            (Manager::User, None) => folder_of_user()?,
        };
        let below = |folder: PathBuf| match &root {
            Some(root) => root.join(folder.strip_prefix("/").unwrap_or(&folder)),
            None => folder,
        };
        Ok(Self {
            manager,
            units: below(units),
            users: below(PathBuf::from("/etc/sysusers.d")),
            are_the_managers,
        })
    }

    fn place(&self, file: UnitFile) -> Result<Placed, Complaint> {
        let folder = match file.kind {
            Kind::Unit => &self.units,
            Kind::User => &self.users,
        };
        let path = folder.join(file.name);
        let found = match fs::read(&path) {
            Ok(there) if there == file.text.as_bytes() => Found::Same,
            Ok(_) => Found::Different,
            Err(error) if error.kind() == ErrorKind::NotFound => Found::Nothing,
            Err(error) => {
                let path = path.display();
                return Err(failed(format!("{path} cannot be read: {error}")));
            }
        };
        Ok(Placed {
            path,
            found,
            text: file.text,
        })
    }

    /// What is to be run for the server to be there, in order.
    fn next_steps(&self, wanted: &Wanted<'_>) -> Vec<String> {
        if !self.are_the_managers {
            return Vec::new();
        }
        let sockets = wanted.sockets().join(" ");
        match self.manager {
            Manager::System => vec![
                format!("systemd-sysusers {}/portbook.conf", self.users.display()),
                "systemctl daemon-reload".to_owned(),
                format!("systemctl enable --now {sockets}"),
            ],
            Manager::User => vec![
                "systemctl --user daemon-reload".to_owned(),
                format!("systemctl --user enable --now {sockets}"),
            ],
        }
    }
}

/// Where a user's own units are (systemd.unit(5), "User Unit Search Path").
fn folder_of_user() -> Result<PathBuf, Complaint> {
    let folder = |variable| env::var_os(variable).filter(|folder| !folder.is_empty());
    let configuration = folder("XDG_CONFIG_HOME").map(PathBuf::from);
    let configuration = configuration
        .or_else(|| folder("HOME").map(|home| PathBuf::from(home).join(".config")))
        .ok_or_else(|| {
            Complaint::about_usage(
                "neither XDG_CONFIG_HOME nor HOME says where your units are: set one".to_owned(),
                None,
            )
        })?;
    Ok(configuration.join("systemd/user"))
}

fn refuse_to_replace(files: &[Placed], arguments: &Serve) -> Result<(), Complaint> {
    let others: Vec<String> = files
        .iter()
        .filter(|file| file.found == Found::Different)
        .map(|file| file.path.display().to_string())
        .collect();
    if others.is_empty() || arguments.force {
        return Ok(());
    }
    let message = format!(
        "something else is there already, and nothing was written: {}",
        others.join(", ")
    );
    let hint = "--print shows what would be written, and --force writes it";
    Err(Complaint::about_usage(message, Some(hint)))
}

fn write(file: &Placed) -> io::Result<()> {
    if let Some(folder) = file.path.parent() {
        fs::create_dir_all(folder)?;
    }
    portbook::apps::replacement::replace(&file.path, file.text.as_bytes())
}

fn print(files: &[Placed], output: &Output) -> io::Result<()> {
    if output.is_json() {
        return output.answer_json(&Installed {
            files,
            next: &[],
            enabled: false,
        });
    }
    let texts: Vec<String> = files
        .iter()
        .map(|file| format!("# {}\n{}", file.path.display(), file.text))
        .collect();
    output.answer(texts.join("\n").trim_end())
}

fn explained(files: &[Placed], next: &[String], wanted: &Wanted<'_>) -> String {
    let mut lines = Vec::new();
    for file in files {
        let done = match file.found {
            Found::Nothing => "wrote",
            Found::Same => "kept",
            Found::Different => "replaced",
        };
        let path = file.path.display();
        lines.push(format!("{done} {path}: {}", purpose(&file.path)));
    }
    let address = wanted.addresses().into_iter().next().unwrap_or_default();
    if !next.is_empty() {
        lines.push(String::new());
        lines.push("To start it, now and with every boot:".to_owned());
        lines.extend(next.iter().map(|step| format!("  {step}")));
        lines.push(String::new());
        lines.push(format!(
            "Then portbook --store {address} list asks it; PORTBOOK_STORE={address} has every command do so."
        ));
    }
    lines.join("\n")
}

fn purpose(path: &Path) -> &'static str {
    match path.file_name().and_then(|name| name.to_str()) {
        Some("portbook.service") => "the server, started by the first who asks",
        Some("portbook.socket") => "where it listens, also while it is started anew",
        Some("portbook-portserver.socket") => "where programs ask for a port while they run",
        _ => "the user that it runs as",
    }
}

/// What is as it was asked for, and may not be what is wanted.
fn warn(wanted: &Wanted<'_>, output: &Output) {
    let is_tcp = wanted.addresses().iter().any(|at| at.starts_with("http"));
    if is_tcp && wanted.arguments.token_file.is_none() {
        output.note(
            "every user of this machine may ask it: --listen unix:PATH or --token-file keeps it to some",
        );
    }
    if wanted.manager == Manager::User {
        output.note("it runs while you are logged in; `loginctl enable-linger` has it run without");
        return;
    }
    let files = [
        &wanted.arguments.token_file,
        &wanted.arguments.tls_cert,
        &wanted.arguments.tls_key,
        &wanted.global.config,
        &wanted.global.port_config,
    ];
    for file in files.into_iter().flatten() {
        let file = file.display();
        output.note(&format!(
            "the user portbook has to be able to read {file}: chgrp portbook {file}; chmod 640 {file}"
        ));
    }
    if wanted.program.starts_with("/home") || wanted.program.starts_with("/root") {
        output.note(&format!(
            "{} is in a home, where the user portbook may not come: put it into /usr/local/bin, and install from there",
            wanted.program.display()
        ));
    }
}

fn carry_out(step: &str) -> Result<(), Complaint> {
    let mut words = step.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    let status = command.args(words).status();
    let status = status.map_err(|error| failed(format!("`{step}` cannot be run: {error}")))?;
    match status.success() {
        true => Ok(()),
        false => Err(failed(format!("`{step}` failed"))),
    }
}

fn failed(message: String) -> Complaint {
    Complaint::other("installation", message)
}
