//! A `portbook run` that goes on while the test looks at it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::kit::Sandbox;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run whose command writes lines.
pub(crate) struct Going {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Going {
    /// Runs `script` with these options of `run`, and waits for the first line that it writes, which is
    /// its pid.
    #[track_caller]
    pub(crate) fn start(sandbox: &Sandbox, options: &str, script: &str) -> (Self, u32) {
        let prelude = "import os, signal, socket, sys, time\nprint(os.getpid(), flush=True)\n";
        let script = format!("{prelude}{script}");
        let mut going = Self::command(sandbox, options, &["python3", "-c", &script]);
        let pid = going.line().parse().unwrap();
        (going, pid)
    }

    /// Runs a command with these options of `run`.
    #[track_caller]
    pub(crate) fn command(sandbox: &Sandbox, options: &str, words: &[&str]) -> Self {
        let mut command = sandbox.command();
        command
            .arg("run")
            .args(options.split_whitespace())
            .arg("--")
            .args(words);
        Self::of(command)
    }

    /// Runs a whole command line that has portbook in it.
    #[track_caller]
    pub(crate) fn of(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The pid of portbook.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that the command writes.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Writes a line to the command.
    #[track_caller]
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Sends portbook a signal.
    pub(crate) fn send(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Closes the command's standard input.
    pub(crate) fn close(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Closes the command's standard input and waits for the end.
    #[track_caller]
    pub(crate) fn end(mut self) -> ExitStatus {
        self.close();
        self.child.wait().unwrap()
    }
}

pub(crate) fn send(pid: u32, signal: Signal) {
    kill_process(pid_of(pid), signal).unwrap();
}

fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

/// Whether the process is there and has not ended.
pub(crate) fn is_alive(pid: u32) -> bool {
    portbook_host::process_start_time(pid).is_some()
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
