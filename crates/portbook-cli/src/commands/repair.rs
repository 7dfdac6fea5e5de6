//! `portbook repair`: move what is in conflict.

use portbook::model::{AppKey, AppNumber, InvalidAppNumber, InvalidModel, Model};
use portbook::{LeftConflict, MoveByHand, PortAllocationService, Repair, RepairRequest};

use super::allocate::pins;
use super::{Answer, Ending};
use crate::arguments;
use crate::output::{BAD, Complaint, FAINT, GOOD, Output, counted};
use crate::progress::Progress;

pub(crate) fn run(
    arguments: &arguments::Repair,
    service: &PortAllocationService,
    output: &Output,
) -> Ending {
    let request = RepairRequest {
        include_running: arguments.include_running,
        by_hand: by_hand(arguments)?,
    };
    let progress = Progress::of(output, "repairing");
    let repair = match arguments.yes {
        true => service.repair(&request)?,
        false => service.preview_repair(&request)?,
    };
    drop(progress);
    let answer = match repair.left.is_empty() {
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
    if repair.moves.is_empty() && repair.left.is_empty() {
        let space = service.space();
        return output.answer(&format!(
            "{GOOD}nothing to repair{GOOD:#} in the space `{space}`"
        ));
    }
    if !repair.moves.is_empty() {
        let mut table = output.table(["APP", "ROLE", "FROM", "TO", "WHY"]);
        for step in &repair.moves {
            table.add_row([
                step.app.to_string(),
                step.role.to_string(),
                step.from.to_string(),
                format!("{GOOD}{}{GOOD:#}", step.to),
                step.why.clone(),
            ]);
        }
        output.answer_table(table)?;
    }
    output.answer(&left(repair))?;
    let count = counted(repair.moves.len(), "port");
    output.note(&match repair.applied {
        true => format!("{count} moved"),
        false => format!("{count} would move; --yes does it"),
    });
    Ok(())
}

fn left(repair: &Repair) -> String {
    let told = |left: &LeftConflict| {
        let (kind, message) = (left.conflict.kind.as_str(), &left.conflict.message);
        let why = &left.why;
        format!("{BAD}left {kind}{BAD:#} {message}\n  {FAINT}{why}{FAINT:#}\n")
    };
    repair.left.iter().map(told).collect()
}
