//! Whether a port can be bound: the last word on whether it is free.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;

use portbook_model::{Port, Transport};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt,
};

use crate::HostError;
use crate::sock_diag::{Entry, SockDiag, State, States};

/// Whether a socket sets `SO_REUSEADDR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reuse {
    Off,
    On,
}

/// How the kernel met the wish to bind a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bind {
    Granted,
    Taken,
    /// The port is privileged and this process is not.
    Forbidden,
}

/// Whether `port` is in use; whoever asks has the turn to probe.
pub(crate) fn is_in_use(port: Port) -> Result<bool, HostError> {
    match everywhere(Transport::Tcp, port, Reuse::Off)? {
        Bind::Granted => {}
        Bind::Forbidden => return is_listed(port),
        // Live connections and TIME_WAIT alike refuse a socket that does not reuse addresses. One
        // that does is what a server brings, and so tells them apart but for its own kind.
        Bind::Taken => match everywhere(Transport::Tcp, port, Reuse::On)? {
            Bind::Granted if !is_held_by_time_wait_alone(port)? => return Ok(true),
            Bind::Granted => {}
            Bind::Taken | Bind::Forbidden => return Ok(true),
        },
    }
    match everywhere(Transport::Udp, port, Reuse::Off)? {
        Bind::Granted => Ok(false),
        Bind::Taken => Ok(true),
        Bind::Forbidden => is_listed(port),
    }
}

/// One bind to every address of both families; of IPv4 alone where the host has no IPv6.
fn everywhere(transport: Transport, port: Port, reuse: Reuse) -> Result<Bind, HostError> {
    match attempt(transport, Ipv6Addr::UNSPECIFIED.into(), port, reuse) {
        Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) => {
            attempt(transport, Ipv4Addr::UNSPECIFIED.into(), port, reuse)
        }
        answer => answer,
    }
    .map_err(|errno| HostError::Probe {
        port,
        transport,
        source: errno.into(),
    })
}

/// A bind to one address, even one that this machine does not have.
fn attempt(transport: Transport, address: IpAddr, port: Port, reuse: Reuse) -> Result<Bind, Errno> {
    let (family, kind) = match (address, transport) {
        (IpAddr::V4(_), Transport::Tcp) => (AddressFamily::INET, SocketType::STREAM),
        (IpAddr::V4(_), Transport::Udp) => (AddressFamily::INET, SocketType::DGRAM),
        (IpAddr::V6(_), Transport::Tcp) => (AddressFamily::INET6, SocketType::STREAM),
        (IpAddr::V6(_), Transport::Udp) => (AddressFamily::INET6, SocketType::DGRAM),
    };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    if address.is_ipv6() {
        // `net.ipv6.bindv6only` may have turned it on.
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    if !address.is_unspecified() {
        match address {
            IpAddr::V4(_) => sockopt::set_ip_freebind(&socket, true)?,
            IpAddr::V6(_) => sockopt::set_ipv6_freebind(&socket, true)?,
        }
    }
    if reuse == Reuse::On {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    match bind(&socket, &SocketAddr::new(address, port.get())) {
        Ok(()) => Ok(Bind::Granted),
        Err(Errno::ADDRINUSE) => Ok(Bind::Taken),
        Err(Errno::ACCESS) => Ok(Bind::Forbidden),
        Err(errno) => Err(errno),
    }
}

/// Whether nothing but TIME_WAIT keeps a socket that reuses no address from `port`.
fn is_held_by_time_wait_alone(port: Port) -> Result<bool, HostError> {
    let mut sockets = SockDiag::open()?;
    let entries = sockets.sockets(Transport::Tcp, States::ALL, port..=port)?;
    if entries.iter().any(|entry| entry.state != State::TIME_WAIT) {
        return Ok(false);
    }
    if entries.is_empty() {
        // Either the last TIME_WAIT ended meanwhile, or a bound socket that this kernel hides.
        return Ok(everywhere(Transport::Tcp, port, Reuse::Off)? == Bind::Granted);
    }
    if lists_bound_sockets(&mut sockets)? {
        return Ok(true);
    }
    Ok(!is_bound_beside(&entries, port)?)
}

/// Whether a socket that the kernel does not list is bound to `port`, beside connections in
/// TIME_WAIT: looked for where none of these is in the way.
///
/// A socket bound to every address is met at any address, so one from a block that nobody has
/// (RFC 3849, and a corner of 127.0.0.0/8) finds it.
fn is_bound_beside(time_wait: &[Entry], port: Port) -> Result<bool, HostError> {
    let nobody_v4 = Ipv4Addr::new(127, 77, 83, 91);
    let nobody_v6 = Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0x83, 0, 0, 0, 0x91);
    let places: [IpAddr; 4] = [
        nobody_v4.into(),
        nobody_v6.into(),
        Ipv4Addr::LOCALHOST.into(),
        Ipv6Addr::LOCALHOST.into(),
    ];
    for place in places {
        if time_wait.iter().any(|entry| entry.address == place) {
            continue;
        }
        match attempt(Transport::Tcp, place, port, Reuse::Off) {
            Ok(Bind::Taken) => return Ok(true),
            Ok(_) | Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) => {}
            Err(errno) => {
                return Err(HostError::Probe {
                    port,
                    transport: Transport::Tcp,
                    source: errno.into(),
                });
            }
        }
    }
    Ok(false)
}

