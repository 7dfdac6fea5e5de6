//! What a configuration file says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::de::DeValue;

use portbook_model::{
    InvalidPolicy, InvalidRange, Policy, Port, PortRange, PortStretch, Role, Space, Span,
};

use super::document::{Document, Member};
use super::value::Value;
use super::{ConfigurationError, ConfigurationFault};

const KEYS: &[&str] = &[
    "store",
    "space",
    "port_config",
    "host_check",
    "reuse_delay",
    "block",
    "roles",
    "ranges",
];
const RANGE_KEYS: &[&str] = &["base", "step", "max"];

/// The step of a range that names none: neighbouring apps leave a port free between them.
const STEP: u16 = 2;

/// Where a role's ports come from, and where each part of that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeSettings {
    /// The first port.
    pub base: Value<Port>,
    /// The distance from one port to the next.
    pub step: Value<u16>,
    /// The port that the range does not pass.
    pub max: Value<Port>,
}

impl RangeSettings {
    fn default_of(range: PortRange) -> Self {
        Self {
            base: Value::default_of(range.base()),
            step: Value::default_of(range.step()),
            max: Value::default_of(range.max()),
        }
    }
}

/// The values of a file, each as far as it is there; ranges, roles and policy with the defaults
/// filled in.
pub(super) struct Settings {
    pub(super) store: Option<Value<String>>,
    pub(super) space: Option<Value<Space>>,
    /// Seen from the file's folder.
    pub(super) port_config: Option<Value<PathBuf>>,
    pub(super) host_check: Option<Value<bool>>,
    pub(super) reuse_delay: Option<Value<Span>>,
    pub(super) block: Option<Value<Vec<PortStretch>>>,
    pub(super) roles: Option<Value<BTreeSet<Role>>>,
    pub(super) ranges: BTreeMap<Role, RangeSettings>,
    pub(super) policy: Policy,
}

impl Default for Settings {
    fn default() -> Self {
        let ranges = Policy::default_ranges().into_iter();
        Self {
            store: None,
            space: None,
            port_config: None,
            host_check: None,
            reuse_delay: None,
            block: None,
            roles: None,
            ranges: ranges
                .map(|(role, range)| (role, RangeSettings::default_of(range)))
                .collect(),
            policy: Policy::default(),
        }
    }
}

impl Settings {
    pub(super) fn read(path: &Path, text: &str) -> Result<Self, ConfigurationError> {
        let (document, table) = Document::parse(path, text)?;
        let mut settings = Self::default();
        let mut rules = Rules {
            document,
            ranges: Policy::default_ranges(),
            range_places: BTreeMap::new(),
            role_places: BTreeMap::new(),
        };
        for member in document.members(&table, None) {
            match member.key.get_ref().as_ref() {
                "store" => {
                    let store = document.text(&member, "a text such as \"sqlite:PATH\"")?;
                    let offset = member.value.span().start;
                    let store = anchored(store, path.parent().unwrap_or(Path::new("")));
                    settings.store = Some(document.value(offset, store));
                }
                "space" => settings.space = Some(document.parsed(&member, "a text")?),
                "port_config" => {
                    let file = document.text(&member, "the path of a file, as text,")?;
                    let folder = path.parent().unwrap_or(Path::new(""));
                    let offset = member.value.span().start;
                    settings.port_config = Some(document.value(offset, folder.join(file)));
                }
                "host_check" => settings.host_check = Some(document.truth(&member)?),
                "reuse_delay" => {
                    let delay = document.parsed(&member, "a text such as \"10m\"")?;
                    settings.reuse_delay = Some(delay);
                }
                "block" => settings.block = Some(block(&document, &member)?),
                "roles" => settings.roles = Some(rules.roles(&member)?),
                "ranges" => rules.ranges(&member, &mut settings.ranges)?,
                _ => return Err(document.unknown(&member, KEYS)),
            }
        }
        settings.policy = rules.policy()?;
        Ok(settings)
    }
}

/// A relative path in a file means a file beside it, from wherever the file is read.
fn anchored(store: &str, folder: &Path) -> String {
    match store.strip_prefix("sqlite:") {
        Some(file) if !file.is_empty() && !file.starts_with('/') => {
            format!("sqlite:{}", folder.join(file).display())
        }
        _ => store.to_owned(),
    }
}

/// `block = [3306, "6000-6063"]`
fn block(
    document: &Document<'_>,
    member: &Member<'_, '_>,
) -> Result<Value<Vec<PortStretch>>, ConfigurationError> {
    let wanted = "an array of ports and stretches such as [3306, \"6000-6063\"]";
    let mut stretches = Vec::new();
    for (index, element) in document.array(member, wanted)?.iter().enumerate() {
        let key = format!("{}[{index}]", member.name);
        let stretch = match element.get_ref() {
            DeValue::String(text) => text.parse(),
            DeValue::Integer(_) => {
                let port = document.port(&key, element)?.value;
                PortStretch::new(port, port)
            }
            _ => {
                let wanted = "a port such as 3306 or a stretch such as \"6000-6063\"";
                return Err(document.wrong_type(&key, element, wanted));
            }
        };
        stretches.push(stretch.map_err(|problem| {
            let fault = ConfigurationFault::Stretch { key, problem };
            document.error(element.span().start, fault)
        })?);
    }
    Ok(document.value(member.value.span().start, stretches))
}

