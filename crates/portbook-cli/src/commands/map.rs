//! `portbook map`: the port line drawn in the terminal.

use anstyle::{AnsiColor, Style};
use portbook::model::Port;
use portbook::{PortAllocationService, PortLine, PortState};

use super::{Answer, Ending};
use crate::output::{FAINT, Output};

const CELL: u32 = 8;
/// The most cells a row; a narrow terminal gets half of them, or a quarter, ...
const CELLS: u32 = 64;
/// The columns that a row begins with: its first port and a blank.
const MARGIN: usize = 6;

pub(crate) fn run(service: &PortAllocationService, output: &Output) -> Ending {
    let line = service.port_line()?;
    if output.is_json() {
        output.answer_json(&line.stretches())?;
    } else {
        output.answer(&draw(&line, output.width().unwrap_or(usize::MAX)))?;
    }
    Ok(Answer::Yes)
}

/// A letter and a colour for a state; the letters of what portbook gave out are capitals.
fn picture(state: PortState) -> (char, Style, &'static str) {
    let color = |color: AnsiColor| color.on_default();
    match state {
        PortState::Free => ('·', FAINT, "free"),
        PortState::Ephemeral => ('~', FAINT, "ephemeral range, given out last"),
        PortState::Blocked => ('x', color(AnsiColor::Red), "blocked"),
        PortState::Pool => ('p', color(AnsiColor::Cyan), "pool"),
        PortState::InUse => ('h', color(AnsiColor::Yellow), "in use on this host"),
        PortState::Promised => ('P', color(AnsiColor::Magenta), "promised"),
        PortState::OtherRole => ('O', color(AnsiColor::Blue), "another role's"),
        PortState::Frontend => ('F', color(AnsiColor::Blue), "frontend"),
        PortState::Backend => ('B', color(AnsiColor::Green), "backend"),
    }
}

const LEGEND: [PortState; 9] = [
    PortState::Backend,
    PortState::Frontend,
    PortState::OtherRole,
    PortState::Promised,
    PortState::InUse,
    PortState::Pool,
    PortState::Blocked,
    PortState::Ephemeral,
    PortState::Free,
];

/// Rows of ports, eight to a cell, the weightiest state of a cell shown. Rows that are alike from end
/// to end are drawn once.
fn draw(line: &PortLine, width: usize) -> String {
    let mut cells_a_row = CELLS;
    while cells_a_row > 1 && MARGIN + cells_a_row as usize > width {
        cells_a_row /= 2;
    }
    let ports_a_row = cells_a_row * CELL;
    let mut text = String::new();
    let mut skipped_from = None;
    let mut previous: Option<Vec<PortState>> = None;
    for start in (0..=u32::from(u16::MAX)).step_by(ports_a_row as usize) {
        let cells = row(line, start, ports_a_row);
        let uniform = cells.iter().all(|state| *state == cells[0]);
        if uniform && previous.as_ref() == Some(&cells) {
            skipped_from.get_or_insert(start);
            continue;
        }
        if let Some(from) = skipped_from.take() {
            text.push_str(&format!(
                "{FAINT}      … {from} to {} alike{FAINT:#}\n",
                start - 1
            ));
        }
        text.push_str(&format!("{FAINT}{start:>5}{FAINT:#} "));
        cells.iter().for_each(|state| text.push_str(&paint(*state)));
        text.push('\n');
        previous = Some(cells);
    }
    if let Some(from) = skipped_from {
        text.push_str(&format!(
            "{FAINT}      … {from} to {} alike{FAINT:#}\n",
            u16::MAX
        ));
    }
    text.push_str(&format!("\nA cell is {CELL} ports:\n"));
    text.push_str(&legend(width.min(MARGIN + CELLS as usize)));
    text
}

/// What the letters mean, in as many lines as it takes.
fn legend(width: usize) -> String {
    let mut text = String::new();
    let mut written = 0;
    for state in LEGEND {
        let meaning = picture(state).2;
        let length = 2 + meaning.len();
        if written > 0 && written + 2 + length > width {
            text.push('\n');
            written = 0;
        }
        if written > 0 {
            text.push_str("  ");
            written += 2;
        }
        text.push_str(&format!("{} {meaning}", paint(state)));
        written += length;
    }
    text + "\n"
}

fn row(line: &PortLine, start: u32, ports: u32) -> Vec<PortState> {
    (start..start + ports)
        .step_by(CELL as usize)
        .map(|cell| {
            (cell..cell + CELL)
                .filter_map(|number| u16::try_from(number).ok().and_then(Port::new))
                .map(|port| line.state(port))
                .max()
                .unwrap_or(PortState::Free)
        })
        .collect()
}

fn paint(state: PortState) -> String {
    let (letter, style, _) = picture(state);
    format!("{style}{letter}{style:#}")
}
