//! The signals that a server is told something by.

use std::fs::File;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Is there once the process is told to stop; told so twice, it goes at once.
pub(super) fn stop() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (told, stop) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut told = Some(told);
        let is_second = AtomicBool::new(false);
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if is_second.swap(true, Ordering::Relaxed) {
                std::process::exit(1);
            }
            // Nobody waits for it any more once the server has stopped.
            let _ = told.take().map(|told| told.send(()));
        }
    });
    Ok(async move {
        let _ = stop.await;
    })
}

/// SIGHUP: an administrator's for "read your configuration anew", and the kernel's or a shell's for "your
/// terminal is gone".
pub(super) struct Hangups {
    signals: Signal,
    had_terminal: bool,
}

impl Hangups {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            signals: signal(SignalKind::hangup())?,
            had_terminal: has_terminal(),
        })
    }

    /// Has `reload` done at each of them, and is there once the terminal is gone: a server that somebody
    /// started by hand does not stay behind unseen.
    pub(super) async fn follow(mut self, reload: impl Fn() + Clone + Send + 'static) {
        while self.signals.recv().await.is_some() {
            if self.had_terminal && !has_terminal() {
                return;
            }
            // One that breaks off has changed nothing, and the next one is as good.
            let _ = tokio::task::spawn_blocking(reload.clone()).await;
        }
    }
}

/// Whether the process has a terminal that is still there (tty(4)).
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}
