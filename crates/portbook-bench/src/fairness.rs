//! (e) Eight processes on one book: the largest share of commits against the smallest.

use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime};

use portbook_model::AllocationRequest;

use crate::harness::{Benchmark, Bound, Failure, HostCheck, Outcome, app, fill, service};

/// The argument by which this program is one of the eight.
pub const WORKER: &str = "fairness-worker";
const PROCESSES: usize = 8;
const HEAD_START: Duration = Duration::from_millis(800);
const LENGTH: Duration = Duration::from_secs(3);

pub fn run() -> Outcome {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("portbook.db");
    fill(&service(&store, HostCheck::On)?, "bench/held", 1)?;
    let start = SystemTime::now() + HEAD_START;
    let start = start.duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
    let workers = (0..PROCESSES)
        .map(|worker| {
            Command::new(std::env::current_exe()?)
                .args([WORKER, &worker.to_string(), &start.to_string()])
                .arg(&store)
                .stdout(Stdio::piped())
                .spawn()
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut shares = Vec::new();
    for worker in workers {
        let output = worker.wait_with_output()?;
        shares.push(String::from_utf8(output.stdout)?.trim().parse::<u32>()?);
    }
    shares.sort_unstable();
    println!("           commits of each process: {shares:?}");
    let (least, most) = (shares[0], shares[PROCESSES - 1]);
    Ok(vec![Benchmark {
        what: format!("{PROCESSES} processes: the largest share of commits / the smallest"),
        ratio: f64::from(most) / f64::from(least.max(1)),
        bound: Bound::AtMost(1.5),
    }])
}

/// Commits for three seconds from the agreed moment on, and prints how often.
pub fn work() -> ExitCode {
    match commits() {
        Ok(commits) => {
            let written = writeln!(std::io::stdout(), "{commits}");
            ExitCode::from(u8::from(written.is_err()))
        }
        Err(error) => {
            eprintln!("a worker failed: {error}");
            ExitCode::from(1)
        }
    }
}

fn commits() -> Result<u32, Failure> {
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    let [worker, start, store] = arguments.as_slice() else {
        return Err("a worker takes its number, its start and the book".into());
    };
    let service = service(Path::new(store), HostCheck::On)?;
    let model = format!("bench/worker-{worker}");
    let start = SystemTime::UNIX_EPOCH + Duration::from_millis(start.parse()?);
    std::thread::sleep(start.duration_since(SystemTime::now()).unwrap_or_default());
    let started = Instant::now();
    let mut commits = 0;
    while started.elapsed() < LENGTH {
        // Every second commit gives back, so that the book does not run full.
        let app = app(&model, 1)?;
        service.allocate(&AllocationRequest::plain(vec![app.clone()]))?;
        service.release(vec![app])?;
        commits += 2;
    }
    Ok(commits)
}
