//! `/api/v1/import` and `/api/v1/export`: lists of apps with their ports, in and out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::Response;
use portbook::apps::export::{PortConfigEntry, write_csv, write_port_config};
use portbook::model::Space;
use portbook::{ImportReport, PortConfiguration};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::{InSpace, Spaced};
use crate::app::App;
use crate::auth::{Admin, Reader};
use crate::extract::{FilePayload, Params};
use crate::problem::Problem;
use crate::scribe::Pieces;

/// A list of apps, and whether to register them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Import {
    /// What a port_config.json or an export of portbook's holds: an array of objects with `model` (or
    /// `model_name`), `app_number` (or `app_num`), `backend_port` and `frontend_port`.
    #[schema(value_type = Vec<Object>)]
    entries: Box<RawValue>,
    /// `false`, the default: only say what would be done.
    #[serde(default)]
    apply: bool,
    /// The port space.
    space: Option<Space>,
}

/// Register the apps of a list with the ports it names: all of them or none.
///
/// Without `"apply": true` nothing is changed; the answer is what would be done.
#[utoipa::path(
    post, path = "/api/v1/import", tag = "book", params(InSpace), request_body = Import,
    responses(
        (status = 200, description = "What was done, or would be", body = ImportReport),
        crate::openapi::Change,
    )
)]
pub(crate) async fn import(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Params(query): Params<InSpace>,
    FilePayload(body): FilePayload<Import>,
) -> Result<Json<ImportReport>, Problem> {
    let service = app.service_for(&caller).spaced(query.space, body.space)?;
    let report = app
        .change_for(service, move |service| {
            service.import_list("entries", body.entries.get().as_bytes(), body.apply)
        })
        .await?;
    Ok(Json(report))
}

/// How the list is to be written.
#[derive(Debug, Default, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// As the list of allocations.
    #[default]
    Json,
    /// Comma-separated values.
    Csv,
    /// As a port_config.json.
    PortConfig,
}

/// How the list is to be written, and of what.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// The format.
    #[serde(default)]
    #[param(inline)]
    format: Format,
    /// The port space.
    space: Option<Space>,
}

/// An app as portbook's JSON has it, or as a port_config.json.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes answers that are written elsewhere")]
enum Exported<'a> {
    Json(Box<PortConfiguration>),
    PortConfig(PortConfigEntry<'a>),
}

/// What is allocated, for other programs and for an import.
#[utoipa::path(
    get, path = "/api/v1/export", tag = "book", params(Wanted),
    responses(
        (status = 200, description = "The list", content(
            ([Exported] = "application/json"),
            (String = "text/csv"),
        )),
        crate::openapi::Question,
    )
)]
pub(crate) async fn export(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    Params(wanted): Params<Wanted>,
) -> Result<Response, Problem> {
    let service = app.service_for(&caller).spaced(wanted.space, None)?;
    let write = move |pieces: &mut Pieces| {
        let apps = service.get_all_allocations()?;
        match wanted.format {
            Format::Json => pieces.json(&apps)?,
            Format::Csv => pieces.bytes(write_csv(&apps).as_bytes()),
            Format::PortConfig => pieces.bytes(write_port_config(&apps).as_bytes()),
        }
        Ok(())
    };
    let ((), list) = app.write(write).await?;
    Ok(list.of_kind(HeaderValue::from_static(match wanted.format {
        Format::Json | Format::PortConfig => "application/json",
        Format::Csv => "text/csv; charset=utf-8",
    })))
}
