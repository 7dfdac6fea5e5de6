//! `portbook cleanup`: release the apps that are gone.

use portbook::engine::Surroundings;
use portbook::model::ReleaseCause;
use portbook::{Cleanup, CleanupRequest, Orphan, OrphanState, PortAllocationService};

use super::{Answer, Ending};
use crate::arguments;
use crate::output::{FAINT, GOOD, NOTABLE, Output, counted, to_the_second};
use crate::progress::Progress;

pub(crate) fn run(
    arguments: &arguments::Cleanup,
    service: &PortAllocationService,
    output: &Output,
) -> Ending {
    let request = CleanupRequest {
        models: None,
        apps_directory: arguments.apps_dir.clone(),
        grace: arguments.grace,
        max_share: arguments.max_share,
        engines: Some(Surroundings::of_process()),
    };
    let progress = Progress::of(output, "looking for the apps");
    let cleanup = match arguments.yes {
        true => service.clean_up(&request)?,
        false => service.preview_cleanup(&request)?,
    };
    drop(progress);
    if output.is_json() {
        output.answer_json(&cleanup)?;
        return Ok(Answer::Yes);
    }
    for untold in &cleanup.untold {
        let (app, reason) = (&untold.app, &untold.reason);
        output.note(&format!("{app} is left alone: {reason}"));
    }
    match cleanup.orphans.is_empty() {
        true => output.answer(&format!(
            "{GOOD}no app is gone{GOOD:#} in the space `{}`",
            service.space()
        ))?,
        false => {
            table(&cleanup.orphans, output)?;
            output.note(&summary(&cleanup));
        }
    }
    Ok(Answer::Yes)
}

fn table(orphans: &[Orphan], output: &Output) -> std::io::Result<()> {
    let mut table = output.table(["APP", "PORTS", "WHY", "MISSING SINCE", "DUE", ""]);
    for orphan in orphans {
        let ports: Vec<String> = orphan.ports.values().map(ToString::to_string).collect();
        let state = match orphan.state {
            OrphanState::Waiting => String::new(),
            OrphanState::Due => format!("{NOTABLE}due{NOTABLE:#}"),
            OrphanState::Released => format!("{GOOD}released{GOOD:#}"),
            OrphanState::CameBack => "left alone: it changed meanwhile".to_owned(),
        };
        table.add_row([
            orphan.app.to_string(),
            ports.join(", "),
            why(orphan),
            format!("{FAINT}{}{FAINT:#}", to_the_second(&orphan.since)),
            format!("{FAINT}{}{FAINT:#}", to_the_second(&orphan.due)),
            state,
        ]);
    }
    output.answer_table(table)
}

fn why(orphan: &Orphan) -> String {
    match (orphan.why, &orphan.directory) {
        (ReleaseCause::DirectoryGone, Some(directory)) => {
            format!("{} is gone", directory.display())
        }
        (ReleaseCause::LeaseEnded, _) => "its lease has ended".to_owned(),
        (ReleaseCause::RunEnded, _) => "the run that it was made for has ended".to_owned(),
        (cause, _) => cause.as_str().to_owned(),
    }
}

fn summary(cleanup: &Cleanup) -> String {
    let count = |state| {
        let of_state = cleanup
            .orphans
            .iter()
            .filter(|orphan| orphan.state == state);
        counted(of_state.count(), "app")
    };
    let waiting = count(OrphanState::Waiting);
    match cleanup.applied {
        true => format!(
            "{} released, {waiting} noted as missing",
            count(OrphanState::Released)
        ),
        false => format!(
            "{} would be released, {waiting} once the grace is over; --yes does it",
            count(OrphanState::Due)
        ),
    }
}
