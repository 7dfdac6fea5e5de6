//! The ports of a service, as the Compose Specification writes them (services, `ports`).

use std::net::IpAddr;
use std::ops::{Range, RangeInclusive};

use portbook_model::{Port, PortStretch};

use crate::interpolation::{Use, shortened};
use crate::written::Place;

/// A port that a service publishes, or a stretch of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPort {
    /// The host's address; `None` for every address.
    pub host: Option<IpAddr>,
    /// The host's ports.
    pub published: Published,
    /// The container's ports.
    pub target: RangeInclusive<u16>,
    /// The protocol.
    pub protocol: Protocol,
    /// How it is written.
    pub wording: Wording,
}

/// Which ports of the host an entry publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// Any that the engine likes: the file names none.
    Any,
    /// Each of these.
    Each(PortStretch),
    /// One of these: whichever is free when the container starts.
    OneOf(PortStretch),
}

impl Published {
    /// The ports that the file names.
    pub fn stretch(&self) -> Option<&PortStretch> {
        match self {
            Published::Any => None,
            Published::Each(stretch) | Published::OneOf(stretch) => Some(stretch),
        }
    }
}

/// What is spoken at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP, unless the file says otherwise.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The protocol's name, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, PortFault> {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Ok(Protocol::Tcp),
            "udp" => Ok(Protocol::Udp),
            "sctp" => Ok(Protocol::Sctp),
            _ => Err(PortFault::Protocol(shortened(text))),
        }
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a published port is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wording {
    /// Where: the whole entry in the short syntax, the value of `published` in the long one (the entry,
    /// where it has none).
    pub place: Place,
    /// What stands there in the file, quotes and all.
    pub raw: String,
    /// The text once its variables are replaced.
    pub value: String,
    /// Where the digits of the host's port are written, in one piece: in the compose file, be it as a
    /// default, or in the `.env` file that gives the variable its value. `None` where they are in no file
    /// or in several pieces.
    pub number: Option<Place>,
    /// The variables of the text.
    pub uses: Vec<Use>,
}

/// Why a text is no port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortFault {
    /// No number from 1 to 65535, and no range of such.
    #[error("`{0}` is no port and no range of ports")]
    NotAPort(String),
    /// The container's port is missing.
    #[error("`{0}` names no container port")]
    NoTarget(String),
    /// A range that ends before it begins.
    #[error("the range `{0}` ends before it begins")]
    Backwards(String),
    /// A range against a range of another length.
    #[error("`{0}` has ranges of different lengths")]
    UnequalRanges(String),
    /// An address that is none.
    #[error("`{0}` is no IP address")]
    NotAnAddress(String),
    /// A protocol that is none.
    #[error("`{0}` is no protocol: tcp, udp or sctp is")]
    Protocol(String),
    /// YAML that is neither text nor whole number nor mapping.
    #[error("a port is {0} where a text, a whole number or a mapping is due")]
    NeitherTextNorNumber(&'static str),
}

/// An entry in the short syntax: `[[HOST:]PUBLISHED:]TARGET[/PROTOCOL]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Short {
    pub(super) host: Option<IpAddr>,
    pub(super) published: Published,
    /// Where in the text the host's ports stand.
    pub(super) published_at: Range<usize>,
    pub(super) target: RangeInclusive<u16>,
    pub(super) protocol: Protocol,
}

impl Short {
    pub(super) fn parse(text: &str) -> Result<Self, PortFault> {
        let (before, container) = text.rsplit_once(':').unwrap_or(("", text));
        // Without a colon in it, what is before is the published port alone.
        let (host, published) = before.rsplit_once(':').unwrap_or(("", before));
        let mut parts = container.split('/');
        let target = parts.next().unwrap_or_default();
        let protocol = match parts.next() {
            None | Some("") => Protocol::Tcp,
            Some(protocol) => Protocol::parse(protocol)?,
        };
        let host = address(host)?;
        if target.is_empty() {
            return Err(PortFault::NoTarget(shortened(text)));
        }
        let target = numbers(target)?;
        let end = before.len();
        Ok(Self {
            host,
            published: Self::published(text, published, &target)?,
            published_at: end - published.len()..end,
            target,
            protocol,
        })
    }

