//! `/api/v1/repair`: what is in conflict moves to eligible ports.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use portbook::engine::Surroundings;
use portbook::model::Space;
use portbook::wire::Right;
use portbook::{AskEngines, Repair, RepairRequest};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{InSpace, Spaced};
use crate::app::App;
use crate::auth::Reader;
use crate::extract::{OptionalPayload, Params};
use crate::problem::Problem;

/// What is to be repaired, and whether it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RepairRequest)]
pub(crate) struct Wanted {
    /// `false`, the default: only say what would move.
    #[serde(default)]
    apply: bool,
    /// Whether apps that run are moved, too.
    #[serde(default)]
    include_running: bool,
    /// The port space.
    space: Option<Space>,
}

/// Move what is in conflict to eligible ports, all of it in one commit.
///
/// Without `"apply": true` nothing is changed; the answer is what would move, and the scope read is enough.
#[utoipa::path(
    post, path = "/api/v1/repair", tag = "book", params(InSpace), request_body = Option<Wanted>,
    responses(
        (status = 200, description = "What moved, or would, and what is left", body = Repair),
        (status = 409, description = "Something changed meanwhile", body = Problem),
        (status = 507, description = "No eligible port is left", body = Problem),
        crate::openapi::Change,
    )
)]
pub(crate) async fn repair(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    Params(query): Params<InSpace>,
    OptionalPayload(body): OptionalPayload<Wanted>,
) -> Result<Json<Repair>, Problem> {
    if body.apply {
        caller.must_have(Right::Admin)?;
    }
    let service = app.service_for(&caller).spaced(query.space, body.space)?;
    let request = RepairRequest {
        include_running: body.include_running,
        engines: match service.checks_host() {
            true => AskEngines::IfThere(Surroundings::of_process()),
            false => AskEngines::Never,
        },
        ..RepairRequest::default()
    };
    let repair = match body.apply {
        true => {
            app.change_for(service, move |service| service.repair(&request))
                .await
        }
        false => app.question(move || service.preview_repair(&request)).await,
    };
    Ok(Json(repair?))
}
