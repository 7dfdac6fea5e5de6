//! The apps of a book, written to a file that [`port_config::read`](crate::port_config::read) reads.
//!
//! Each format orders its entries by model identity, then app number, then port space.

use serde::{Deserialize, Serialize};

use portbook_model::{AppKey, Port, Ports, Role, Space, Timestamp};

use crate::port_config::CSV_HEADER;

/// An app's ports as lists and exports tell of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PortConfiguration {
    /// The app, with its model as it was first spelt.
    #[serde(flatten)]
    pub app: AppKey,
    /// The backend's port.
    pub backend_port: Port,
    /// The frontend's port.
    pub frontend_port: Port,
    /// Every role's port, those of backend and frontend among them.
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, u16>))]
    pub ports: Ports,
    /// `false` while a port of the app is known to be unusable for it: a stranger uses it on this
    /// host, or it is blocked.
    pub is_available: bool,
    /// The port space.
    pub space: Space,
    /// When the allocation came to be.
    pub created_at: Timestamp,
}

/// An app lacks a port of the pair that every app has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{app} has no {role} port")]
pub struct PairIncomplete {
    /// The app.
    pub app: AppKey,
    /// Backend or frontend.
    pub role: Role,
}

impl PortConfiguration {
    /// An app with its ports, among them those of backend and frontend.
    pub fn new(
        app: AppKey,
        ports: Ports,
        is_available: bool,
        space: Space,
        created_at: Timestamp,
    ) -> Result<Self, PairIncomplete> {
        let port = |role: Role| {
            let port = ports.get(&role).copied();
            port.ok_or_else(|| PairIncomplete {
                app: app.clone(),
                role,
            })
        };
        let (backend_port, frontend_port) = (port(Role::backend())?, port(Role::frontend())?);
        Ok(Self {
            app,
            backend_port,
            frontend_port,
            ports,
            is_available,
            space,
            created_at,
        })
    }
}

fn ordered(apps: &[PortConfiguration]) -> Vec<&PortConfiguration> {
    let mut apps: Vec<_> = apps.iter().collect();
    apps.sort_by_key(|exported| (&exported.app, &exported.space));
    apps
}

/// An app's pair as `port_config.json` has it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PortConfigEntry<'a> {
    /// The model, as it was first spelt.
    #[cfg_attr(feature = "openapi", schema(value_type = portbook_model::Model))]
    model_name: &'a str,
    /// The app's number.
    #[cfg_attr(feature = "openapi", schema(value_type = portbook_model::AppNumber))]
    app_number: u32,
    /// The backend's port.
    backend_port: Port,
    /// The frontend's port.
    frontend_port: Port,
}

/// As `port_config.json`: pairs only, two spaces of indent, no line end after the last line.
///
/// The format has no place for a port space: the apps are best those of one.
pub fn write_port_config(apps: &[PortConfiguration]) -> String {
    let entries: Vec<_> = ordered(apps)
        .into_iter()
        .map(|exported| PortConfigEntry {
            model_name: exported.app.model.spelling(),
            app_number: exported.app.number.get(),
            backend_port: exported.backend_port,
            frontend_port: exported.frontend_port,
        })
        .collect();
    json(&entries)
}

/// As portbook's JSON, two spaces of indent, no line end after the last line.
pub fn write_json(apps: &[PortConfiguration]) -> String {
    json(&ordered(apps))
}

fn json(entries: &impl Serialize) -> String {
    match serde_json::to_string_pretty(entries) {
        Ok(text) => text,
        Err(problem) => unreachable!("texts and numbers are JSON: {problem}"),
    }
}

/// As CSV with a first row that names the columns; every row ends in a line feed.
pub fn write_csv(apps: &[PortConfiguration]) -> String {
    let mut rows = csv::Writer::from_writer(Vec::new());
    let written = rows
        .write_record(CSV_HEADER.split(','))
        .and_then(|()| {
            ordered(apps)
                .into_iter()
                .try_for_each(|exported| rows.write_record(row(exported)))
        })
        .map_err(|problem| problem.to_string())
        .and_then(|()| rows.into_inner().map_err(|problem| problem.to_string()))
        .and_then(|bytes| String::from_utf8(bytes).map_err(|problem| problem.to_string()));
    match written {
        Ok(text) => text,
        Err(problem) => unreachable!("rows of one length are written to memory: {problem}"),
    }
}

fn row(exported: &PortConfiguration) -> [String; 8] {
    let ports = exported.ports.iter();
    let ports: Vec<_> = ports.map(|(role, port)| format!("{role}={port}")).collect();
    [
        exported.app.model.spelling().to_owned(),
        exported.app.number.to_string(),
        exported.backend_port.to_string(),
        exported.frontend_port.to_string(),
        ports.join(";"),
        exported.is_available.to_string(),
        exported.space.to_string(),
        exported.created_at.to_string(),
    ]
}
