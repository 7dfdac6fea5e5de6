//! Sockets that a service manager listened at before the server ran (sd_listen_fds(3)).

use std::env;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;

use crate::portserver::Address;

/// What the portserver's socket is called: `FileDescriptorName=` of its unit, systemd.socket(5).
const PORTSERVER: &str = "portserver";

/// The sockets that were handed over.
#[derive(Debug, Default)]
pub struct Inherited {
    pub(crate) sockets: Vec<Socket>,
    pub(crate) portserver: Option<UnixListener>,
    portserver_address: Option<Address>,
}

#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Inherited {
    /// Takes what was handed over to this process. Each descriptor has to be a listening stream socket;
    /// one that is named `portserver`, a unix socket.
    pub fn take() -> io::Result<Self> {
        let mut given = ListenFd::from_env();
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut inherited = Self::default();
        for index in 0..given.len() {
            if names.next() == Some(PORTSERVER) {
                let socket = given.take_unix_listener(index)?;
                inherited.portserver_address = socket.as_ref().map(Address::of).transpose()?;
                inherited.portserver = socket;
                continue;
            }
            let socket = match given.take_unix_listener(index) {
                Ok(socket) => socket.map(Socket::Unix),
                Err(_) => given.take_tcp_listener(index)?.map(Socket::Tcp),
            };
            inherited.sockets.extend(socket);
        }
        Ok(inherited)
    }

    /// Where clients find the portserver, if its socket is among them.
    pub fn portserver_address(&self) -> Option<Address> {
        self.portserver_address.clone()
    }
}
