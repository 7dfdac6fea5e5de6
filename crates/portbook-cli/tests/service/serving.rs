//! A `portbook serve` that runs while the test looks at it.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::kit::Sandbox;

pub(crate) struct Serving {
    child: Child,
    answers: BufReader<ChildStdout>,
    /// Where it listens, as `--store` takes it.
    pub(crate) address: String,
}

impl Serving {
    /// Serves the sandbox's book at a socket in it.
    #[track_caller]
    pub(crate) fn start(sandbox: &Sandbox, options: &str) -> Self {
        let mut command = sandbox.command();
        command
            .env("RUNTIME_DIRECTORY", sandbox.path("runtime"))
            .args(["serve", "--listen"])
            .arg(format!("unix:{}", sandbox.path("api").display()))
            .args(options.split_whitespace());
        Self::of(command)
    }

    /// Waits until the command listens.
    #[track_caller]
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut serving = Self {
            child,
            answers,
            address: String::new(),
        };
        let line = serving.line();
        let address = line.strip_prefix("listening at ");
        serving.address = address.unwrap_or_else(|| panic!("{line}")).to_owned();
        serving
    }

    /// The next line of its answer.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.child.wait().unwrap()
    }

    /// Waits until it has stopped.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
