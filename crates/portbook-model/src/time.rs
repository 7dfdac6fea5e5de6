//! Moments and stretches of time, as the book keeps them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment, in whole milliseconds since 1970-01-01T00:00:00Z.
///
/// Written and read as RFC 3339 in UTC. The model never asks for the current time: it is passed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// What was given is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time: write it as 2026-01-31T12:00:00Z")]
pub struct InvalidTimestamp(pub String);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Timestamp = Timestamp(0);

    // The years 0001 to 9999: what RFC 3339 can write.
    const FIRST: i64 = -62_135_596_800_000;
    const LAST: i64 = 253_402_300_799_999;

    /// The moment so many milliseconds after 1970; clamped to the years that RFC 3339 can write.
    pub fn from_millis(millis: i64) -> Self {
        Timestamp(millis.clamp(Self::FIRST, Self::LAST))
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// The moment `duration` later, at most the end of the year 9999.
    pub fn after(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<std::time::SystemTime> for Timestamp {
    fn from(time: std::time::SystemTime) -> Self {
        let millis = match time.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |m| -m),
        };
        Timestamp::from_millis(millis)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{} ms after 1970", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        text.parse::<jiff::Timestamp>()
            .map(|time| Timestamp::from_millis(time.as_millisecond()))
            .map_err(|_| InvalidTimestamp(text.to_owned()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A length of time as people write it: `90s`, `45m`, `2h`, `7d`, `1h30m`; at least one millisecond
/// (or zero where zero makes sense), at most 100 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Duration);

/// What was given is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a length of time: write it as 90s, 45m, 2h, 7d or 1h30m, at most 100 years")]
pub struct InvalidSpan(pub String);

impl Span {
    const UNITS: [(&'static str, u64); 6] = [
        ("w", 604_800_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

    /// No time at all.
    pub const ZERO: Span = Span(Duration::ZERO);

    /// The length in milliseconds, at most 100 years.
    pub const fn from_millis(millis: u64) -> Self {
        let longest = Self::LONGEST.as_millis() as u64;
        let millis = if millis < longest { millis } else { longest };
        Span(Duration::from_millis(millis))
    }

    /// The length of time.
    pub fn duration(self) -> Duration {
        self.0
    }

    /// Whether it is no time at all.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl FromStr for Span {
    type Err = InvalidSpan;
    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        let invalid = || InvalidSpan(text.to_owned());
        if text == "0" {
            return Ok(Span::ZERO);
        }
        if text.is_empty() {
            return Err(invalid());
        }
        let mut millis: u64 = 0;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at(letters);
            let (_, factor) = Self::UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .ok_or_else(invalid)?;
            let number: u64 = number.parse().map_err(|_| invalid())?;
            millis = number
                .checked_mul(*factor)
                .and_then(|part| millis.checked_add(part))
                .ok_or_else(invalid)?;
            rest = tail;
        }
        let span = Duration::from_millis(millis);
        if span > Self::LONGEST {
            return Err(invalid());
        }
        Ok(Span(span))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0s");
        }
        for (name, factor) in Self::UNITS.iter().filter(|(name, _)| *name != "w") {
            if millis >= *factor {
                write!(f, "{}{name}", millis / factor)?;
                millis %= factor;
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for Span {
    type Error = InvalidSpan;
    fn try_from(text: String) -> Result<Self, InvalidSpan> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> String {
        span.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_span_is_written_as_people_write_it() {
        assert_eq!("1h30m".parse::<Span>().unwrap().duration().as_secs(), 5400);
        assert_eq!("7d".parse::<Span>().unwrap().to_string(), "7d");
        assert_eq!("0".parse::<Span>().unwrap(), Span::ZERO);
        for bad in [
            "",
            "-1h",
            "h",
            "1",
            "1y",
            "1h-3m",
            "99999999999999999999h",
            "101000w",
        ] {
            assert!(
                bad.parse::<Span>().is_err(),
                "{bad:?} was taken for a length of time"
            );
        }
    }

    proptest! {
        #[test]
        fn times_and_spans_read_back_as_written(millis in 0i64..253_402_300_799_999, span in 0u64..3_000_000_000_000) {
            let time = Timestamp::from_millis(millis);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
            let span = Span::from_millis(span);
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }
    }
}
