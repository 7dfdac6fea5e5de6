//! `portbook check`: every conflict, and in which state each app is.

use portbook::engine::{EngineError, Surroundings};
use portbook::{
    AppState, AppTruth, Comparison, Conflict, Error, Findings, PortAllocationService, PortTruth,
};

use super::{Answer, Ending};
use crate::arguments::Check;
use crate::output::{BAD, Complaint, FAINT, GOOD, NOTABLE, Output, on_one_line};
use crate::progress::Progress;

pub(crate) fn run(arguments: &Check, service: &PortAllocationService, output: &Output) -> Ending {
    let progress = Progress::of(output, "checking the book");
    let findings = find(arguments, service, &progress)?;
    drop(progress);
    let answer = tell(arguments, &findings, service, output)?;
    match findings.unread.is_empty() {
        true => Ok(answer),
        false => Err(Complaint::about_unread(findings.unread)),
    }
}

fn tell(
    arguments: &Check,
    findings: &Findings,
    service: &PortAllocationService,
    output: &Output,
) -> Ending {
    note_silent(&findings.silent, output);
    let conflicts = &findings.conflicts;
    let has_conflict = conflicts.iter().any(|conflict| !conflict.kind.is_warning());
    let answer = if has_conflict {
        Answer::No
    } else {
        Answer::Yes
    };
    if output.is_json() {
        match arguments.states {
            true => output.answer_json(&findings.apps)?,
            false => output.answer_json(conflicts)?,
        }
        return Ok(answer);
    }
    let mut text: String = conflicts.iter().map(paragraph).collect();
    if conflicts.is_empty() {
        text = format!(
            "{GOOD}no conflict{GOOD:#} in the space `{}`\n",
            service.space()
        );
    }
    if !findings.apps.is_empty() {
        text.push('\n');
        output.answer(&text)?;
        return states(&findings.apps, output).map(|()| answer);
    }
    output.answer(&text)?;
    Ok(answer)
}

/// A plain check is answered where the book is kept; what is asked of this machine, here.
fn find(
    arguments: &Check,
    service: &PortAllocationService,
    progress: &Progress,
) -> Result<Findings, Error> {
    let searched = |directories| progress.tell(directories, None);
    if arguments.docker || arguments.states {
        let comparison = Comparison {
            host: arguments.host || service.checks_host(),
            engines: arguments.docker.then(Surroundings::of_process),
            files: arguments.files.clone(),
        };
        return service.compare(&comparison, &searched);
    }
    let mut findings = Findings {
        conflicts: match arguments.host {
            true => service.check(true)?,
            false => service.check_port_conflicts()?,
        },
        ..Findings::default()
    };
    if !arguments.files.is_empty() {
        let validated = service.validate(&arguments.files, &searched)?;
        findings.conflicts.extend(validated.conflicts);
        findings.unread = validated.unread;
    }
    Ok(findings)
}

/// Tells of the engines that were not heard.
pub(super) fn note_silent(engines: &[EngineError], output: &Output) {
    for engine in engines {
        output.note(&format!("{engine}; its containers are not checked"));
    }
}

/// A conflict as it is told: where, which kind, what, and what to do.
pub(super) fn paragraph(conflict: &Conflict) -> String {
    let place = conflict.place.as_ref().map(|place| format!("{place}: "));
    let style = if conflict.kind.is_warning() {
        NOTABLE
    } else {
        BAD
    };
    format!(
        "{}{style}{}{style:#} {}\n  {FAINT}{}{FAINT:#}\n",
        on_one_line(&place.unwrap_or_default()),
        conflict.kind.as_str(),
        on_one_line(&conflict.message),
        on_one_line(&conflict.hint)
    )
}

/// One line a port, then one for whatever says another.
fn states(apps: &[AppTruth], output: &Output) -> Result<(), Complaint> {
    let mut table = output.table(["APP", "STATE", "PORT", "THERE"]);
    for app in apps {
        let mut name = app.app.to_string();
        let mut state = named(app.state);
        for port in &app.ports {
            table.add_row([
                std::mem::take(&mut name),
                std::mem::take(&mut state),
                format!("{} {}", port.role, port.port),
                there(port),
            ]);
        }
        for drift in &app.drifts {
            let place = drift.place.as_ref().map(|place| format!("{place}: "));
            let said = format!("{}{}", place.unwrap_or_default(), drift.message);
            table.add_row([String::new(), String::new(), "drift".to_owned(), said]);
        }
    }
    output.answer_table(table)?;
    Ok(())
}

fn named(state: AppState) -> String {
    let style = match state {
        AppState::Confirmed => GOOD,
        AppState::Reserved => FAINT,
        AppState::Unclear => NOTABLE,
        AppState::Drifting | AppState::Foreign => BAD,
    };
    format!("{style}{}{style:#}", state.as_str())
}

fn there(port: &PortTruth) -> String {
    let holders = port.holders.iter().map(|holder| holder.text.as_str());
    match holders.collect::<Vec<_>>().as_slice() {
        [] => format!("{FAINT}nobody{FAINT:#}"),
        holders => holders.join("; "),
    }
}