/// Whether this kernel lists sockets that are bound and do nothing, found out by making one: a
/// version number says nothing of what a distribution has added to its kernel.
fn lists_bound_sockets(sockets: &mut SockDiag) -> Result<bool, HostError> {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    if let Some(answer) = ANSWER.get() {
        return Ok(*answer);
    }
    let refused = |errno: Errno| HostError::SocketList {
        source: errno.into(),
    };
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(refused)?;
    bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(refused)?;
    let own = getsockname(&socket)
        .and_then(SocketAddr::try_from)
        .map_err(refused)?;
    let Some(port) = Port::new(own.port()) else {
        return Ok(false);
    };
    let bound = States::only(State::BOUND_INACTIVE);
    let listed = sockets.sockets(Transport::Tcp, bound, port..=port)?;
    Ok(*ANSWER.get_or_init(|| !listed.is_empty()))
}

/// What the kernel lists of a port that this process may not bind.
fn is_listed(port: Port) -> Result<bool, HostError> {
    let mut sockets = SockDiag::open()?;
    let states = States::ALL.without(State::TIME_WAIT);
    Ok(!sockets
        .sockets(Transport::Tcp, states, port..=port)?
        .is_empty()
        || !sockets
            .sockets(Transport::Udp, States::ALL, port..=port)?
            .is_empty())
}

#[cfg(test)]
mod tests {
    use rustix::fd::OwnedFd;

    use super::*;

    /// Bound to any port, sharing its address, and not listening.
    fn bound(address: IpAddr, v6only: bool) -> (OwnedFd, Port) {
        let family = match address {
            IpAddr::V4(_) => AddressFamily::INET,
            IpAddr::V6(_) => AddressFamily::INET6,
        };
        let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        if address.is_ipv6() {
            sockopt::set_ipv6_v6only(&socket, v6only).unwrap();
        }
        sockopt::set_socket_reuseaddr(&socket, true).unwrap();
        bind(&socket, &SocketAddr::new(address, 0)).unwrap();
        let own = SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap();
        (socket, Port::new(own.port()).unwrap())
    }

    fn waiting(address: IpAddr, port: Port) -> Entry {
        Entry {
            port,
            transport: Transport::Tcp,
            address,
            state: State::TIME_WAIT,
            uid: 0,
            inode: 0,
        }
    }

    /// What older kernels do not list is found by where it can not be bound.
    #[test]
    fn a_bound_socket_beside_time_wait_is_found_without_the_kernels_list() {
        let v4: IpAddr = Ipv4Addr::LOCALHOST.into();
        let v6: IpAddr = Ipv6Addr::LOCALHOST.into();
        let any_v4: IpAddr = Ipv4Addr::UNSPECIFIED.into();
        let any_v6: IpAddr = Ipv6Addr::UNSPECIFIED.into();
        let mut cases = vec![(any_v4, false, v4, true), (v4, false, v4, false)];
        if crate::has_ipv6() {
            cases.extend([
                (any_v6, false, v4, true),
                (any_v6, false, v6, true),
                (any_v6, true, v6, true),
                (v4, false, v6, true),
                (v6, false, v4, true),
                (v6, false, v6, false),
            ]);
        }
        for (address, v6only, time_wait, found) in cases {
            let (_socket, port) = bound(address, v6only);
            assert_eq!(
                is_bound_beside(&[waiting(time_wait, port)], port).unwrap(),
                found,
                "{address} v6only={v6only} beside TIME_WAIT at {time_wait}"
            );
        }
    }
}
