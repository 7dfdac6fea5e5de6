//! A home, a folder and an environment of a test's own, and the program run in it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tempfile::TempDir;

use crate::KEEPER;

/// Where a test lives: nothing of the caller's reaches it but PATH.
pub(crate) struct Sandbox {
    /// The server that keeps the book, where [`KEEPER`] says so, from the first command on. It ends
    /// before its folder goes.
    server: Mutex<Option<Server>>,
    root: TempDir,
    looks_at_host: bool,
    keeper: Keeper,
}

/// Who has the book that the commands of a test ask.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "each target of tests has one of them")]
pub(crate) enum Keeper {
    /// The commands themselves, in a file.
    Command,
    /// `portbook serve`: one for each sandbox.
    Server,
}

impl Sandbox {
    /// A sandbox whose ports are exact: what the machine uses is not asked.
    pub(crate) fn new() -> Self {
        // In memory where there is such a place: what survives a crash is not tested here, and a
        // busy disk would make everything wait.
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let root = tempfile::Builder::new()
            .prefix("portbook-cli-")
            .tempdir_in(parent)
            .unwrap();
        for folder in ["home", "work"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        Self {
            root,
            looks_at_host: false,
            keeper: KEEPER,
            server: Mutex::default(),
        }
    }

    /// A sandbox in which the machine is asked, as it is by default.
    pub(crate) fn looking_at_host() -> Self {
        let mut sandbox = Self::new();
        sandbox.looks_at_host = true;
        sandbox
    }

    /// A sandbox whose commands have the book themselves wherever this test runs, because of what is
    /// said.
    pub(crate) fn without_server(_because: &str) -> Self {
        let mut sandbox = Self::new();
        sandbox.keeper = Keeper::Command;
        sandbox
    }

    /// A sandbox with this `portbook.toml` in its working directory.
    pub(crate) fn configured(text: &str) -> Self {
        let sandbox = Self::new();
        sandbox.write("portbook.toml", text);
        sandbox
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// The working directory.
    pub(crate) fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// A path in the working directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.work().join(name)
    }

    /// Where the book is when nobody names a place.
    pub(crate) fn book(&self) -> PathBuf {
        self.root.path().join("data/portbook/portbook.db")
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(&path, content).unwrap();
        path
    }

    /// The program, its environment and folder set.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("portbook"));
        self.furnish(&mut command);
        command
    }

    /// Gives a command the sandbox's environment.
    pub(crate) fn furnish(&self, command: &mut Command) {
        self.furnish_with_file(command);
        if self.keeper == Keeper::Server {
            command.env("PORTBOOK_STORE", self.served());
        }
    }

    /// The address of this sandbox's server, which goes by the `portbook.toml` that is there now.
    fn served(&self) -> String {
        let rules = fs::read(self.path("portbook.toml")).ok();
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        if server.as_ref().is_none_or(|server| server.rules != rules) {
            // The old one ends before the new one takes its socket.
            *server = None;
            *server = Some(Server::start(self, rules));
        }
        format!("unix:{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.root.path().join("server.sock")
    }

    /// Gives a command the environment in which the book is a file.
    fn furnish_with_file(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root.path().join("home"))
            .env("XDG_DATA_HOME", self.root.path().join("data"))
            .env("XDG_CONFIG_HOME", self.root.path().join("config"))
            .env("TMPDIR", self.root.path())
            .env("USER", "tester")
            .current_dir(self.work())
            .stdin(Stdio::null());
        if !self.looks_at_host {
            command.env("PORTBOOK_HOST_CHECK", "false");
        }
    }

