//! Every kind of socket that can have a port, on every kind of address: seen or rightly ignored.

use std::thread;

use portbook_model::Transport::{Tcp, Udp};
use rustix::fd::OwnedFd;
use rustix::net::connect;

use crate::sockets::*;

/// What is kept open, and the port that it is about.
type Held = (Vec<OwnedFd>, u16);

/// What a kind of holder is called, and how to be one.
type Kind = (&'static str, fn(Place) -> Held);

fn one(socket: OwnedFd) -> Held {
    let port = port_of(&socket);
    (vec![socket], port)
}

const SEEN: [Kind; 13] = [
    ("TCP listener", |place| {
        one(listening(place, free_port(), Sharing::None))
    }),
    ("TCP listener with SO_REUSEADDR", |place| {
        one(listening(place, free_port(), Sharing::Address))
    }),
    ("TCP listener with SO_REUSEPORT", |place| {
        one(listening(place, free_port(), Sharing::Port))
    }),
    ("TCP bound", |place| {
        one(bound(Tcp, place, free_port(), Sharing::None).unwrap())
    }),
    ("TCP bound with SO_REUSEADDR", |place| {
        one(bound(Tcp, place, free_port(), Sharing::Address).unwrap())
    }),
    ("TCP bound with SO_REUSEPORT", |place| {
        one(bound(Tcp, place, free_port(), Sharing::Port).unwrap())
    }),
    ("UDP bound", |place| {
        one(bound(Udp, place, free_port(), Sharing::None).unwrap())
    }),
    ("UDP bound with SO_REUSEADDR", |place| {
        one(bound(Udp, place, free_port(), Sharing::Address).unwrap())
    }),
    ("UDP bound with SO_REUSEPORT", |place| {
        one(bound(Udp, place, free_port(), Sharing::Port).unwrap())
    }),
    ("UDP connected", |place| {
        let socket = bound(Udp, place, 0, Sharing::None).unwrap();
        connect(&socket, &place.reached_at(9)).unwrap();
        one(socket)
    }),
    ("local end of an outgoing connection", |place| {
        let listener = listening(place, free_port(), Sharing::None);
        let (client, server) = connection(&listener, place);
        let port = port_of(&client);
        (vec![client, server, listener], port)
    }),
    ("connection that outlives its listener", |place| {
        let listener = listening(place, free_port(), Sharing::None);
        let port = port_of(&listener);
        let (client, server) = connection(&listener, place);
        (vec![client, server], port)
    }),
    (
        "connection that outlives its listener with SO_REUSEADDR",
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
    for (kind, hold) in SEEN {
        for place in PLACES.into_iter().filter(Place::is_here) {
            let (_held, port) = hold(place);
            assert!(in_use(port), "{kind} on {place:?} was not seen");
        }
    }
}

#[test]
fn a_port_is_free_once_whoever_had_it_is_gone() {
    for (kind, hold) in SEEN.into_iter().take(10) {
        for place in PLACES.into_iter().filter(Place::is_here) {
            let (held, port) = hold(place);
            drop(held);
            assert!(!in_use(port), "{kind} on {place:?} left its port taken");
        }
    }
}

#[test]
fn time_wait_alone_leaves_a_port_free() {
    for place in PLACES.into_iter().filter(Place::is_here) {
        let port = free_port();
        time_wait(place, port, Sharing::Address);
        assert!(bound(Tcp, place, port, Sharing::None).is_err(), "{place:?}");
        assert!(!in_use(port), "TIME_WAIT on {place:?} took its port");
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
    for place in PLACES.into_iter().filter(Place::is_here) {
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
