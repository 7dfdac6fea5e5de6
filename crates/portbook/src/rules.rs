//! The rules of the configuration, together with what this host adds to them.

use std::sync::OnceLock;

use portbook_host::LocalHost;
use portbook_model::{HostView, Policy, PortSet, UncheckedHost};

/// By which rules ports are given out on this host.
pub(crate) struct Rules {
    configured: Policy,
    /// With the host's ephemeral range: asked for when something is planned, since most calls only
    /// look something up.
    on_this_host: OnceLock<Policy>,
    host_check: bool,
}

impl Rules {
    pub(crate) fn new(configured: Policy, host_check: bool) -> Self {
        Self {
            configured,
            on_this_host: OnceLock::new(),
            host_check,
        }
    }

    pub(crate) fn policy(&self) -> &Policy {
        self.on_this_host
            .get_or_init(|| self.configured.clone().with_ephemeral(ephemeral_ports()))
    }

    /// The rules without what the host adds, for whoever asks for roles only.
    pub(crate) fn configured(&self) -> &Policy {
        &self.configured
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