    /// Runs a command line whose words have no spaces in them.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> Run {
        self.run_words(line.split_whitespace())
    }

    /// Runs a command line given word by word.
    #[track_caller]
    pub(crate) fn run_words<W: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = W>) -> Run {
        let mut command = self.command();
        command.args(words);
        Run::of(command)
    }

    /// Runs a command line as a user who may do no more than the file modes say.
    pub(crate) fn run_as_nobody(&self, line: &str) -> Run {
        let mut command = Command::new("setpriv");
        command
            .args([
                "--reuid",
                "65534",
                "--regid",
                "65534",
                "--clear-groups",
                "--",
            ])
            .arg(assert_cmd::cargo::cargo_bin!("portbook"))
            .args(line.split_whitespace());
        self.furnish(&mut command);
        Run::of(command)
    }

    /// Lets everybody read and write what there is by now.
    pub(crate) fn open_to_all(&self) {
        open_to_all(self.root());
    }

    /// Runs a command line that must succeed, and gives its standard output.
    #[track_caller]
    pub(crate) fn text(&self, line: &str) -> String {
        self.run(line).done().stdout.clone()
    }

    /// Runs a command line with `--json` that must succeed, and gives its answer.
    #[track_caller]
    pub(crate) fn json(&self, line: &str) -> Value {
        self.run(&format!("{line} --json")).done().json()
    }

    /// The backend's and frontend's port of an app.
    #[track_caller]
    pub(crate) fn pair(&self, line: &str) -> (u64, u64) {
        let answer = self.json(line);
        let port = |role: &str| answer[role].as_u64().unwrap();
        (port("backend"), port("frontend"))
    }

    /// The book's whole history, by which two states of it can be told apart.
    #[track_caller]
    pub(crate) fn history(&self) -> Value {
        self.json("history")
    }

    /// How many changes the book has seen.
    #[track_caller]
    pub(crate) fn changes(&self) -> usize {
        self.history().as_array().unwrap().len()
    }

    /// What `check --json` finds, whatever its exit status, without the look at this host.
    #[track_caller]
    pub(crate) fn conflicts(&self) -> Vec<Value> {
        match self.run("check --json").json() {
            Value::Array(conflicts) => conflicts,
            other => panic!("check answers {other}"),
        }
    }

    /// Lets somebody else's hand do SQL in the book.
    #[track_caller]
    pub(crate) fn hand(&self, sql: &str) {
        let script = "import sqlite3, sys\n\
                      book = sqlite3.connect(sys.argv[1])\n\
                      book.executescript(sys.argv[2])\n\
                      book.commit()";
        let book = self.book();
        python(script, &[book.to_str().unwrap(), sql]);
    }

    /// A text with what differs from run to run taken out.
    pub(crate) fn cleaned(&self, text: &str) -> String {
        let text = text.replace(self.root.path().to_str().unwrap(), "[ROOT]");
        // A server adds the user that its socket's other end belongs to.
        let user = fs::metadata(self.root()).unwrap().uid();
        let text = text.replace(&format!("uid {user}: "), "");
        let text = masked(&text, "dddd-dd-ddTdd:dd:dd.dddZ", "[TIME]");
        let text = masked(&text, "dddd-dd-ddTdd:dd:ddZ", "[TIME]");
        let text = masked(&text, "dddd-dd-dd dd:dd:dd", "[TIME]");
        without_pids(&text)
    }
}

fn open_to_all(path: &Path) {
    let mode = match path.is_dir() {
        true => 0o777,
        false => 0o666,
    };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            open_to_all(&entry.unwrap().path());
        }
    }
}

/// A `portbook serve` that goes with its sandbox.
struct Server {
    child: Child,
    /// The `portbook.toml` that it was started with.
    rules: Option<Vec<u8>>,
}

