//! A page as its blocks of code say it.

use std::fs;
use std::ops::Range;

use crate::source;

/// A page of the book.
pub(crate) struct Page {
    pub(crate) name: String,
    /// Its text, line by line.
    pub(crate) lines: Vec<String>,
    /// What the reader is to do, in this order.
    pub(crate) steps: Vec<Step>,
}

/// One thing that the reader is to do.
pub(crate) enum Step {
    /// Put this into a file.
    File { name: String, content: String },
    /// Give a command.
    Command(Command),
    /// Give commands that the tests cannot, because of what they need.
    NotRun { needs: String },
}

/// A command and what is shown of it.
#[derive(Clone)]
pub(crate) struct Command {
    /// It still runs when the next one is given.
    pub(crate) stays: bool,
    pub(crate) text: String,
    /// Which lines of the page, counted from 0, show its output.
    pub(crate) shown: Range<usize>,
}

impl Page {
    /// Reads the page at this path below the book's folder.
    pub(crate) fn read(name: &str) -> Self {
        let text = fs::read_to_string(source().join(name)).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut steps = Vec::new();
        let mut at = 0;
        while at < lines.len() {
            let Some(info) = lines[at].strip_prefix("```") else {
                at += 1;
                continue;
            };
            let first = at + 1;
            let length = lines[first..].iter().position(|line| line == "```");
            let length = length.unwrap_or_else(|| panic!("{name}:{first}: a block without an end"));
            let block = first..first + length;
            at = block.end + 1;
            read_block(name, info, &lines, block, &mut steps);
        }
        Self {
            name: name.to_owned(),
            lines,
            steps,
        }
    }

    /// The lines that a command's output is compared with.
    pub(crate) fn shown(&self, command: &Command) -> &[String] {
        &self.lines[command.shown.clone()]
    }
}

fn read_block(
    name: &str,
    info: &str,
    lines: &[String],
    block: Range<usize>,
    steps: &mut Vec<Step>,
) {
    let place = format!("{name}:{}", block.start);
    let (language, attribute) = info.split_once(',').unwrap_or((info, ""));
    assert!(
        !["", "sh", "bash", "shell"].contains(&language),
        "{place}: say what the block is; commands are `console`"
    );
    match (language, attribute.split_once('=')) {
        ("console", Some(("needs", needs))) => steps.push(Step::NotRun {
            needs: needs.to_owned(),
        }),
        ("console", None) => {
            let stays = attribute == "stays";
            assert!(stays || attribute.is_empty(), "{place}: `{attribute}`");
            read_commands(&place, lines, block, stays, steps);
        }
        (_, Some(("file", file))) => steps.push(Step::File {
            name: file.to_owned(),
            content: lines[block].join("\n") + "\n",
        }),
        _ => assert_eq!(attribute, "", "{place}: `{attribute}` means nothing"),
    }
}

fn read_commands(
    place: &str,
    lines: &[String],
    block: Range<usize>,
    stays: bool,
    steps: &mut Vec<Step>,
) {
    let first = steps.len();
    let mut at = block.start;
    while at < block.end {
        let command = lines[at].strip_prefix("$ ");
        let mut text = command
            .unwrap_or_else(|| panic!("{place}: `{}` is no command", lines[at]))
            .to_owned();
        at += 1;
        while let Some(more) = lines[at..block.end]
            .first()
            .and_then(|line| line.strip_prefix("> "))
        {
            text = text + "\n" + more;
            at += 1;
        }
        let start = at;
        while at < block.end && !lines[at].starts_with("$ ") {
            at += 1;
        }
        // An empty line before the next command is there for the eye.
        let end = if at < block.end && at > start && lines[at - 1].is_empty() {
            at - 1
        } else {
            at
        };
        steps.push(Step::Command(Command {
            stays,
            text,
            shown: start..end,
        }));
    }
    assert!(
        !stays || steps.len() == first + 1,
        "{place}: a block that stays has one command"
    );
}
