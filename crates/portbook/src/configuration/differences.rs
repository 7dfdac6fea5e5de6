//! What became of a configuration since it was read before.

use std::collections::BTreeSet;

use super::Configuration;

/// A key whose value is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The key, as `portbook config` names it.
    pub key: String,
    /// Its value before, as text.
    pub before: String,
    /// Its value now.
    pub after: String,
    /// When the new value counts.
    pub counts: Counts,
}

/// When a new value counts in a service that is open already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// Once the service [adopts](crate::PortAllocationService::adopt) the configuration.
    Adopted,
    /// In the next one that is opened.
    OpenedAnew,
}

/// What a service takes when it is opened: where it looks, rather than what it goes by.
const OF_OPENING: &[&str] = &["store", "space", "port_config", "host_check"];
/// What a key has that is not there.
const NONE: &str = "none";

impl Configuration {
    /// Every key whose value was another one in `earlier`, in the order of
    /// [`describe`](Self::describe); those that are gone come last.
    pub fn differences(&self, earlier: &Configuration) -> Vec<Difference> {
        let now = self.describe();
        let before = earlier.describe();
        let value = |rows: &[(String, String, super::Origin)], key: &str| {
            let row = rows.iter().find(|(found, _, _)| found == key);
            row.map_or(NONE.to_owned(), |(_, value, _)| value.clone())
        };
        let mut seen = BTreeSet::new();
        let keys = now.iter().chain(&before).map(|(key, _, _)| key);
        keys.filter(|key| seen.insert(*key))
            .filter_map(|key| {
                let (before, after) = (value(&before, key), value(&now, key));
                (before != after).then(|| Difference {
                    counts: match OF_OPENING.contains(&key.as_str()) {
                        true => Counts::OpenedAnew,
                        false => Counts::Adopted,
                    },
                    key: key.clone(),
                    before,
                    after,
                })
            })
            .collect()
    }
}
