//! Whether a port can be bound, with what every operating system offers.

use std::io::{Error, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};

use portbook_model::{Port, Transport};

use crate::HostError;

/// Where servers listen. Each is tried, since not every system lets a socket that is bound to one
/// address keep others from binding them all.
const PLACES: [IpAddr; 4] = [
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
    IpAddr::V4(Ipv4Addr::LOCALHOST),
];

pub(crate) fn is_in_use(port: Port) -> Result<bool, HostError> {
    for place in PLACES {
        let place = (place, port.get());
        if is_taken(port, Transport::Tcp, TcpListener::bind(place).err())?
            || is_taken(port, Transport::Udp, UdpSocket::bind(place).err())?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_taken(port: Port, transport: Transport, error: Option<Error>) -> Result<bool, HostError> {
    match error {
        None => Ok(false),
        Some(error) if error.kind() == ErrorKind::AddrInUse => Ok(true),
        Some(error)
            if matches!(
                error.kind(),
                ErrorKind::AddrNotAvailable | ErrorKind::Unsupported
            ) =>
        {
            Ok(false)
        }
        Some(source) => Err(HostError::Probe {
            port,
            transport,
            source,
        }),
    }
}