    fn published(
        text: &str,
        published: &str,
        target: &RangeInclusive<u16>,
    ) -> Result<Published, PortFault> {
        if published.is_empty() {
            return Ok(Published::Any);
        }
        let numbers = numbers(published)?;
        let length = |range: &RangeInclusive<u16>| range.end() - range.start();
        match (length(&numbers), length(target)) {
            (one, other) if one == other => each(&numbers),
            (_, 0) => stretch(&numbers).map(Published::OneOf),
            _ => Err(PortFault::UnequalRanges(shortened(text))),
        }
    }
}

/// The value of `published` in the long syntax, whose `target` is always one port.
pub(super) fn published(text: &str) -> Result<Published, PortFault> {
    if text.is_empty() {
        return Ok(Published::Any);
    }
    let numbers = numbers(text)?;
    match numbers.start() == numbers.end() {
        true => each(&numbers),
        false => stretch(&numbers).map(Published::OneOf),
    }
}

/// The value of `target` in the long syntax.
pub(super) fn target(text: &str) -> Result<u16, PortFault> {
    number(text).ok_or_else(|| PortFault::NotAPort(shortened(text)))
}

/// Port 0 alone leaves the choice to the engine.
fn each(numbers: &RangeInclusive<u16>) -> Result<Published, PortFault> {
    match (numbers.start(), numbers.end()) {
        (0, 0) => Ok(Published::Any),
        _ => stretch(numbers).map(Published::Each),
    }
}

fn stretch(numbers: &RangeInclusive<u16>) -> Result<PortStretch, PortFault> {
    let (first, last) = (Port::new(*numbers.start()), Port::new(*numbers.end()));
    let stretch = first
        .zip(last)
        .map(|(first, last)| PortStretch::new(first, last));
    match stretch {
        Some(Ok(stretch)) => Ok(stretch),
        _ => Err(PortFault::NotAPort(format!(
            "{}-{}",
            numbers.start(),
            numbers.end()
        ))),
    }
}

/// An address: with IPv6 in brackets or, as Compose takes it too, without. `None` where nothing stands.
pub(super) fn address(text: &str) -> Result<Option<IpAddr>, PortFault> {
    if text.is_empty() {
        return Ok(None);
    }
    let inside = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let parsed = inside.unwrap_or(text).parse();
    parsed
        .map(Some)
        .map_err(|_| PortFault::NotAnAddress(shortened(text)))
}

/// `80` or `80-82`.
fn numbers(text: &str) -> Result<RangeInclusive<u16>, PortFault> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        (Some(_), Some(_)) => Err(PortFault::Backwards(shortened(text))),
        _ => Err(PortFault::NotAPort(shortened(text))),
    }
}

fn number(text: &str) -> Option<u16> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_digits)
}

/// The whole number that a plain scalar is in YAML, as the library that Compose reads YAML with takes it:
/// with underscores, and in base 16, 8 and 2 too. A colon makes a text of it, unlike in YAML 1.1.
pub(super) fn whole_number(plain: &str) -> Option<i64> {
    let digits = plain.replace('_', "");
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, digits.strip_prefix('+').unwrap_or(&digits)),
    };
    let prefixed = |prefix: &str, radix| {
        let digits = digits.strip_prefix(prefix)?;
        i64::from_str_radix(digits, radix)
            .ok()
            .filter(|_| digits.starts_with(|c: char| c.is_alphanumeric()))
    };
    let magnitude = prefixed("0x", 16)
        .or_else(|| prefixed("0o", 8))
        .or_else(|| prefixed("0b", 2))
        .or_else(|| prefixed("0", 8))
        .or_else(|| digits.parse().ok().filter(|_| is_decimal(digits)))?;
    Some(sign * magnitude)
}