impl Server {
    /// Is back once it listens, or has ended because it cannot: the commands then say why.
    fn start(sandbox: &Sandbox, rules: Option<Vec<u8>>) -> Self {
        let folder = sandbox.root().join("server");
        fs::create_dir_all(&folder).unwrap();
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("portbook"));
        sandbox.furnish_with_file(&mut command);
        // In a folder of its own: what lies in the caller's, the caller has to tell it.
        command.current_dir(folder).arg("serve");
        let mut listen = OsString::from("unix:");
        listen.push(sandbox.socket());
        command.arg("--listen").arg(listen);
        if rules.is_some() {
            command.arg("--config").arg(sandbox.path("portbook.toml"));
        }
        let log = fs::File::create(sandbox.root().join("server.log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout)
            .read_line(&mut String::new())
            .unwrap();
        Self { child, rules }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Killed, not asked: what survives that is a promise, too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `text` with every piece like `pattern`, in which `d` stands for a digit, replaced.
fn masked(text: &str, pattern: &str, with: &str) -> String {
    let mut cleaned = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let fits = rest.len() >= pattern.len()
            && rest
                .bytes()
                .zip(pattern.bytes())
                .all(|(found, wanted)| match wanted {
                    b'd' => found.is_ascii_digit(),
                    _ => found == wanted,
                });
        if fits {
            cleaned.push_str(with);
            rest = &rest[pattern.len()..];
        } else {
            cleaned.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    cleaned
}

fn without_pids(text: &str) -> String {
    let mut parts = text.split("pid ");
    let mut cleaned = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        cleaned.push_str("pid [PID]");
        cleaned.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    cleaned
}

/// What a run left behind.
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    line: String,
}

impl Run {
    #[track_caller]
    pub(crate) fn of(mut command: Command) -> Self {
        let output = command.output().unwrap();
        Self {
            // A signal is no exit status, and nothing that portbook should die of.
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            line: format!("{command:?}"),
        }
    }

    /// It ended with status 0.
    #[track_caller]
    pub(crate) fn done(&self) -> &Self {
        self.ended(0)
    }

    /// It ended with this status.
    #[track_caller]
    pub(crate) fn ended(&self, status: i32) -> &Self {
        let Self {
            line,
            stdout,
            stderr,
            ..
        } = self;
        assert_eq!(
            self.status, status,
            "{line}\nstdout: {stdout}\nstderr: {stderr}"
        );
        self
    }

    /// It failed with this status and one sentence on standard error, and nothing on standard
    /// output; gives the sentence.
    #[track_caller]
    pub(crate) fn failed(&self, status: i32) -> &str {
        self.ended(status);
        assert_eq!(self.stdout, "", "{} writes to stdout", self.line);
        let sentence = self.stderr.strip_suffix('\n').unwrap_or(&self.stderr);
        assert!(
            !sentence.contains('\n'),
            "{}: not one line: {sentence}",
            self.line
        );
        let sentence = sentence.strip_prefix("portbook: ");
        sentence.unwrap_or_else(|| panic!("{} says {:?}", self.line, self.stderr))
    }

    /// It failed as [`failed`](Self::failed) says, and said each of these.
    #[track_caller]
    pub(crate) fn failed_saying(&self, status: i32, words: &[&str]) {
        let sentence = self.failed(status);
        for word in words {
            assert!(sentence.contains(word), "`{word}` is missing: {sentence}");
        }
    }

    /// The error's object on standard error, with standard output empty.
    #[track_caller]
    pub(crate) fn error(&self, status: i32) -> Value {
        self.ended(status);
        assert_eq!(self.stdout, "", "{} writes to stdout", self.line);
        let object: Value = serde_json::from_str(&self.stderr)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.line, self.stderr));
        assert_eq!(keys(&object), ["error"], "{object}");
        let error = object["error"].clone();
        for key in ["code", "message", "hint"] {
            assert!(error.get(key).is_some(), "no {key}: {error}");
        }
        assert!(
            !error["message"].as_str().unwrap().contains('\n'),
            "{error}"
        );
        error
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let parsed = serde_json::from_str(&self.stdout);
        parsed.unwrap_or_else(|error| {
            panic!("{}: {error}: {}{}", self.line, self.stdout, self.stderr)
        })
    }
}

/// An object's keys, sorted.
pub(crate) fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = match object {
        Value::Object(members) => members.keys().map(String::as_str).collect(),
        other => panic!("no object: {other}"),
    };
    keys.sort_unstable();
    keys
}

/// A member's value in each object of an array.
#[track_caller]
pub(crate) fn each<'v>(array: &'v Value, key: &str) -> Vec<&'v Value> {
    array
        .as_array()
        .unwrap()
        .iter()
        .map(|object| &object[key])
        .collect()
}

/// Runs a Python script that must succeed, and gives what it wrote.
#[track_caller]
pub(crate) fn python(script: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("python3");
    command.args(["-c", script]).args(arguments);
    let run = Run::of(command);
    assert_eq!(run.status, 0, "{}", run.stderr);
    run.stdout
}

/// `length` neighbouring ports that nobody on this machine uses, outside the ephemeral range; no two
/// tests get the same.
pub(crate) fn free_stretch(length: u16) -> u16 {
    // Where this run begins: two runs on one machine hardly ever meet.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 100 * 100).unwrap();
    loop {
        let first = 20_000 + (offset + NEXT.fetch_add(length, Ordering::Relaxed)) % 12_000;
        let unused = |port: u16| {
            TcpListener::bind(("0.0.0.0", port)).is_ok()
                && UdpSocket::bind(("0.0.0.0", port)).is_ok()
        };
        if (first..first + length).all(unused) {
            return first;
        }
    }
}

/// A configuration whose backends are `base`, `base + 2`, ... and whose frontends lie between, in
/// all `slots` of them.
pub(crate) fn ranges(base: u16, slots: u16) -> String {
    let max = base + 2 * slots - 1;
    format!(
        "[ranges.backend]\nbase = {base}\nstep = 2\nmax = {max}\n\
         [ranges.frontend]\nbase = {}\nstep = 2\nmax = {max}\n",
        base + 1
    )
}

/// A python3 that listens on a port until it is dropped.
pub(crate) struct Listener {
    child: Child,
}

impl Listener {
    /// Listens on `port` in the folder `directory`.
    pub(crate) fn start(port: u16, directory: &Path) -> Self {
        let script = "import socket, sys\n\
                      server = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n\
                      print('listening', flush=True)\n\
                      sys.stdin.read()";
        let mut child = Command::new("python3")
            .args(["-c", script, &port.to_string()])
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        assert_eq!(line, "listening\n");
        Self { child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It ends with its standard input.
        if let Some(mut stdin) = self.child.stdin.take() {
            let _ = stdin.flush();
        }
        let _ = self.child.wait();
    }
}

/// The real `port_config.json`: 750 apps.
pub(crate) const REAL_PORT_CONFIG: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../portbook-apps/tests/data/port_config.json"
);
