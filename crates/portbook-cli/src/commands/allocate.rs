//! `portbook allocate`: get or allocate.

use portbook::apps::variables::port_variables;
use portbook::model::{AllocationRequest, Grant, Port, Ports, Role, SocketUse};
use portbook::{Error, GrantRecord, PortAllocationService};

use super::{Answer, Ending};
use crate::arguments::{Allocate, AllocateFormat};
use crate::output::{Complaint, FAINT, GOOD, Output};

pub(crate) fn run(
    arguments: &Allocate,
    service: &PortAllocationService,
    output: &Output,
) -> Ending {
    let apps = super::here::apps(&arguments.apps);
    let is_one = apps.as_ref().is_none_or(|apps| apps.len() == 1);
    if arguments.format == AllocateFormat::Env && !is_one {
        return Err(Complaint::about_usage(
            "--format env is for one app, not for several".to_owned(),
            Some("ask for one app at a time"),
        ));
    }
    let is_here = apps.is_none();
    let request = AllocationRequest {
        apps: apps.unwrap_or_default(),
        roles: arguments.roles.iter().cloned().collect(),
        pins: pins(&arguments.ports)?,
        ttl: arguments.ttl,
        explain: arguments.explain,
    };
    let grants = match is_here {
        true => vec![service.allocate_here(&super::here::checkout()?, &request)?],
        false => service.allocate(&request)?,
    };
    grants.iter().for_each(|grant| warn(grant, service, output));
    match arguments.format {
        AllocateFormat::Env => output.answer(&environment(&grants)?)?,
        AllocateFormat::Json => json(&grants, is_one, service, output)?,
        AllocateFormat::Table if output.is_json() => json(&grants, is_one, service, output)?,
        AllocateFormat::Table => table(&grants, output)?,
    }
    Ok(Answer::Yes)
}

pub(super) fn pins(named: &[(Role, Port)]) -> Result<Ports, Complaint> {
    let mut pins = Ports::new();
    for (role, port) in named {
        if pins.insert(role.clone(), *port).is_some() {
            return Err(Complaint::about_usage(
                format!("--ports names the role `{role}` twice"),
                Some("name each role once"),
            ));
        }
    }
    Ok(pins)
}

/// A pre-configured port is kept though something uses it, or could not be kept: its app should know.
pub(super) fn warn(grant: &Grant, service: &PortAllocationService, output: &Output) {
    for (role, port) in &grant.unkept {
        let app = &grant.allocation.app;
        output.note(&format!(
            "port {port} is promised to {app} as its {role}, which has another since an app holds what was promised: `portbook check` names it"
        ));
    }
    for port in &grant.in_use {
        let holder = service.holder(*port);
        let who = match &holder {
            Some(holder) if holder.usage == SocketUse::Connected => {
                format!("the local end of a connection of {holder}")
            }
            Some(holder) => format!("in use on this host by {holder}"),
            None => "in use on this host".to_owned(),
        };
        let app = &grant.allocation.app;
        output.note(&format!(
            "port {port}, which is promised to {app}, is {who}"
        ));
    }
}

fn json(
    grants: &[Grant],
    is_one: bool,
    service: &PortAllocationService,
    output: &Output,
) -> std::io::Result<()> {
    let records: Vec<GrantRecord> = grants
        .iter()
        .map(|grant| GrantRecord::of(grant, service.space()))
        .collect();
    match records.as_slice() {
        [record] if is_one => output.answer_json(record),
        records => output.answer_json(&records),
    }
}

/// The ports alone, by the names that `portbook env` has for them.
fn environment(grants: &[Grant]) -> Result<String, Error> {
    let mut lines = String::new();
    for grant in grants {
        for (name, port) in port_variables(&grant.allocation.ports)? {
            lines.push_str(&format!("{name}={port}\n"));
        }
    }
    Ok(lines)
}

pub(super) fn table(grants: &[Grant], output: &Output) -> std::io::Result<()> {
    let rows = grants.iter().map(|grant| {
        let note = match (grant.created, grant.added.is_empty()) {
            (true, _) => format!("{GOOD}new{GOOD:#} ({})", grant.allocation.source),
            (false, true) => String::new(),
            (false, false) => format!("{GOOD}added{GOOD:#}"),
        };
        (&grant.allocation, note)
    });
    super::get::table(rows, output)?;
    for grant in grants {
        let Some(explanation) = &grant.explanation else {
            continue;
        };
        let mut text = format!("\n{}: {}\n", grant.allocation.app, explanation.reason);
        for passed in &explanation.passed_over {
            text.push_str(&format!(
                "  {FAINT}{} {}:{FAINT:#} {}\n",
                passed.role, passed.port, passed.why
            ));
        }
        output.answer(&text)?;
    }
    Ok(())
}
