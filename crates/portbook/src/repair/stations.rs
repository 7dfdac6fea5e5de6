//! The ports that an app had before those it has: what its files may still say.

use std::collections::BTreeMap;

use portbook_model::{AppKey, Change, MovedApp, Port, Ports, Recorded, Role};

/// The ports of an app that was moved, since it last came to ports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stations {
    /// What it had before, the latest last; each differs from what it has.
    pub(super) past: Vec<Ports>,
    /// What it has.
    pub(super) now: Ports,
}

/// Where a port of the past went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// The app has another in its place.
    Moved(Port),
    /// The app has it again, or still, for another role: which of both is meant cannot be told.
    Unclear,
}

impl Stations {
    /// Of every app that was moved, by the space's history.
    pub(super) fn of(history: &[Recorded]) -> BTreeMap<AppKey, Self> {
        let mut states: BTreeMap<AppKey, (Vec<Ports>, bool)> = BTreeMap::new();
        for recorded in history {
            match &recorded.change {
                Change::Allocated { app, ports, .. } => {
                    states.insert(app.clone(), (vec![ports.clone()], false));
                }
                Change::Extended { app, ports } => {
                    if let Some((states, _)) = states.get_mut(app) {
                        let mut next = states.last().cloned().unwrap_or_default();
                        next.extend(ports.clone());
                        states.push(next);
                    }
                }
                Change::Moved { app, from, to, .. } => {
                    if let Some((states, is_moved)) = states.get_mut(app) {
                        let next = moved(states.last(), from, to);
                        states.push(next);
                        *is_moved = true;
                    }
                }
                Change::Released { app, .. } => {
                    states.remove(app);
                }
                _ => {}
            }
        }
        let moved = states.into_iter().filter(|(_, (_, is_moved))| *is_moved);
        moved
            .map(|(app, (states, _))| (app, Self::among(states)))
            .collect()
    }

    fn among(mut states: Vec<Ports>) -> Self {
        let now = states.pop().unwrap_or_default();
        states.retain(|state| *state != now);
        states.dedup();
        Self { past: states, now }
    }

    /// The stations once the app is moved as planned.
    pub(super) fn after(self, step: &MovedApp) -> Self {
        let next = moved(Some(&self.now), &step.from, &step.to);
        let mut states = self.past;
        states.extend([self.now, next]);
        Self::among(states)
    }

    /// What an app that has these ports and was never moved has.
    pub(super) fn standing(ports: Ports) -> Self {
        Self {
            past: Vec::new(),
            now: ports,
        }
    }

    /// Where the app's port for a role went; `None` if it never had this one, or has it.
    pub(super) fn of_role(&self, role: &Role, port: Port) -> Option<Port> {
        let now = self.now.get(role).filter(|now| **now != port)?;
        let mut past = self.past.iter();
        past.any(|past| past.get(role) == Some(&port))
            .then_some(*now)
    }

    /// Where a port went that is written without a role; `None` if no file needs to change for it.
    pub(super) fn of_port(&self, port: Port) -> Option<Whereabouts> {
        let roles = self.past.iter().rev().flat_map(Ports::iter);
        let to = roles
            .filter(|(_, past)| **past == port)
            .find_map(|(role, _)| self.of_role(role, port))?;
        Some(match self.now.values().any(|now| *now == port) {
            true => Whereabouts::Unclear,
            false => Whereabouts::Moved(to),
        })
    }

    /// What became of each port of one station.
    pub(super) fn moved_since(&self, past: &Ports) -> BTreeMap<Port, Port> {
        let moved = past.iter().filter_map(|(role, from)| {
            let to = self.now.get(role).filter(|to| *to != from)?;
            Some((*from, *to))
        });
        moved.collect()
    }

    /// The ports for the roles of one station as they are now.
    pub(super) fn now_for(&self, past: &Ports) -> Ports {
        let roles = self.now.iter().filter(|(role, _)| past.contains_key(*role));
        roles.map(|(role, port)| (role.clone(), *port)).collect()
    }
}

fn moved(before: Option<&Ports>, from: &Ports, to: &Ports) -> Ports {
    let mut next = before.cloned().unwrap_or_default();
    next.retain(|role, _| !from.contains_key(role));
    next.extend(to.clone());
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(backend: u16, frontend: u16) -> Ports {
        let port = |number| Port::new(number).unwrap();
        Ports::from([
            (Role::backend(), port(backend)),
            (Role::frontend(), port(frontend)),
        ])
    }

    fn whereabouts(stations: &Stations, number: u16) -> Option<Whereabouts> {
        stations.of_port(Port::new(number).unwrap())
    }

    #[test]
    fn a_port_leads_to_the_one_that_the_role_has_now() {
        let states = vec![ports(5001, 8001), ports(5003, 8001), ports(5005, 8001)];
        let stations = Stations::among(states);
        let moved = Some(Whereabouts::Moved(Port::new(5005).unwrap()));
        assert_eq!(whereabouts(&stations, 5001), moved);
        assert_eq!(whereabouts(&stations, 5003), moved);
        for as_it_is in [5005, 8001, 7777] {
            assert_eq!(whereabouts(&stations, as_it_is), None, "{as_it_is}");
        }
    }

    #[test]
    fn ports_that_changed_places_are_unclear() {
        let stations = Stations::among(vec![ports(5001, 8001), ports(8001, 5001)]);
        assert_eq!(whereabouts(&stations, 5001), Some(Whereabouts::Unclear));
        let backend = stations.of_role(&Role::backend(), Port::new(5001).unwrap());
        assert_eq!(backend, Port::new(8001));
    }

    #[test]
    fn who_came_back_to_its_ports_has_no_past_there() {
        let stations = Stations::among(vec![
            ports(5001, 8001),
            ports(5003, 8001),
            ports(5001, 8001),
        ]);
        assert_eq!(stations.past, [ports(5003, 8001)]);
        assert_eq!(whereabouts(&stations, 5001), None);
    }
}
