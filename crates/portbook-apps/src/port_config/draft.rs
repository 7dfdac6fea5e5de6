//! An entry while it is being read.

use std::collections::BTreeMap;
use std::str::FromStr;

use portbook_model::{AppNumber, Model, Port, Role, Space, Timestamp};

use super::problem::{Fault, Problem, shortened};

/// A port with the line that it stands in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) port: Port,
    pub(super) line: usize,
}

/// As much of an entry as could be read, and what is wrong with the rest.
pub(super) struct Draft {
    pub(super) line: usize,
    pub(super) model: Option<Model>,
    pub(super) number: Option<AppNumber>,
    pub(super) ports: BTreeMap<Role, Placed>,
    pub(super) space: Option<Space>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) problems: Vec<Problem>,
}

impl Draft {
    pub(super) fn at(line: usize) -> Self {
        Self {
            line,
            model: None,
            number: None,
            ports: BTreeMap::new(),
            space: None,
            created_at: None,
            problems: Vec::new(),
        }
    }

    pub(super) fn fault(&mut self, line: usize, fault: impl Into<Fault>) {
        let fault = fault.into();
        self.problems.push(Problem { line, fault });
    }

    /// The model of this name, unless there is none. Whatever its verdict quotes is no longer than
    /// the longest name.
    pub(super) fn model(&mut self, text: &str, line: usize) -> Option<Model> {
        let model = Model::new(text);
        model.map_err(|problem| self.fault(line, problem)).ok()
    }

    /// What the text writes, unless that is a fault. For what is never as long as what a message
    /// shortens.
    pub(super) fn parsed<T>(&mut self, text: &str, line: usize) -> Option<T>
    where
        T: FromStr,
        T::Err: Into<Fault>,
    {
        let parsed = shortened(text).parse::<T>();
        parsed.map_err(|problem| self.fault(line, problem)).ok()
    }

    /// The port that the text writes, unless that is a fault.
    pub(super) fn port(&mut self, key: &str, text: &str, line: usize) -> Option<Placed> {
        match shortened(text).parse() {
            Ok(port) => Some(Placed { port, line }),
            Err(problem) => {
                let key = shortened(key);
                self.fault(line, Fault::Port { key, problem });
                None
            }
        }
    }

    /// Takes the pair and the further ports, which must agree.
    pub(super) fn take_ports(
        &mut self,
        pair: [(Role, Option<Placed>); 2],
        ports: Vec<(Role, Placed)>,
    ) {
        for (role, placed) in pair {
            if let Some(placed) = placed {
                self.ports.insert(role, placed);
            }
        }
        for (role, placed) in ports {
            match self.ports.get(&role).map(|pair| pair.port) {
                None => {
                    self.ports.insert(role, placed);
                }
                Some(in_pair) if in_pair == placed.port => {}
                Some(in_pair) => self.fault(
                    placed.line,
                    Fault::PortsDisagree {
                        role,
                        in_ports: placed.port,
                        in_pair,
                    },
                ),
            }
        }
        let mut roles: BTreeMap<Port, &Role> = BTreeMap::new();
        let mut faults = Vec::new();
        for (role, placed) in &self.ports {
            if let Some(first) = roles.insert(placed.port, role) {
                let (first, second, port) = (first.clone(), role.clone(), placed.port);
                faults.push((
                    placed.line,
                    Fault::PortForTwoRoles {
                        port,
                        first,
                        second,
                    },
                ));
            }
        }
        for (line, fault) in faults {
            self.fault(line, fault);
        }
    }
}
