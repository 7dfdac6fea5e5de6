//! How answers, notes and errors are written.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Row, Table, Width};
use portbook::model::Timestamp;
use portbook::{Error, FileProblem, UnreadFile};
use portbook_server::ServeError;
use serde::Serialize;

use crate::arguments::{Color, Global};

/// The style of what is well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// The style of what is wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// The style of what is worth knowing.
pub(crate) const NOTABLE: Style = AnsiColor::Yellow.on_default();
/// The style of what matters less.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// The style of headings.
pub(crate) const HEADING: Style = Style::new().bold();

/// Words of at most so many characters are not broken in a narrow table: ports, dates, headings.
const WHOLE: usize = 10;
/// The blanks beside a table's cell, together.
const PADDING: usize = 2;

/// Where a command's answer goes: standard output carries the answer and nothing else.
pub(crate) struct Output {
    color: ColorChoice,
    json: bool,
    quiet: bool,
    verbose: bool,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            color: match global.color {
                Color::Auto => ColorChoice::Auto,
                Color::Always => ColorChoice::Always,
                Color::Never => ColorChoice::Never,
            },
            json: global.json,
            quiet: global.quiet,
            verbose: global.verbose,
        }
    }

    /// Whether the answer is to be JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether progress may be shown.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && !self.json && io::stderr().is_terminal()
    }

    /// Writes the answer, colours as the terminal allows.
    pub(crate) fn answer(&self, text: &str) -> io::Result<()> {
        let mut stdout = AutoStream::new(io::stdout().lock(), self.color);
        stdout.write_all(text.as_bytes())?;
        if !text.is_empty() && !text.ends_with('\n') {
            stdout.write_all(b"\n")?;
        }
        stdout.flush()
    }

    /// Writes the answer as JSON.
    pub(crate) fn answer_json(&self, value: &impl Serialize) -> io::Result<()> {
        self.answer(&serde_json::to_string_pretty(value)?)
    }

    /// Tells something beside the answer, on standard error.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            let text = on_one_line(text);
            self.complain(&format!("{NOTABLE}note:{NOTABLE:#} {text}"));
        }
    }

    /// Tells what only the curious want to know, on standard error.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            self.complain(&format!("{FAINT}{text}{FAINT:#}"));
        }
    }

    fn complain(&self, text: &str) {
        let mut stderr = AutoStream::new(io::stderr().lock(), self.color);
        // Where standard error is gone there is nobody left to tell.
        let _ = writeln!(stderr, "{text}");
    }

    /// Tells of a failure, on standard error: as one sentence, or as JSON.
    pub(crate) fn fail(&self, complaint: &Complaint) {
        if self.json {
            let text = serde_json::json!({ "error": complaint });
            self.complain(&text.to_string());
            return;
        }
        for problem in &complaint.problems {
            self.complain(&on_one_line(&problem.to_string()));
        }
        let hint = match &complaint.hint {
            Some(hint) => format!(" {FAINT}({}){FAINT:#}", on_one_line(hint)),
            None => String::new(),
        };
        let message = on_one_line(&complaint.message);
        self.complain(&format!("{BAD}portbook:{BAD:#} {message}{hint}"));
    }

    /// How many columns the terminal has that the answer goes to, if it goes to one.
    pub(crate) fn width(&self) -> Option<usize> {
        let width = Table::new().width().filter(|_| io::stdout().is_terminal());
        width.map(usize::from)
    }

    /// A table that fits the terminal; where there is none, as wide as its content.
    pub(crate) fn table<'a>(&self, headings: impl IntoIterator<Item = &'a str>) -> Table {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        let headings: Vec<&str> = headings.into_iter().collect();
        if io::stdout().is_terminal() {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        let cells = headings.iter().map(|heading| match *heading {
            "" => Cell::new(""),
            heading => Cell::new(format!("{HEADING}{heading}{HEADING:#}")),
        });
        table.set_header(Row::from(cells.collect::<Vec<_>>()));
        table
    }

    /// Writes a table without the blank before its first column and those at the ends of its lines.
    pub(crate) fn answer_table(&self, mut table: Table) -> io::Result<()> {
        keep_words_whole(&mut table);
        let lines: Vec<String> = table
            .lines()
            .map(|line| {
                line.strip_prefix(' ')
                    .unwrap_or(&line)
                    .trim_end()
                    .to_owned()
            })
            .collect();
        self.answer(&lines.join("\n"))
    }
}

/// Makes each column as wide as its longest short word: the long ones are those that are broken.
fn keep_words_whole(table: &mut Table) {
    let mut widths = vec![0; table.column_count()];
    for row in table.header().into_iter().chain(table.row_iter()) {
        for (width, cell) in widths.iter_mut().zip(row.cell_iter()) {
            let text = strip_str(&cell.content()).to_string();
            let lengths = text.split_whitespace().map(|word| word.chars().count());
            *width = lengths
                .filter(|length| *length <= WHOLE)
                .fold(*width, usize::max);
        }
    }
    for (column, width) in table.column_iter_mut().zip(widths) {
        if column.constraint().is_none() && width > 0 {
            let width = u16::try_from(width + PADDING).unwrap_or(u16::MAX);
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
        }
    }
}

