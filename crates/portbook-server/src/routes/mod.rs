//! What can be asked by HTTP, a file a resource.

mod allocations;
mod calls;
mod cleanup;
mod conflicts;
mod events;
mod health;
mod history;
mod import;
mod metrics;
mod policy;
mod pools;
mod repair;
mod resolve;
mod spaces;
mod stats;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use portbook::PortAllocationService;
use portbook::model::{AppNumber, Model, Space};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::problem::Problem;
use crate::{auth, dashboard, openapi, origin};

/// Everything that the server answers, and the document that says so.
pub(crate) fn router(app: Arc<App>) -> Router {
    let (guarded, document) = api().split_for_parts();
    let document = openapi::finish(document);
    let everything = guarded
        .merge(calls::router())
        .merge(metrics::router())
        .route_layer(middleware::from_fn_with_state(
            app.clone(),
            auth::authenticate,
        ))
        .merge(openapi::router(document))
        .merge(health::router())
        .merge(dashboard::router())
        .fallback(async || Problem::no_such_path())
        .method_not_allowed_fallback(async || Problem::no_such_method())
        .layer(middleware::from_fn_with_state(app.clone(), origin::guard))
        .with_state(app);
    #[cfg(feature = "otel")]
    let everything = everything.layer(middleware::from_fn(crate::telemetry::trace));
    everything
}

/// The OpenAPI document of the REST interface, as it is generated from the code.
pub fn document() -> OpenApi {
    openapi::finish(api().split_for_parts().1)
}

fn api() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(allocations::list, allocations::allocate))
        .routes(routes!(allocations::get, allocations::release))
        .routes(routes!(allocations::renew))
        .routes(routes!(resolve::resolve))
        .routes(routes!(conflicts::conflicts))
        .routes(routes!(stats::stats))
        .routes(routes!(stats::ports))
        .routes(routes!(history::history))
        .routes(routes!(pools::list, pools::add))
        .routes(routes!(pools::remove))
        .routes(routes!(policy::policy))
        .routes(routes!(spaces::spaces))
        .routes(routes!(events::events))
        .routes(routes!(repair::repair))
        .routes(routes!(cleanup::cleanup))
        .routes(routes!(import::import))
        .routes(routes!(import::export))
}

/// The port space that a request is about.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct InSpace {
    /// The port space.
    space: Option<Space>,
}

/// The app that a path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes what `NamedApp` reads")]
pub(crate) struct AppPath {
    /// The app's model, percent-encoded: `x-ai%2Fgrok-4`.
    model: Model,
    /// The app's number.
    app_num: AppNumber,
}

/// A service that can be turned to another space.
pub(crate) trait Spaced: Sized {
    /// Turns to the space that the query or the body names.
    fn spaced(self, query: Option<Space>, body: Option<Space>) -> Result<Self, Problem>;
}

impl Spaced for PortAllocationService {
    fn spaced(self, query: Option<Space>, body: Option<Space>) -> Result<Self, Problem> {
        match (query, body) {
            (Some(query), Some(body)) if query != body => Err(Problem::bad_request(
                "the query names one space and the body another",
            )),
            (Some(space), _) | (None, Some(space)) => Ok(self.in_space(space)),
            (None, None) => Ok(self),
        }
    }
}
