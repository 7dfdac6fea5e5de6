//! `/api/v1/cleanup`: apps that are gone give their ports back.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use portbook::model::{Space, Span};
use portbook::wire::Right;
use portbook::{Cleanup, CleanupRequest};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{InSpace, Spaced};
use crate::app::App;
use crate::auth::Reader;
use crate::extract::{OptionalPayload, Params};
use crate::problem::Problem;

/// What is to be looked for, and whether apps that are gone are released.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CleanupRequest)]
pub(crate) struct Wanted {
    /// `false`, the default: only say which would be released.
    #[serde(default)]
    apply: bool,
    /// The directory on the server's host that has every app's as `{model identity}/app{n}`.
    apps_dir: Option<String>,
    /// How long an app has to be missing: 7 days by default.
    grace: Option<Span>,
    /// The largest share of the apps, in percent, that may go at once: 20 by default.
    #[schema(minimum = 0, maximum = 100)]
    max_share: Option<u8>,
    /// The port space.
    space: Option<Space>,
}

impl Wanted {
    fn request(&self) -> Result<CleanupRequest, Problem> {
        let mut request = CleanupRequest::default();
        if let Some(folder) = &self.apps_dir {
            let folder = PathBuf::from(folder);
            if !folder.is_absolute() {
                return Err(Problem::bad_request(
                    "`apps_dir` is no absolute path, and the server's own folder is no place to look in",
                ));
            }
            request.apps_directory = Some(folder);
        }
        if let Some(grace) = self.grace {
            request.grace = grace;
        }
        if let Some(share) = self.max_share {
            let share = share.to_string().parse();
            request.max_share =
                share.map_err(|error| Problem::bad_request(format!("`max_share`: {error}")))?;
        }
        Ok(request)
    }
}

/// Release the apps that are gone: their directory, their lease, or the run that they were made for.
///
/// Without `"apply": true` nothing is changed; the answer is which would go, and the scope read is enough.
#[utoipa::path(
    post, path = "/api/v1/cleanup", tag = "book", params(InSpace), request_body = Option<Wanted>,
    responses(
        (status = 200, description = "Which apps are gone, and what became of them", body = Cleanup),
        (status = 409, description = "More apps would go than may", body = Problem),
        crate::openapi::Change,
    )
)]
pub(crate) async fn cleanup(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    Params(query): Params<InSpace>,
    OptionalPayload(body): OptionalPayload<Wanted>,
) -> Result<Json<Cleanup>, Problem> {
    if body.apply {
        caller.must_have(Right::Admin)?;
    }
    let request = body.request()?;
    let service = app.service_for(&caller).spaced(query.space, body.space)?;
    let cleanup = match body.apply {
        true => {
            app.change_for(service, move |service| service.clean_up(&request))
                .await
        }
        false => {
            app.question(move || service.preview_cleanup(&request))
                .await
        }
    };
    Ok(Json(cleanup?))
}
