//! Sockets of every kind that can have a port.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use portbook_host::LocalHost;
use portbook_model::{HostView, Port, Transport};
use rustix::fd::OwnedFd;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, accept, bind, connect, getsockname, listen,
    socket_with, sockopt,
};

/// Where a socket of the tests is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) address: IpAddr,
    pub(crate) v6only: bool,
}

pub(crate) const PLACES: [Place; 5] = [
    v4(Ipv4Addr::UNSPECIFIED),
    v4(Ipv4Addr::LOCALHOST),
    v6(Ipv6Addr::UNSPECIFIED, false),
    v6(Ipv6Addr::UNSPECIFIED, true),
    v6(Ipv6Addr::LOCALHOST, false),
];

/// [`PLACES`], as far as they are here, and single addresses: another one of loopback's, and a network
/// card's where there is one that leads anywhere.
pub(crate) fn places() -> impl Iterator<Item = Place> {
    // Documentation's network (RFC 5737): connecting a UDP socket sends nothing, and tells the address
    // that would be used.
    let card = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.connect("192.0.2.1:9").and(socket.local_addr()))
        .ok()
        .and_then(|address| match address.ip() {
            IpAddr::V4(address) => Some(v4(address)),
            IpAddr::V6(_) => None,
        });
    let single = [v4(Ipv4Addr::new(127, 0, 0, 2))];
    PLACES
        .into_iter()
        .filter(Place::is_here)
        .chain(single)
        .chain(card)
}

const fn v4(address: Ipv4Addr) -> Place {
    Place {
        address: IpAddr::V4(address),
        v6only: false,
    }
}

const fn v6(address: Ipv6Addr, v6only: bool) -> Place {
    Place {
        address: IpAddr::V6(address),
        v6only,
    }
}

impl Place {
    pub(crate) fn is_here(&self) -> bool {
        self.address.is_ipv4() || portbook_host::has_ipv6()
    }

    /// The address at which a client reaches it.
    pub(crate) fn reached_at(&self, port: u16) -> SocketAddr {
        let address = match self.address {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
            single => single,
        };
        SocketAddr::new(address, port)
    }
}

/// What a socket of the tests is allowed to share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    None,
    Address,
    Port,
}

/// A socket that is bound to `port`, or to any port if that is 0.
pub(crate) fn bound(
    transport: Transport,
    place: Place,
    port: u16,
    sharing: Sharing,
) -> rustix::io::Result<OwnedFd> {
    let family = match place.address {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    let kind = match transport {
        Transport::Tcp => SocketType::STREAM,
        Transport::Udp => SocketType::DGRAM,
    };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    if place.address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, place.v6only)?;
    }
    match sharing {
        Sharing::None => {}
        Sharing::Address => sockopt::set_socket_reuseaddr(&socket, true)?,
        Sharing::Port => sockopt::set_socket_reuseport(&socket, true)?,
    }
    bind(&socket, &SocketAddr::new(place.address, port))?;
    Ok(socket)
}

pub(crate) fn listening(place: Place, port: u16, sharing: Sharing) -> OwnedFd {
    let socket = bound(Transport::Tcp, place, port, sharing).unwrap();
    listen(&socket, 64).unwrap();
    socket
}

/// Both ends of a connection to a listener: the client's, then the server's.
pub(crate) fn connection(listener: &OwnedFd, place: Place) -> (OwnedFd, OwnedFd) {
    let address = place.reached_at(port_of(listener));
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let client = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    connect(&client, &address).unwrap();
    let server = accept(listener).unwrap();
    (client, server)
}

/// Leaves a connection in TIME_WAIT on the port of a listener that is gone.
pub(crate) fn time_wait(place: Place, port: u16, sharing: Sharing) {
    let listener = listening(place, port, sharing);
    let (client, server) = connection(&listener, place);
    // The end that closes first is the one that waits.
    drop(server);
    drop(client);
    drop(listener);
    // On a busy machine the last packets take a moment.
    let patience = Instant::now() + Duration::from_secs(10);
    while !only_waits(port) {
        assert!(Instant::now() < patience, "{place:?} never waited");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether the kernel's table of this port's TCP sockets shows TIME_WAIT and nothing else.
fn only_waits(port: u16) -> bool {
    let local = format!(":{port:04X}");
    let states: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| table.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let is_its = fields.next()?.ends_with(&local);
            is_its.then(|| fields.nth(1).map(str::to_owned))?
        })
        .collect();
    !states.is_empty() && states.iter().all(|state| state == "06")
}

pub(crate) fn port_of(socket: &OwnedFd) -> u16 {
    SocketAddr::try_from(getsockname(socket).unwrap())
        .unwrap()
        .port()
}

/// A port that nobody has, TIME_WAIT included, outside of the range of outgoing connections.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Runs that follow each other begin far apart, so that one does not meet what the other left.
    let start = std::process::id().wrapping_mul(1_997);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + (start.wrapping_add(step) % 12_000) as u16;
        let is_free = |place| {
            bound(Transport::Tcp, place, port, Sharing::None).is_ok()
                && bound(Transport::Udp, place, port, Sharing::None).is_ok()
        };
        if PLACES.into_iter().filter(Place::is_here).all(is_free) {
            return port;
        }
    }
}

/// What a view that has not been asked before says.
pub(crate) fn in_use(port: u16) -> bool {
    LocalHost::new()
        .is_in_use(Port::new(port).unwrap())
        .unwrap()
}
