//! `portbook resolve`: look up by a name that may be spelt otherwise.

use portbook::{PortAllocationService, ResolvedRecord};

use super::{Answer, Ending};
use crate::arguments::Resolve;
use crate::output::Output;

pub(crate) fn run(arguments: &Resolve, service: &PortAllocationService, output: &Output) -> Ending {
    let resolved = service.resolve(&arguments.app.model, arguments.app.app)?;
    let allocation = &resolved.allocation;
    if output.is_json() {
        output.answer_json(&ResolvedRecord::of(&resolved, service.space()))?;
        return Ok(Answer::Yes);
    }
    let note = format!("matched by {}", resolved.way.as_str());
    super::get::table([(allocation, note)].into_iter(), output)?;
    if arguments.explain {
        output.answer(&format!(
            "\n`{}` was found as {}: {}",
            arguments.app.model,
            allocation.app.model,
            resolved.way.describe()
        ))?;
    }
    Ok(Answer::Yes)
}
