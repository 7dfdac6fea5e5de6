//! What a template may say, and what that is for one app.

use std::collections::BTreeMap;

use portbook_model::{AppKey, Ports};

use crate::ProjectNames;

/// The values of one app's placeholders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placeholders {
    values: BTreeMap<String, String>,
    longest_name: usize,
}

impl Placeholders {
    /// The placeholders of an app: `backend_port`, `frontend_port`, `<role>_port`, `app_num`, `model`,
    /// `project_name`, `compose_project_name`, and each of them in upper case.
    pub fn of_app(app: &AppKey, ports: &Ports, names: &ProjectNames) -> Self {
        let fixed = [
            ("app_num", app.number.to_string()),
            ("model", app.model.spelling().to_owned()),
            ("project_name", names.project.clone()),
            ("compose_project_name", names.compose.clone()),
        ];
        let fixed = fixed.map(|(name, value)| (name.to_owned(), value));
        let ports = ports
            .iter()
            .map(|(role, port)| (format!("{role}_port"), port.to_string()));
        Self::of_values(ports.chain(fixed))
    }

    /// Placeholders of these names, each also in upper case.
    pub fn of_values(values: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut all = BTreeMap::new();
        for (name, value) in values {
            all.insert(name.to_ascii_uppercase(), value.clone());
            all.insert(name, value);
        }
        Self {
            longest_name: all.keys().map(String::len).max().unwrap_or(0),
            values: all,
        }
    }

    pub(super) fn value(&self, name: &[u8]) -> Option<&str> {
        let name = std::str::from_utf8(name).ok()?;
        self.values.get(name).map(String::as_str)
    }

    /// How many bytes the longest name has.
    pub(super) fn longest_name(&self) -> usize {
        self.longest_name
    }

    /// Whether some name begins so.
    pub(super) fn has_name_that_begins(&self, start: &[u8]) -> bool {
        let Ok(start) = std::str::from_utf8(start) else {
            return false;
        };
        let from = self.values.range(start.to_owned()..).next();
        from.is_some_and(|(name, _)| name.starts_with(start))
    }
}
