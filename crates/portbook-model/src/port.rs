//! Ports, ranges of them, and sets of them.

use std::fmt;
use std::num::NonZeroU16;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A TCP or UDP port that an app can hold: 1 to 65535.
///
/// ```
/// use portbook_model::Port;
/// assert_eq!("5001".parse::<Port>().unwrap().get(), 5001);
/// assert!("0".parse::<Port>().is_err());
/// assert!("70000".parse::<Port>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u16")]
pub struct Port(NonZeroU16);

/// What was given is not a port number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a port: a port is a number from 1 to 65535")]
pub struct InvalidPort(pub String);

impl Port {
    /// The lowest port there is.
    pub const MIN: Port = Port(NonZeroU16::MIN);
    /// The highest port there is.
    pub const MAX: Port = Port(NonZeroU16::MAX);

    /// The port of this number; `None` for 0.
    pub const fn new(number: u16) -> Option<Port> {
        match NonZeroU16::new(number) {
            Some(number) => Some(Port(number)),
            None => None,
        }
    }

    /// The port's number.
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    /// The next higher port; `None` after 65535.
    pub fn next(self) -> Option<Port> {
        self.0.checked_add(1).map(Port)
    }
}

impl TryFrom<u64> for Port {
    type Error = InvalidPort;
    fn try_from(number: u64) -> Result<Self, InvalidPort> {
        u16::try_from(number)
            .ok()
            .and_then(Port::new)
            .ok_or_else(|| InvalidPort(number.to_string()))
    }
}

impl TryFrom<i64> for Port {
    type Error = InvalidPort;
    fn try_from(number: i64) -> Result<Self, InvalidPort> {
        u64::try_from(number)
            .map_err(|_| InvalidPort(number.to_string()))
            .and_then(Port::try_from)
    }
}

impl From<Port> for u16 {
    fn from(port: Port) -> u16 {
        port.get()
    }
}

impl FromStr for Port {
    type Err = InvalidPort;
    fn from_str(text: &str) -> Result<Self, InvalidPort> {
        // `u16::from_str` also takes `+80`, which no one writes for a port.
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidPort(text.to_owned()));
        }
        text.parse::<u16>()
            .ok()
            .and_then(Port::new)
            .ok_or_else(|| InvalidPort(text.to_owned()))
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Port({})", self.get())
    }
}

/// A stretch of neighbouring ports, both ends included: `20000-20999`, or `80` for a single one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "(Port, Port)", into = "(Port, Port)")]
pub struct PortStretch {
    first: Port,
    last: Port,
}

/// What was given is not a stretch of ports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStretch {
    /// One end is no port.
    #[error(transparent)]
    Port(#[from] InvalidPort),
    /// An end is missing.
    #[error("`{0}` is no stretch of ports: write FIRST-LAST, as 20000-20999")]
    Incomplete(String),
    /// The last port lies before the first.
    #[error("`{0}-{1}` runs backwards: write the lower port first")]
    Backwards(Port, Port),
}

impl PortStretch {
    /// The stretch from `first` to `last`, both included.
    pub fn new(first: Port, last: Port) -> Result<Self, InvalidStretch> {
        if first > last {
            return Err(InvalidStretch::Backwards(first, last));
        }
        Ok(Self { first, last })
    }

    /// The lowest port of it.
    pub fn first(&self) -> Port {
        self.first
    }

    /// The highest port of it.
    pub fn last(&self) -> Port {
        self.last
    }

    /// Whether `port` lies in it.
    pub fn contains(&self, port: Port) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// Whether the two share a port.
    pub fn overlaps(&self, other: &PortStretch) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// Every port of it, lowest first.
    pub fn ports(&self) -> impl Iterator<Item = Port> + use<> {
        numbers(self.first.get()..=self.last.get())
    }

    /// Its ports as a set.
    pub fn to_set(&self) -> PortSet {
        PortSet::of_range(&PortRange {
            base: self.first,
            step: NonZeroU16::MIN,
            max: self.last,
        })
    }

    /// How many ports it has.
    pub fn count(&self) -> usize {
        usize::from(self.last.get() - self.first.get()) + 1
    }
}

fn numbers(range: RangeInclusive<u16>) -> impl Iterator<Item = Port> {
    range.filter_map(Port::new)
}

impl TryFrom<(Port, Port)> for PortStretch {
    type Error = InvalidStretch;
    fn try_from((first, last): (Port, Port)) -> Result<Self, InvalidStretch> {
        PortStretch::new(first, last)
    }
}

impl From<PortStretch> for (Port, Port) {
    fn from(stretch: PortStretch) -> Self {
        (stretch.first, stretch.last)
    }
}

