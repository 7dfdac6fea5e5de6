//! `/metrics`: figures for Prometheus.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::app::App;
use crate::auth::Reader;
use crate::problem::Problem;

const KIND: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

pub(super) fn router() -> Router<Arc<App>> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(app): State<Arc<App>>, _: Reader) -> Result<Response, Problem> {
    let (service, figures) = (app.service.clone(), app.metrics.clone());
    let text = app.question(move || figures.text(&service)).await?;
    Ok(([(header::CONTENT_TYPE, KIND)], text).into_response())
}
