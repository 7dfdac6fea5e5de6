//! The kernel's list of sockets, asked by netlink (sock_diag(7)).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use portbook_model::{Port, Transport};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

use crate::HostError;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 0x001;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const HEADER: usize = 16;

const INET_DIAG_REQ_BYTECODE: u16 = 1;
const BYTECODE_SPORT_GE: u8 = 2;
const BYTECODE_SPORT_LE: u8 = 3;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const IPPROTO_UDP: u8 = 17;

/// The state of a socket, in the words of TCP: a UDP socket that is not connected is
/// [`CLOSE`](State::CLOSE).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State(u8);

impl State {
    pub(crate) const TIME_WAIT: State = State(6);
    pub(crate) const CLOSE: State = State(7);
    pub(crate) const LISTEN: State = State(10);
    /// Bound and nothing else; known to Linux 6.8 and later.
    pub(crate) const BOUND_INACTIVE: State = State(13);
}

/// Which states are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct States(u32);

impl States {
    pub(crate) const ALL: States = States((1 << 14) - 1);

    pub(crate) const fn only(state: State) -> States {
        States(1 << state.0)
    }

    pub(crate) const fn without(self, state: State) -> States {
        States(self.0 & !(1 << state.0))
    }
}

/// A socket as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) port: Port,
    pub(crate) transport: Transport,
    pub(crate) address: IpAddr,
    pub(crate) state: State,
    pub(crate) uid: u32,
    /// 0 where no process has the socket any more, or none has yet.
    pub(crate) inode: u64,
}

/// A line to the kernel's list of sockets.
pub(crate) struct SockDiag {
    socket: OwnedFd,
    buffer: Vec<u8>,
    sequence: u32,
}

impl SockDiag {
    pub(crate) fn open() -> Result<SockDiag, HostError> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            Some(netlink::SOCK_DIAG),
        )
        .map_err(refused)?;
        Ok(SockDiag {
            socket,
            // The kernel fills at most 32 KiB at a time.
            buffer: vec![0; 64 * 1024],
            sequence: 0,
        })
    }

    /// The sockets of both families whose local port lies in `ports`.
    ///
    /// The kernel does the choosing; what it returns grows with what matches alone.
    pub(crate) fn sockets(
        &mut self,
        transport: Transport,
        states: States,
        ports: RangeInclusive<Port>,
    ) -> Result<Vec<Entry>, HostError> {
        let mut entries = Vec::new();
        for family in [AF_INET, AF_INET6] {
            self.sequence += 1;
            let request = request(self.sequence, family, transport, states, &ports);
            retry_on_intr(|| send(&self.socket, &request, SendFlags::empty())).map_err(refused)?;
            loop {
                let (_, length) =
                    retry_on_intr(|| recv(&self.socket, &mut self.buffer[..], RecvFlags::TRUNC))
                        .map_err(refused)?;
                let reply = self
                    .buffer
                    .get(..length)
                    .ok_or(HostError::SocketListForm("a part is longer than 64 KiB"))?;
                if read_reply(reply, self.sequence, transport, &mut entries)? == Reply::Done {
                    break;
                }
            }
        }
        Ok(entries)
    }
}

fn refused(errno: Errno) -> HostError {
    HostError::SocketList {
        source: errno.into(),
    }
}

fn request(
    sequence: u32,
    family: u8,
    transport: Transport,
    states: States,
    ports: &RangeInclusive<Port>,
) -> Vec<u8> {
    let protocol = match transport {
        Transport::Tcp => IPPROTO_TCP,
        Transport::Udp => IPPROTO_UDP,
    };
    let source_port = if ports.start() == ports.end() {
        ports.start().get()
    } else {
        0
    };

    let mut message = Vec::with_capacity(96);
    message.extend(0u32.to_ne_bytes());
    message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    message.extend(sequence.to_ne_bytes());
    message.extend(0u32.to_ne_bytes());

    message.extend([family, protocol, 0, 0]);
    message.extend(states.0.to_ne_bytes());
    // The source port spares the kernel the bytecode for most sockets, but its list of bound
    // sockets heeds the bytecode alone.
    message.extend(source_port.to_be_bytes());
    message.extend([0; 46]);

    // Each operation says how far to jump when it holds and when it does not; past the end is no.
    let bytecode = [
        (BYTECODE_SPORT_GE, 20u16, *ports.start()),
        (BYTECODE_SPORT_LE, 12u16, *ports.end()),
    ];
    message.extend(20u16.to_ne_bytes());
    message.extend(INET_DIAG_REQ_BYTECODE.to_ne_bytes());
    for (operation, otherwise, port) in bytecode {
        message.extend([operation, 8]);
        message.extend(otherwise.to_ne_bytes());
        message.extend([0, 0]);
        message.extend(port.get().to_ne_bytes());
    }

    let length = (message.len() as u32).to_ne_bytes();
    message[..4].copy_from_slice(&length);
    message
}

#[derive(Debug, PartialEq, Eq)]
enum Reply {
    More,
    Done,
}

