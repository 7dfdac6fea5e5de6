//! `portbook init`: coding agents in this project are told of portbook.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use portbook::apps::agents::{AGENT_SETTINGS, UnknownSettings, difference, with_section};
use portbook::apps::replacement;
use portbook::{Checkout, Error};
use serde::Serialize;

use super::{Answer, Ending};
use crate::arguments::Init;
use crate::output::{Complaint, Output};

/// Where agents of every kind look for what they should know of a project: <https://agents.md>.
const FOR_AGENTS: &str = "AGENTS.md";

/// What is to become of a file.
struct Proposal {
    file: String,
    path: PathBuf,
    before: String,
    after: String,
}

#[derive(Serialize)]
struct ProposalRecord<'a> {
    file: &'a str,
    changes: bool,
    written: bool,
    difference: String,
}

pub(crate) fn run(arguments: &Init, output: &Output) -> Ending {
    let checkout = Checkout::of(arguments.dir.as_deref().unwrap_or(Path::new(".")))?;
    let proposals = proposals(&checkout.root, output)?;
    let mut changing = proposals.iter().filter(|proposal| proposal.changes());
    if arguments.yes {
        changing.try_for_each(Proposal::write)?;
    }
    if output.is_json() {
        let records = proposals.iter();
        let records: Vec<_> = records.map(|one| one.record(arguments.yes)).collect();
        output.answer_json(&records)?;
        return Ok(Answer::Yes);
    }
    for proposal in &proposals {
        output.answer(&proposal.told(arguments.yes))?;
    }
    if !arguments.yes && proposals.iter().any(Proposal::changes) {
        output.note("nothing was written: portbook init --yes does it");
    }
    Ok(Answer::Yes)
}

/// What agents read, and the settings of those whose traces are in the project.
fn proposals(root: &Path, output: &Output) -> Result<Vec<Proposal>, Complaint> {
    let before = content(&root.join(FOR_AGENTS))?;
    let mut proposals = vec![Proposal {
        file: FOR_AGENTS.to_owned(),
        path: root.join(FOR_AGENTS),
        after: with_section(&before),
        before,
    }];
    for settings in AGENT_SETTINGS {
        if !settings.signs.iter().any(|sign| root.join(sign).exists()) {
            continue;
        }
        let path = root.join(settings.file);
        let before = content(&path)?;
        match settings.with_portbook(&before) {
            Ok(after) => proposals.push(Proposal {
                file: settings.file.to_owned(),
                path,
                before,
                after,
            }),
            Err(fault) => output.note(&left_alone(settings.file, &fault)),
        }
    }
    Ok(proposals)
}

fn left_alone(file: &str, fault: &UnknownSettings) -> String {
    format!(
        "{file} is left alone, since {fault}: the agent's program starts portbook by the command `portbook mcp`"
    )
}

/// A file's text; none is as good as an empty one.
fn content(path: &Path) -> Result<String, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Error::File {
            path: path.to_owned(),
            reason: error.to_string(),
        }),
    }
}

impl Proposal {
    fn changes(&self) -> bool {
        self.before != self.after
    }

    fn write(&self) -> Result<(), Error> {
        replacement::replace(&self.path, self.after.as_bytes()).map_err(|source| {
            Error::NotWritten {
                path: self.path.clone(),
                source,
            }
        })
    }

    fn difference(&self) -> String {
        difference(&self.file, &self.before, &self.after)
    }

    fn told(&self, is_written: bool) -> String {
        match (self.changes(), is_written) {
            (false, _) => format!("{} is up to date", self.file),
            (true, true) => format!("{} written", self.file),
            (true, false) => self.difference(),
        }
    }

    fn record(&self, is_written: bool) -> ProposalRecord<'_> {
        ProposalRecord {
            file: &self.file,
            changes: self.changes(),
            written: self.changes() && is_written,
            difference: self.difference(),
        }
    }
}
