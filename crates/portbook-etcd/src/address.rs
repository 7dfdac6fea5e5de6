//! Where a book is: `etcd://user@host:port,host:port/prefix?option=value`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

/// The port that etcd serves clients on.
const PORT: u16 = 2379;
/// Where a book lies when the address does not say.
const PREFIX: &str = "portbook";

/// A cluster's address, and the prefix of the book's keys in it.
///
/// `etcds://` is TLS, with the options `cacert`, and `cert` and `key` for a cluster that asks for a client's
/// certificate: files, as `etcdctl` takes them. A password is best left to `ETCDCTL_PASSWORD`. It is never
/// shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// `host:port`, in the order in which they are asked.
    pub(crate) members: Vec<String>,
    pub(crate) prefix: String,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) tls: Option<Tls>,
}

/// How connections are secured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    /// The authorities whose certificates are taken; `None`: the system's.
    pub(crate) authorities: Option<PathBuf>,
    /// A client's own certificate, and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

/// What was given is no address of an etcd cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no address of an etcd cluster: {reason}")]
pub struct InvalidAddress {
    /// What is wrong with it, without any password.
    pub reason: String,
}

fn invalid(reason: impl Into<String>) -> InvalidAddress {
    InvalidAddress {
        reason: reason.into(),
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (is_secure, rest) = match text.split_once("://") {
            Some(("etcd", rest)) => (false, rest),
            Some(("etcds", rest)) => (true, rest),
            _ => return Err(invalid("write etcd://HOST:PORT/PREFIX")),
        };
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, prefix) = place.split_once('/').unwrap_or((place, ""));
        let (access, hosts) = match authority.rsplit_once('@') {
            Some((access, hosts)) => (Some(access), hosts),
            None => (None, authority),
        };
        let (user, password) = match access.map(|access| access.split_once(':')) {
            None => (None, None),
            Some(Some((user, password))) => (Some(decoded(user)?), Some(decoded(password)?)),
            Some(None) => (access.map(decoded).transpose()?, None),
        };
        let members = hosts.split(',').map(member).collect::<Result<_, _>>()?;
        let prefix = match decoded(prefix)?.trim_matches('/') {
            "" => PREFIX.to_owned(),
            prefix if prefix.chars().any(char::is_control) => {
                return Err(invalid("its prefix has control characters"));
            }
            prefix => prefix.to_owned(),
        };
        Ok(Self {
            members,
            prefix,
            user,
            password,
            tls: security(is_secure, options)?,
        })
    }
}

impl Address {
    /// The address with this password, if it names a user and has none.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        if self.user.is_some() && self.password.is_none() {
            self.password = Some(password.to_owned());
        }
        self
    }
}

/// Without its password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "etcds" } else { "etcd" };
        let user = self.user.as_ref().map(|user| format!("{user}@"));
        let user = user.unwrap_or_default();
        write!(
            f,
            "{scheme}://{user}{}/{}",
            self.members.join(","),
            self.prefix
        )
    }
}

/// Without its password.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

fn member(text: &str) -> Result<String, InvalidAddress> {
    // An IPv6 address stands in brackets.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    if host.is_empty() || host.contains(['/', ' ', '\\']) {
        return Err(invalid("it names no host: write etcd://HOST:PORT/PREFIX"));
    }
    match port.map(str::parse::<u16>) {
        None => Ok(format!("{host}:{PORT}")),
        Some(Ok(port @ 1..)) => Ok(format!("{host}:{port}")),
        Some(_) => Err(invalid(format!("the port of `{text}` is no port"))),
    }
}

fn security(is_secure: bool, options: &str) -> Result<Option<Tls>, InvalidAddress> {
    let mut tls = Tls::default();
    let (mut certificate, mut key) = (None, None);
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let place = match name {
            "cacert" => &mut tls.authorities,
            "cert" => &mut certificate,
            "key" => &mut key,
            _ => {
                return Err(invalid(format!(
                    "the option `{name}` is unknown: cacert, cert or key"
                )));
            }
        };
        if !is_secure {
            return Err(invalid(format!("`{name}` is for TLS: write etcds://")));
        }
        *place = Some(PathBuf::from(decoded(value)?));
    }
    tls.identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err(invalid("`cert` and `key` belong together")),
    };
    Ok(is_secure.then_some(tls))
}

/// A value with its `%XX` taken for the bytes that they stand for (RFC 3986, 2.1).
fn decoded(value: &str) -> Result<String, InvalidAddress> {
    let text = percent_decode_str(value).decode_utf8();
    let text = text.map_err(|_| invalid("a part of it is not percent-encoded text"))?;
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (text, shown) in [
            (
                "etcd://me:se%40cret@a:1,b/books",
                "etcd://me@a:1,b:2379/books",
            ),
            ("etcd://a", "etcd://a:2379/portbook"),
            ("etcd://[::1]:7,[::2]/x/y/", "etcd://[::1]:7,[::2]:2379/x/y"),
            (
                "etcds://me:secret@a?cacert=/ca.pem",
                "etcds://me@a:2379/portbook",
            ),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert!(!format!("{address:?}").contains("cret"), "{address:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_without_its_password() {
        for (text, part) in [
            ("etcd://me:secret@/books", "no host"),
            ("etcd://me:secret@a:x/books", "`a:x`"),
            ("etcd://me:secret@a:0/books", "`a:0`"),
            ("etcd://me:secret@a/books?colour=red", "colour"),
            ("etcd://me:secret@a/books?cacert=x", "etcds://"),
            ("etcds://me:secret@a/books?cert=x", "belong together"),
            ("etcd://me:secret%ff@a/books", "percent-encoded"),
        ] {
            let reason = text.parse::<Address>().unwrap_err().to_string();
            assert!(reason.contains(part), "{reason}");
            assert!(!reason.contains("secret"), "{reason}");
        }
    }
}
