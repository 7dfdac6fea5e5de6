//! The rules of the configuration, together with what this host adds to them.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use portbook_host::LocalHost;
use portbook_model::{HostView, Policy, PortSet, UncheckedHost};

/// By which rules ports are given out on this host: they may be replaced while others ask for them, and
/// whoever has asked goes on with what it got.
pub(crate) struct Rules {
    current: RwLock<Arc<Current>>,
    host_check: bool,
}

struct Current {
    configured: Arc<Policy>,
    /// With the host's ephemeral range: asked for when something is planned, since most calls only
    /// look something up.
    on_this_host: OnceLock<Arc<Policy>>,
}

impl Current {
    fn new(configured: Policy) -> Arc<Self> {
        Arc::new(Self {
            configured: Arc::new(configured),
            on_this_host: OnceLock::new(),
        })
    }
}

impl Rules {
    pub(crate) fn new(configured: Policy, host_check: bool) -> Self {
        Self {
            current: RwLock::new(Current::new(configured)),
            host_check,
        }
    }

    /// From now on these are the rules.
    pub(crate) fn replace(&self, configured: Policy) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Current::new(configured);
    }

    fn current(&self) -> Arc<Current> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    /// The same one until the rules are replaced.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        let current = self.current();
        let policy = current.on_this_host.get_or_init(|| {
            let configured = Policy::clone(&current.configured);
            Arc::new(configured.with_ephemeral(ephemeral_ports()))
        });
        policy.clone()
    }

    /// The rules without what the host adds, for whoever asks for roles only.
    pub(crate) fn configured(&self) -> Arc<Policy> {
        self.current().configured.clone()
    }

    pub(crate) fn checks_host(&self) -> bool {
        self.host_check
    }

    /// The host as a plan is to see it.
    pub(crate) fn host_view(&self) -> Box<dyn HostView> {
        if self.host_check {
            Box::new(LocalHost::new())
        } else {
            Box::new(UncheckedHost)
        }
    }
}

/// The ports from which this host takes the local ends of outgoing connections.
fn ephemeral_ports() -> PortSet {
    let range = portbook_host::ephemeral_range();
    let mut ports = range.map_or_else(PortSet::new, |range| range.to_set());
    if let Ok(reserved) = portbook_host::reserved_ports() {
        ports.subtract(&reserved);
    }
    ports
}
