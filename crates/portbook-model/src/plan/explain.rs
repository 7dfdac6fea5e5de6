//! Why an app got just these ports: everything better that was passed over.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::allocate::{Choice, Chooser};
use super::eligibility::Ineligible;
use crate::{HostUnknown, Port, Ports, Role, Slot, Source};

/// How an app's ports were chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// One sentence on the way they came.
    pub reason: String,
    /// The candidates that came before them, in the order in which they were looked at.
    pub passed_over: Vec<PassedOver>,
}

/// A candidate that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// The role that it was for.
    pub role: Role,
    /// The port.
    pub port: Port,
    /// Why not.
    pub why: Ineligible,
}

impl Explanation {
    /// An app that exists keeps its ports.
    pub(super) fn of_existing() -> Self {
        Self {
            reason: "it holds these ports already, and keeps them".to_owned(),
            passed_over: Vec::new(),
        }
    }
}

impl Chooser<'_> {
    /// Walks the way to `choice` once more and notes what barred each candidate before it.
    pub(super) fn explain(
        &self,
        roles: &BTreeSet<Role>,
        choice: &Choice,
    ) -> Result<Explanation, HostUnknown> {
        let mut passed_over = Vec::new();
        let reason = match choice.source {
            Source::Pinned => "these exact ports were asked for",
            Source::PortConfig => "a file of pre-configured ports promises them to it",
            Source::Returning => "it had them before it was released",
            Source::Pool => "the lowest eligible ports of its model's pool",
            Source::Dynamic => "the lowest slot in which every role's port is eligible",
            Source::Import => "an import named them",
        };
        if !matches!(choice.source, Source::Pinned | Source::PortConfig) {
            passed_over.extend(self.passed_promise(roles));
        }
        if matches!(choice.source, Source::Pool | Source::Dynamic) {
            passed_over.extend(self.passed_former()?);
            passed_over.extend(self.passed_in_pools(roles, choice)?);
        }
        if choice.source == Source::Dynamic {
            passed_over.extend(self.passed_slots(roles, &choice.ports)?);
        }
        Ok(Explanation {
            reason: reason.to_owned(),
            passed_over,
        })
    }

    /// Only another app's claim keeps a promise from being honoured.
    fn passed_promise(&self, roles: &BTreeSet<Role>) -> Vec<PassedOver> {
        let promised = self.space.promises.of(self.app).into_iter().flatten();
        promised
            .filter(|(role, port)| roles.contains(*role) && self.space.taken.contains(**port))
            .filter_map(|(role, port)| {
                Some(PassedOver {
                    role: role.clone(),
                    port: *port,
                    why: self.eligibility.why_not(*port)?,
                })
            })
            .collect()
    }

    fn passed_former(&self) -> Result<Vec<PassedOver>, HostUnknown> {
        self.barred_among(self.had_before().iter().flatten())
    }

    fn barred_among<'p>(
        &self,
        ports: impl Iterator<Item = (&'p Role, &'p Port)>,
    ) -> Result<Vec<PassedOver>, HostUnknown> {
        let mut passed = Vec::new();
        for (role, port) in ports {
            if let Some(why) = self.why_not(*port)? {
                passed.push(PassedOver {
                    role: role.clone(),
                    port: *port,
                    why,
                });
            }
        }
        Ok(passed)
    }

    fn passed_in_pools(
        &self,
        roles: &BTreeSet<Role>,
        choice: &Choice,
    ) -> Result<Vec<PassedOver>, HostUnknown> {
        let mut passed = Vec::new();
        let mut wanted = roles.iter();
        let mut role = wanted.next();
        for port in self
            .own_pools()
            .into_iter()
            .flat_map(|pool| pool.ports.ports())
        {
            let Some(name) = role else { break };
            match self.why_not(port)? {
                Some(why) => passed.push(PassedOver {
                    role: name.clone(),
                    port,
                    why,
                }),
                // A pool with too few ports left is passed over as a whole.
                None if choice.source == Source::Pool => role = wanted.next(),
                None => {}
            }
        }
        Ok(passed)
    }

    fn passed_slots(
        &self,
        roles: &BTreeSet<Role>,
        chosen: &Ports,
    ) -> Result<Vec<PassedOver>, HostUnknown> {
        let mut passed = Vec::new();
        for number in 0..=u16::MAX {
            let slot = Slot(number);
            let port_of = |role: &Role| self.policy.range(role).and_then(|range| range.at(slot));
            let ports: Option<Ports> = roles
                .iter()
                .map(|role| Some((role.clone(), port_of(role)?)))
                .collect();
            let Some(ports) = ports else { break };
            if ports == *chosen {
                break;
            }
            passed.extend(self.passed_in_slot(&ports)?);
        }
        Ok(passed)
    }

    fn passed_in_slot(&self, ports: &Ports) -> Result<Vec<PassedOver>, HostUnknown> {
        let mut passed = self.barred_among(ports.iter())?;
        if !passed.is_empty() {
            return Ok(passed);
        }
        for (role, port) in ports {
            let twin = ports
                .iter()
                .find(|(other, twin)| *other < role && *twin == port);
            let why = match twin {
                Some((other, _)) => Ineligible::Twin(other.clone()),
                None if self.policy.ephemeral().contains(*port) => Ineligible::Ephemeral,
                None => continue,
            };
            passed.push(PassedOver {
                role: role.clone(),
                port: *port,
                why,
            });
        }
        Ok(passed)
    }
}
