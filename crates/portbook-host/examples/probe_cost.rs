//! What a probe costs, on an idle machine and beside many sockets:
//! `cargo run --release --example probe_cost [SOCKETS]`.

use std::io::{Read, Result};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::time::Instant;

use portbook_host::{LocalHost, holders, listeners, open_file_limit};
use portbook_model::{HostView, Port, PortSet};

/// Sockets that only have to be there.
#[derive(Default)]
struct Crowd {
    datagrams: Vec<UdpSocket>,
    streams: Vec<TcpStream>,
    listeners: Vec<TcpListener>,
}

impl Crowd {
    /// Half of them UDP, each on a port of its own, and half the two ends of TCP connections.
    fn grow(&mut self, sockets: usize) -> Result<()> {
        let loopback = (Ipv4Addr::LOCALHOST, 0);
        for _ in 0..sockets / 2 {
            self.datagrams.push(UdpSocket::bind(loopback)?);
        }
        let listener = TcpListener::bind(loopback)?;
        for _ in 0..sockets / 4 {
            self.streams
                .push(TcpStream::connect(listener.local_addr()?)?);
            self.streams.push(listener.accept()?.0);
        }
        self.listeners.push(listener);
        Ok(())
    }

    fn count(&self) -> usize {
        self.datagrams.len() + self.streams.len() + self.listeners.len()
    }
}

/// Microseconds for each of the ports, asked of a view that knows nothing yet, and whether all of
/// them were in use, or none.
fn probe(ports: &[u16]) -> (f64, Option<bool>) {
    let view = LocalHost::new();
    let start = Instant::now();
    let taken = ports
        .iter()
        .filter_map(|port| Port::new(*port))
        .filter(|port| view.is_in_use(*port) == Ok(true))
        .count();
    let each = start.elapsed().as_secs_f64() * 1e6 / ports.len() as f64;
    let alike = (taken == 0 || taken == ports.len()).then_some(taken != 0);
    (each, alike)
}

/// The ports of connections in TIME_WAIT, whose listeners are gone.
fn time_wait(count: usize) -> Result<Vec<u16>> {
    (0..count)
        .map(|_| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let mut client = TcpStream::connect(listener.local_addr()?)?;
            drop(listener.accept()?);
            client.read_to_end(&mut Vec::new())?;
            Ok(listener.local_addr()?.port())
        })
        .collect()
}

fn measure(crowd: &Crowd) -> Result<Vec<(&'static str, f64)>> {
    let free: Vec<u16> = (20_001..30_000).step_by(2).collect();
    let busy: Vec<TcpListener> = (0..100)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_>>()?;
    let busy: Vec<(u16, TcpListener)> = busy
        .into_iter()
        .map(|listener| Ok((listener.local_addr()?.port(), listener)))
        .collect::<Result<_>>()?;
    let busy_ports: Vec<u16> = busy.iter().map(|(port, _)| *port).collect();
    let crowded: Vec<u16> = crowd
        .listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect::<Result<_>>()?;

    let mut figures = Vec::new();
    for (what, ports, expected) in [
        ("free port", &free, Some(false)),
        ("port with a listener", &busy_ports, Some(true)),
        ("port with all the connections", &crowded, Some(true)),
        ("port with TIME_WAIT alone", &time_wait(50)?, Some(false)),
    ] {
        let (each, alike) = probe(ports);
        if alike != expected {
            println!("  ({what}: not all alike, so something else uses these ports)");
        }
        figures.push((what, each));
    }
    let start = Instant::now();
    let found = listeners().map_or(0, |found| found.len());
    figures.push(("listeners()", start.elapsed().as_secs_f64() * 1e6));
    let start = Instant::now();
    let asked: PortSet = busy_ports
        .iter()
        .filter_map(|port| Port::new(*port))
        .collect();
    let named = holders(&asked).map_or(0, |named| named.len());
    figures.push(("holders(100 ports)", start.elapsed().as_secs_f64() * 1e6));
    println!(
        "beside {} sockets: {found} listeners, {named} of {} holders named",
        crowd.count(),
        asked.count()
    );
    Ok(figures)
}

fn main() -> Result<()> {
    let room = usize::try_from(open_file_limit().0).unwrap_or(usize::MAX);
    let wanted = std::env::args()
        .nth(1)
        .and_then(|number| number.parse().ok());
    let sockets = wanted.unwrap_or(20_000).min(room.saturating_sub(600));

    let mut crowd = Crowd::default();
    crowd.grow(10)?;
    measure(&crowd)?;
    let few = measure(&crowd)?;
    crowd.grow(sockets)?;
    let many = measure(&crowd)?;
    println!(
        "{:32} {:>10} {:>10} {:>7}",
        "microseconds each", "few", "many", "ratio"
    );
    for ((what, few), (_, many)) in few.iter().zip(&many) {
        println!("{what:32} {few:10.1} {many:10.1} {:7.2}", many / few);
    }
    Ok(())
}
