//! Where a portserver listens: a unix socket, by path or by an abstract name.

use std::fmt;
use std::io::{self, ErrorKind};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::PathBuf;
use std::str::FromStr;

use super::PortserverError;

/// A unix socket's address, as `PORTSERVER_ADDRESS` writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A file.
    Path(PathBuf),
    /// A name that no file has (unix(7), "abstract"), written with an `@` before it. Linux only.
    Abstract(String),
}

/// What was given is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no place for a unix socket: write a path, or @NAME for an abstract one")]
pub struct InvalidAddress(String);

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        match text.strip_prefix('@') {
            Some("") => Err(InvalidAddress(text.to_owned())),
            Some(name) => Ok(Address::Abstract(name.to_owned())),
            None if text.is_empty() || text.contains('\0') => Err(InvalidAddress(text.to_owned())),
            None => Ok(Address::Path(PathBuf::from(text))),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Path(path) => write!(f, "{}", path.display()),
            Address::Abstract(name) => write!(f, "@{name}"),
        }
    }
}

impl Address {
    /// Listens there. A file that a server left behind is taken away first; one that somebody listens
    /// at is not.
    pub(super) fn listen(&self) -> Result<tokio::net::UnixListener, PortserverError> {
        let failed = |source: io::Error| match source.kind() {
            ErrorKind::AddrInUse => PortserverError::Occupied(self.clone()),
            _ => PortserverError::Listen {
                address: self.clone(),
                source,
            },
        };
        self.clear().map_err(failed)?;
        let listener = self
            .socket_address()
            .and_then(|address| UnixListener::bind_addr(&address))
            .map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        tokio::net::UnixListener::from_std(listener).map_err(failed)
    }

    /// Where a socket is found that listens already.
    pub(crate) fn of(listener: &UnixListener) -> io::Result<Self> {
        let bound = listener.local_addr()?;
        if let Some(path) = bound.as_pathname() {
            return Ok(Address::Path(path.to_owned()));
        }
        let name = abstract_name(&bound).map(Address::Abstract);
        name.ok_or_else(|| io::Error::other("it has no name that a client could write"))
    }

    /// The file that clients find the listener by.
    pub(super) fn file(&self) -> Option<PathBuf> {
        match self {
            Address::Path(path) => Some(path.clone()),
            Address::Abstract(_) => None,
        }
    }

    fn clear(&self) -> io::Result<()> {
        let Address::Path(path) = self else {
            return Ok(());
        };
        match UnixStream::connect(path) {
            Ok(_) => Err(ErrorKind::AddrInUse.into()),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path)
            }
            // Nothing is there, or something that the bind will tell of.
            Err(_) => Ok(()),
        }
    }

    #[cfg(target_os = "linux")]
    fn socket_address(&self) -> io::Result<SocketAddr> {
        use std::os::linux::net::SocketAddrExt;
        match self {
            Address::Path(path) => SocketAddr::from_pathname(path),
            Address::Abstract(name) => SocketAddr::from_abstract_name(name),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn socket_address(&self) -> io::Result<SocketAddr> {
        match self {
            Address::Path(path) => SocketAddr::from_pathname(path),
            Address::Abstract(_) => Err(ErrorKind::Unsupported.into()),
        }
    }
}

#[cfg(target_os = "linux")]
fn abstract_name(address: &SocketAddr) -> Option<String> {
    use std::os::linux::net::SocketAddrExt;
    let name = address.as_abstract_name()?;
    Some(String::from_utf8_lossy(name).into_owned())
}

#[cfg(not(target_os = "linux"))]
fn abstract_name(_: &SocketAddr) -> Option<String> {
    None
}
