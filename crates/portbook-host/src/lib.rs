//! What this machine uses: which ports are taken, by whom, and what else decides whether it is fit
//! to give ports out.
//!
//! # A port is free when it can be bound
//!
//! [`LocalHost`] does not read a list of sockets to find a free port: it binds. The kernel looks a
//! port up in a hash table, so that a probe costs the same beside ten sockets and beside a hundred
//! thousand (only those on the very port add to it), and it answers for every family, address and
//! transport by the very rules that a server will meet. A list grows with the machine's sockets, is old the moment it is read, and knows
//! nothing of a socket that holds a port without listening.
//!
//! A bind can be refused for one reason that does not matter: connections in TIME_WAIT. Only where
//! that may be the reason is the kernel asked (by `sock_diag`, with a filter it applies itself) what
//! it has on this one port. That question walks the kernel's tables, and costs some hundred
//! microseconds where a bind costs ten.
//!
//! Probes of one machine take turns, across processes: a probe holds the port while it asks, and two
//! at once would see each other.
//!
//! # Names are a different question
//!
//! Who has a port is asked for messages and checks, not for allocation: [`holders`] and
//! [`listeners`] take one dump of the sockets, and only [`holders`] goes through `/proc`, once, and
//! only if a socket was found.
//!
//! # What cannot be told is said
//!
//! Where the machine refuses an answer (no file descriptor left, no `sock_diag`) the view answers
//! [`HostUnknown`](portbook_model::HostUnknown): a port that was guessed free is two apps on one
//! port.
//!
//! Linux is the target. Elsewhere the bind probe works and nobody is named.

mod cgroup;
mod error;
mod file_system;
mod holder;
mod local_host;
mod machine;
mod network;
mod process;
mod sysctl;

#[cfg(target_os = "linux")]
mod listener;
#[cfg(target_os = "linux")]
mod probe;
#[cfg(not(target_os = "linux"))]
#[path = "portable_probe.rs"]
mod probe;
#[cfg(target_os = "linux")]
mod sock_diag;
#[cfg(target_os = "linux")]
mod turn;

pub use cgroup::container_of;
pub use error::HostError;
pub use file_system::{FileSystem, file_system, network_file_system};
pub use holder::{Socket, holders, listeners};
#[cfg(target_os = "linux")]
pub use listener::{ListenError, Reach, UnknownReach, listen};
pub use local_host::LocalHost;
pub use machine::{ClockState, boot_id, clock, host_name, open_file_limit};
pub use network::{NetworkView, has_ipv6, network_view};
pub use process::{
    children, descends_from, has_stopped, is_container_proxy, process, process_start_time,
};
pub use sysctl::{ephemeral_range, reserved_ports, reserved_ports_line};
