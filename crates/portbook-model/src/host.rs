//! What the planner asks about the machine: an interface, no I/O of its own.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Port;

/// What the planner sees of the machine whose ports it gives out.
///
/// The planner does no I/O: whoever calls it passes a view in, which may look at the machine or, in
/// a test, at a list. A view answers the same question alike for as long as one plan is made.
pub trait HostView {
    /// Whether a server of an app would find `port` taken: by TCP or UDP, on IPv4 or IPv6, on any
    /// address. TIME_WAIT does not count; the local end of an outgoing connection does.
    fn is_in_use(&self, port: Port) -> Result<bool, HostUnknown>;

    /// Who has `port`, as far as it can be told. Slower than [`is_in_use`](Self::is_in_use) and
    /// asked only for explanations.
    fn holder(&self, port: Port) -> Option<Holder>;
}

/// The machine did not say whether a port is in use, and guessing is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("whether port {port} is in use on this host cannot be told: {reason}")]
pub struct HostUnknown {
    /// The port that was asked about.
    pub port: Port,
    /// What the machine answered instead.
    pub reason: String,
}

/// The view that holds every port to be free: for `--no-host-check`.
#[derive(Debug, Clone, Copy, Default)]
pub struct UncheckedHost;

impl HostView for UncheckedHost {
    fn is_in_use(&self, _port: Port) -> Result<bool, HostUnknown> {
        Ok(false)
    }

    fn holder(&self, _port: Port) -> Option<Holder> {
        None
    }
}

/// The transport protocol that a socket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// What a socket does with its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SocketUse {
    /// It accepts connections (TCP) or takes datagrams (UDP).
    Listening,
    /// It holds the port without listening.
    Bound,
    /// The port is the local end of a connection.
    Connected,
}

/// Somebody who has a port of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The port.
    pub port: Port,
    /// The protocol it is held for.
    pub transport: Transport,
    /// The address that the socket is bound to; unspecified means every address of the family.
    pub address: Option<IpAddr>,
    /// What the socket does with it.
    pub usage: SocketUse,
    /// The user that the socket belongs to.
    pub uid: Option<u32>,
    /// The process that has the socket open; `None` where this user may not look, or nobody has.
    pub process: Option<Process>,
}

/// A process of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number, which is another's once it has ended.
    pub pid: u32,
    /// Its name, as `ps` shows it.
    pub name: String,
    /// The directory it runs in.
    pub directory: Option<PathBuf>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.process, self.uid) {
            (Some(process), _) => {
                write!(f, "{} (pid {}", process.name, process.pid)?;
                if let Some(directory) = &process.directory {
                    write!(f, ", in {}", directory.display())?;
                }
                f.write_str(")")
            }
            (None, Some(uid)) => write!(f, "a process of the user with uid {uid}"),
            (None, None) => f.write_str("a process that cannot be seen from here"),
        }
    }
}
