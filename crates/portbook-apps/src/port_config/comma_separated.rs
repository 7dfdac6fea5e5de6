//! Listings in CSV: portbook's export, and what a spreadsheet makes of it.

use csv::{ReaderBuilder, StringRecord};

use portbook_model::Role;

use super::draft::{Draft, Placed};
use super::ledger::Ledger;
use super::lines::Lines;
use super::problem::{Fault, MOST_MEMBERS, shortened};
use super::{Format, Listing, Unreadable};

/// Where each column stands in a row.
struct Columns {
    count: usize,
    model: usize,
    app_num: usize,
    backend_port: usize,
    frontend_port: usize,
    ports: Option<usize>,
    is_available: Option<usize>,
    space: Option<usize>,
    created_at: Option<usize>,
}

/// The columns of a listing; the first name of each is that of the export.
const MODEL: [&str; 2] = ["model", "model_name"];
const APP_NUM: [&str; 2] = ["app_num", "app_number"];
const BACKEND_PORT: [&str; 1] = ["backend_port"];
const FRONTEND_PORT: [&str; 1] = ["frontend_port"];

fn rows(text: &str) -> csv::Reader<&[u8]> {
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes())
}

/// Whether the first row names at least one column of a listing.
pub(super) fn has_header(text: &str) -> bool {
    let names = [&MODEL[..], &APP_NUM, &BACKEND_PORT, &FRONTEND_PORT].concat();
    let mut row = StringRecord::new();
    rows(text).read_record(&mut row).is_ok_and(|found| found)
        && row.iter().any(|name| names.contains(&name))
}

impl Columns {
    fn of(header: &StringRecord) -> Result<Self, Unreadable> {
        let mut missing = Vec::new();
        let mut required = |names: &[&'static str]| {
            let found = column(header, names)?;
            if found.is_none() {
                missing.extend(names.first());
            }
            Ok(found.unwrap_or_default())
        };
        let columns = Columns {
            count: header.len(),
            model: required(&MODEL)?,
            app_num: required(&APP_NUM)?,
            backend_port: required(&BACKEND_PORT)?,
            frontend_port: required(&FRONTEND_PORT)?,
            ports: column(header, &["ports"])?,
            is_available: column(header, &["is_available"])?,
            space: column(header, &["space"])?,
            created_at: column(header, &["created_at"])?,
        };
        if missing.is_empty() {
            Ok(columns)
        } else {
            Err(Unreadable::MissingColumns { missing })
        }
    }
}

fn column(header: &StringRecord, names: &[&'static str]) -> Result<Option<usize>, Unreadable> {
    let mut found = None;
    for (index, field) in header.iter().enumerate() {
        if let Some(name) = names.iter().find(|name| **name == field)
            && found.replace(index).is_some()
        {
            return Err(Unreadable::ColumnTwice(name));
        }
    }
    Ok(found)
}

pub(super) fn read(text: &str) -> Result<Listing, Unreadable> {
    let lines = Lines::of(text);
    let mut rows = rows(text);
    let mut row = StringRecord::new();
    let mut columns = None;
    let mut ledger = Ledger::default();
    let mut last = 1;
    // Text in memory and rows of any length: no row can fail to be read.
    while rows.read_record(&mut row).unwrap_or(false) {
        last = lines.at(start(text, &row));
        match &columns {
            None => columns = Some(Columns::of(&row)?),
            Some(columns) => ledger.enter(entry(&row, columns, last)),
        }
    }
    // The reader takes a quotation mark that is never closed to close at the end, whatever it
    // swallows on the way.
    if text.bytes().filter(|byte| *byte == b'"').count() % 2 == 1 {
        return Err(Unreadable::OpenQuote { line: last });
    }
    Ok(ledger.close(Format::CsvExport))
}

/// Where a row begins, past the empty lines before it, which the reader counts to it.
fn start(text: &str, row: &StringRecord) -> usize {
    let from = row.position().map_or(0, csv::Position::byte);
    let from = usize::try_from(from).unwrap_or(0);
    let rest = text.as_bytes().get(from..).unwrap_or_default();
    let breaks = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    from + breaks.count()
}

fn entry(row: &StringRecord, columns: &Columns, line: usize) -> Draft {
    let mut draft = Draft::at(line);
    if row.len() != columns.count {
        let (found, wanted) = (row.len(), columns.count);
        draft.fault(line, Fault::FieldCount { found, wanted });
        return draft;
    }
    let field = |column: usize| row.get(column).unwrap_or_default();
    let optional = |column: Option<usize>| column.map(field).filter(|text| !text.is_empty());
    draft.model = draft.model(field(columns.model), line);
    draft.number = draft.parsed(field(columns.app_num), line);
    let pair = [
        (
            Role::backend(),
            draft.port("backend_port", field(columns.backend_port), line),
        ),
        (
            Role::frontend(),
            draft.port("frontend_port", field(columns.frontend_port), line),
        ),
    ];
    let further = ports(
        &mut draft,
        optional(columns.ports).unwrap_or_default(),
        line,
    );
    if let Some(text) = optional(columns.is_available)
        && !["true", "false"].contains(&text.to_ascii_lowercase().as_str())
    {
        draft.fault(
            line,
            Fault::WrongType {
                key: "is_available".to_owned(),
                wanted: "`true` or `false`",
                found: "another text",
            },
        );
    }
    if let Some(text) = optional(columns.space) {
        draft.space = draft.parsed(text, line);
    }
    if let Some(text) = optional(columns.created_at) {
        draft.created_at = draft.parsed(text, line);
    }
    draft.take_ports(pair, further);
    draft
}

/// The column `ports`: `backend=5001;frontend=8001`.
fn ports(draft: &mut Draft, text: &str, line: usize) -> Vec<(Role, Placed)> {
    let mut ports: Vec<(Role, Placed)> = Vec::new();
    for (index, part) in text.split(';').filter(|part| !part.is_empty()).enumerate() {
        if index == MOST_MEMBERS {
            draft.fault(line, Fault::TooMany("`ports`", "roles"));
            break;
        }
        let Some((role, port)) = part.split_once('=') else {
            draft.fault(line, Fault::PortsForm(shortened(part)));
            continue;
        };
        let port = draft.port(&format!("ports.{role}"), port, line);
        let Some(role) = draft.parsed::<Role>(role, line) else {
            continue;
        };
        if ports.iter().any(|(earlier, _)| *earlier == role) {
            draft.fault(line, Fault::RoleTwice(role));
        } else if let Some(port) = port {
            ports.push((role, port));
        }
    }
    ports
}
