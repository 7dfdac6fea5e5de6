//! Where a portbook server is.

use std::fmt;
use std::path::PathBuf;

use crate::Error;

/// The address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ServerAddress {
    /// `http://host:port` or `https://host:port`, without a slash at its end.
    Web(String),
    /// A unix socket.
    Unix(PathBuf),
}

impl ServerAddress {
    /// Reads an address whose scheme is a server's; `None` for any other.
    pub(crate) fn parse(address: &str) -> Result<Option<Self>, Error> {
        let wrong = |reason: &str| {
            Err(Error::StoreAddress {
                given: address.to_owned(),
                reason: reason.to_owned(),
            })
        };
        if let Some(path) = address.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => wrong("it names no socket: write unix:/run/portbook.sock"),
                path => Ok(Some(Self::Unix(PathBuf::from(path)))),
            };
        }
        if !address.starts_with("http://") && !address.starts_with("https://") {
            return Ok(None);
        }
        let Ok(uri) = address.parse::<ureq::http::Uri>() else {
            return wrong("it is no address of a server: write http://host:7678");
        };
        let Some(authority) = uri.authority() else {
            return wrong("it names no host: write http://host:7678");
        };
        if authority.as_str().contains('@') {
            return wrong(
                "a name and password in it would be seen by others: put a token into PORTBOOK_TOKEN",
            );
        }
        let host = authority.host();
        let is_whole = match authority.port_u16() {
            Some(port) => authority.as_str() == format!("{host}:{port}"),
            None => authority.as_str() == host,
        };
        if !is_whole || host.is_empty() {
            return wrong("its port is none: write http://host:7678");
        }
        if uri.path() != "/" || uri.query().is_some() {
            return wrong("a server has no path: write http://host:7678");
        }
        let scheme = uri.scheme_str().unwrap_or("http");
        Ok(Some(Self::Web(format!("{scheme}://{authority}"))))
    }

    /// The URL of a path there.
    pub(crate) fn url(&self, path: &str) -> String {
        match self {
            Self::Web(base) => format!("{base}{path}"),
            Self::Unix(_) => format!("http://localhost{path}"),
        }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web(base) => f.write_str(base),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_address_has_a_host_and_nothing_more() {
        let web = |address: &str| {
            ServerAddress::parse(address).map(|found| found.map(|found| found.to_string()))
        };
        assert_eq!(
            web("http://h:7678/").unwrap().as_deref(),
            Some("http://h:7678")
        );
        assert_eq!(
            web("https://[::1]:1").unwrap().as_deref(),
            Some("https://[::1]:1")
        );
        assert_eq!(web("unix:/a b/c").unwrap().as_deref(), Some("unix:/a b/c"));
        assert_eq!(web("sqlite:x").unwrap(), None);
        for bad in [
            "http://",
            "unix:",
            "http://h/x",
            "http://u:p@h",
            "http://h:99999999",
        ] {
            assert!(web(bad).is_err(), "{bad}");
        }
    }
}
