//! `portbook config`: the configuration, and where each value comes from.

use comfy_table::ColumnConstraint;
use portbook::Configuration;

use super::{Answer, Ending, configure};
use crate::arguments::{Config, Global};
use crate::output::Output;

pub(crate) fn run(arguments: &Config, global: &Global, output: &Output) -> Ending {
    if arguments.example {
        output.answer(Configuration::EXAMPLE)?;
        return Ok(Answer::Yes);
    }
    let values = configure(global)?.describe();
    if output.is_json() {
        let values: Vec<_> = values
            .iter()
            .map(|(key, value, origin)| {
                serde_json::json!({ "key": key, "value": value, "origin": origin.to_string() })
            })
            .collect();
        output.answer_json(&values)?;
        return Ok(Answer::Yes);
    }
    let mut table = output.table(["KEY", "VALUE", "FROM"]);
    for (key, value, origin) in &values {
        table.add_row([key.to_string(), value.to_string(), origin.to_string()]);
    }
    // A key is copied into a file: it stays whole.
    if let Some(keys) = table.column_mut(0) {
        keys.set_constraint(ColumnConstraint::ContentWidth);
    }
    output.answer_table(table)?;
    Ok(Answer::Yes)
}
