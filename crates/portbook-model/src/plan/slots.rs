//! The search for the lowest slot that serves every role.

use std::collections::BTreeSet;

use super::allocate::Chooser;
use super::eligibility::{Bars, Ineligible};
use crate::{Exhaustion, HostUnknown, Port, PortRange, PortSet, Ports, RangeUse, Role, Slot};

/// The search for the lowest slot in which every role's port is eligible.
///
/// Looks at 64 slots at a time: of each role, the 64 ports that belong to the same slots as 64 of the
/// first role's; what is open in all of them are the open slots. So a search costs a few microseconds at
/// most, whatever the book holds.
pub(super) struct SlotSearch<'a> {
    chooser: &'a Chooser<'a>,
    ranges: Vec<RoleRange<'a>>,
    /// What the app has in other roles.
    beside: &'a Ports,
    in_use: BTreeSet<Port>,
}

#[derive(Clone)]
struct RoleRange<'a> {
    role: &'a Role,
    range: PortRange,
    ports: &'a PortSet,
}

impl<'a> SlotSearch<'a> {
    pub(super) fn new(chooser: &'a Chooser<'a>, roles: &[&'a Role], beside: &'a Ports) -> Self {
        let of_role = |role: &&'a Role| {
            Some(RoleRange {
                role,
                range: chooser.policy.range(role)?,
                ports: chooser.policy.range_ports(role)?,
            })
        };
        Self {
            chooser,
            ranges: roles.iter().filter_map(of_role).collect(),
            beside,
            in_use: BTreeSet::new(),
        }
    }

    /// The ports of the lowest slot, of those without an ephemeral port first.
    pub(super) fn lowest(&mut self) -> Result<Option<Ports>, HostUnknown> {
        let chooser = self.chooser;
        let last_resort = chooser.eligibility.barred();
        let barred = last_resort.clone().with(chooser.policy.ephemeral());
        match self.lowest_outside(&barred)? {
            Some(found) => Ok(Some(found)),
            None => self.lowest_outside(&last_resort),
        }
    }

    fn lowest_outside(&mut self, barred: &Bars<'_>) -> Result<Option<Ports>, HostUnknown> {
        let Some(RoleRange {
            range: lead, ports, ..
        }) = self.ranges.first().cloned()
        else {
            return Ok(None);
        };
        let mut next = 0;
        while let Some(index) = barred.first_open(ports, next) {
            next = index + 1;
            let mut open = self.open_slots(index, barred);
            while open != 0 {
                let bit = open.trailing_zeros() as usize;
                open &= open - 1;
                let port = u16::try_from(index * 64 + bit).ok().and_then(Port::new);
                let slot = port.and_then(|port| lead.slot_of(port));
                let Some(ports) = slot.and_then(|slot| self.open_ports(slot, barred)) else {
                    continue;
                };
                if self.host_lets(&ports)? {
                    return Ok(Some(ports));
                }
            }
        }
        Ok(None)
    }

    /// Of the first role's ports from `64 * index` on, those in whose slots no role's port is barred.
    /// Roles whose ranges step otherwise than the first one's are left to
    /// [`open_ports`](Self::open_ports).
    fn open_slots(&self, index: usize, barred: &Bars<'_>) -> u64 {
        let Some((lead, others)) = self.ranges.split_first() else {
            return 0;
        };
        let open_of = |role: &RoleRange<'_>, index| role.ports.word(index) & !barred.word(index);
        let mut open = open_of(lead, index);
        for other in others {
            if open == 0 {
                break;
            }
            if other.range.step() == lead.range.step() {
                let ahead =
                    i32::from(other.range.base().get()) - i32::from(lead.range.base().get());
                open &= word_ahead(index, ahead, |index| open_of(other, index));
            }
        }
        open
    }

    /// The slot's ports, if there is one for each role, no two the same and none barred.
    fn open_ports(&self, slot: Slot, barred: &Bars<'_>) -> Option<Ports> {
        let mut ports = Ports::new();
        for RoleRange { role, range, .. } in &self.ranges {
            let port = range.at(slot)?;
            let mut others = ports.values().chain(self.beside.values());
            if barred.contains(port) || others.any(|other| *other == port) {
                return None;
            }
            ports.insert((*role).clone(), port);
        }
        Some(ports)
    }

    fn host_lets(&mut self, ports: &Ports) -> Result<bool, HostUnknown> {
        for port in ports.values() {
            if self.in_use.contains(port) || self.chooser.host.is_in_use(*port)? {
                self.in_use.insert(*port);
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn exhaustion(&self) -> Exhaustion {
        let ranges = self
            .ranges
            .iter()
            .map(|RoleRange { role, range, .. }| self.range_use(role, *range));
        Exhaustion {
            app: self.chooser.app.clone(),
            ranges: ranges.collect(),
        }
    }

    fn range_use(&self, role: &Role, range: PortRange) -> RangeUse {
        let mut usage = RangeUse {
            role: role.clone(),
            range,
            taken: 0,
            promised: 0,
            pooled: 0,
            blocked: 0,
            resting: 0,
            in_use: 0,
            free: 0,
        };
        for port in range.ports() {
            let count = match self.chooser.eligibility.why_not(port) {
                Some(Ineligible::Taken(_)) => &mut usage.taken,
                Some(Ineligible::Promised(_)) => &mut usage.promised,
                Some(Ineligible::Pool(_)) => &mut usage.pooled,
                Some(Ineligible::Blocked(_)) => &mut usage.blocked,
                Some(Ineligible::Resting { .. }) => &mut usage.resting,
                _ if self.in_use.contains(&port) => &mut usage.in_use,
                _ => &mut usage.free,
            };
            *count += 1;
        }
        usage
    }
}

/// The 64 bits that begin `ahead` of those of the word at `index`, in words told by `word`.
fn word_ahead(index: usize, ahead: i32, word: impl Fn(usize) -> u64) -> u64 {
    let (words, bits) = (ahead.div_euclid(64), ahead.rem_euclid(64));
    let at = |words: i32| {
        let index = i32::try_from(index).ok().map(|index| index + words);
        let index = index.and_then(|index| usize::try_from(index).ok());
        index.map_or(0, &word)
    };
    // A shift by 64 is none of the processor's: it takes two steps.
    at(words) >> bits | at(words + 1) << 1 << (63 - bits)
}
