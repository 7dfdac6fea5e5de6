//! `portbook get`: only look up.

use std::collections::BTreeSet;

use portbook::model::{Allocation, Role};
use portbook::{AllocationRecord, PortAllocationService};

use super::{Answer, Ending};
use crate::arguments::OneAppOrHere;
use crate::output::Output;

pub(crate) fn run(app: &OneAppOrHere, service: &PortAllocationService, output: &Output) -> Ending {
    let allocation = service.get(&super::here::app(app, service)?)?;
    if output.is_json() {
        output.answer_json(&AllocationRecord::of(&allocation, service.space()))?;
    } else {
        table([(&allocation, String::new())].into_iter(), output)?;
    }
    Ok(Answer::Yes)
}

/// Allocations as a table: a column a role, and a note to each; leases show their end.
pub(super) fn table<'a>(
    rows: impl Iterator<Item = (&'a Allocation, String)>,
    output: &Output,
) -> std::io::Result<()> {
    let rows: Vec<_> = rows.collect();
    let roles: BTreeSet<&Role> = rows
        .iter()
        .flat_map(|(allocation, _)| allocation.ports.keys())
        .collect();
    let has_leases = rows
        .iter()
        .any(|(allocation, _)| allocation.lease.is_some());
    let mut headings = vec!["APP".to_owned()];
    headings.extend(roles.iter().map(|role| role.as_str().to_uppercase()));
    if has_leases {
        headings.push("UNTIL".to_owned());
    }
    headings.push(String::new());
    let mut table = output.table(headings.iter().map(String::as_str));
    for (allocation, note) in rows {
        let mut cells = vec![allocation.app.to_string()];
        cells.extend(roles.iter().map(|role| {
            let port = allocation.ports.get(*role);
            port.map_or_else(|| "-".to_owned(), ToString::to_string)
        }));
        if has_leases {
            let end = allocation.lease.map(|lease| lease.expires_at.to_string());
            cells.push(end.unwrap_or_else(|| "for good".to_owned()));
        }
        cells.push(note);
        table.add_row(cells);
    }
    output.answer_table(table)
}
