//! `portbook import`: register what a file names.

use std::path::Path;

use portbook::{Error, PortAllocationService};

use super::{Answer, Ending};
use crate::arguments::Import;
use crate::output::{Complaint, Output, counted};
use crate::progress::Progress;

pub(crate) fn run(arguments: &Import, service: &PortAllocationService, output: &Output) -> Ending {
    if arguments.forget {
        return forget(&arguments.file, service, output);
    }
    let file = arguments.file.display();
    let progress = Progress::of(output, &format!("importing {file}"));
    let report = service.import(&arguments.file)?;
    drop(progress);
    if output.is_json() {
        output.answer_json(&report)?;
        return Ok(Answer::Yes);
    }
    for warning in &report.warnings {
        output.note(&format!("line {}: {}", warning.line, warning.message));
    }
    output.answer(&format!(
        "{} registered, {} unchanged, {}",
        counted(report.imported, "app"),
        report.unchanged,
        counted(report.warnings.len(), "warning")
    ))?;
    Ok(Answer::Yes)
}

fn forget(file: &Path, service: &PortAllocationService, output: &Output) -> Ending {
    let absolute = std::path::absolute(file).map_err(|error| Error::File {
        path: file.to_owned(),
        reason: error.to_string(),
    })?;
    let mut forgotten = service.forget_promises(&absolute.display().to_string())?;
    // The book knows a file by its path without `..`; of a file that is gone there may be no folder.
    if let (Some(Ok(folder)), Some(name)) = (
        absolute.parent().map(Path::canonicalize),
        absolute.file_name(),
    ) {
        forgotten |= service.forget_promises(&folder.join(name).display().to_string())?;
    }
    if !forgotten {
        return Err(Complaint::no(
            "nothing-to-forget",
            format!("the book knows no promises of {}", absolute.display()),
        ));
    }
    if output.is_json() {
        output.answer_json(&serde_json::json!({ "forgotten": absolute }))?;
    } else {
        output.answer(&format!(
            "the promises of {} are forgotten",
            absolute.display()
        ))?;
    }
    Ok(Answer::Yes)
}