fn is_decimal(digits: &str) -> bool {
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits && (digits == "0" || !digits.starts_with('0'))
}

/// What a plain scalar is in YAML that is neither a whole number nor a text.
pub(super) fn other_type(plain: &str) -> Option<&'static str> {
    let is_float = plain.parse::<f64>().is_ok()
        && plain.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    match plain {
        "" | "~" | "null" | "Null" | "NULL" => Some("nothing"),
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Some("a truth value"),
        _ if is_float => Some("a number with a fraction"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        match Short::parse(text) {
            Ok(short) => {
                let host = short.host.map_or(String::new(), |host| format!("{host} "));
                let published = match &short.published {
                    Published::Any => "any".to_owned(),
                    Published::Each(stretch) => format!("{}-{}", stretch.first(), stretch.last()),
                    Published::OneOf(stretch) => format!("{}|{}", stretch.first(), stretch.last()),
                };
                let at = &text[short.published_at];
                let (first, last) = (short.target.start(), short.target.end());
                format!("{host}{published} `{at}` {first}-{last}/{}", short.protocol)
            }
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn the_short_syntax() {
        for (text, expected) in [
            ("3000", "any `` 3000-3000/tcp"),
            ("3000-3005", "any `` 3000-3005/tcp"),
            ("8000:8000", "8000-8000 `8000` 8000-8000/tcp"),
            ("9090-9091:8080-8081", "9090-9091 `9090-9091` 8080-8081/tcp"),
            ("9090-9091:80", "9090|9091 `9090-9091` 80-80/tcp"),
            ("49100:22", "49100-49100 `49100` 22-22/tcp"),
            (
                "127.0.0.1:8001:8001/UDP",
                "127.0.0.1 8001-8001 `8001` 8001-8001/udp",
            ),
            (
                "127.0.0.1:5000-5010:5000-5010",
                "127.0.0.1 5000-5010 `5000-5010` 5000-5010/tcp",
            ),
            ("127.0.0.1::5000", "127.0.0.1 any `` 5000-5000/tcp"),
            ("[::1]:6001:6000", "::1 6001-6001 `6001` 6000-6000/tcp"),
            ("::1:6001:6000", "::1 6001-6001 `6001` 6000-6000/tcp"),
            (":80", "any `` 80-80/tcp"),
            ("0:80", "any `0` 80-80/tcp"),
            ("80/", "any `` 80-80/tcp"),
        ] {
            assert_eq!(said(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_port_is_told() {
        for (text, message) in [
            ("", "`` names no container port"),
            ("8080:", "`8080:` names no container port"),
            ("8080:80/icmp", "`icmp` is no protocol: tcp, udp or sctp is"),
            ("8080:70000", "`70000` is no port and no range of ports"),
            ("http:80", "`http` is no port and no range of ports"),
            ("+80:80", "`+80` is no port and no range of ports"),
            ("9-8:1-2", "the range `9-8` ends before it begins"),
            ("1-3:1-2", "`1-3:1-2` has ranges of different lengths"),
            ("localhost:1:2", "`localhost` is no IP address"),
            ("[::1:1:2", "`[::1` is no IP address"),
        ] {
            assert_eq!(said(text), message, "{text}");
        }
    }

    #[test]
    fn whole_numbers_are_those_that_compose_sees() {
        for (text, expected) in [
            ("8080", Some(8080)),
            ("8_080", Some(8080)),
            ("0x1F90", Some(8080)),
            ("0o17", Some(15)),
            ("017", Some(15)),
            ("+80", Some(80)),
            ("-1", Some(-1)),
            ("0", Some(0)),
            ("8080:80", None),
            ("22:22", None),
            ("080", None),
            ("80.5", None),
            ("8000-8010", None),
            ("", None),
        ] {
            assert_eq!(whole_number(text), expected, "{text}");
        }
        assert!(other_type("080").is_some() && other_type("80.5").is_some());
        assert!(other_type("22:22").is_none() && other_type("8000-8010").is_none());
    }
}
