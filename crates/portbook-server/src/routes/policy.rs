//! `/api/v1/policy`: the rules that ports are given out by.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use portbook::PolicyRecord;

use crate::app::App;
use crate::auth::Reader;
use crate::problem::Problem;

/// The rules that ports are given out by: ranges, roles, blocked ports, the delay.
///
/// They are the server's configuration, together with what its host adds to it, as they are now.
#[utoipa::path(
    get, path = "/api/v1/policy", tag = "book",
    responses(
        (status = 200, description = "The rules", body = PolicyRecord),
        crate::openapi::Question,
    )
)]
pub(crate) async fn policy(
    State(app): State<Arc<App>>,
    _: Reader,
) -> Result<Json<PolicyRecord>, Problem> {
    let service = app.service.clone();
    let policy = app.question(move || service.policy()).await?;
    Ok(Json(PolicyRecord::of(&policy)))
}
