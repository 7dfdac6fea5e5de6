//! Whoever looks on while a writer works, and whoever waits for what it does.

use std::sync::{Arc, Weak};
use std::time::Duration;

/// Somebody who counts what the writer does.
pub trait Watcher: Send + Sync {
    /// A request waited so long until its commit began.
    fn waited(&self, time: Duration);
    /// A commit of so many changes took so long.
    fn committed(&self, time: Duration, changes: usize);
    /// A commit came after another one and was planned anew.
    fn was_stale(&self);
}

/// Whether somebody still waits for an answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waits(Option<Weak<()>>);

impl Waits {
    /// For as long as somebody has this.
    pub(crate) fn as_long_as(held: &Arc<()>) -> Self {
        Self(Some(Arc::downgrade(held)))
    }

    /// Whether the one who asked has gone.
    pub(crate) fn is_over(&self) -> bool {
        let held = self.0.as_ref();
        held.is_some_and(|held| held.strong_count() == 0)
    }
}
