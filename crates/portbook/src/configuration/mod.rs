//! What portbook is told: by flags, by the environment, by one file; and what holds when nothing is.
//!
//! A flag goes before the environment, the environment before the file, the file before the default.
//! Each value knows where it came from, and whatever is wrong is told with its place.

mod access;
mod differences;
mod document;
mod environment;
mod error;
mod location;
mod settings;
mod spaces;
#[cfg(test)]
mod tests;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use portbook_model::{Policy, PortStretch, Role, Space, Span};

pub use access::{Secret, ServerAccess};
pub use differences::{Counts, Difference};
pub use environment::{Environment, Flags};
pub use error::{ConfigurationError, ConfigurationFault, Place};
pub use settings::RangeSettings;
pub use value::{Origin, Value};

use settings::Settings;

/// Everything that portbook is told, layered and checked.
///
/// ```
/// # fn main() -> Result<(), portbook::ConfigurationError> {
/// # let folder = tempfile::tempdir().unwrap();
/// use portbook::{Configuration, Environment, Flags, Origin};
///
/// let variables = [("HOME", "/home/alice"), ("PORTBOOK_SPACE", "lab")];
/// let environment = Environment::new(folder.path(), variables);
/// let configuration = Configuration::load(&Flags::default(), &environment)?;
/// assert_eq!(configuration.space.value.as_str(), "lab");
/// assert_eq!(configuration.space.origin, Origin::Environment("PORTBOOK_SPACE"));
/// assert_eq!(
///     configuration.store.value,
///     "sqlite:/home/alice/.local/share/portbook/portbook.db"
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The configuration file that was read, and how it was found.
    pub file: Option<Value<PathBuf>>,
    /// Where the book is, as text: `sqlite:PATH` and the like.
    pub store: Value<String>,
    /// The port space to work in.
    pub space: Value<Space>,
    /// This host's own port space, where each host has one: where some layer names the space `auto`.
    pub this_host: Option<Space>,
    /// The file of pre-configured ports, as an absolute path; it was there a moment ago.
    pub port_config: Option<Value<PathBuf>>,
    /// Whether a port that this host uses is passed over.
    pub host_check: Value<bool>,
    /// How long a released port rests before another app may get it.
    pub reuse_delay: Value<Span>,
    /// Ports that are never given out on their own, besides those that browsers refuse.
    pub block: Value<Vec<PortStretch>>,
    /// The roles that every app gets a port for; backend and frontend are always among them.
    pub roles: Value<BTreeSet<Role>>,
    /// Where each role's ports come from.
    pub ranges: BTreeMap<Role, RangeSettings>,
    /// How a portbook server is spoken to, where the book is with one.
    pub server: ServerAccess,
    /// Where this user's programs keep what they remember, if there is such a place.
    pub state: Option<PathBuf>,
    policy: Policy,
}

impl Configuration {
    /// A complete configuration file in which every key is commented out with its default.
    pub const EXAMPLE: &str = include_str!("example.toml");

    /// Layers flags, environment, file and defaults, and checks the whole.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Self, ConfigurationError> {
        let (file, settings) = match location::configuration_file(flags, environment)? {
            Some((path, text)) => {
                let settings = Settings::read(&path.value, &text)?;
                (Some(path), settings)
            }
            None => (None, Settings::default()),
        };
        let port_config = location::port_config(flags, environment, settings.port_config)?;
        // Each layer is asked only where those above it are silent: a flag mends a broken variable.
        let store = if let Some(store) = &flags.store {
            filled(store, Origin::Flag("--store"))?
        } else if let Some(store) = environment.text("PORTBOOK_STORE")?.or(settings.store) {
            store
        } else {
            Value::default_of(location::default_store(environment)?)
        };
        let spaces = spaces::Spaces::of(flags, environment, settings.space)?;
        let host_check = if flags.no_host_check {
            Value::new(false, Origin::Flag("--no-host-check"))
        } else {
            let check = environment
                .truth("PORTBOOK_HOST_CHECK")?
                .or(settings.host_check);
            check.unwrap_or(Value::default_of(true))
        };
        let reuse_delay = environment
            .parsed("PORTBOOK_REUSE_DELAY")?
            .or(settings.reuse_delay)
            .unwrap_or(Value::default_of(Span::ZERO));
        let block = settings.block.unwrap_or(Value::default_of(Vec::new()));
        let policy = settings
            .policy
            .with_block_list(block.value.iter().flat_map(PortStretch::ports).collect())
            .with_reuse_delay(reuse_delay.value.duration());
        Ok(Self {
            file,
            store,
            space: spaces.chosen,
            this_host: spaces.this_host,
            port_config,
            host_check,
            reuse_delay,
            block,
            roles: settings
                .roles
                .unwrap_or_else(|| Value::default_of(policy.base_roles().clone())),
            ranges: settings.ranges,
            server: ServerAccess::of(environment)?,
            state: location::state(environment),
            policy,
        })
    }

    /// The rules that these ranges, roles, blocked ports and delay make; the host's ephemeral ports
    /// are yet to be added.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Every key with its value as text and where that came from, in the order of
    /// [`EXAMPLE`](Self::EXAMPLE); a password in the store's address is left out.
    pub fn describe(&self) -> Vec<(String, String, Origin)> {
        let path = |path: &Option<Value<PathBuf>>| match path {
            Some(Value { value, origin }) => (value.display().to_string(), origin.clone()),
            None => ("none".to_owned(), Origin::Default),
        };
        let row = |key: &str, (value, origin): (String, Origin)| (key.to_owned(), value, origin);
        let mut rows = vec![
            row("config", path(&self.file)),
            row("store", self.store.told(|store| without_password(store))),
            row("space", self.space.told(Space::to_string)),
            row("port_config", path(&self.port_config)),
            row("host_check", self.host_check.told(bool::to_string)),
            row("reuse_delay", self.reuse_delay.told(Span::to_string)),
            row("block", self.block.told(|block| list(block))),
            row("roles", self.roles.told(|roles| list(roles))),
        ];
        for (role, range) in &self.ranges {
            for (key, told) in [
                ("base", range.base.told(ToString::to_string)),
                ("step", range.step.told(ToString::to_string)),
                ("max", range.max.told(ToString::to_string)),
            ] {
                rows.push(row(&format!("ranges.{role}.{key}"), told));
            }
        }
        rows
    }
}

fn filled(text: &str, origin: Origin) -> Result<Value<String>, ConfigurationError> {
    if text.is_empty() {
        let fault = ConfigurationFault::Empty("store".to_owned());
        return Err(ConfigurationError::Setting { origin, fault });
    }
    Ok(Value::new(text.to_owned(), origin))
}

fn list<'a, T: ToString + 'a>(values: impl IntoIterator<Item = &'a T>) -> String {
    let values: Vec<_> = values.into_iter().map(T::to_string).collect();
    if values.is_empty() {
        return "none".to_owned();
    }
    values.join(", ")
}

/// `postgres://alice:secret@host/book` with the secret left out: what is shown is also shown to others.
pub fn without_password(store: &str) -> String {
    let hidden = || {
        let (scheme, rest) = store.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let at = rest.get(..end)?.rfind('@')?;
        let (user, _) = rest.get(..at)?.split_once(':')?;
        Some(format!("{scheme}://{user}:***{}", rest.get(at..)?))
    };
    let shown = hidden().unwrap_or_else(|| store.to_owned());
    match shown.split_once("password=") {
        Some((before, after)) => {
            let rest = after.find('&').map_or("", |end| &after[end..]);
            format!("{before}password=***{rest}")
        }
        None => shown,
    }
}
