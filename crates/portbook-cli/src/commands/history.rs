//! `portbook history`: what happened.

use portbook::model::{Change, Notes, Ports, Recorded};
use portbook::{ChangeRecord, PortAllocationService};

use super::{Answer, Ending};
use crate::arguments::History;
use crate::output::{FAINT, Output, counted, to_the_second};

pub(crate) fn run(arguments: &History, service: &PortAllocationService, output: &Output) -> Ending {
    let history = service.history(arguments.model.clone(), arguments.app, arguments.last)?;
    if output.is_json() {
        let records: Vec<ChangeRecord> = history.into_iter().map(ChangeRecord::of).collect();
        output.answer_json(&records)?;
    } else if history.is_empty() {
        output.note("no change is asked for, or none has happened");
    } else {
        table(&history, output)?;
    }
    Ok(Answer::Yes)
}

fn table(history: &[Recorded], output: &Output) -> std::io::Result<()> {
    let mut table = output.table(["REV", "TIME", "CHANGE", "WHAT", "WHY", "BY"]);
    for recorded in history {
        table.add_row([
            recorded.revision.to_string(),
            format!("{FAINT}{}{FAINT:#}", to_the_second(&recorded.at)),
            recorded.change.name().to_owned(),
            subject(&recorded.change),
            cause(&recorded.change),
            recorded.actor.clone(),
        ]);
    }
    output.answer_table(table)
}

fn subject(change: &Change) -> String {
    match change {
        Change::Allocated { app, ports, .. }
        | Change::Extended { app, ports }
        | Change::Released { app, ports, .. } => format!("{app} {}", describe(ports)),
        Change::Renewed { app, lease } => format!("{app} until {}", lease.expires_at),
        Change::Noted { app, notes } => format!("{app} {}", remembered(notes)),
        Change::Moved { app, from, to, .. } => {
            format!("{app} from {} to {}", describe(from), describe(to))
        }
        Change::Promised { file } => {
            format!(
                "{} of {}",
                counted(file.promises.len(), "promise"),
                file.source
            )
        }
        Change::Unpromised { source } => format!("the promises of {source}"),
        Change::PoolAdded { pool } | Change::PoolRemoved { pool } => {
            format!("{}: {} for {}", pool.name, pool.ports, pool.models)
        }
        Change::Accepted => "the book as it lay".to_owned(),
    }
}

fn cause(change: &Change) -> String {
    match change {
        Change::Allocated { source, .. } => source.to_string(),
        Change::Released { cause, .. } => cause.as_str().to_owned(),
        Change::Moved { why, .. } => why.clone(),
        _ => String::new(),
    }
}

fn remembered(notes: &Notes) -> String {
    let mut parts = Vec::new();
    if let Some(directory) = &notes.directory {
        parts.push(format!("in {}", directory.path));
    }
    if let Some(run) = &notes.run {
        parts.push(format!("run by {}", run.process));
    }
    if let Some(since) = &notes.missing_since {
        parts.push(format!("missing since {}", to_the_second(since)));
    }
    match parts.as_slice() {
        [] => "forgotten".to_owned(),
        parts => parts.join(", "),
    }
}

fn describe(ports: &Ports) -> String {
    if ports.is_empty() {
        return "none".to_owned();
    }
    let parts: Vec<String> = ports
        .iter()
        .map(|(role, port)| format!("{role}={port}"))
        .collect();
    parts.join(" ")
}
