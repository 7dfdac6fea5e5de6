//! What the book remembers of an app besides its ports: where it lives and what last ran there.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What the book remembers of an app that holds ports. It is forgotten when the app is released.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// Where the app's files are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<AppDirectory>,
    /// The command that last ran with the app's ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// Since when a look for the app has not found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_since: Option<Timestamp>,
}

impl Notes {
    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The notes once `note` was taken at `now`.
    pub fn with(&self, note: &Note, now: Timestamp) -> Self {
        let mut notes = self.clone();
        match note {
            Note::Directory(directory) => {
                notes.directory = Some(directory.clone());
                notes.missing_since = None;
            }
            Note::Run(run) => {
                notes.run = Some(run.clone());
                notes.missing_since = None;
            }
            Note::RunEnded(process) => {
                if notes
                    .run
                    .as_ref()
                    .is_some_and(|run| run.process == *process)
                {
                    notes.run = None;
                }
            }
            Note::Missing => {
                notes.missing_since.get_or_insert(now);
            }
            Note::Found => notes.missing_since = None,
        }
        notes
    }
}

/// Where an app's files are, and what they were made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppDirectory {
    /// The absolute path.
    pub path: String,
    /// The absolute path of the template that the app was made from, or `portbook:NAME` of one that
    /// comes with the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The branch that was checked out there when it was last asked for by its directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

/// A command that ran with an app's ports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The command's process.
    #[serde(flatten)]
    pub process: ProcessIdentity,
    /// Whether the app was made for this run, and is to be released with it.
    #[serde(default)]
    pub release_on_exit: bool,
}

/// One process for good: a pid is given out again, together with the moment at which it was started
/// and the boot of the machine it is not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The process's number.
    pub pid: u32,
    /// When it was started, in clock ticks since the machine was: field 22 of proc_pid_stat(5).
    pub start_time: u64,
    /// The machine's boot: `/proc/sys/kernel/random/boot_id`.
    pub boot: String,
}

impl fmt::Display for ProcessIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)
    }
}

/// Something to remember of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    /// Where its files are.
    Directory(AppDirectory),
    /// A command began to run with its ports.
    Run(Run),
    /// That command ended, if it is the last one noted.
    RunEnded(ProcessIdentity),
    /// A look for the app did not find it; the first such look counts.
    Missing,
    /// A look for the app found it.
    Found,
}
