//! Servers that run while a benchmark asks them: portbook's own, and its peers.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::harness::{Failure, HostCheck};
use crate::process::program;

/// A server, which ends with this value.
pub struct Serving {
    child: Child,
    /// Kept open, since it may have more to say.
    _answers: Option<BufReader<ChildStdout>>,
    /// Where it listens.
    pub url: String,
}

impl Serving {
    /// `portbook serve` on the book at `store`.
    pub fn portbook(
        store: &Path,
        host_check: HostCheck,
        options: &[String],
    ) -> Result<Self, Failure> {
        let folder = store.parent().unwrap_or(Path::new("/"));
        let mut command = Command::new(program()?);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--store"])
            .arg(format!("sqlite:{}", store.display()))
            .args(options)
            .current_dir(folder)
            .env_clear()
            .env("HOME", folder)
            .env("RUNTIME_DIRECTORY", folder)
            .env("PORTBOOK_LOG", "warn");
        if host_check == HostCheck::Off {
            command.arg("--no-host-check");
        }
        Self::start(command)
    }

    /// A program whose first line ends with the address that it listens at.
    pub fn start(mut command: Command) -> Result<Self, Failure> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{:?} cannot be started: {error}", command.get_program()))?;
        let mut line = String::new();
        let mut answers = child.stdout.take().map(BufReader::new);
        if let Some(answers) = &mut answers {
            answers.read_line(&mut line)?;
        }
        let url = line
            .split_whitespace()
            .last()
            .unwrap_or_default()
            .to_owned();
        Ok(Self {
            child,
            _answers: answers,
            url,
        })
    }

    /// The memory that it has in use, in MiB.
    pub fn resident(&self) -> Result<f64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.ok_or("no VmRSS")?.parse::<f64>()? / 1024.0)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
