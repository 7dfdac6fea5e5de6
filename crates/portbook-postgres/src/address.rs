//! Where a database is: `postgres://user@host:port,host:port/database?option=value`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// How long one host may take to answer, unless the address says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A database's address, as libpq writes it (PostgreSQL's manual, "Connection URIs").
///
/// A password is best left to `PGPASSWORD`, or to what the server takes instead of one. It is never shown.
#[derive(Clone)]
pub struct Address {
    pub(crate) config: Config,
    pub(crate) trust: Trust,
    shown: String,
}

/// Which certificates of the server's are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Any, as libpq does with `sslmode=prefer` and `require`: against listeners, not against impostors.
    Any,
    /// Those of the authorities in this file.
    File(PathBuf),
    /// Those of the system's authorities.
    System,
}

/// What was given is no address of a database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no address of a PostgreSQL database: {reason}")]
pub struct InvalidAddress {
    /// What is wrong with it, without any password.
    pub reason: String,
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (place, options) = text.split_once('?').unwrap_or((text, ""));
        let mut kept = Vec::new();
        let mut mode = None;
        let mut authorities = None;
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value.to_owned()),
                Some(("sslrootcert", value)) => authorities = Some(decoded(value)?),
                _ => kept.push(option),
            }
        }
        let plain = match kept.is_empty() {
            true => place.to_owned(),
            false => format!("{place}?{}", kept.join("&")),
        };
        let mut config: Config = plain.parse().map_err(invalid)?;
        let (tls, trust) = security(mode.as_deref(), authorities)?;
        config.ssl_mode(tls);
        if config.get_hosts().is_empty() {
            return Err(InvalidAddress {
                reason: "it names no host: write postgres://user@host/database".to_owned(),
            });
        }
        if config.get_application_name().is_none() {
            config.application_name("portbook");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        // Of several hosts, those that only follow cannot take a commit.
        if config.get_hosts().len() > 1
            && config.get_target_session_attrs() == TargetSessionAttrs::Any
        {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let shown = shown(&config);
        Ok(Self {
            config,
            trust,
            shown,
        })
    }
}

impl Address {
    /// The address with this password, unless it has one.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        if self.config.get_password().is_none() {
            self.config.password(password);
        }
        self
    }
}

/// Without its password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Without its password.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.shown)
    }
}

fn invalid(error: tokio_postgres::Error) -> InvalidAddress {
    use std::error::Error;
    // The error itself says only that the string is invalid; its cause never quotes the password.
    let reason = error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string);
    InvalidAddress { reason }
}

fn security(
    mode: Option<&str>,
    authorities: Option<String>,
) -> Result<(SslMode, Trust), InvalidAddress> {
    let named = authorities.map(|file| match file.as_str() {
        "system" => Trust::System,
        _ => Trust::File(PathBuf::from(file)),
    });
    match mode {
        Some("disable") => Ok((SslMode::Disable, Trust::Any)),
        None | Some("prefer") => Ok((SslMode::Prefer, named.unwrap_or(Trust::Any))),
        Some("require") => Ok((SslMode::Require, named.unwrap_or(Trust::Any))),
        Some("verify-ca" | "verify-full") => Ok((SslMode::Require, named.unwrap_or(Trust::System))),
        Some(other) => Err(InvalidAddress {
            reason: format!(
                "`sslmode={other}` is unknown: disable, prefer, require, verify-ca or verify-full"
            ),
        }),
    }
}

fn shown(config: &Config) -> String {
    let mut ports = config.get_ports().iter();
    let mut port = None;
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|host| {
            port = ports.next().or(port);
            let port = port.filter(|port| **port != 5432);
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            match host {
                Host::Tcp(name) if name.contains(':') => format!("[{name}]{port}"),
                Host::Tcp(name) => format!("{name}{port}"),
                #[cfg(unix)]
                Host::Unix(path) => format!("{}{port}", path.display()),
            }
        })
        .collect();
    let user = config.get_user().map(|user| format!("{user}@"));
    let database = config.get_dbname().map(|name| format!("/{name}"));
    format!(
        "postgres://{}{}{}",
        user.unwrap_or_default(),
        hosts.join(","),
        database.unwrap_or_default()
    )
}

/// A value with its `%XX` taken for the bytes that they stand for (RFC 3986, 2.1).
fn decoded(value: &str) -> Result<String, InvalidAddress> {
    let text = percent_decode_str(value).decode_utf8();
    let text = text.map_err(|_| InvalidAddress {
        reason: format!("`{value}` is not percent-encoded text"),
    })?;
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (text, shown) in [
            ("postgres://me:secret@db/books", "postgres://me@db/books"),
            (
                "postgresql://me:se%40cret@db:6432/books?sslmode=disable",
                "postgres://me@db:6432/books",
            ),
            (
                "postgres://me@one:1,two:2/books",
                "postgres://me@one:1,two:2/books",
            ),
            ("postgres://db?user=me&password=secret", "postgres://me@db"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert!(!format!("{address:?}").contains("secret"), "{address:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_without_its_password() {
        for (text, part) in [
            (
                "postgres://me:secret@db/books?sslmode=maybe",
                "sslmode=maybe",
            ),
            ("postgres://me:secret@db/books?colour=red", "colour"),
            ("postgres:///books", "host"),
            ("postgres://me:secret@db:x/books", "port"),
        ] {
            let reason = text.parse::<Address>().unwrap_err().to_string();
            assert!(reason.contains(part), "{reason}");
            assert!(!reason.contains("secret"), "{reason}");
        }
    }

    #[test]
    fn a_certificate_is_verified_where_the_address_says_so() {
        let trust = |text: &str| text.parse::<Address>().unwrap().trust;
        assert_eq!(trust("postgres://db"), Trust::Any);
        assert_eq!(trust("postgres://db?sslmode=verify-full"), Trust::System);
        assert_eq!(
            trust("postgres://db?sslmode=verify-full&sslrootcert=/etc/our%20ca.pem"),
            Trust::File("/etc/our ca.pem".into())
        );
    }
}
