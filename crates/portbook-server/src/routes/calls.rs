//! Where portbook's own commands turn to, when a server keeps their book.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use portbook::wire;

use crate::app::App;
use crate::auth::Reader;
use crate::extract::FilePayload;
use crate::problem::Problem;
use crate::scribe::Pieces;

/// The longest name of a request.
const LONGEST_NAME: usize = 64;

pub(super) fn router() -> Router<Arc<App>> {
    Router::new().route(wire::PATH, post(call))
}

async fn call(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    headers: HeaderMap,
    FilePayload(request): FilePayload<wire::Request>,
) -> Result<Response, Problem> {
    caller.must_have(request.right())?;
    let by = caller.actor(Some(request.claims_to_be()));
    let service = app.service.clone();
    if request.reads_the_whole_book() {
        let write = move |pieces: &mut Pieces| {
            pieces.bytes(&request.answer(&service, by)?);
            Ok(())
        };
        return Ok(noted(app.write(write).await?.1, false));
    }
    if !request.is_change() {
        let answer = app.question(move || request.answer(&service, by)).await?;
        return Ok(json(answer, false));
    }
    let name = headers
        .get(wire::NAME_HEADER)
        .and_then(|name| name.to_str().ok())
        .filter(|name| name.len() <= LONGEST_NAME)
        .map(str::to_owned);
    let Some(name) = name else {
        let answer = app.change(move || request.answer(&service, by)).await?;
        return Ok(json(answer, false));
    };
    // The caller may be gone before the answer is there; it is made and kept all the same.
    let making = tokio::spawn(async move {
        app.answers
            .get_or_make(&name, || app.change(move || request.answer(&service, by)))
            .await
    });
    let (given, again) = making
        .await
        .map_err(|_| Problem::internal("answering broke off"))?;
    Ok(json(given?, again))
}

fn json(answer: Vec<u8>, again: bool) -> Response {
    let kind = HeaderValue::from_static("application/json");
    noted(([(header::CONTENT_TYPE, kind)], answer), again)
}

/// The answer, with whether it was there before.
fn noted(answer: impl IntoResponse, again: bool) -> Response {
    let seen = HeaderValue::from_static(if again { "again" } else { "first" });
    let mut response = answer.into_response();
    response.headers_mut().insert(wire::ANSWER_HEADER, seen);
    response
}
