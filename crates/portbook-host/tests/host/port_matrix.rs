//! Every kind of socket that can have a port, on every kind of address: seen or rightly ignored, by
//! eligibility and by name.
//!
//! Containers' ports and other networks are in portbook-cli/tests/engine.

use std::thread;

use portbook_host::holders;
use portbook_model::SocketUse::{self, Bound, Connected, Listening};
use portbook_model::Transport::{self, Tcp, Udp};
use portbook_model::{Holder, Port, PortSet};
use rustix::fd::OwnedFd;
use rustix::net::connect;

use crate::sockets::*;

/// What is kept open, and the port that it is about.
type Held = (Vec<OwnedFd>, u16);

/// What a kind of holder is called, what a check says of it, and how to be one.
type Kind = (&'static str, Transport, SocketUse, fn(Place) -> Held);

fn one(socket: OwnedFd) -> Held {
    let port = port_of(&socket);
    (vec![socket], port)
}

const SEEN: [Kind; 13] = [
    ("TCP listener", Tcp, Listening, |place| {
        one(listening(place, free_port(), Sharing::None))
    }),
    ("TCP listener with SO_REUSEADDR", Tcp, Listening, |place| {
        one(listening(place, free_port(), Sharing::Address))
    }),
    ("TCP listener with SO_REUSEPORT", Tcp, Listening, |place| {
        one(listening(place, free_port(), Sharing::Port))
    }),
    ("TCP bound", Tcp, Bound, |place| {
        one(bound(Tcp, place, free_port(), Sharing::None).unwrap())
    }),
    ("TCP bound with SO_REUSEADDR", Tcp, Bound, |place| {
        one(bound(Tcp, place, free_port(), Sharing::Address).unwrap())
    }),
    ("TCP bound with SO_REUSEPORT", Tcp, Bound, |place| {
        one(bound(Tcp, place, free_port(), Sharing::Port).unwrap())
    }),
    ("UDP bound", Udp, Listening, |place| {
        one(bound(Udp, place, free_port(), Sharing::None).unwrap())
    }),
    ("UDP bound with SO_REUSEADDR", Udp, Listening, |place| {
        one(bound(Udp, place, free_port(), Sharing::Address).unwrap())
    }),
    ("UDP bound with SO_REUSEPORT", Udp, Listening, |place| {
        one(bound(Udp, place, free_port(), Sharing::Port).unwrap())
    }),
    ("UDP connected", Udp, Connected, |place| {
        let socket = bound(Udp, place, free_port(), Sharing::None).unwrap();
        connect(&socket, &place.reached_at(9)).unwrap();
        one(socket)
    }),
    (
        "local end of an outgoing connection",
        Tcp,
        Connected,
        |place| {
            let listener = listening(place, free_port(), Sharing::None);
            let (client, server) = connection(&listener, place);
            let port = port_of(&client);
            (vec![client, server, listener], port)
        },
    ),
    (
        "connection that outlives its listener",
        Tcp,
        Connected,
        |place| {
            let listener = listening(place, free_port(), Sharing::None);
            let port = port_of(&listener);
            let (client, server) = connection(&listener, place);
            (vec![client, server], port)
        },
    ),
    (
        "connection that outlives its listener with SO_REUSEADDR",
        Tcp,
        Connected,
        |place| {
            let listener = listening(place, free_port(), Sharing::Address);
            let port = port_of(&listener);
            let (client, server) = connection(&listener, place);
            (vec![client, server], port)
        },
    ),
];

#[test]
fn whoever_has_a_port_is_seen() {
    for (kind, _, _, hold) in SEEN {
        for place in places() {
            let (_held, port) = hold(place);
            assert!(in_use(port), "{kind} on {place:?} was not seen");
        }
    }
}

/// What `check` goes by: the process, and what it does with the port.
#[test]
fn whoever_has_a_port_is_named() {
    for (kind, transport, usage, hold) in SEEN {
        for place in places() {
            let (_held, port) = hold(place);
            let found = who_has(port);
            // Older kernels do not list a socket that is bound and does nothing.
            if found.is_empty() && usage == Bound && !lists_bound_sockets() {
                continue;
            }
            assert_eq!(found, [(transport, usage)], "{kind} on {place:?}");
        }
    }
}

/// What this process does with a port. A stranger's connection may have the same number.
fn who_has(port: u16) -> Vec<(Transport, SocketUse)> {
    let port = Port::new(port).unwrap();
    let found = holders(&PortSet::from_iter([port])).unwrap();
    let is_ours = |holder: &&Holder| {
        let process = holder.process.as_ref();
        process.is_some_and(|process| process.pid == std::process::id())
    };
    found
        .iter()
        .filter(is_ours)
        .map(|holder| (holder.transport, holder.usage))
        .collect()
}

/// Linux does since 6.8.
fn lists_bound_sockets() -> bool {
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(8))
}

/// A name that looks like a port is none: in the file system, or in the abstract.
#[test]
fn a_unix_socket_has_no_port() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};

    let port = free_port();
    let address = SocketAddr::from_abstract_name(port.to_string()).unwrap();
    let _abstract = UnixListener::bind_addr(&address).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let _named = UnixListener::bind(folder.path().join(port.to_string())).unwrap();
    assert!(!in_use(port));
    assert_eq!(who_has(port), []);
}

#[test]
fn a_port_is_free_once_whoever_had_it_is_gone() {
    for (kind, _, _, hold) in SEEN.into_iter().take(10) {
        for place in places() {
            let (held, port) = hold(place);
            drop(held);
            assert!(!in_use(port), "{kind} on {place:?} left its port taken");
        }
    }
}

#[test]
fn time_wait_alone_leaves_a_port_free() {
    for place in places() {
        let port = free_port();
        time_wait(place, port, Sharing::Address);
        assert!(bound(Tcp, place, port, Sharing::None).is_err(), "{place:?}");
        assert!(!in_use(port), "TIME_WAIT on {place:?} took its port");
        assert_eq!(who_has(port), [], "TIME_WAIT on {place:?} is somebody");
        drop(listening(place, port, Sharing::Address));
    }
}

#[test]
fn time_wait_hides_nobody_who_is_there_too() {
    for waiting in PLACES.into_iter().filter(Place::is_here) {
        for place in PLACES.into_iter().filter(Place::is_here) {
            let port = free_port();
            time_wait(waiting, port, Sharing::Address);
            let socket = bound(Tcp, place, port, Sharing::Address).unwrap();
            assert!(in_use(port), "{place:?} beside TIME_WAIT on {waiting:?}");
            drop(socket);
            let socket = bound(Udp, place, port, Sharing::None).unwrap();
            assert!(in_use(port), "UDP on {place:?} beside TIME_WAIT");
            drop(socket);
            assert!(!in_use(port));
        }
    }
}

/// Linux keeps every server off such a port until the connections have ended.
#[test]
fn time_wait_of_a_socket_that_did_not_share_its_address_is_what_a_server_meets() {
    for place in places() {
        let port = free_port();
        time_wait(place, port, Sharing::None);
        let server_may = bound(Tcp, place, port, Sharing::Address).is_ok();
        assert_eq!(in_use(port), !server_may, "{place:?}");
    }
}

#[test]
fn probes_at_the_same_time_do_not_take_each_other_for_servers() {
    let port = free_port();
    let probes: Vec<_> = (0..8)
        .map(|_| thread::spawn(move || (0..300).filter(|_| in_use(port)).count()))
        .collect();
    for probe in probes {
        assert_eq!(probe.join().unwrap(), 0);
    }
}
