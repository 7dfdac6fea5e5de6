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

/// The right to probe, which one process or thread of this network namespace has at a time.
///
/// Two probes of one port at the same moment would take each other for a server, and so give two
/// plans that run at once different answers than the same two in turn.
pub(crate) struct Turn(Option<File>);

impl Turn {
    pub(crate) fn take() -> Turn {
        Turn(locked())
    }
}

impl Drop for Turn {
    /// Closing the file is not enough: a child that another thread forks meanwhile has it open too.
    fn drop(&mut self) {
        if let Some(namespace) = &self.0 {
            let _ = flock(namespace, FlockOperation::Unlock);
        }
    }
}

fn locked() -> Option<File> {
    let namespace = File::open(NAMESPACE).ok()?;
    let start = Instant::now();
    while flock(&namespace, FlockOperation::NonBlockingLockExclusive).is_err() {
        if start.elapsed() > PATIENCE {
            return None;
        }
        thread::sleep(Duration::from_micros(20));
    }
    Some(namespace)
}
