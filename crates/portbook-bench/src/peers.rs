//! (p) What users of `portpicker` would take otherwise: a lease by the portserver protocol against Google's own
//! portserver, which keeps what it gave out in memory alone.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Benchmark, Bound, Failure, HostCheck, Outcome, median, timed};
use crate::serving::Serving;

const ROUNDS: usize = 5;
const LEASES: usize = 200;
/// The ports that Google's portserver gives out unless it is told otherwise.
const POOL: &str = "15000-24999";
/// Google's looks at every port's number before it listens, and Python starts slowly on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn run() -> Outcome {
    let folder = tempfile::tempdir()?;
    let (own, peers) = (folder.path().join("own"), folder.path().join("peers"));
    let options = [
        "--portserver",
        &own.to_string_lossy(),
        "--portserver-ports",
        POOL,
    ];
    let options = options.map(str::to_owned);
    let _portbook = Serving::portbook(&folder.path().join("book.db"), HostCheck::On, &options)?;
    let _portserver = Portserver::start(&peers)?;
    let mut times: [Vec<Duration>; 2] = Default::default();
    for round in 0..=ROUNDS {
        for (address, times) in [&own, &peers].into_iter().zip(&mut times) {
            let took = timed(|| (0..LEASES).try_for_each(|_| lease(address)))?;
            // The first round warms up.
            if round > 0 {
                times.push(took);
            }
        }
    }
    let [own, peers] = times.map(|times| LEASES as f64 / median(times));
    println!("           leases a second: {own:.0}, of Google's portserver {peers:.0}");
    Ok(vec![Benchmark {
        what: "leases a second by the portserver protocol / Google's portserver's".into(),
        ratio: own / peers,
        bound: Bound::AtLeast(1.0),
    }])
}

fn lease(address: &Path) -> Result<(), Failure> {
    let mut stream = UnixStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    writeln!(stream, "{}", std::process::id())?;
    let mut port = String::new();
    stream.read_to_string(&mut port)?;
    port.trim().parse::<u16>()?;
    Ok(())
}

/// Google's portserver, which ends with this value.
struct Portserver(Child);

impl Portserver {
    fn start(address: &Path) -> Result<Self, Failure> {
        let place = std::env::current_exe()?;
        let place = place
            .ancestors()
            .nth(2)
            .map(|target| target.join("test-servers/bin"));
        let program = place.ok_or("no target directory")?.join("portserver.py");
        if !program.exists() {
            return Err(
                format!("{} is missing: run scripts/test-servers", program.display()).into(),
            );
        }
        let child = Command::new(program.with_file_name("python"))
            .arg(program)
            .arg("--portserver_address")
            .arg(address)
            .args(["--portserver_static_pool", POOL])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self(child);
        let begun = Instant::now();
        while UnixStream::connect(address).is_err() {
            if begun.elapsed() > PATIENCE {
                return Err("Google's portserver does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }
}

impl Drop for Portserver {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
