//! `portbook repair`: move what is in conflict.

use portbook::engine::Surroundings;
use portbook::model::{AppKey, AppNumber, InvalidAppNumber, InvalidModel, Model};
use portbook::{
    AskEngines, FileChange, FileRepair, LeftConflict, MoveByHand, MovedPort, PortAllocationService,
    Repair, RepairRequest,
};

use super::allocate::pins;
use super::{Answer, Ending};
use crate::arguments;
use crate::output::{BAD, Complaint, FAINT, GOOD, Output, counted, on_one_line};
use crate::progress::Progress;

pub(crate) fn run(
    arguments: &arguments::Repair,
    service: &PortAllocationService,
    output: &Output,
) -> Ending {
    let request = RepairRequest {
        include_running: arguments.include_running,
        by_hand: by_hand(arguments)?,
        apps_directories: arguments.apps_dir.clone(),
        engines: match arguments.docker {
            true => AskEngines::Always(Surroundings::of_process()),
            false if service.checks_host() => AskEngines::IfThere(Surroundings::of_process()),
            false => AskEngines::Never,
        },
    };
    let progress = Progress::of(output, "repairing");
    let repair = match arguments.yes {
        true => service.repair(&request)?,
        false => service.preview_repair(&request)?,
    };
    drop(progress);
    let answer = match repair.is_whole() {
        true => Answer::Yes,
        false => Answer::No,
    };
    if output.is_json() {
        output.answer_json(&repair)?;
    } else {
        tell(&repair, service, output)?;
    }
    Ok(answer)
}

fn by_hand(arguments: &arguments::Repair) -> Result<Option<MoveByHand>, Complaint> {
    let Some([model, number]) = arguments.app.as_deref() else {
        return Ok(None);
    };
    let wrong = |error: String| Complaint::about_usage(format!("--move: {error}"), None);
    let model: Model = model
        .parse()
        .map_err(|error: InvalidModel| wrong(error.to_string()))?;
    let number: AppNumber = number
        .parse()
        .map_err(|error: InvalidAppNumber| wrong(error.to_string()))?;
    Ok(Some(MoveByHand {
        app: AppKey::new(model, number),
        to: pins(&arguments.ports)?,
    }))
}

fn tell(repair: &Repair, service: &PortAllocationService, output: &Output) -> std::io::Result<()> {
    repair.notes.iter().for_each(|note| output.note(note));
    if repair.moves.is_empty() && repair.left.is_empty() && repair.files.is_empty() {
        let space = service.space();
        return output.answer(&format!(
            "{GOOD}nothing to repair{GOOD:#} in the space `{space}`"
        ));
    }
    if !repair.moves.is_empty() {
        moves(&repair.moves, output)?;
    }
    if !repair.files.is_empty() {
        files(&repair.files, output)?;
    }
    output.answer(&left(repair))?;
    let ports = counted(repair.moves.len(), "port");
    let files = counted(repair.files.len(), "file");
    output.note(&match repair.applied {
        true => format!("{ports} moved, {files} looked after"),
        false => format!("{ports} would move, {files} would be looked after; --yes does it"),
    });
    Ok(())
}

fn moves(moves: &[MovedPort], output: &Output) -> std::io::Result<()> {
    let mut table = output.table(["APP", "ROLE", "FROM", "TO", "WHY"]);
    for step in moves {
        table.add_row([
            step.app.to_string(),
            step.role.to_string(),
            step.from.to_string(),
            format!("{GOOD}{}{GOOD:#}", step.to),
            step.why.clone(),
        ]);
    }
    output.answer_table(table)
}

fn files(files: &[FileRepair], output: &Output) -> std::io::Result<()> {
    let mut table = output.table(["FILE", "LINES", "HOW", ""]);
    for file in files {
        let how = match file.how {
            _ if file.lines.is_empty() => "",
            FileChange::Refilled => "filled in anew",
            FileChange::Merged => "merged with its edits",
            FileChange::Rewritten => "digits changed",
        };
        table.add_row([
            on_one_line(&file.file.display().to_string()).into_owned(),
            listed(&file.lines),
            how.to_owned(),
            remark(file),
        ]);
    }
    output.answer_table(table)
}

fn remark(file: &FileRepair) -> String {
    let mut remarks = Vec::new();
    if let Some(error) = &file.error {
        remarks.push(format!("{BAD}{error}{BAD:#}"));
    }
    if let Some(kept) = &file.kept {
        let name = kept.file_name().unwrap_or_default();
        remarks.push(format!(
            "{FAINT}old one kept as {}{FAINT:#}",
            name.display()
        ));
    }
    if !file.unclear.is_empty() {
        let lines = listed(&file.unclear);
        remarks.push(format!(
            "{BAD}look at {lines} yourself{BAD:#}: the port there is the app's for another role now"
        ));
    }
    remarks.join("; ")
}

fn listed(lines: &[usize]) -> String {
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    lines.join(", ")
}

fn left(repair: &Repair) -> String {
    let told = |left: &LeftConflict| {
        let (kind, message) = (left.conflict.kind.as_str(), &left.conflict.message);
        let why = &left.why;
        format!("{BAD}left {kind}{BAD:#} {message}\n  {FAINT}{why}{FAINT:#}\n")
    };
    repair.left.iter().map(told).collect()
}
