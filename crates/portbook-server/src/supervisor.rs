//! What whoever runs the server is told (sd_notify(3)): when it is ready, when it
//! reads its configuration anew, when it stops, and that it lives.
//! Where nobody asks for it, nothing is told.

use std::io;
use std::time::Duration;

use sd_notify::NotifyState;
use tracing::warn;

pub(crate) fn is_ready() {
    tell(&[NotifyState::Ready]);
}

/// It is busy with that until it [is ready](is_ready) again.
pub(crate) fn reloads() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "the service manager could not be told"),
    }
}

pub(crate) fn stops() {
    tell(&[NotifyState::Stopping]);
}

/// Says that it lives, twice in the time after which it would be taken for hung, for as long as it is
/// polled. The book is not asked: a database that is away would not come back by a server's restart.
pub(crate) async fn keeps_living() {
    let Some(deadline) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let half = (deadline / 2).max(Duration::from_millis(1));
    let mut beat = tokio::time::interval(half);
    loop {
        beat.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(state: &[NotifyState<'_>]) {
    let told: io::Result<()> = sd_notify::notify(state);
    if let Err(error) = told {
        warn!(%error, "the service manager could not be told");
    }
}
