//! Calls of the command on a book that is kept by a server.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Desk {
    pub(crate) store: String,
    folder: TempDir,
}

/// What a call ended with.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Desk {
    /// A new, empty book at this address.
    pub(crate) fn at(store: String) -> Self {
        let desk = Self::without_book(store);
        desk.done("store init");
        desk
    }

    pub(crate) fn without_book(store: String) -> Self {
        Self {
            store,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// The same book, reached otherwise.
    pub(crate) fn by(&self, store: String) -> Self {
        Self::without_book(store)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portbook"));
        command
            .args(line.split(' '))
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("USER", "tester")
            .env("PORTBOOK_HOST_CHECK", "false")
            .env("PORTBOOK_STORE", &self.store)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Run {
        Run::of(self.command(line))
    }

    #[track_caller]
    pub(crate) fn done(&self, line: &str) -> String {
        let run = self.run(line);
        assert_eq!(run.status, 0, "{line}: {run:?}");
        run.stdout
    }

    #[track_caller]
    pub(crate) fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.done(&format!("{line} --json"))).unwrap()
    }

    /// Every answer that was given holds, no port was given twice, and the book agrees with itself.
    #[track_caller]
    pub(crate) fn holds(&self, answers: &[Value]) {
        let listed = self.json("list");
        let mut held = BTreeMap::new();
        let mut ports = BTreeSet::new();
        for row in listed.as_array().unwrap() {
            let app = (row["model"].to_string(), row["app_num"].to_string());
            for port in row["ports"].as_object().unwrap().values() {
                assert!(ports.insert(port.to_string()), "port {port} has two owners");
            }
            held.insert(app, row["ports"].clone());
        }
        for answer in answers {
            let app = (answer["model"].to_string(), answer["app_num"].to_string());
            assert_eq!(
                held.get(&app),
                Some(&answer["ports"]),
                "{answer} was answered"
            );
        }
        let verified = self.run("store verify");
        assert_eq!(verified.status, 0, "{verified:?}");
    }
}

impl Run {
    pub(crate) fn of(mut command: Command) -> Self {
        let output = command.output().unwrap();
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn answer(&self) -> Option<Value> {
        (self.status == 0).then(|| serde_json::from_str(&self.stdout).unwrap())
    }
}
