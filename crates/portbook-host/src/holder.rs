use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

use portbook_model::{Holder, Port, PortSet, SocketUse, Transport};
use serde::Serialize;

use crate::{HostError, process};

/// A socket of this machine that has a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Socket {
    /// The port.
    pub port: Port,
    /// The protocol it is held for.
    pub transport: Transport,
    /// The address that it is bound to; unspecified means every address of the family, and `::`
    /// mostly IPv4 as well.
    pub address: IpAddr,
    /// What it does with the port.
    pub usage: SocketUse,
    /// The user that it belongs to.
    pub uid: u32,
    /// Its number, by which `/proc/PID/fd` says who has it open; 0 where nobody has.
    pub inode: u64,
}

/// Every socket that waits for strangers: TCP listeners and unconnected UDP sockets, of both
/// families, in no order.
///
/// The cost grows with their number, but not with that of the TCP connections.
pub fn listeners() -> Result<Vec<Socket>, HostError> {
    list::listeners()
}

/// Who has any of these ports: with a listener, a connection's local end, a UDP socket, or, where
/// the kernel tells (Linux 6.8 and later), a socket that is bound and does not listen.
///
/// Sorted by port. A process that has a port by several sockets is named once for each transport,
/// with what tells most: a listener before a connection, every address before a single one. Several
/// processes that share one socket are all named. TIME_WAIT is nobody's.
pub fn holders(ports: &PortSet) -> Result<Vec<Holder>, HostError> {
    name(list::sockets_on(ports)?)
}

fn name(mut sockets: Vec<Socket>) -> Result<Vec<Holder>, HostError> {
    let inodes: HashSet<u64> = sockets
        .iter()
        .map(|socket| socket.inode)
        .filter(|inode| *inode != 0)
        .collect();
    let processes = process::having_open(&inodes)?;
    let owned: BTreeSet<(Port, Transport)> = sockets
        .iter()
        .filter(|socket| socket.inode != 0)
        .map(|socket| (socket.port, socket.transport))
        .collect();

    sockets.sort_by_key(|socket| {
        let address = socket.address;
        (socket.usage, !address.is_unspecified(), address)
    });
    let mut holders = BTreeMap::new();
    for socket in sockets {
        let place = (socket.port, socket.transport);
        // A connection that its listener has not accepted yet, or that outlives its process,
        // belongs to nobody: it only matters where nobody else has the port.
        if socket.inode == 0 && owned.contains(&place) {
            continue;
        }
        let uid = (socket.inode != 0).then_some(socket.uid);
        let known = processes.get(&socket.inode).map_or(&[][..], Vec::as_slice);
        let known = known.iter().cloned().map(Some);
        let nobody = known.len() == 0;
        for process in known.chain(nobody.then_some(None)) {
            let owner = process.as_ref().map(|process| process.pid);
            let unnamed = if owner.is_none() { uid } else { None };
            holders
                .entry((place, owner, unnamed))
                .or_insert_with(|| Holder {
                    port: socket.port,
                    transport: socket.transport,
                    address: Some(socket.address),
                    usage: socket.usage,
                    uid,
                    process,
                });
        }
    }
    Ok(holders.into_values().collect())
}

#[cfg(target_os = "linux")]
mod list {
    use portbook_model::{Port, PortSet, SocketUse, Transport};

    use super::Socket;
    use crate::HostError;
    use crate::sock_diag::{Entry, SockDiag, State, States};
    use crate::turn::Namespace;

    pub(super) fn listeners() -> Result<Vec<Socket>, HostError> {
        let every = Port::MIN..=Port::MAX;
        let mut line = SockDiag::open()?;
        // With the turn taken, nobody's probe is listed as if it were a server.
        let namespace = Namespace::open();
        let _turn = namespace.turn();
        let mut entries =
            line.sockets(Transport::Tcp, States::only(State::LISTEN), every.clone())?;
        entries.extend(line.sockets(Transport::Udp, States::only(State::CLOSE), every)?);
        Ok(entries.into_iter().map(Socket::from).collect())
    }

    pub(super) fn sockets_on(ports: &PortSet) -> Result<Vec<Socket>, HostError> {
        let (Some(first), Some(last)) = (ports.first_from(Port::MIN), ports.iter().last()) else {
            return Ok(Vec::new());
        };
        let span = first..=last;
        let states = States::ALL.without(State::TIME_WAIT);
        let mut line = SockDiag::open()?;
        let namespace = Namespace::open();
        let _turn = namespace.turn();
        let mut entries = line.sockets(Transport::Tcp, states, span.clone())?;
        entries.extend(line.sockets(Transport::Udp, states, span)?);
        entries.retain(|entry| ports.contains(entry.port));
        Ok(entries.into_iter().map(Socket::from).collect())
    }

    impl From<Entry> for Socket {
        fn from(entry: Entry) -> Socket {
            let usage = match (entry.transport, entry.state) {
                (Transport::Tcp, State::LISTEN) | (Transport::Udp, State::CLOSE) => {
                    SocketUse::Listening
                }
                (Transport::Tcp, State::CLOSE | State::BOUND_INACTIVE) => SocketUse::Bound,
                _ => SocketUse::Connected,
            };
            Socket {
                port: entry.port,
                transport: entry.transport,
                address: entry.address,
                usage,
                uid: entry.uid,
                inode: entry.inode,
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod list {
    use portbook_model::PortSet;

    use super::Socket;
    use crate::HostError;

    pub(super) fn listeners() -> Result<Vec<Socket>, HostError> {
        Err(HostError::Unsupported("who listens"))
    }

    pub(super) fn sockets_on(_ports: &PortSet) -> Result<Vec<Socket>, HostError> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn socket(address: IpAddr, usage: SocketUse, inode: u64) -> Socket {
        Socket {
            port: Port::new(5001).unwrap(),
            transport: Transport::Tcp,
            address,
            usage,
            uid: 1000,
            inode,
        }
    }

    #[test]
    fn twins_of_one_user_are_one_holder_and_what_tells_most_is_kept() {
        let nowhere = u64::MAX;
        let found = name(vec![
            socket(Ipv4Addr::LOCALHOST.into(), SocketUse::Connected, nowhere),
            socket(Ipv6Addr::LOCALHOST.into(), SocketUse::Listening, nowhere),
            socket(Ipv4Addr::UNSPECIFIED.into(), SocketUse::Listening, nowhere),
        ])
        .unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].usage, SocketUse::Listening);
        assert_eq!(found[0].address, Some(Ipv4Addr::UNSPECIFIED.into()));
        assert_eq!(found[0].uid, Some(1000));
        assert_eq!(found[0].process, None);
    }

    #[test]
    fn a_connection_of_nobody_is_named_only_where_nobody_else_has_the_port() {
        let orphan = socket(Ipv4Addr::LOCALHOST.into(), SocketUse::Connected, 0);
        let listener = socket(Ipv4Addr::LOCALHOST.into(), SocketUse::Listening, u64::MAX);
        let both = name(vec![orphan.clone(), listener]).unwrap();
        assert_eq!(both.len(), 1);
        assert_eq!(both[0].usage, SocketUse::Listening);
        let alone = name(vec![orphan]).unwrap();
        assert_eq!(alone.len(), 1);
        assert_eq!(alone[0].uid, None);
    }
}
