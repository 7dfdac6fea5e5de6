//! `/api/v1/history`: what happened.

use std::sync::Arc;

use axum::extract::State;
use portbook::ChangeRecord;
use portbook::model::{AppNumber, ModelPattern, Space};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Spaced;
use crate::app::App;
use crate::auth::Reader;
use crate::extract::Params;
use crate::problem::Problem;
use crate::scribe::Pieces;

/// Which changes are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Only those of this model, or of the models that match a glob.
    model: Option<ModelPattern>,
    /// Only those of this app of the model.
    app_num: Option<AppNumber>,
    /// Only the last so many.
    #[param(maximum = 4294967295_u32)]
    last: Option<u32>,
    /// The port space.
    space: Option<Space>,
}

/// What happened, oldest first.
#[utoipa::path(
    get, path = "/api/v1/history", tag = "book", params(Wanted),
    responses(
        (status = 200, description = "The changes", body = [ChangeRecord]),
        crate::openapi::Question,
    )
)]
pub(crate) async fn history(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    Params(wanted): Params<Wanted>,
) -> Result<Pieces, Problem> {
    let service = app.service_for(&caller).spaced(wanted.space, None)?;
    let last = wanted.last.map(|last| last as usize);
    let write = move |pieces: &mut Pieces| {
        let history = service.history(wanted.model, wanted.app_num, last)?;
        pieces.json_list(history.into_iter().map(ChangeRecord::of))
    };
    Ok(app.write(write).await?.1)
}
