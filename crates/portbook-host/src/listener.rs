//! Sockets that listen on an app's port before its server is there.
//!
//! Between finding a port free and binding it, anybody may take it: only a bound socket is a promise.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::str::FromStr;

use portbook_model::Port;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

/// The device by which a machine reaches itself.
const LOOPBACK: &[u8] = b"lo";
/// How many connections may wait to be accepted: SOMAXCONN, as systemd's sockets have it.
const BACKLOG: i32 = 4096;

/// Who can reach a socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// This machine, by every address of it, of IPv4 and IPv6. One socket, bound to every address but
    /// to the loopback device alone: `localhost` works whichever family it means, nobody from outside
    /// gets through, and nobody else can bind the port at any address.
    ///
    /// Where that needs a right that is missing (Linux before 5.7), 127.0.0.1.
    #[default]
    ThisMachine,
    /// Whoever reaches this address of the machine: every one for an unspecified address, and for `::`
    /// those of IPv4, too.
    Address(IpAddr),
}

impl FromStr for Reach {
    type Err = UnknownReach;

    fn from_str(text: &str) -> Result<Self, UnknownReach> {
        match text {
            "localhost" => Ok(Reach::ThisMachine),
            address => address
                .parse()
                .map(Reach::Address)
                .map_err(|_| UnknownReach(address.to_owned())),
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reach::ThisMachine => f.write_str("localhost"),
            Reach::Address(address) => address.fmt(f),
        }
    }
}

/// What names no address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address: write localhost, `::` for everybody, or an address of this machine")]
pub struct UnknownReach(String);

/// Why no socket listens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Somebody else has the port.
    #[error("port {0} is in use on this host")]
    Taken(Port),
    /// The port is privileged, and this user may not have it.
    #[error(
        "port {0} is for root alone: ports below {first} are privileged",
        first = 1024
    )]
    Privileged(Port),
    /// The address is none of this machine's.
    #[error("{0} is no address of this machine")]
    NotHere(IpAddr),
    /// The kernel refuses for another reason.
    #[error("no socket can listen on port {port}: {source}")]
    Refused {
        /// The port.
        port: Port,
        /// What the kernel answered.
        source: io::Error,
    },
}

/// A TCP socket that listens on `port`. Connections in TIME_WAIT are no hindrance. It blocks, as servers
/// that are handed a socket expect, and is not inherited by itself.
pub fn listen(port: Port, reach: Reach) -> Result<OwnedFd, ListenError> {
    let socket = match reach {
        Reach::ThisMachine => match bound_to_loopback(port) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && port.get() >= 1024 => {
                bound(Ipv4Addr::LOCALHOST.into(), port, None)
            }
            socket => socket,
        },
        Reach::Address(address) => bound(address, port, None),
    };
    let listening = socket.and_then(|socket| {
        socket.listen(BACKLOG)?;
        Ok(OwnedFd::from(socket))
    });
    listening.map_err(|source| match (Errno::from_io_error(&source), reach) {
        (Some(Errno::ADDRINUSE), _) => ListenError::Taken(port),
        (Some(Errno::ACCESS), _) => ListenError::Privileged(port),
        (Some(Errno::ADDRNOTAVAIL), Reach::Address(address)) => ListenError::NotHere(address),
        _ => ListenError::Refused { port, source },
    })
}

/// To every address of both families; of IPv4 alone where the machine has no IPv6.
fn bound_to_loopback(port: Port) -> io::Result<Socket> {
    match bound(Ipv6Addr::UNSPECIFIED.into(), port, Some(LOOPBACK)) {
        Err(error) if is_without_ipv6(&error) => {
            bound(Ipv4Addr::UNSPECIFIED.into(), port, Some(LOOPBACK))
        }
        socket => socket,
    }
}

fn is_without_ipv6(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

fn bound(address: IpAddr, port: Port, device: Option<&[u8]>) -> io::Result<Socket> {
    let address = SocketAddr::new(address, port.get());
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // `net.ipv6.bindv6only` may have turned it on.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    if device.is_some() {
        socket.bind_device(device)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}
