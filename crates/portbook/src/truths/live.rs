//! Which apps run in containers, and whose containers have which ports.

use std::collections::{BTreeMap, BTreeSet};

use portbook_model::{AppKey, Port};
use serde::{Deserialize, Serialize};

use super::containers::Containers;
use crate::ownership::Whose;

/// What engines say of the containers that run; nothing where none was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LiveContainers {
    /// The apps that have one.
    pub(crate) running: BTreeSet<AppKey>,
    /// The apps whose containers have these ports of this machine; nobody's are in it without any.
    publishers: BTreeMap<Port, BTreeSet<AppKey>>,
}

impl LiveContainers {
    pub(super) fn of(containers: &Containers) -> Self {
        let mut live = Self::default();
        for placed in containers.iter() {
            let container = &placed.container;
            // One between two starts is about to be there again.
            if container.is_up() {
                live.running.extend(placed.app.clone());
            }
            for port in container.published.iter().filter_map(|to| to.has) {
                let publishers = live.publishers.entry(port).or_default();
                publishers.extend(placed.app.clone());
            }
        }
        live
    }

    /// Whose the container is for which an engine has a port of the app's.
    pub(crate) fn whose(&self, port: Port, app: &AppKey) -> Whose {
        match self.publishers.get(&port) {
            Some(publishers) if publishers.contains(app) => Whose::Own,
            Some(_) => Whose::Stranger,
            None => Whose::Engine,
        }
    }
}
