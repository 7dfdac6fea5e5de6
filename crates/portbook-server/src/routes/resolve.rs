//! `/api/v1/resolve`: look up by a name that may be spelt otherwise.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use portbook::ResolvedRecord;

use super::{AppPath, InSpace, Spaced};
use crate::app::App;
use crate::auth::Reader;
use crate::extract::{NamedApp, Params};
use crate::problem::Problem;

/// Look an app up with fallbacks; between two that are equally near nothing is guessed.
#[utoipa::path(
    get, path = "/api/v1/resolve/{model}/{app_num}", tag = "allocations",
    params(AppPath, InSpace),
    responses(
        (status = 200, description = "The app's ports, and in which way it was found", body = ResolvedRecord),
        (status = 404, description = "Nothing resembles it", body = Problem),
        (status = 409, description = "Several apps resemble it equally", body = Problem),
        crate::openapi::Question,
    )
)]
pub(crate) async fn resolve(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    NamedApp(key): NamedApp,
    Params(query): Params<InSpace>,
) -> Result<Json<ResolvedRecord>, Problem> {
    let service = app.service_for(&caller).spaced(query.space, None)?;
    let record = app
        .question(move || {
            let resolved = service.resolve(&key.model, key.number)?;
            Ok(ResolvedRecord::of(&resolved, service.space()))
        })
        .await?;
    Ok(Json(record))
}
