use std::collections::HashMap;
#[cfg(target_os = "linux")]
use std::sync::OnceLock;
use std::sync::{Mutex, PoisonError};

use portbook_model::{Holder, HostUnknown, HostView, Port, PortSet};

#[cfg(target_os = "linux")]
use crate::turn::Namespace;
use crate::{holders, probe};

/// This machine, as seen by one plan: every port is probed at most once.
///
/// A port that is asked about again gets the answer of the first time, even if it has changed
/// since: a plan that sees one port both free and taken would contradict itself. Make a new one for
/// each plan.
///
/// # What counts as taken
///
/// Whatever keeps a server from binding the port with `SO_REUSEADDR`, on any address of IPv4 or
/// IPv6, and further every socket that has the port, listening or not, whatever options it was
/// bound with. A port with nothing but connections in TIME_WAIT is free, if a server can have it:
/// connections of a socket that was bound without `SO_REUSEADDR` keep even a server that sets it
/// away until they end, so that port counts as taken. So does one with connections that their process
/// has closed and their peer has not (FIN_WAIT), until the kernel gives them up after a minute.
///
/// # What cannot be told apart
///
/// - On kernels before 6.8, beside connections in TIME_WAIT: a socket that is bound with
///   `SO_REUSEADDR` and does not listen is overlooked if it is bound to a network card's address,
///   or to the one of `127.0.0.1` and `::1` that a waiting connection has. Bound to every address,
///   or with no TIME_WAIT on the port, it is seen.
/// - On these kernels, a privileged port (below 1024, without the right to bind it) with a socket
///   that is bound and does not listen counts as free.
///
/// Sockets in other network namespaces, those inside containers among them, are other machines'.
#[derive(Debug, Default)]
pub struct LocalHost {
    answers: Mutex<HashMap<Port, Result<bool, HostUnknown>>>,
    #[cfg(target_os = "linux")]
    namespace: OnceLock<Namespace>,
}

impl LocalHost {
    /// A view that has not looked at anything yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl HostView for LocalHost {
    fn is_in_use(&self, port: Port) -> Result<bool, HostUnknown> {
        // A panic elsewhere leaves the answers so far as true as they were.
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers
            .entry(port)
            .or_insert_with(|| {
                #[cfg(target_os = "linux")]
                let _turn = self.namespace.get_or_init(Namespace::open).turn();
                probe::is_in_use(port).map_err(|error| HostUnknown {
                    port,
                    reason: error.to_string(),
                })
            })
            .clone()
    }

    fn holder(&self, port: Port) -> Option<Holder> {
        let holders = holders(&PortSet::from_iter([port])).ok()?;
        holders.into_iter().min_by_key(|holder| {
            let pid = holder.process.as_ref().map(|process| process.pid);
            (pid.is_none(), holder.usage, holder.transport, pid)
        })
    }
}
