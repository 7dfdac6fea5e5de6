//! (d) The whole process `portbook get`, and `allocate` of a new app, against the `sqlite3` shell doing
//! one SELECT, and one durable INSERT in WAL mode.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::{Benchmark, Bound, Failure, HostCheck, Outcome, fill, median, service, timed};

const ROUNDS: usize = 200;
const MANY: usize = 14_000;

pub fn run() -> Outcome {
    let program = program()?;
    let folder = tempfile::tempdir()?;
    let empty = folder.path().join("empty.db");
    let full = folder.path().join("full.db");
    fill(&service(&empty, HostCheck::On)?, "bench/held", 1)?;
    fill(&service(&full, HostCheck::On)?, "bench/held", MANY)?;
    let shell = folder.path().join("shell.db");
    sqlite(
        &shell,
        "PRAGMA journal_mode=WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, port INTEGER); INSERT INTO t (port) VALUES (1);",
    )?;

    let mut times: [Vec<Duration>; 6] = Default::default();
    for round in 1..=ROUNDS {
        let number = round.to_string();
        let allocate = ["allocate", "bench/new", &number];
        let get = ["get", "bench/held", "1"];
        times[0].push(timed(|| {
            sqlite(&shell, "SELECT port FROM t WHERE id = 1;")
        })?);
        times[1].push(timed(|| portbook(&program, &empty, &get))?);
        times[2].push(timed(|| portbook(&program, &full, &get))?);
        times[3].push(timed(|| {
            sqlite(&shell, "INSERT INTO t (port) VALUES (5001);")
        })?);
        times[4].push(timed(|| portbook(&program, &empty, &allocate))?);
        times[5].push(timed(|| portbook(&program, &full, &allocate))?);
    }
    let [select, get, get_full, insert, allocate, allocate_full] = times.map(median);
    println!(
        "           ms: SELECT {:.2}, get {:.2}, get of {MANY} {:.2}; INSERT {:.2}, allocate {:.2}, allocate beside {MANY} {:.2}",
        select * 1e3,
        get * 1e3,
        get_full * 1e3,
        insert * 1e3,
        allocate * 1e3,
        allocate_full * 1e3
    );
    let benchmark = |what: &str, ratio: f64, most: f64| Benchmark {
        what: what.into(),
        ratio,
        bound: Bound::AtMost(most),
    };
    Ok(vec![
        benchmark("`portbook get` / sqlite3 shell SELECT", get / select, 1.2),
        benchmark(
            "`portbook allocate` / sqlite3 shell INSERT",
            allocate / insert,
            1.2,
        ),
        benchmark(
            "`portbook get` with 14,000 apps / with one",
            get_full / get,
            3.0,
        ),
        benchmark(
            "`portbook allocate` with 14,000 apps / with few",
            allocate_full / allocate,
            3.0,
        ),
    ])
}

/// The command that `PORTBOOK` names, else the one beside this program: both are built into one
/// folder.
pub fn program() -> Result<PathBuf, Failure> {
    if let Some(named) = std::env::var_os("PORTBOOK") {
        // The runs have a working directory of their own.
        return Ok(std::path::absolute(named)?);
    }
    let path = std::env::current_exe()?.with_file_name("portbook");
    if !path.exists() {
        return Err("build the command first: cargo build --release -p portbook-cli".into());
    }
    Ok(path)
}

pub fn portbook(program: &Path, store: &Path, arguments: &[&str]) -> Result<(), Failure> {
    let folder = store.parent().unwrap_or(Path::new("/"));
    let status = Command::new(program)
        .args(arguments)
        .arg("--store")
        .arg(format!("sqlite:{}", store.display()))
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(format!("portbook {arguments:?} ended with {status}").into());
    }
    Ok(())
}

fn sqlite(path: &Path, sql: &str) -> Result<(), Failure> {
    let status = Command::new("sqlite3")
        .arg("-batch")
        .arg("-init")
        .arg("/dev/null")
        .arg(path)
        .arg(sql)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(format!("sqlite3 ended with {status}").into());
    }
    Ok(())
}
