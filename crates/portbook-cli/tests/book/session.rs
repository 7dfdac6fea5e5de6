//! A reader's shell: a home, a network and processes of its own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The longest that a command may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Session {
    /// In a namespace of processes: whatever was started in it ends with it.
    shell: Child,
    commands: ChildStdin,
    /// The exit status of each command that has ended.
    statuses: Receiver<i32>,
    given: u32,
    /// What a page calls the home.
    root: TempDir,
}

impl Session {
    pub(crate) fn start() -> Self {
        let root = tempfile::Builder::new()
            .prefix("portbook-page-")
            .tempdir()
            .unwrap();
        for folder in ["home", "bin", "steps", "tmp"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        let portbook = assert_cmd::cargo::cargo_bin!("portbook");
        symlink(portbook, root.path().join("bin/portbook")).unwrap();
        let identity =
            "[user]\nname = Alice\nemail = alice@example.org\n[init]\ndefaultBranch = main\n";
        fs::write(root.path().join("home/.gitconfig"), identity).unwrap();

        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        let mut shell = command
            .args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["bash", "--norc", "--noprofile"])
            .env_clear()
            .env("PATH", format!("{}/bin:{path}", root.path().display()))
            .env("HOME", root.path().join("home"))
            .env("TMPDIR", root.path().join("tmp"))
            .env("USER", "alice")
            // What Python says is there when it is said.
            .env("PYTHONUNBUFFERED", "1")
            .env("LANG", "C.UTF-8")
            .current_dir(root.path().join("home"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut commands = shell.stdin.take().unwrap();
        writeln!(commands, "ip link set lo up && __status=0").unwrap();
        let lines = BufReader::new(shell.stdout.take().unwrap()).lines();
        let (sender, statuses) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(line.parse().unwrap_or(-1));
            }
        });
        Self {
            shell,
            commands,
            statuses,
            given: 0,
            root,
        }
    }

    /// Gives a command, and waits until it has ended: its exit status and what it said.
    pub(crate) fn run(&mut self, text: &str) -> (i32, String) {
        let (step, output) = self.step(text);
        // `$?` is the former command's.
        writeln!(
            self.commands,
            "(exit $__status); source '{}' </dev/null >'{}' 2>&1; __status=$?; echo $__status",
            step.display(),
            output.display()
        )
        .unwrap();
        let status = self.statuses.recv_timeout(PATIENCE);
        let said = self.said(&output);
        (
            status.unwrap_or_else(|error| panic!("{text}: {error}: {said}")),
            said,
        )
    }

    /// Gives a command that stays, and waits until what it said is `enough`, or for as long as a command
    /// may take: what it said then.
    pub(crate) fn leave_running(&mut self, text: &str, enough: impl Fn(&str) -> bool) -> String {
        let (step, output) = self.step(text);
        writeln!(
            self.commands,
            "setsid bash '{}' </dev/null >'{}' 2>&1 &",
            step.display(),
            output.display()
        )
        .unwrap();
        let end = Instant::now() + PATIENCE;
        loop {
            let said = self.said(&output);
            if enough(&said) || Instant::now() > end {
                return said;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Puts a file where the shell is.
    pub(crate) fn write(&mut self, name: &str, content: &str) {
        let file = self.root.path().join("tmp/file");
        fs::write(&file, content).unwrap();
        let (status, said) = self.run(&format!(
            "mkdir -p \"$(dirname '{name}')\" && cp '{}' '{name}'",
            file.display()
        ));
        assert_eq!(status, 0, "{name}: {said}");
    }

    fn step(&mut self, text: &str) -> (PathBuf, PathBuf) {
        self.given += 1;
        let steps = self.root.path().join("steps");
        let step = steps.join(self.given.to_string());
        fs::write(&step, format!("{text}\n")).unwrap();
        (step, steps.join(format!("{}.output", self.given)))
    }

    fn said(&self, output: &Path) -> String {
        let said = fs::read(output).unwrap_or_default();
        let home = self.root.path().join("home");
        String::from_utf8_lossy(&said).replace(home.to_str().unwrap(), "/home/alice")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
