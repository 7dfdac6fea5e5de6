//! A place of its own for each test, and what a call of the command ended with.

use std::fs;
use std::io::{PipeReader, PipeWriter};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use portbook::{Configuration, Environment, Flags, PortAllocationService};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with its own home, working directory and book.
#[derive(Debug)]
pub(crate) struct Desk {
    root: PathBuf,
    _folder: Option<TempDir>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut desk = Self::at(folder.path());
        desk._folder = Some(folder);
        desk
    }

    /// The desk in a folder that somebody else removes.
    pub(crate) fn at(root: &Path) -> Self {
        let root = root.canonicalize().unwrap();
        fs::create_dir_all(root.join("home")).unwrap();
        Self {
            root,
            _folder: None,
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The book, where the command looks for it by itself: in folders that are not there at first.
    pub(crate) fn book(&self) -> PathBuf {
        self.root.join("data/portbook/portbook.db")
    }

    /// A file beside the book: `-wal`, `.lock`.
    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.book().into_os_string();
        name.push(suffix);
        name.into()
    }

    /// Puts bytes where the book is looked for.
    pub(crate) fn put_book(&self, bytes: &[u8]) {
        fs::create_dir_all(self.book().parent().unwrap()).unwrap();
        fs::write(self.book(), bytes).unwrap();
    }

    fn variables(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("HOME", self.root.join("home")),
            ("XDG_DATA_HOME", self.root.join("data")),
            ("XDG_CONFIG_HOME", self.root.join("config")),
            ("XDG_STATE_HOME", self.root.join("state")),
        ]
    }

    /// A program that finds itself at this desk.
    pub(crate) fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.variables())
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// `portbook` with these words.
    pub(crate) fn portbook(&self, words: &str) -> Command {
        let mut command = self.program(portbook_binary());
        command.args(words_of(words));
        command
    }

    /// `portbook` with these words, once the gate opens.
    pub(crate) fn portbook_behind(&self, gate: &Gate, words: &str) -> Child {
        let mut command = self.program("sh");
        command
            .args(["-c", "read _; exec \"$@\" </dev/null", "sh"])
            .arg(portbook_binary())
            .args(words_of(words))
            .stdin(gate.entry());
        command.spawn().unwrap()
    }

    pub(crate) fn run(&self, words: &str) -> Done {
        Done::of(words, self.portbook(words).output().unwrap())
    }

    /// What the command answers, which has to succeed.
    pub(crate) fn json(&self, words: &str) -> Value {
        self.run(&format!("{words} --json")).json()
    }

    /// A service on this desk's book, as long-lived as the caller likes.
    pub(crate) fn service(&self) -> PortAllocationService {
        self.try_service().unwrap()
    }

    pub(crate) fn try_service(&self) -> Result<PortAllocationService, portbook::Error> {
        let flags = Flags {
            no_host_check: true,
            ..Flags::default()
        };
        let environment = Environment::new(&self.root, self.variables());
        PortAllocationService::open(&Configuration::load(&flags, &environment)?)
    }

    /// A configuration file in the working directory.
    pub(crate) fn configure(&self, toml: &str) {
        fs::write(self.root.join("portbook.toml"), toml).unwrap();
    }
}

pub(crate) fn portbook_binary() -> PathBuf {
    assert_cmd::cargo::cargo_bin!("portbook").to_owned()
}

/// The words of a command line; no test here looks at the ports of this host.
pub(crate) fn words_of(words: &str) -> impl Iterator<Item = &str> {
    ["--no-host-check"]
        .into_iter()
        .chain(words.split_whitespace())
}

/// What processes wait behind, to be let go at one moment.
pub(crate) struct Gate {
    entry: PipeReader,
    bar: PipeWriter,
}

impl Gate {
    pub(crate) fn new() -> Self {
        let (entry, bar) = std::io::pipe().unwrap();
        Self { entry, bar }
    }

    fn entry(&self) -> PipeReader {
        self.entry.try_clone().unwrap()
    }

    pub(crate) fn open(self) {
        drop(self.bar);
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) words: String,
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    pub(crate) fn of(words: &str, output: Output) -> Self {
        let done = Self {
            words: words.to_owned(),
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert!(!done.stderr.contains("panicked"), "a panic: {done:#?}");
        done
    }

    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    pub(crate) fn json(self) -> Value {
        let done = self.ok();
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:#?}"))
    }

    /// The command failed with this status and said why in one sentence, which is returned.
    pub(crate) fn fails(&self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert_eq!(self.stdout, "", "an answer beside the failure: {self:#?}");
        let sentence = self.stderr.trim_end();
        assert_eq!(sentence.lines().count(), 1, "not one sentence: {self:#?}");
        assert!(sentence.len() > "portbook: ".len(), "{self:#?}");
        sentence.to_owned()
    }

    /// The code of a failure that was told as JSON, and its message.
    pub(crate) fn complaint(&self) -> (String, String) {
        let line = self.fails(self.code.unwrap_or(-1));
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{self:#?}"));
        let text = |key: &str| told["error"][key].as_str().unwrap_or_default().to_owned();
        let message = text("message");
        assert!(!message.is_empty() && !message.contains('\n'), "{self:#?}");
        (text("code"), message)
    }
}

/// Numbers drawn by lot, again the same from the same seed.
pub(crate) struct Lot(u64);

impl Lot {
    /// A new seed, printed, unless `PORTBOOK_SEED` names one.
    pub(crate) fn drawn(of: &str) -> Self {
        let named = std::env::var("PORTBOOK_SEED").ok();
        let seed = named.and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            now.as_nanos() as u64
        });
        println!("{of}: PORTBOOK_SEED={seed}");
        Self::seeded(seed)
    }

    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// splitmix64
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
