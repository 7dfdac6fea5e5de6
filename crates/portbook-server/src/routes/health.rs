//! `/health` and `/ready`: does the server live, and can it use the book.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::app::App;
use crate::problem::Problem;

pub(super) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
}

/// Lives, whatever the state of the book.
async fn health() -> Json<Value> {
    Json(json!({ "status": "alive", "version": env!("CARGO_PKG_VERSION") }))
}

/// Ready as long as the book can be read and the server is not about to stop.
async fn ready(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    if *app.stopping.borrow() {
        return Err(Problem::overloaded("the server is about to stop"));
    }
    let service = app.service.clone();
    let head = app.question(move || service.head()).await?;
    Ok(Json(
        json!({ "status": "ready", "book": head.book, "revision": head.revision }),
    ))
}
