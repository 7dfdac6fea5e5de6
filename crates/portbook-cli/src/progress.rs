//! Progress on what takes longer than a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::ProgressBar;

use crate::output::Output;

const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(120);

/// Tells on standard error that something is going on, from its first second on until it is dropped;
/// only where a person looks on.
pub(crate) struct Progress {
    watcher: Option<(Sender<()>, JoinHandle<()>)>,
    count: Arc<Count>,
}

/// How far it has come; a total of 0 is unknown.
#[derive(Default)]
struct Count {
    done: AtomicUsize,
    total: AtomicUsize,
}

impl Count {
    fn message(&self, what: &str) -> String {
        let done = self.done.load(Ordering::Relaxed);
        match self.total.load(Ordering::Relaxed) {
            0 if done == 0 => what.to_owned(),
            0 => format!("{what}: {done}"),
            total => format!("{what}: {done} of {total}"),
        }
    }
}

impl Progress {
    /// Begins to wait; `what` is what is being done: "importing apps.json".
    pub(crate) fn of(output: &Output, what: &str) -> Self {
        if !output.shows_progress() {
            return Self {
                watcher: None,
                count: Arc::default(),
            };
        }
        let what = what.to_owned();
        let count = Arc::<Count>::default();
        let counted = Arc::clone(&count);
        let (done, wait) = channel::<()>();
        let watcher = thread::spawn(move || {
            if wait.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let bar = ProgressBar::new_spinner().with_message(counted.message(&what));
            // Ends with a message or with the sender: either way the work is done.
            while wait.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                bar.set_message(counted.message(&what));
                bar.tick();
            }
            bar.finish_and_clear();
        });
        Self {
            watcher: Some((done, watcher)),
            count,
        }
    }

    /// Tells how far it has come, which costs next to nothing.
    pub(crate) fn tell(&self, done: usize, total: Option<usize>) {
        self.count.done.store(done, Ordering::Relaxed);
        self.count
            .total
            .store(total.unwrap_or(0), Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((done, watcher)) = self.watcher.take() {
            drop(done);
            // A watcher that panicked has nothing left to clear.
            let _ = watcher.join();
        }
    }
}
