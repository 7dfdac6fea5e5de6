//! What changes while the server runs: the rules that ports are given out by, and the certificate. (The
//! file of tokens is looked at by itself.)

use std::sync::{Arc, Mutex, PoisonError};

use portbook::{Configuration, ConfigurationError, Counts, PortAllocationService};
use tracing::{error, info, warn};

use crate::supervisor;
use crate::tls::Tls;

/// Takes up what is new, as the log is told key by key. What cannot be used is refused whole, and what
/// was there goes on.
pub struct Reloader {
    service: PortAllocationService,
    tls: Option<Arc<Tls>>,
    /// What the server was started with: store, space and the like stay so.
    started: Configuration,
    current: Mutex<Configuration>,
}

impl Reloader {
    pub(crate) fn new(
        service: PortAllocationService,
        tls: Option<Arc<Tls>>,
        started: Configuration,
    ) -> Self {
        Self {
            service,
            tls,
            current: Mutex::new(started.clone()),
            started,
        }
    }

    /// Reads the configuration anew by `load`, and the certificate's files; the service manager is told
    /// when it begins and when it is done.
    pub fn reload(&self, load: impl FnOnce() -> Result<Configuration, ConfigurationError>) {
        supervisor::reloads();
        match load() {
            Ok(configuration) => self.adopt(configuration),
            Err(refused) => {
                error!("the new configuration is refused, and the old one goes on: {refused}");
            }
        }
        if let Some(tls) = &self.tls {
            match tls.load_anew() {
                Ok(()) => info!("the certificate was read anew"),
                Err(refused) => {
                    error!("the new certificate is refused, and the old one goes on: {refused}");
                }
            }
        }
        supervisor::is_ready();
    }

    fn adopt(&self, configuration: Configuration) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let adopted = configuration.differences(&current).into_iter();
        let adopted: Vec<_> = adopted
            .filter(|difference| difference.counts == Counts::Adopted)
            .collect();
        let opened = configuration.differences(&self.started).into_iter();
        let opened: Vec<_> = opened
            .filter(|difference| difference.counts == Counts::OpenedAnew)
            .collect();
        self.service.adopt(&configuration);
        for changed in &adopted {
            info!(
                key = changed.key,
                before = changed.before,
                after = changed.after,
                "the configuration changed"
            );
        }
        for changed in &opened {
            warn!(
                key = changed.key,
                before = changed.before,
                after = changed.after,
                "the configuration changed, and this takes a restart"
            );
        }
        if adopted.is_empty() && opened.is_empty() {
            info!("the configuration was read anew, and nothing in it changed");
        }
        *current = configuration;
    }
}
