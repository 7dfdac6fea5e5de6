//! `portbook validate`: what the apps' files say, against the book.

use std::path::PathBuf;

use portbook::{Error, PortAllocationService, Validated};

use super::check::paragraph;
use super::{Answer, Ending};
use crate::arguments::Validate;
use crate::output::{Complaint, GOOD, Output, counted};
use crate::progress::Progress;

pub(crate) fn run(
    arguments: &Validate,
    service: &PortAllocationService,
    output: &Output,
) -> Ending {
    let validated = compare(&arguments.paths, service, output)?;
    let conflicts = &validated.conflicts;
    if output.is_json() {
        output.answer_json(conflicts)?;
    } else if conflicts.is_empty() && validated.unread.is_empty() {
        output.answer(&format!(
            "{GOOD}no conflict{GOOD:#}: {} in {}",
            counted(validated.ports, "published port"),
            counted(validated.projects, "compose project"),
        ))?;
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

/// Compares files with the book, with progress.
pub(super) fn compare(
    paths: &[PathBuf],
    service: &PortAllocationService,
    output: &Output,
) -> Result<Validated, Error> {
    let progress = Progress::of(output, "directories searched");
    service.validate(paths, &|searched| progress.tell(searched, None))
}