impl FromStr for PortStretch {
    type Err = InvalidStretch;
    fn from_str(text: &str) -> Result<Self, InvalidStretch> {
        match text.split_once('-') {
            Some((first, last)) if first.trim().is_empty() || last.trim().is_empty() => {
                Err(InvalidStretch::Incomplete(text.to_owned()))
            }
            Some((first, last)) => PortStretch::new(first.trim().parse()?, last.trim().parse()?),
            None => {
                let port = text.trim().parse()?;
                PortStretch::new(port, port)
            }
        }
    }
}

impl fmt::Display for PortStretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            self.first.fmt(f)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// The n-th step of every role's range together; slot 0 is every range's base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u16);

/// Where a role's ports come from: `base`, `base + step`, ... up to and including `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawRange")]
pub struct PortRange {
    base: Port,
    step: NonZeroU16,
    max: Port,
}

/// A range as it is written, unchecked.
#[derive(Deserialize)]
struct RawRange {
    base: Port,
    step: u16,
    max: Port,
}

impl TryFrom<RawRange> for PortRange {
    type Error = InvalidRange;
    fn try_from(raw: RawRange) -> Result<Self, InvalidRange> {
        Self::new(raw.base, raw.step, raw.max)
    }
}

/// What was given is not a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRange {
    /// A step of 0 never moves.
    #[error("a range's step is at least 1")]
    ZeroStep,
    /// The range holds nothing.
    #[error("a range's base {base} lies above its max {max}")]
    BaseAboveMax {
        /// The range's first port.
        base: Port,
        /// The port it may not pass.
        max: Port,
    },
}

impl PortRange {
    /// The range that begins at `base` and takes every `step`-th port up to and including `max`.
    pub fn new(base: Port, step: u16, max: Port) -> Result<Self, InvalidRange> {
        let step = NonZeroU16::new(step).ok_or(InvalidRange::ZeroStep)?;
        if base > max {
            return Err(InvalidRange::BaseAboveMax { base, max });
        }
        Ok(Self { base, step, max })
    }

    /// The range's first port, that of slot 0.
    pub fn base(&self) -> Port {
        self.base
    }

    /// The distance between the ports of two neighbouring slots.
    pub fn step(&self) -> u16 {
        self.step.get()
    }

    /// The port that the range does not pass.
    pub fn max(&self) -> Port {
        self.max
    }

    /// How many ports, and so slots, the range has: at least 1.
    pub fn count(&self) -> usize {
        usize::from((self.max.get() - self.base.get()) / self.step) + 1
    }

    /// The port of a slot; `None` past the range's end.
    pub fn at(&self, slot: Slot) -> Option<Port> {
        let number = u32::from(self.base.get()) + u32::from(slot.0) * u32::from(self.step.get());
        u16::try_from(number)
            .ok()
            .and_then(Port::new)
            .filter(|port| *port <= self.max)
    }

    /// The slot whose port this is; `None` where the range steps over it.
    pub fn slot_of(&self, port: Port) -> Option<Slot> {
        if port < self.base || port > self.max {
            return None;
        }
        let distance = port.get() - self.base.get();
        (distance % self.step == 0).then(|| Slot(distance / self.step))
    }

    /// Every port of the range, lowest first.
    pub fn ports(&self) -> impl Iterator<Item = Port> + use<> {
        numbers(self.base.get()..=self.max.get()).step_by(usize::from(self.step.get()))
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{} step {}", self.base, self.max, self.step)
    }
}

/// A set of ports: one bit for each of the 65,536 numbers, 8 KiB.
#[derive(Clone, PartialEq, Eq)]
pub struct PortSet(Box<[u64; PortSet::WORDS]>);

impl Default for PortSet {
    fn default() -> Self {
        PortSet(Box::new([0; PortSet::WORDS]))
    }
}

impl PortSet {
    pub(crate) const WORDS: usize = 1024;

    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    fn place(port: Port) -> (usize, u64) {
        let number = usize::from(port.get());
        (number / 64, 1 << (number % 64))
    }

    /// Whether each of 64 ports is in the set: those from `64 * index` on, the lowest in the lowest
    /// bit. Beyond the last port there is nothing.
    pub(crate) fn word(&self, index: usize) -> u64 {
        self.0.get(index).copied().unwrap_or(0)
    }

    /// Eight words, from `8 * index` on.
    pub(crate) fn words(&self, index: usize) -> [u64; 8] {
        let (words, _) = self.0.as_chunks();
        words.get(index).copied().unwrap_or([0; 8])
    }

    /// Whether `port` is in the set.
    pub fn contains(&self, port: Port) -> bool {
        let (word, bit) = Self::place(port);
        self.0[word] & bit != 0
    }

    /// Adds `port`; `false` when it was in the set already.
    pub fn insert(&mut self, port: Port) -> bool {
        let (word, bit) = Self::place(port);
        let added = self.0[word] & bit == 0;
        self.0[word] |= bit;
        added
    }

