//! `/metrics`: figures for Prometheus.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::Response;
use axum::routing::get;

use crate::app::App;
use crate::auth::Reader;
use crate::problem::Problem;
use crate::scribe::Pieces;

const KIND: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

pub(super) fn router() -> Router<Arc<App>> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(app): State<Arc<App>>, _: Reader) -> Result<Response, Problem> {
    let (service, figures) = (app.service.clone(), app.metrics.clone());
    let write = move |pieces: &mut Pieces| {
        pieces.bytes(figures.text(&service)?.as_bytes());
        Ok(())
    };
    Ok(app.write(write).await?.1.of_kind(KIND))
}
