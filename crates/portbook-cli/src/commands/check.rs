//! `portbook check`: every conflict.

use portbook::PortAllocationService;

use super::{Answer, Ending};
use crate::arguments::Check;
use crate::output::{BAD, FAINT, GOOD, NOTABLE, Output};
use crate::progress::Progress;

pub(crate) fn run(arguments: &Check, service: &PortAllocationService, output: &Output) -> Ending {
    let progress = Progress::of(output, "checking the book");
    let conflicts = if arguments.host {
        service.check(true)?
    } else {
        service.check_port_conflicts()?
    };
    drop(progress);
    let answer = if conflicts.iter().all(|conflict| conflict.kind.is_warning()) {
        Answer::Yes
    } else {
        Answer::No
    };
    if output.is_json() {
        output.answer_json(&conflicts)?;
        return Ok(answer);
    }
    let mut text = String::new();
    for conflict in &conflicts {
        let style = if conflict.kind.is_warning() {
            NOTABLE
        } else {
            BAD
        };
        text.push_str(&format!(
            "{style}{}{style:#} {}\n  {FAINT}{}{FAINT:#}\n",
            conflict.kind.as_str(),
            conflict.message,
            conflict.hint
        ));
    }
    if conflicts.is_empty() {
        text = format!(
            "{GOOD}no conflict{GOOD:#} in the space `{}`",
            service.space()
        );
    }
    output.answer(&text)?;
    Ok(answer)
}