    /// Takes `port` out; `false` when it was not in the set.
    pub fn remove(&mut self, port: Port) -> bool {
        let (word, bit) = Self::place(port);
        let removed = self.0[word] & bit != 0;
        self.0[word] &= !bit;
        removed
    }

    /// The ports of a range. Most steps divide 64, so that the words between the range's ends are all
    /// alike.
    pub fn of_range(range: &PortRange) -> PortSet {
        let mut set = PortSet::new();
        let step = usize::from(range.step());
        let (base, max) = (
            usize::from(range.base().get()),
            usize::from(range.max().get()),
        );
        if 64 % step == 0 {
            let pattern = (0..64).step_by(step).fold(0, |bits, bit| bits | 1 << bit);
            let pattern = pattern << (base % step);
            let (first, last) = (base / 64, max / 64);
            set.0[first..=last].fill(pattern);
            set.0[first] &= u64::MAX << (base % 64);
            set.0[last] &= u64::MAX >> (63 - max % 64);
        } else {
            set.extend(range.ports());
        }
        set
    }

    /// Adds every port of `other`.
    pub fn union_with(&mut self, other: &PortSet) {
        for (word, more) in self.0.iter_mut().zip(other.0.iter()) {
            *word |= more;
        }
    }

    /// Takes every port of `other` out.
    pub fn subtract(&mut self, other: &PortSet) {
        for (word, less) in self.0.iter_mut().zip(other.0.iter()) {
            *word &= !less;
        }
    }

    /// How many ports are in the set.
    pub fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether no port is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The lowest port at or above `from` that is in the set.
    ///
    /// Looks at 64 ports at a time, so that a full range costs a few hundred steps, not thousands.
    pub fn first_from(&self, from: Port) -> Option<Port> {
        let number = usize::from(from.get());
        let first = self.0[number / 64] & (u64::MAX << (number % 64));
        let rest = self.0.iter().enumerate().skip(number / 64 + 1);
        std::iter::once((number / 64, first))
            .chain(rest.map(|(index, word)| (index, *word)))
            .find(|(_, word)| *word != 0)
            .and_then(|(index, word)| {
                let number = index * 64 + word.trailing_zeros() as usize;
                u16::try_from(number).ok().and_then(Port::new)
            })
    }

    /// Every port of the set, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = Port> + '_ {
        std::iter::successors(self.first_from(Port::MIN), |port| {
            port.next().and_then(|next| self.first_from(next))
        })
    }
}

impl FromIterator<Port> for PortSet {
    fn from_iter<T: IntoIterator<Item = Port>>(ports: T) -> Self {
        let mut set = PortSet::new();
        set.extend(ports);
        set
    }
}

impl Extend<Port> for PortSet {
    fn extend<T: IntoIterator<Item = Port>>(&mut self, ports: T) {
        for port in ports {
            self.insert(port);
        }
    }
}

impl fmt::Debug for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(|port| port.get()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn port(number: u16) -> Port {
        Port::new(number).unwrap()
    }

    #[test]
    fn the_last_port_of_a_range_is_usable() {
        let range = PortRange::new(port(65531), 2, Port::MAX).unwrap();
        assert_eq!(range.count(), 3);
        assert_eq!(range.at(Slot(2)), Some(Port::MAX));
        assert_eq!(range.at(Slot(3)), None);
        assert_eq!(range.slot_of(Port::MAX), Some(Slot(2)));
        assert_eq!(range.ports().last(), Some(Port::MAX));
    }

    #[test]
    fn a_port_is_digits_from_1_to_65535() {
        for bad in ["", "0", "70000", "80a", "+80", "-1", " 80", "65536"] {
            assert!(bad.parse::<Port>().is_err(), "{bad:?} was taken for a port");
        }
        assert_eq!("65535".parse(), Ok(Port::MAX));
        assert!(serde_json::from_str::<Port>("0").is_err());
        assert!(serde_json::from_str::<Port>("65536").is_err());
    }

    proptest! {
        #[test]
        fn a_port_set_is_a_set(members in proptest::collection::btree_set(1u16.., 0..200), from in 1u16..) {
            let set: PortSet = members.iter().map(|number| port(*number)).collect();
            prop_assert_eq!(set.count(), members.len());
            prop_assert_eq!(set.iter().map(Port::get).collect::<BTreeSet<_>>(), members.clone());
            prop_assert_eq!(set.first_from(port(from)).map(Port::get), members.range(from..).next().copied());
        }

        #[test]
        fn a_ranges_set_has_its_ports(base in 1u16.., step in 1u16..200, length in 0u16..) {
            let max = base.saturating_add(length);
            let range = PortRange::new(port(base), step, port(max)).unwrap();
            prop_assert_eq!(PortSet::of_range(&range), range.ports().collect::<PortSet>());
        }
    }
}