/// A time as people read it: `2026-01-31 12:00:00`, UTC. In a narrow table its day and its hour are
/// two lines.
pub(crate) fn to_the_second(time: &Timestamp) -> String {
    let time = time.to_string().replace('T', " ");
    time.get(..19).unwrap_or(&time).to_owned()
}

/// A text that takes one line and moves no cursor, whatever names of others it has in it.
pub(crate) fn on_one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let mut line = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c.is_control() {
            true => line.extend(c.escape_debug()),
            false => line.push(c),
        }
    }
    line.into()
}

/// So many of something: `1 app`, `2 apps`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {what}{ending}")
}

/// A failure as it is told: `{"code", "message", "hint"}`.
#[derive(Debug, Serialize)]
pub(crate) struct Complaint {
    code: Cow<'static, str>,
    message: String,
    hint: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Told>,
    #[serde(skip)]
    exit_status: u8,
}

/// One of several things that are wrong with files.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Told {
    /// In the one file that the complaint is about.
    InTheFile(FileProblem),
    /// In one of several files.
    InAFile(UnreadFile),
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Told::InTheFile(problem) => write!(f, "line {}: {}", problem.line, problem.message),
            Told::InAFile(unread) => unread.fmt(f),
        }
    }
}

impl Complaint {
    const BROKEN_PIPE: &str = "broken-pipe";

    /// Whether whoever read the answer has read enough and gone.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.code == Self::BROKEN_PIPE
    }

    /// The complaint about a wrong call.
    pub(crate) fn about_usage(message: String, hint: Option<&str>) -> Self {
        Self {
            code: "usage".into(),
            message,
            hint: hint.map(str::to_owned),
            problems: Vec::new(),
            exit_status: 2,
        }
    }

    /// The answer is no, and this is why.
    pub(crate) fn no(code: &'static str, message: String) -> Self {
        Self {
            code: code.into(),
            message,
            hint: None,
            problems: Vec::new(),
            exit_status: 1,
        }
    }

    /// A command that was to be run was not, for which shells have statuses of their own.
    pub(crate) fn not_run(code: &'static str, message: String, exit_status: u8) -> Self {
        Self {
            code: code.into(),
            message,
            hint: None,
            problems: Vec::new(),
            exit_status,
        }
    }

    /// The complaint about files that could not be read, while others could.
    pub(crate) fn about_unread(unread: Vec<UnreadFile>) -> Self {
        let (message, problems) = match unread.as_slice() {
            [one] => (one.to_string(), Vec::new()),
            several => (
                format!(
                    "{} kept files from being compared whole",
                    counted(several.len(), "problem")
                ),
                unread.into_iter().map(Told::InAFile).collect(),
            ),
        };
        Self {
            code: "unreadable-file".into(),
            message,
            hint: None,
            problems,
            exit_status: 2,
        }
    }

    /// Anything else went wrong.
    pub(crate) fn other(code: &'static str, message: String) -> Self {
        Self {
            exit_status: 5,
            ..Self::no(code, message)
        }
    }

    /// A server cannot be started as it was told.
    pub(crate) fn of_server(error: &ServeError) -> Self {
        Self {
            exit_status: match error {
                ServeError::Listen { .. }
                | ServeError::Inherited(_)
                | ServeError::Thread(_)
                | ServeError::Portserver(_) => 5,
                _ => 2,
            },
            ..Self::no("server", error.to_string())
        }
    }

    /// The complaint about an answer that cannot be written.
    fn about_output(error: &io::Error) -> Self {
        let code = match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BROKEN_PIPE,
            _ => "output",
        };
        Self {
            code: code.into(),
            message: format!("the answer cannot be written: {error}"),
            hint: None,
            problems: Vec::new(),
            exit_status: 5,
        }
    }

    /// The status to exit with.
    pub(crate) fn exit_status(&self) -> u8 {
        self.exit_status
    }
}

impl From<Error> for Complaint {
    fn from(error: Error) -> Self {
        let problems = match &error {
            Error::Entries { problems, .. } => {
                problems.iter().cloned().map(Told::InTheFile).collect()
            }
            _ => Vec::new(),
        };
        Self {
            code: error.code().to_owned().into(),
            message: error.to_string(),
            hint: error.hint(),
            problems,
            exit_status: error.failure().exit_status(),
        }
    }
}

impl From<io::Error> for Complaint {
    fn from(error: io::Error) -> Self {
        Self::about_output(&error)
    }
}
