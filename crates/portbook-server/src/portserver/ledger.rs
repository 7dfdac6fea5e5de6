//! The leases as they are kept beside the machine's sockets, so that they outlive the server.
//!
//! One line a lease, appended before the client is answered: a server that is killed in the middle of a
//! line had not answered yet. What a line says is over with its process, and all of it with the boot that
//! the first line names. Nothing is synced: a machine that goes down takes the processes along.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use portbook::host::boot_id;
use portbook::model::{Port, PortStretch};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::PortserverError;

/// A process for as long as its machine runs: a pid is given out again, with another start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tenant {
    pub(super) pid: u32,
    /// In clock ticks since the machine's start: field 22 of proc_pid_stat(5).
    pub(super) start_time: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    pub(super) port: Port,
    pub(super) tenant: Tenant,
}

impl Lease {
    fn line(self) -> String {
        let Lease { port, tenant } = self;
        format!("{port} {} {}\n", tenant.pid, tenant.start_time)
    }

    fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let lease = Lease {
            port: words.next()?.parse().ok()?,
            tenant: Tenant {
                pid: words.next()?.parse().ok()?,
                start_time: words.next()?.parse().ok()?,
            },
        };
        words.next().is_none().then_some(lease)
    }
}

pub(super) struct Ledger {
    path: PathBuf,
    file: File,
    lines: usize,
    standing: HashMap<Port, Tenant>,
    /// Held as long as the ledger is: one server for these ports.
    _turn: File,
}

impl Ledger {
    /// From so many lines beyond twice the pool on, a ledger is long.
    pub(super) const LONG: usize = 1024;

    /// Opens the ledger for these ports, and makes it where there is none.
    pub(super) fn open(folder: &Path, ports: PortStretch) -> Result<Self, PortserverError> {
        let path = folder.join(format!("portserver-{ports}.leases"));
        let failed = |source: io::Error| PortserverError::Ledger {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let turn = File::create(path.with_extension("lock")).map_err(failed)?;
        if !take(&turn).map_err(failed)? {
            return Err(PortserverError::Served(ports));
        }
        let standing = match fs::read(&path) {
            Ok(bytes) => read(&String::from_utf8_lossy(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
            Err(error) => return Err(failed(error)),
        };
        let leases: Vec<Lease> = standing
            .iter()
            .map(|(port, tenant)| Lease {
                port: *port,
                tenant: *tenant,
            })
            .collect();
        let file = write_anew(&path, &leases).map_err(failed)?;
        Ok(Self {
            path,
            file,
            lines: leases.len(),
            standing,
            _turn: turn,
        })
    }

    /// The leases that were found, once.
    pub(super) fn standing(&mut self) -> HashMap<Port, Tenant> {
        std::mem::take(&mut self.standing)
    }

    /// Adds a lease: the last one of a port counts. After a failure half a line may stand there, so the
    /// ledger is to be written anew.
    pub(super) fn note(&mut self, lease: Lease) -> io::Result<()> {
        let written = self.file.write_all(lease.line().as_bytes());
        self.lines = match written {
            Ok(()) => self.lines.saturating_add(1),
            Err(_) => usize::MAX,
        };
        written
    }

    /// Whether most of the lines must be over, or one of them may be torn.
    pub(super) fn is_long(&self, ports: usize) -> bool {
        self.lines > 2 * ports + Self::LONG
    }

    /// Writes a ledger of nothing but these leases in place of the one that is there.
    pub(super) fn rewrite(&mut self, leases: &[Lease]) -> io::Result<()> {
        self.file = write_anew(&self.path, leases)?;
        self.lines = leases.len();
        Ok(())
    }
}

/// Takes the turn, if need be from a server that is just ending.
fn take(turn: &File) -> io::Result<bool> {
    const TRIES: u32 = 20;
    const PAUSE: Duration = Duration::from_millis(50);
    for _ in 0..TRIES {
        match flock(turn, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => std::thread::sleep(PAUSE),
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(false)
}

fn heading() -> String {
    format!(
        "portbook leases of boot {}\n",
        boot_id().unwrap_or_default()
    )
}

/// The leases of a ledger's whole lines; none where it is of another boot.
fn read(text: &str) -> HashMap<Port, Tenant> {
    let Some(lines) = text.strip_prefix(&heading()) else {
        return HashMap::new();
    };
    lines
        .split_inclusive('\n')
        .filter_map(|line| Lease::read(line.strip_suffix('\n')?))
        .map(|lease| (lease.port, lease.tenant))
        .collect()
}

fn write_anew(path: &Path, leases: &[Lease]) -> io::Result<File> {
    let mut text = heading();
    for lease in leases {
        text.push_str(&lease.line());
    }
    let draft = path.with_extension("draft");
    fs::write(&draft, text)?;
    let file = OpenOptions::new().append(true).open(&draft)?;
    fs::rename(&draft, path)?;
    Ok(file)
}
