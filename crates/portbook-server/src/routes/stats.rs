//! `/api/v1/stats` and `/api/v1/ports`: how full a space is, and what lies where on its line.

use std::sync::Arc;

use axum::extract::State;
use portbook::{Stats, Stretch};

use super::{InSpace, Spaced};
use crate::app::App;
use crate::auth::Reader;
use crate::extract::Params;
use crate::problem::Problem;
use crate::scribe::Pieces;

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
) -> Result<Pieces, Problem> {
    let service = app.service_for(&caller).spaced(query.space, None)?;
    let write = move |pieces: &mut Pieces| pieces.json(&service.stats()?);
    Ok(app.write(write).await?.1)
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
) -> Result<Pieces, Problem> {
    let service = app.service_for(&caller).spaced(query.space, None)?;
    let write = move |pieces: &mut Pieces| pieces.json(&service.port_line()?);
    Ok(app.write(write).await?.1)
}
