//! An engine's address, as `DOCKER_HOST` has it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a container engine answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// At a socket in the file system: `unix:///run/docker.sock`.
    Unix(PathBuf),
    /// At a port, in plain HTTP: `tcp://10.0.0.7:2375`.
    Tcp {
        /// The host's name or address, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// At a port, by TLS: `tcp://10.0.0.7:2376` with `DOCKER_TLS_VERIFY`.
    Tls {
        /// The host's name or address, without brackets, which the engine's certificate has to bear.
        host: String,
        /// The port.
        port: u16,
        /// The folder that may have `ca.pem`, who vouches for the engine, else the system's authorities do,
        /// and `cert.pem` with `key.pem`, who asks.
        certificates: PathBuf,
    },
}

/// The port that Docker takes where `tcp://` names none.
const PLAIN_PORT: u16 = 2375;
/// The same, by TLS.
const TLS_PORT: u16 = 2376;

/// What was given is no address at which portbook can ask an engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// It is not written as an address.
    #[error("write it as unix:///run/docker.sock or tcp://HOST:PORT")]
    Form,
    /// Its scheme is one that portbook does not speak.
    #[error(
        "portbook does not speak {0}://: forward the engine's socket (`ssh -L /tmp/docker.sock:/var/run/docker.sock HOST`) and name that as unix:///tmp/docker.sock"
    )]
    Scheme(String),
    /// TLS is not asked for by the address.
    #[error("write it as tcp://HOST:PORT, and set DOCKER_TLS_VERIFY to speak TLS")]
    Https,
}

impl Endpoint {
    /// Whether the engine runs on this machine, so that its ports are this machine's. Of a name this
    /// is not known.
    pub fn is_local(&self) -> bool {
        match self {
            Endpoint::Unix(_) => true,
            Endpoint::Tcp { host, .. } | Endpoint::Tls { host, .. } => {
                host == "localhost"
                    || host
                        .parse::<std::net::IpAddr>()
                        .is_ok_and(|address| address.is_loopback())
            }
        }
    }
}

impl Endpoint {
    /// The address as Docker reads it where TLS is asked for, which sockets do without.
    pub(crate) fn by_tls(text: &str, certificates: PathBuf) -> Result<Self, InvalidEndpoint> {
        Ok(match parse(text, TLS_PORT)? {
            Endpoint::Tcp { host, port } => Endpoint::Tls {
                host,
                port,
                certificates,
            },
            other => other,
        })
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        parse(text, PLAIN_PORT)
    }
}

fn parse(text: &str, usual_port: u16) -> Result<Endpoint, InvalidEndpoint> {
    let (scheme, rest) = text.split_once("://").ok_or(InvalidEndpoint::Form)?;
    match scheme {
        "unix" if rest.starts_with('/') => Ok(Endpoint::Unix(PathBuf::from(rest))),
        "tcp" | "http" => host_and_port(rest.trim_end_matches('/'), usual_port),
        "unix" => Err(InvalidEndpoint::Form),
        "https" => Err(InvalidEndpoint::Https),
        other => Err(InvalidEndpoint::Scheme(other.to_owned())),
    }
}

fn host_and_port(text: &str, usual_port: u16) -> Result<Endpoint, InvalidEndpoint> {
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']').ok_or(InvalidEndpoint::Form)?;
            (host, rest.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().map_err(|_| InvalidEndpoint::Form)?,
        None => usual_port,
    };
    if host.is_empty() || host.contains(['/', ' ']) {
        return Err(InvalidEndpoint::Form);
    }
    Ok(Endpoint::Tcp {
        host: host.to_owned(),
        port,
    })
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix://{}", path.display()),
            Endpoint::Tcp { host, port } | Endpoint::Tls { host, port, .. } => {
                match host.contains(':') {
                    true => write!(f, "tcp://[{host}]:{port}"),
                    false => write!(f, "tcp://{host}:{port}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_docker_reads_them_and_written_back() {
        for (given, written) in [
            ("unix:///run/docker.sock", "unix:///run/docker.sock"),
            ("tcp://10.0.0.7:2375", "tcp://10.0.0.7:2375"),
            ("tcp://build", "tcp://build:2375"),
            ("tcp://[::1]:99/", "tcp://[::1]:99"),
            ("http://localhost:2375", "tcp://localhost:2375"),
        ] {
            assert_eq!(given.parse::<Endpoint>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_cannot_be_asked_says_why() {
        for (given, says) in [
            ("ssh://me@build", "does not speak ssh://"),
            ("npipe:////./pipe/docker_engine", "does not speak npipe://"),
            ("https://build:2376", "DOCKER_TLS_VERIFY"),
            ("/run/docker.sock", "unix:///run/docker.sock"),
            ("unix://docker.sock", "unix:///run/docker.sock"),
            ("tcp://:2375", "tcp://HOST:PORT"),
            ("tcp://build:no", "tcp://HOST:PORT"),
            ("tcp://build:2375/path", "tcp://HOST:PORT"),
        ] {
            let error = given.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains(says), "{given}: {error}");
        }
    }

    #[test]
    fn only_this_machines_engine_is_local() {
        for (given, local) in [
            ("unix:///run/docker.sock", true),
            ("tcp://127.0.0.1:2375", true),
            ("tcp://[::1]:2375", true),
            ("tcp://localhost", true),
            ("tcp://10.0.0.7:2375", false),
            ("tcp://build", false),
        ] {
            assert_eq!(given.parse::<Endpoint>().unwrap().is_local(), local);
        }
    }
}
