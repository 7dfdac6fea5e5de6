//! `portbook validate`: what the apps' files say, against the book.

use portbook::engine::Surroundings;
use portbook::{ContainerFindings, PortAllocationService, Validated};

use super::check::{note_silent, paragraph};
use super::{Answer, Ending};
use crate::arguments::Validate;
use crate::output::{Complaint, GOOD, Output, counted};
use crate::progress::Progress;

pub(crate) fn run(
    arguments: &Validate,
    service: &PortAllocationService,
    output: &Output,
) -> Ending {
    let progress = Progress::of(output, "comparing with the book");
    let containers = match arguments.docker {
        true => Some(service.check_containers(&Surroundings::of_process())?),
        false => None,
    };
    let mut validated = match arguments.paths.as_slice() {
        [] => Validated::default(),
        paths => service.validate(paths, &|searched| progress.tell(searched, None))?,
    };
    drop(progress);
    if let Some(containers) = &containers {
        note_silent(&containers.silent, output);
        let conflicts = containers.conflicts.iter().cloned();
        validated.conflicts.extend(conflicts);
    }
    let conflicts = &validated.conflicts;
    if output.is_json() {
        output.answer_json(conflicts)?;
    } else if conflicts.is_empty() && validated.unread.is_empty() {
        let compared = compared(&validated, containers.as_ref());
        output.answer(&format!("{GOOD}no conflict{GOOD:#}: {compared}"))?;
    } else {
        output.answer(&conflicts.iter().map(paragraph).collect::<String>())?;
    }
    if !validated.unread.is_empty() {
        return Err(Complaint::about_unread(validated.unread));
    }
    match validated.conflicts.is_empty() {
        true => Ok(Answer::Yes),
        false => Ok(Answer::No),
    }
}

/// `4 published ports in 2 compose projects, 3 containers`
fn compared(validated: &Validated, containers: Option<&ContainerFindings>) -> String {
    let mut compared = format!(
        "{} in {}",
        counted(validated.ports, "published port"),
        counted(validated.projects, "compose project"),
    );
    if let Some(containers) = containers {
        let containers = counted(containers.containers, "container");
        compared.push_str(&format!(", {containers}"));
    }
    compared
}
