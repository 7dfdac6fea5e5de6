//! `portbook env`: an app's ports and names as variables.

use std::path::Path;

use portbook::PortAllocationService;
use portbook::apps::dot_env::Absent;
use portbook::model::Allocation;
use serde::Serialize;

use super::{Answer, Ending};
use crate::arguments::Env;
use crate::output::Output;

pub(crate) fn run(arguments: &Env, service: &PortAllocationService, output: &Output) -> Ending {
    let app = super::here::app(&arguments.app, service)?;
    let allocation = service.get(&app)?;
    if let Some(file) = &arguments.write {
        let absent = match arguments.export {
            true => Absent::AddExported,
            false => Absent::Add,
        };
        return write(&allocation, file, absent, service, output);
    }
    let variables = service.variables(&allocation)?;
    if output.is_json() {
        output.answer_json(&variables)?;
        return Ok(Answer::Yes);
    }
    let prefix = if arguments.export { "export " } else { "" };
    let line = |(name, value): (&String, &String)| format!("{prefix}{name}={value}\n");
    output.answer(&variables.iter().map(line).collect::<String>())?;
    Ok(Answer::Yes)
}

#[derive(Serialize)]
struct Written {
    file: String,
    changed: Vec<String>,
}

fn write(
    allocation: &Allocation,
    file: &Path,
    absent: Absent,
    service: &PortAllocationService,
    output: &Output,
) -> Ending {
    let changed = service.write_variables(allocation, file, absent)?;
    let file = file.display().to_string();
    if output.is_json() {
        output.answer_json(&Written { file, changed })?;
    } else if changed.is_empty() {
        output.answer(&format!("{file} is up to date"))?;
    } else {
        output.answer(&format!("{} written to {file}", changed.join(", ")))?;
    }
    Ok(Answer::Yes)
}
