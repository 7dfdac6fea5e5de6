//! Which port space is worked in, and whether spaces are hosts.

use portbook_model::Space;

use super::value::{self, Origin, Value};
use super::{ConfigurationError, ConfigurationFault, Environment, Flags};

/// What a space is called that is this host's own.
const AUTO: &str = "auto";

pub(super) struct Spaces {
    /// The space to work in.
    pub(super) chosen: Value<Space>,
    /// This host's own space, where each host has one.
    pub(super) this_host: Option<Space>,
}

impl Spaces {
    /// Flag over environment over file. Where any of them says `auto`, spaces are hosts, also for whoever
    /// then names another one.
    pub(super) fn of(
        flags: &Flags,
        environment: &Environment,
        of_file: Option<Value<Space>>,
    ) -> Result<Self, ConfigurationError> {
        // Each layer is asked only where those above it are silent: a flag mends a broken variable.
        let (chosen, below) = match &flags.space {
            Some(space) => {
                let below = environment.parsed("PORTBOOK_SPACE").unwrap_or_default();
                let chosen = value::parsed(space, Origin::Flag("--space"))?;
                (chosen, [below, of_file])
            }
            None => match environment.parsed("PORTBOOK_SPACE")? {
                Some(chosen) => (chosen, [of_file, None]),
                None => {
                    let default = || Value::default_of(Space::default());
                    (of_file.unwrap_or_else(default), [None, None])
                }
            },
        };
        let says_auto = |space: &Value<Space>| space.value.as_str() == AUTO;
        let layers = || below.iter().flatten().chain([&chosen]);
        let this_host = match layers().find(|space| says_auto(space)) {
            Some(auto) => Some(own_space(&auto.origin)?),
            None => None,
        };
        let chosen = match &this_host {
            Some(own) if says_auto(&chosen) => Value::new(own.clone(), chosen.origin),
            _ => chosen,
        };
        Ok(Self { chosen, this_host })
    }
}

/// The space that is named after this host. Case means nothing in the name of a host (RFC 4343).
fn own_space(origin: &Origin) -> Result<Space, ConfigurationError> {
    let name = portbook_host::host_name();
    Space::new(&name.to_lowercase()).map_err(|_| ConfigurationError::Setting {
        origin: origin.clone(),
        fault: ConfigurationFault::HostName(name),
    })
}
