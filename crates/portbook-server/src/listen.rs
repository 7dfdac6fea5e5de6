//! Where the server listens, and who is at the other end of a connection.

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

use crate::activation::Socket;

/// How many connections the kernel keeps until they are accepted.
const BACKLOG: i32 = 1024;
/// A socket is its owner's alone, as the book's file is.
const SOCKET_MODE: u32 = 0o600;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A host, by name or number, and a port; port 0 is any free one.
    Tcp(String),
    /// A unix socket.
    Unix(PathBuf),
}

/// What was given is no address to listen at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address to listen at: write 127.0.0.1:7678, [::1]:7678 or unix:PATH")]
pub struct InvalidAddress(String);

impl FromStr for Address {
    type Err = InvalidAddress;
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err(invalid()),
                path => Ok(Self::Unix(PathBuf::from(path))),
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let is_bare_ipv6 = host.contains(':') && !host.starts_with('[');
        if host.is_empty() || is_bare_ipv6 || port.parse::<u16>().is_err() {
            return Err(invalid());
        }
        Ok(Self::Tcp(text.to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Somebody at an address.
    Tcp(IpAddr),
    /// A user of this machine.
    Unix(Option<u32>),
}

/// Something that accepts connections.
pub(crate) enum Listener {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, SocketFile),
}

/// The file that a unix socket is found by.
pub(crate) enum SocketFile {
    /// It goes with the listener.
    Own(PathBuf),
    /// It is whoever's who handed the socket over.
    Lent(PathBuf),
}

/// One accepted connection.
pub(crate) type Stream = Box<dyn Io>;

/// What a connection can do.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

impl Listener {
    /// Listens at an address; a name may mean several.
    pub(crate) async fn bind(address: &Address) -> io::Result<Vec<Self>> {
        match address {
            Address::Tcp(name) => {
                let mut listeners = Vec::new();
                for address in tokio::net::lookup_host(name).await? {
                    let listener = TcpListener::bind(address).await?;
                    let address = listener.local_addr()?;
                    listeners.push(Self::Tcp(listener, address));
                }
                Ok(listeners)
            }
            Address::Unix(path) => {
                let file = SocketFile::Own(path.clone());
                Ok(vec![Self::Unix(bind_unix(path)?, file)])
            }
        }
    }

    /// Takes over a socket that listens already.
    pub(crate) fn inherit(socket: Socket) -> io::Result<Self> {
        match socket {
            Socket::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                let address = listener.local_addr()?;
                Ok(Self::Tcp(TcpListener::from_std(listener)?, address))
            }
            Socket::Unix(listener) => {
                listener.set_nonblocking(true)?;
                let address = listener.local_addr()?;
                let path = address.as_pathname().ok_or_else(|| {
                    io::Error::other("a unix socket for requests has to have a path")
                })?;
                let file = SocketFile::Lent(path.to_owned());
                Ok(Self::Unix(UnixListener::from_std(listener)?, file))
            }
        }
    }

    /// The address, as a client writes it.
    pub(crate) fn url(&self, is_tls: bool) -> String {
        let scheme = if is_tls { "https" } else { "http" };
        match self {
            Self::Tcp(_, address) => format!("{scheme}://{address}"),
            Self::Unix(_, SocketFile::Own(path) | SocketFile::Lent(path)) => {
                format!("unix:{}", path.display())
            }
        }
    }

    /// Whether only this machine can reach it.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Tcp(_, address) => address.ip().is_loopback(),
            Self::Unix(..) => true,
        }
    }

    /// The address and port, where it has them.
    pub(crate) fn socket_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, address) => Some(*address),
            Self::Unix(..) => None,
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener, _) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are small, and waiting to join them only costs time.
                let _ = stream.set_nodelay(true);
                Ok((Box::new(stream), Peer::Tcp(peer.ip().to_canonical())))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
                Ok((Box::new(stream), Peer::Unix(uid)))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, SocketFile::Own(path)) = self {
            // Whoever finds it left over replaces it.
            let _ = fs::remove_file(path);
        }
    }
}

/// A listening socket that nobody but its owner could ever connect to: its mode is set between bind
/// and listen.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    remove_leftover(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
    listen(&socket, BACKLOG)?;
    UnixListener::from_std(socket.into())
}

/// Removes a socket that nobody listens at any more; anything else stays and is an error.
fn remove_leftover(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => match StdUnixStream::connect(path) {
            Ok(_) => Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another program listens there",
            )),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
            Err(error) => Err(error),
        },
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file of that name that is no socket",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_with_a_port_or_a_socket() {
        for good in [
            "127.0.0.1:0",
            "localhost:7678",
            "[::1]:7678",
            "unix:/run/p.sock",
        ] {
            let address: Address = good.parse().unwrap();
            assert_eq!(address.to_string(), good);
        }
        for bad in [
            "",
            "7678",
            "127.0.0.1",
            "::1:7678",
            ":7678",
            "unix:",
            "host:port",
            "host:70000",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
