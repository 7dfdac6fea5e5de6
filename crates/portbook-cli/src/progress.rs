//! Progress on what takes longer than a second.

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
}

impl Progress {
    /// Begins to wait; `what` is what is being done: "importing apps.json".
    pub(crate) fn of(output: &Output, what: &str) -> Self {
        if !output.shows_progress() {
            return Self { watcher: None };
        }
        let what = what.to_owned();
        let (done, wait) = channel::<()>();
        let watcher = thread::spawn(move || {
            if wait.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let bar = ProgressBar::new_spinner().with_message(what);
            bar.enable_steady_tick(TICK);
            // Ends with a message or with the sender: either way the work is done.
            let _ = wait.recv();
            bar.finish_and_clear();
        });
        Self {
            watcher: Some((done, watcher)),
        }
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
