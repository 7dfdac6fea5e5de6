//! The search for the lowest slot that serves every role.

use super::allocate::Chooser;
use super::eligibility::Ineligible;
use crate::{Exhaustion, HostUnknown, PortRange, PortSet, Ports, RangeUse, Role, Slot};

/// The search for the lowest slot in which every role's port is eligible.
///
/// Looks at 64 slots at a time: each role's open ports are moved to where the first role's port of the
/// same slot is, and what remains of all of them together are the open slots. So a search costs the
/// same few microseconds whatever the book holds.
pub(super) struct SlotSearch<'a> {
    chooser: &'a Chooser<'a>,
    ranges: Vec<(Role, PortRange)>,
    barred: PortSet,
    in_use: PortSet,
}

impl<'a> SlotSearch<'a> {
    pub(super) fn new(chooser: &'a Chooser<'a>, roles: &[&Role], beside: &Ports) -> Self {
        let mut barred = chooser.eligibility.barred().clone();
        barred.extend(beside.values().copied());
        Self {
            chooser,
            ranges: roles
                .iter()
                .filter_map(|role| Some(((*role).clone(), chooser.policy.range(role)?)))
                .collect(),
            barred,
            in_use: PortSet::new(),
        }
    }

    /// The ports of the lowest slot, of those without an ephemeral port first.
    pub(super) fn lowest(&mut self) -> Result<Option<Ports>, HostUnknown> {
        let Some((_, lead)) = self.ranges.first().cloned() else {
            return Ok(None);
        };
        for ephemeral_too in [false, true] {
            let mut barred = self.barred.clone();
            if !ephemeral_too {
                barred.union_with(self.chooser.policy.ephemeral());
            }
            for port in self.open_slots(lead, &barred).iter() {
                let slot = lead.slot_of(port);
                let Some(ports) = slot.and_then(|slot| self.open_ports(slot, &barred)) else {
                    continue;
                };
                if self.host_lets(&ports)? {
                    return Ok(Some(ports));
                }
            }
        }
        Ok(None)
    }

    /// The first role's ports of the slots in which no role's port is barred. Roles whose ranges step
    /// otherwise than the first one's are left to [`open_ports`](Self::open_ports).
    fn open_slots(&self, lead: PortRange, barred: &PortSet) -> PortSet {
        let mut open: Option<PortSet> = None;
        for (role, range) in self
            .ranges
            .iter()
            .filter(|(_, range)| range.step() == lead.step())
        {
            let Some(ports) = self.chooser.policy.range_ports(role) else {
                continue;
            };
            let mut ports = ports.clone();
            ports.subtract(barred);
            let distance = i32::from(lead.base().get()) - i32::from(range.base().get());
            match &mut open {
                None => open = Some(ports),
                Some(open) => open.intersect_with(&ports.shifted(distance)),
            }
        }
        open.unwrap_or_default()
    }

    /// The slot's ports, if there is one for each role, no two the same and none barred.
    fn open_ports(&self, slot: Slot, barred: &PortSet) -> Option<Ports> {
        let mut ports = Ports::new();
        for (role, range) in &self.ranges {
            let port = range.at(slot)?;
            if barred.contains(port) || ports.values().any(|other| *other == port) {
                return None;
            }
            ports.insert(role.clone(), port);
        }
        Some(ports)
    }

    fn host_lets(&mut self, ports: &Ports) -> Result<bool, HostUnknown> {
        for port in ports.values() {
            if self.in_use.contains(*port) || self.chooser.host.is_in_use(*port)? {
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
            .map(|(role, range)| self.range_use(role, *range));
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
                _ if self.in_use.contains(port) => &mut usage.in_use,
                _ => &mut usage.free,
            };
            *count += 1;
        }
        usage
    }
}
