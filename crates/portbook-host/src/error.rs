use std::io;

use portbook_model::{Port, Transport};

/// This machine did not answer a question about itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// A socket for the probe could not be made, or its bind failed for a reason that says nothing
    /// about the port.
    #[error("{} port {port} could not be probed: {source}; {}", name(*transport), remedy(source))]
    Probe {
        /// The port.
        port: Port,
        /// The protocol it was probed for.
        transport: Transport,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The kernel does not give out its list of sockets.
    #[error(
        "the kernel's list of sockets (sock_diag) could not be read: {source}; {}",
        remedy(source)
    )]
    SocketList {
        /// What the kernel answered.
        source: io::Error,
    },
    /// The kernel's list of sockets is not in the form it is known to have.
    #[error(
        "the kernel's list of sockets (sock_diag) cannot be understood: {0}; report it with the output of `uname -a`"
    )]
    SocketListForm(&'static str),
    /// The table of processes cannot be read.
    #[error(
        "the processes of this machine could not be listed in /proc: {source}; mount /proc, or ask without naming processes"
    )]
    Processes {
        /// What the kernel answered.
        source: io::Error,
    },
    /// A kernel setting cannot be read.
    #[error(
        "the kernel setting {path} could not be read: {source}; check that /proc/sys is mounted and readable"
    )]
    Setting {
        /// Where the setting is.
        path: &'static str,
        /// What the kernel answered.
        source: io::Error,
    },
    /// A kernel setting holds something else than ports.
    #[error(
        "the kernel setting {path} holds `{found}`, which is no list of ports; set it to ports and stretches such as `8080,9000-9100`"
    )]
    SettingForm {
        /// Where the setting is.
        path: &'static str,
        /// The part that is no port.
        found: String,
    },
    /// Only Linux gives this answer.
    #[error(
        "{0} cannot be told on this operating system; run it on Linux, or leave the question out"
    )]
    Unsupported(&'static str),
}

fn name(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
    }
}

#[cfg(unix)]
fn remedy(source: &io::Error) -> &'static str {
    use rustix::io::Errno;
    match Errno::from_io_error(source) {
        Some(Errno::MFILE) => "raise this process's limit of open files (`ulimit -n`)",
        Some(Errno::NFILE) => "raise the machine's limit of open files (`sysctl fs.file-max`)",
        Some(Errno::NOBUFS | Errno::NOMEM) => "free some memory",
        Some(Errno::NOENT | Errno::OPNOTSUPP) => {
            "load the kernel modules inet_diag, tcp_diag and udp_diag"
        }
        Some(Errno::ACCESS | Errno::PERM | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT) => {
            "allow this process to use such sockets (seccomp, SELinux, the unit's RestrictAddressFamilies)"
        }
        _ => "check what restricts this process's network, or skip the check with --no-host-check",
    }
}

#[cfg(not(unix))]
fn remedy(_source: &io::Error) -> &'static str {
    "check what restricts this process's network, or skip the check with --no-host-check"
}
