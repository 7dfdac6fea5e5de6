//! Which apps are the agent's, so that it releases nobody else's by mistake.

use std::collections::BTreeSet;
use std::sync::Mutex;

use portbook::Checkout;
use portbook::model::{Allocation, AppKey, ModelPattern};

/// The apps that are the agent's: those it allocated in this session, the one that its checkout is, and
/// those of the models that are its own.
#[derive(Debug)]
pub(crate) struct Belonging {
    own: Vec<ModelPattern>,
    allocated: Mutex<BTreeSet<AppKey>>,
}

impl Belonging {
    pub(crate) fn new(own: Vec<ModelPattern>) -> Self {
        Self {
            own,
            allocated: Mutex::default(),
        }
    }

    /// Remembers what this session made. An app that it only asked for stays its maker's.
    pub(crate) fn made(&self, app: &AppKey) {
        self.allocated().insert(app.clone());
    }

    /// Whether the app is the agent's.
    pub(crate) fn has(&self, allocation: &Allocation, checkout: Option<&Checkout>) -> bool {
        let app = &allocation.app;
        self.allocated().contains(app)
            || self.own.iter().any(|models| models.matches(&app.model))
            || checkout.is_some_and(|checkout| checkout.is_home_of(allocation))
    }

    fn allocated(&self) -> std::sync::MutexGuard<'_, BTreeSet<AppKey>> {
        // What a set holds is whole whatever became of the thread that held the lock.
        self.allocated
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