fn read_reply(
    mut reply: &[u8],
    sequence: u32,
    transport: Transport,
    entries: &mut Vec<Entry>,
) -> Result<Reply, HostError> {
    const SHORT: HostError = HostError::SocketListForm("a message is cut short");
    while !reply.is_empty() {
        let length = u32_at(reply, 0).ok_or(SHORT)? as usize;
        let kind = u16_at(reply, 4).ok_or(SHORT)?;
        let of = u32_at(reply, 8).ok_or(SHORT)?;
        let body = reply.get(HEADER..length).ok_or(SHORT)?;
        reply = reply.get(length.next_multiple_of(4)..).unwrap_or_default();
        if of != sequence {
            continue;
        }
        match kind {
            NLMSG_DONE | NLMSG_ERROR => {
                let code = u32_at(body, 0).unwrap_or_default().cast_signed();
                return if code == 0 {
                    Ok(Reply::Done)
                } else {
                    Err(HostError::SocketList {
                        source: io::Error::from_raw_os_error(code.saturating_neg()),
                    })
                };
            }
            SOCK_DIAG_BY_FAMILY => entries.extend(read_entry(body, transport).ok_or(SHORT)?),
            _ => {}
        }
    }
    Ok(Reply::More)
}

/// The outer `None` is a message that is too short, the inner one a socket without a port.
fn read_entry(body: &[u8], transport: Transport) -> Option<Option<Entry>> {
    let (family, state) = (*body.first()?, *body.get(1)?);
    let port = u16::from_be_bytes(bytes(body, 4)?);
    let address = if family == AF_INET6 {
        IpAddr::V6(Ipv6Addr::from(bytes::<16>(body, 8)?)).to_canonical()
    } else {
        IpAddr::V4(Ipv4Addr::from(bytes::<4>(body, 8)?))
    };
    let uid = u32_at(body, 64)?;
    let inode = u64::from(u32_at(body, 68)?);
    Some(Port::new(port).map(|port| Entry {
        port,
        transport,
        address,
        state: State(state),
        uid,
        inode,
    }))
}

fn bytes<const N: usize>(from: &[u8], at: usize) -> Option<[u8; N]> {
    from.get(at..at + N)?.try_into().ok()
}

fn u16_at(from: &[u8], at: usize) -> Option<u16> {
    bytes(from, at).map(u16::from_ne_bytes)
}

fn u32_at(from: &[u8], at: usize) -> Option<u32> {
    bytes(from, at).map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        message.extend(((HEADER + body.len()) as u32).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(0u16.to_ne_bytes());
        message.extend(sequence.to_ne_bytes());
        message.extend(0u32.to_ne_bytes());
        message.extend(body);
        message
    }

    fn socket(port: u16) -> Vec<u8> {
        let mut body = vec![0; 72];
        body[0] = AF_INET6;
        body[1] = State::LISTEN.0;
        body[4..6].copy_from_slice(&port.to_be_bytes());
        body[8..24].copy_from_slice(&Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets());
        body[64..68].copy_from_slice(&1000u32.to_ne_bytes());
        body[68..72].copy_from_slice(&77u32.to_ne_bytes());
        body
    }

    fn read(reply: &[u8]) -> (Result<Reply, HostError>, Vec<Entry>) {
        let mut entries = Vec::new();
        let result = read_reply(reply, 1, Transport::Tcp, &mut entries);
        (result, entries)
    }

    #[test]
    fn a_request_says_its_own_length() {
        let port = Port::new(5001).unwrap();
        let request = request(1, AF_INET, Transport::Tcp, States::ALL, &(port..=port));
        assert_eq!(request.len(), 92);
        assert_eq!(u32_at(&request, 0), Some(92));
        assert_eq!(request[24..26], 5001u16.to_be_bytes());
    }

    #[test]
    fn sockets_of_this_answer_are_read_and_others_passed_over() {
        let mut reply = message(SOCK_DIAG_BY_FAMILY, 1, &socket(5001));
        reply.extend(message(SOCK_DIAG_BY_FAMILY, 9, &socket(5003)));
        reply.extend(message(SOCK_DIAG_BY_FAMILY, 1, &socket(0)));
        reply.extend(message(NLMSG_DONE, 1, &[0; 4]));
        let (result, entries) = read(&reply);
        assert_eq!(result.unwrap(), Reply::Done);
        assert_eq!(
            entries,
            [Entry {
                port: Port::new(5001).unwrap(),
                transport: Transport::Tcp,
                address: Ipv4Addr::LOCALHOST.into(),
                state: State::LISTEN,
                uid: 1000,
                inode: 77,
            }]
        );
    }

    #[test]
    fn a_refusal_is_an_error_that_says_what_to_load() {
        let (result, _) = read(&message(NLMSG_ERROR, 1, &(-2i32).to_ne_bytes()));
        let error = result.unwrap_err().to_string();
        assert!(error.contains("tcp_diag"), "{error}");
    }

    #[test]
    fn a_reply_cut_anywhere_is_an_error_or_asks_for_more_but_never_a_panic() {
        let whole = message(SOCK_DIAG_BY_FAMILY, 1, &socket(5001));
        for length in 1..whole.len() {
            assert!(read(&whole[..length]).0.is_err(), "cut at {length}");
        }
        let short = message(SOCK_DIAG_BY_FAMILY, 1, &socket(5001)[..60]);
        assert!(read(&short).0.is_err());
        let mut endless = whole;
        endless[..4].copy_from_slice(&3u32.to_ne_bytes());
        assert!(read(&endless).0.is_err());
    }
}
