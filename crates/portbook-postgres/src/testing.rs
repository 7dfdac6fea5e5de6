//! A PostgreSQL server of a test's own: on a unix socket in a temporary folder, gone with the test.
//!
//! For the tests of this crate and of those above it; what it cannot have, it panics for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test cannot have fails it"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::{Address, Options, PostgresStore, init};

/// The server's programs lie beside each other, on Debian outside the search path.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut folders: Vec<PathBuf> = versions
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|folder| folder.join("initdb").exists())
        .collect();
    folders.sort();
    folders
        .pop()
        .expect("PostgreSQL's server is installed (package postgresql)")
}

/// The server, for as long as this is kept, and no longer than this process runs.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    /// Ends the server, and removes its folder, once this process is gone.
    keeper: Child,
}

impl Server {
    /// The server that every test of this process uses.
    pub fn shared() -> &'static Server {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(Server::start)
    }

    /// A server of one's own.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("portbook-postgres-")
            .tempdir()
            .unwrap()
            .keep();
        let programs = programs();
        // PostgreSQL does not run as root: its own user owns the folder then.
        let is_root = rustix::process::geteuid().is_root();
        let become_postgres = if is_root {
            "setpriv --reuid=postgres --regid=postgres --clear-groups"
        } else {
            ""
        };
        if is_root {
            run(Command::new("chown").arg("postgres:postgres").arg(&folder));
        }
        let script = format!(
            "set -e
             {become_postgres} {bin}/initdb --pgdata={data} --username=postgres --auth=trust --encoding=UTF8 --locale=C >{log} 2>&1
             {become_postgres} {bin}/postgres -D {data} -k {folder} -c listen_addresses= -c max_connections=200 >>{log} 2>&1 &
             cat >/dev/null
             kill -QUIT $(head -n 1 {data}/postmaster.pid) || true
             while kill -0 $(head -n 1 {data}/postmaster.pid 2>/dev/null) 2>/dev/null; do sleep 0.05; done
             rm -rf {folder}",
            bin = programs.display(),
            data = folder.join("data").display(),
            folder = folder.display(),
            log = folder.join("log").display(),
        );
        let keeper = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let server = Self { folder, keeper };
        server.wait_until_ready();
        server
    }

    fn wait_until_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(120);
        let ready = || {
            let mut ask = Command::new(programs().join("pg_isready"));
            ask.args(["-q", "-h"]).arg(&self.folder);
            ask.status().unwrap().success()
        };
        while !ready() {
            let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(
                Instant::now() < deadline,
                "PostgreSQL does not start:\n{log}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Where its socket is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The process number of the server itself.
    pub fn pid(&self) -> i32 {
        let file = self.folder.join("data/postmaster.pid");
        let text = std::fs::read_to_string(file).unwrap();
        text.lines().next().unwrap().parse().unwrap()
    }

    /// The address of a place for a book: a schema of its own, in which there is nothing.
    pub fn place(&self) -> String {
        self.place_behind(&self.folder)
    }

    /// The same, to be reached by the socket in another folder: that of a proxy.
    pub fn place_behind(&self, folder: &Path) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let schema = format!("book{number}_{}", std::process::id());
        self.sql(&format!("CREATE SCHEMA {schema}"));
        let socket = folder.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{socket}/postgres?options=-c%20search_path%3D{schema}")
    }

    /// A new, empty book.
    pub fn book(&self, turns: bool) -> PostgresStore {
        let address: Address = self.place().parse().unwrap();
        assert!(init(&address).unwrap());
        PostgresStore::open(address, Options { turns }).unwrap()
    }

    /// Somebody else's hand: what PostgreSQL's own shell answers, a row a line.
    pub fn sql(&self, sql: &str) -> String {
        let mut psql = Command::new(programs().join("psql"));
        psql.args([
            "-q",
            "-X",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
        ]);
        psql.args(["-d", "postgres", "-h"]).arg(&self.folder);
        run(psql.args(["-c", sql]))
    }

    /// Stops it as `mode` says (pg_ctl(1)) and starts it again.
    pub fn restart(&self, mode: &str) {
        let control = programs().join("pg_ctl");
        let mut control = match rustix::process::geteuid().is_root() {
            true => {
                let mut setpriv = Command::new("setpriv");
                setpriv.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
                setpriv.arg(control);
                setpriv
            }
            false => Command::new(control),
        };
        control.arg("-D").arg(self.folder.join("data"));
        // The first log is whoever started the tests'.
        control.arg("-l").arg(self.folder.join("log-of-restarts"));
        let options = format!(
            "-k {} -c listen_addresses= -c max_connections=200",
            self.folder.display()
        );
        control.args(["-o", &options, "-w", "-s", "-m", mode, "restart"]);
        let status = control.stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(status.unwrap().success(), "the server does not start again");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}
