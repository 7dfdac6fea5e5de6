//! `/api/v1/conflicts`: what `portbook check` finds.

use std::sync::Arc;

use axum::extract::State;
use portbook::Conflict;
use portbook::model::Space;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Spaced;
use crate::app::App;
use crate::auth::Reader;
use crate::extract::Params;
use crate::problem::Problem;
use crate::scribe::Pieces;

/// How the look for conflicts is made.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Look {
    /// The port space.
    space: Option<Space>,
    /// Whether to look at the server's host; without it, as the server's configuration has it.
    host: Option<bool>,
}

/// Find every conflict: in the book, with pre-configured ports, browsers, pools and the server's host.
#[utoipa::path(
    get, path = "/api/v1/conflicts", tag = "book", params(Look),
    responses(
        (status = 200, description = "The conflicts, by port", body = [Conflict]),
        crate::openapi::Question,
    )
)]
pub(crate) async fn conflicts(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    Params(look): Params<Look>,
) -> Result<Pieces, Problem> {
    let service = app.service_for(&caller).spaced(look.space, None)?;
    let write = move |pieces: &mut Pieces| {
        let found = match look.host {
            Some(host) => service.check(host),
            None => service.check_port_conflicts(),
        };
        pieces.json(&found?)
    };
    Ok(app.write(write).await?.1)
}
