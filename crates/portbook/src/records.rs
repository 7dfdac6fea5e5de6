//! What callers get to see: the shapes of the contract's JSON.

use portbook_model::{Allocation, Grant, Port, Ports, Role, Source, Space, Timestamp};
use serde::Serialize;

use crate::Error;

/// The backend and frontend port of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortPair {
    /// The backend's port.
    pub backend: Port,
    /// The frontend's port.
    pub frontend: Port,
    /// The model, as it was first spelt.
    pub model: String,
    /// The app's number.
    pub app_num: u32,
}

impl PortPair {
    /// The pair of an allocation.
    pub fn of(allocation: &Allocation) -> Result<Self, Error> {
        let port = |role: Role| {
            let port = allocation.ports.get(&role).copied();
            port.ok_or_else(|| Error::IncompletePair(allocation.app.clone()))
        };
        Ok(Self {
            backend: port(Role::backend())?,
            frontend: port(Role::frontend())?,
            model: allocation.app.model.spelling().to_owned(),
            app_num: allocation.app.number.get(),
        })
    }
}

/// An app's ports as `allocate` and `get` answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AllocationRecord {
    /// The model, as it was first spelt.
    pub model: String,
    /// The app's number.
    pub app_num: u32,
    /// The backend's port.
    pub backend: Option<Port>,
    /// The frontend's port.
    pub frontend: Option<Port>,
    /// Every role's port.
    pub ports: Ports,
    /// The port space.
    pub space: Space,
    /// Whether this call made the allocation.
    pub created: bool,
    /// How it came to be.
    pub source: Source,
    /// When it ends; `None`: it does not.
    pub expires_at: Option<Timestamp>,
}

impl AllocationRecord {
    /// The record of an allocation that was looked up.
    pub fn of(allocation: &Allocation, space: &Space) -> Self {
        Self {
            model: allocation.app.model.spelling().to_owned(),
            app_num: allocation.app.number.get(),
            backend: allocation.ports.get(&Role::backend()).copied(),
            frontend: allocation.ports.get(&Role::frontend()).copied(),
            ports: allocation.ports.clone(),
            space: space.clone(),
            created: false,
            source: allocation.source,
            expires_at: allocation.lease.map(|lease| lease.expires_at),
        }
    }

    /// The record of an allocation that was asked for.
    pub fn of_grant(grant: &Grant, space: &Space) -> Self {
        Self {
            created: grant.created,
            ..Self::of(&grant.allocation, space)
        }
    }
}
