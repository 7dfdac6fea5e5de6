//! `/api/v1/stats` and `/api/v1/ports`: how full a space is, and what lies where on its line.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use portbook::{Stats, Stretch};

use super::{InSpace, Spaced};
use crate::app::App;
use crate::auth::Reader;
use crate::extract::Params;
use crate::problem::Problem;

/// How much is allocated, by model, range and pool.
#[utoipa::path(
    get, path = "/api/v1/stats", tag = "book", params(InSpace),
    responses(
        (status = 200, description = "The figures", body = Stats),
        crate::openapi::Question,
    )
)]
pub(crate) async fn stats(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    Params(query): Params<InSpace>,
) -> Result<Json<Stats>, Problem> {
    let service = app.service_for(&caller).spaced(query.space, None)?;
    Ok(Json(app.question(move || service.stats()).await?))
}

/// The port line: every port from 1 to 65535, in stretches of one state.
#[utoipa::path(
    get, path = "/api/v1/ports", tag = "book", params(InSpace),
    responses(
        (status = 200, description = "The stretches, in order and without gaps", body = [Stretch]),
        crate::openapi::Question,
    )
)]
pub(crate) async fn ports(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    Params(query): Params<InSpace>,
) -> Result<Json<Vec<Stretch>>, Problem> {
    let service = app.service_for(&caller).spaced(query.space, None)?;
    let line = app.question(move || service.port_line()).await?;
    Ok(Json(line.stretches()))
}
