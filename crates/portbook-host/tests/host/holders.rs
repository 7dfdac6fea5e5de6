//! Who has a port.

use std::env;

use portbook_host::{LocalHost, holders, listeners};
use portbook_model::{HostView, Port, PortSet, SocketUse, Transport};
use rustix::net::connect;
use rustix::process::getuid;

use crate::sockets::*;

fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

fn set(numbers: &[u16]) -> PortSet {
    numbers.iter().map(|number| port(*number)).collect()
}

#[test]
fn this_process_is_named_with_its_directory() {
    for place in PLACES.into_iter().filter(Place::is_here) {
        let listener = listening(place, free_port(), Sharing::Address);
        let holder = LocalHost::new().holder(port(port_of(&listener))).unwrap();
        assert_eq!(holder.usage, SocketUse::Listening);
        assert_eq!(holder.transport, Transport::Tcp);
        assert_eq!(holder.address, Some(place.address));
        assert_eq!(holder.uid, Some(getuid().as_raw()));
        let process = holder.process.unwrap();
        assert_eq!(process.pid, std::process::id());
        assert_eq!(process.directory, Some(env::current_dir().unwrap()));
        assert!(!process.name.is_empty());
    }
}

#[test]
fn a_process_is_named_once_for_each_transport() {
    let number = free_port();
    let listener = listening(PLACES[0], number, Sharing::Address);
    let (_client, _server) = connection(&listener, PLACES[0]);
    let _twin = PLACES[3]
        .is_here()
        .then(|| listening(PLACES[3], number, Sharing::Address));
    let _datagrams = bound(Transport::Udp, PLACES[1], number, Sharing::None).unwrap();
    let found = holders(&set(&[number])).unwrap();
    let kinds: Vec<_> = found
        .iter()
        .map(|holder| (holder.transport, holder.usage))
        .collect();
    assert_eq!(
        kinds,
        [
            (Transport::Tcp, SocketUse::Listening),
            (Transport::Udp, SocketUse::Listening)
        ]
    );
    assert!(found[0].address.unwrap().is_unspecified());
}

#[test]
fn several_ports_are_answered_at_once_and_others_left_out() {
    let listener = listening(PLACES[1], free_port(), Sharing::None);
    let between = listening(PLACES[1], free_port(), Sharing::None);
    let (client, _server) = connection(&listener, PLACES[1]);
    let udp = bound(Transport::Udp, PLACES[1], 0, Sharing::None).unwrap();
    connect(&udp, &PLACES[1].reached_at(9)).unwrap();
    let asked = [port_of(&listener), port_of(&client), port_of(&udp)];
    let found = holders(&set(&asked)).unwrap();
    for (number, usage) in [
        (asked[0], SocketUse::Listening),
        (asked[1], SocketUse::Connected),
        (asked[2], SocketUse::Connected),
    ] {
        let holder = found.iter().find(|holder| holder.port.get() == number);
        assert_eq!(holder.unwrap().usage, usage);
    }
    assert!(
        found
            .iter()
            .all(|holder| holder.port.get() != port_of(&between))
    );
    assert_eq!(holders(&PortSet::new()).unwrap(), []);
}

#[test]
fn listeners_are_those_who_wait_for_strangers() {
    let mut waiting = Vec::new();
    for place in PLACES.into_iter().filter(Place::is_here) {
        waiting.push(listening(place, 0, Sharing::None));
        waiting.push(bound(Transport::Udp, place, 0, Sharing::None).unwrap());
    }
    let (client, _server) = connection(&waiting[0], PLACES[0]);
    let found = listeners().unwrap();
    for socket in &waiting {
        assert!(
            found
                .iter()
                .any(|found| found.port.get() == port_of(socket))
        );
    }
    assert!(!found.iter().any(|found| {
        found.port.get() == port_of(&client) && found.transport == Transport::Tcp
    }));
    assert!(
        found
            .iter()
            .all(|found| found.usage == SocketUse::Listening)
    );
}

#[test]
fn a_view_answers_alike_as_long_as_it_lives() {
    let number = free_port();
    let view = LocalHost::new();
    assert_eq!(view.is_in_use(port(number)), Ok(false));
    let _listener = listening(PLACES[0], number, Sharing::None);
    assert_eq!(view.is_in_use(port(number)), Ok(false));
    assert!(in_use(number));
}
