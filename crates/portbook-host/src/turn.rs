use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

/// The network namespace itself is the lock: it is exactly what the probes compete for, every
/// process in it has the same one, and nothing needs to be created or cleaned up.
const NAMESPACE: &str = "/proc/thread-self/ns/net";

/// A probe holds its port for some microseconds. Waiting longer means that somebody else's process
/// sits on the lock, and a probe without it is merely one that may meet another.
const PATIENCE: Duration = Duration::from_millis(250);

/// What turns are waited for on: opened once, for any number of probes.
#[derive(Debug)]
pub(crate) struct Namespace(Option<File>);

impl Namespace {
    /// The network namespace of this thread. Without /proc there is nothing to wait for on.
    pub(crate) fn open() -> Namespace {
        Namespace(File::open(NAMESPACE).ok())
    }

    /// Waits for the right to probe.
    pub(crate) fn turn(&self) -> Turn<'_> {
        Turn(self.0.as_ref().filter(|namespace| lock(namespace)))
    }
}

/// The right to probe, which one process or thread of this network namespace has at a time.
///
/// Two probes of one port at the same moment would take each other for a server, and so give two
/// plans that run at once different answers than the same two in turn.
pub(crate) struct Turn<'a>(Option<&'a File>);

impl Drop for Turn<'_> {
    /// Closing the file is not enough: a child that another thread forks meanwhile has it open too.
    fn drop(&mut self) {
        if let Some(namespace) = self.0 {
            let _ = flock(namespace, FlockOperation::Unlock);
        }
    }
}

fn lock(namespace: &File) -> bool {
    let start = Instant::now();
    while flock(namespace, FlockOperation::NonBlockingLockExclusive).is_err() {
        if start.elapsed() > PATIENCE {
            return false;
        }
        thread::sleep(Duration::from_micros(20));
    }
    true
}
