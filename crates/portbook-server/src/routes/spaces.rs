//! `/api/v1/spaces`: the port spaces of the book.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use portbook::model::Space;

use super::InSpace;
use crate::app::App;
use crate::auth::Reader;
use crate::extract::Params;
use crate::problem::Problem;

/// Every port space that has something in it.
#[utoipa::path(
    get, path = "/api/v1/spaces", tag = "book", params(InSpace),
    responses(
        (status = 200, description = "Their names, in order", body = [Space]),
        crate::openapi::Question,
    )
)]
pub(crate) async fn spaces(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    _: Params<InSpace>,
) -> Result<Json<Vec<Space>>, Problem> {
    let service = app.service_for(&caller);
    Ok(Json(app.question(move || service.spaces()).await?))
}