/// Ranges and roles, with the places to name when they do not fit together.
struct Rules<'t> {
    document: Document<'t>,
    ranges: BTreeMap<Role, PortRange>,
    range_places: BTreeMap<Role, usize>,
    role_places: BTreeMap<Role, usize>,
}

impl Rules<'_> {
    /// `roles = ["backend", "frontend", "db"]`
    fn roles(
        &mut self,
        member: &Member<'_, '_>,
    ) -> Result<Value<BTreeSet<Role>>, ConfigurationError> {
        let wanted = "an array of roles such as [\"backend\", \"frontend\", \"db\"]";
        let mut roles = BTreeSet::from([Role::backend(), Role::frontend()]);
        for (index, element) in self.document.array(member, wanted)?.iter().enumerate() {
            let place = element.span().start;
            let Some(name) = element.get_ref().as_str() else {
                let key = format!("{}[{index}]", member.name);
                return Err(self
                    .document
                    .wrong_type(&key, element, "a role such as \"db\""));
            };
            let role = Role::new(name).map_err(|fault| self.document.error(place, fault))?;
            self.role_places.insert(role.clone(), place);
            roles.insert(role);
        }
        Ok(self.document.value(member.value.span().start, roles))
    }

    /// The tables `[ranges.ROLE]`.
    fn ranges(
        &mut self,
        member: &Member<'_, '_>,
        ranges: &mut BTreeMap<Role, RangeSettings>,
    ) -> Result<(), ConfigurationError> {
        let table = self.document.table(member, "a table such as [ranges.db]")?;
        for member in self.document.members(table, Some(&member.name)) {
            let place = member.key.span().start;
            let role = Role::new(member.key.get_ref())
                .map_err(|fault| self.document.error(place, fault))?;
            let range = self.range(&role, &member, ranges.get(&role))?;
            self.range_places.insert(role.clone(), place);
            ranges.insert(role, range);
        }
        Ok(())
    }

    fn range(
        &mut self,
        role: &Role,
        member: &Member<'_, '_>,
        default: Option<&RangeSettings>,
    ) -> Result<RangeSettings, ConfigurationError> {
        let document = self.document;
        let (mut base, mut step, mut max) = (None, None, None);
        let mut places = (None, None, None);
        let wanted = "a table with base, step and max";
        for part in document.members(document.table(member, wanted)?, Some(&member.name)) {
            let place = Some(part.value.span().start);
            match part.key.get_ref().as_ref() {
                "base" => (base, places.0) = (Some(document.port(&part.name, part.value)?), place),
                "step" => (step, places.1) = (Some(self.step(&part)?), place),
                "max" => (max, places.2) = (Some(document.port(&part.name, part.value)?), place),
                _ => return Err(document.unknown(&part, RANGE_KEYS)),
            }
        }
        let start = member.key.span().start;
        let base = base.or_else(|| default.map(|range| range.base.clone()));
        let base =
            base.ok_or_else(|| document.error(start, ConfigurationFault::NoBase(role.clone())))?;
        let range = RangeSettings {
            base,
            step: step.unwrap_or(Value::default_of(STEP)),
            max: max.unwrap_or(Value::default_of(Port::MAX)),
        };
        match PortRange::new(range.base.value, range.step.value, range.max.value) {
            Ok(whole) => {
                self.ranges.insert(role.clone(), whole);
                Ok(range)
            }
            Err(problem) => {
                let place = match problem {
                    InvalidRange::ZeroStep => places.1,
                    InvalidRange::BaseAboveMax { .. } => places.0.or(places.2),
                };
                let role = role.clone();
                let fault = ConfigurationFault::Range { role, problem };
                Err(document.error(place.unwrap_or(start), fault))
            }
        }
    }

    fn step(&self, part: &Member<'_, '_>) -> Result<Value<u16>, ConfigurationError> {
        let place = part.value.span().start;
        match self
            .document
            .number::<u16>(&part.name, part.value, "a number of ports")?
        {
            Ok(step) => Ok(self.document.value(place, step)),
            Err(found) => {
                let key = part.name.clone();
                Err(self
                    .document
                    .error(place, ConfigurationFault::Step { key, found }))
            }
        }
    }

    fn policy(self) -> Result<Policy, ConfigurationError> {
        Policy::new(self.ranges, self.role_places.keys().cloned()).map_err(|problem| {
            let place = match &problem {
                InvalidPolicy::NoRange(role) => self.role_places.get(role),
                // The last of them is the one that left the others no way out.
                InvalidPolicy::NeverMeet(roles) => {
                    let places = roles.iter().filter_map(|role| self.range_places.get(role));
                    places.max()
                }
            };
            self.document.error(place.copied().unwrap_or(0), problem)
        })
    }
}
