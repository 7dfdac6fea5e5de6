//! What a request says, read strictly: what nobody knows is refused, with what was probably meant.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use portbook::model::{AppKey, AppNumber, Model};
use portbook::{Error, Failure};
use serde::de::DeserializeOwned;
use tokio_stream::StreamExt;

use crate::app::App;
use crate::problem::Problem;

/// The query, without anything that `T` does not know.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => {
                let cause = std::error::Error::source(&rejection)
                    .map_or_else(|| rejection.to_string(), ToString::to_string);
                Err(misread("the query", &cause))
            }
        }
    }
}

/// The app that a path names.
pub(crate) struct NamedApp(pub(crate) AppKey);

impl FromRequestParts<Arc<App>> for NamedApp {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<App>) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Ok(Path((model, number))) = path else {
            return Err(Problem::bad_request(
                "the path is not UTF-8 in percent-encoding",
            ));
        };
        let model = Model::new(&model).map_err(Error::from)?;
        let number: AppNumber = number.parse().map_err(Error::from)?;
        Ok(Self(AppKey::new(model, number)))
    }
}

/// A JSON body of ordinary size.
pub(crate) struct Payload<T>(pub(crate) T);

/// A JSON body that may carry a whole file.
pub(crate) struct FilePayload<T>(pub(crate) T);

/// A JSON body that may be left out, or be `null`.
pub(crate) struct OptionalPayload<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Payload<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let body = read_json(request, app.limits.body, app.limits.upload).await?;
        parse(&body).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for FilePayload<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let body = read_json(request, app.limits.file, app.limits.upload).await?;
        parse(&body).map(Self)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<Arc<App>> for OptionalPayload<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        refuse_encodings(request.headers())?;
        let has_kind = request.headers().contains_key(header::CONTENT_TYPE);
        let is_json = is_json(request.headers());
        let body = read(request.into_body(), app.limits.body, app.limits.upload).await?;
        match (body.is_empty(), is_json) {
            (true, _) if !has_kind || is_json => Ok(Self(T::default())),
            (_, true) => Ok(Self(parse::<Option<T>>(&body)?.unwrap_or_default())),
            (_, false) => Err(not_json()),
        }
    }
}

async fn read_json(request: Request, most: usize, patience: Duration) -> Result<Bytes, Problem> {
    refuse_encodings(request.headers())?;
    if !is_json(request.headers()) {
        return Err(not_json());
    }
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(larger_than(most));
    }
    read(request.into_body(), most, patience).await
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
    kind.is_some_and(|kind| {
        kind.eq_ignore_ascii_case("application/json")
            || (kind.to_ascii_lowercase().starts_with("application/")
                && kind.to_ascii_lowercase().ends_with("+json"))
    })
}

/// A body that is packed would be as large as it likes once it is unpacked.
fn refuse_encodings(headers: &HeaderMap) -> Result<(), Problem> {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).into_iter();
    if encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    let problem = Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "encoded",
        Failure::Input,
        "the body is compressed, and no server of portbook unpacks one",
    );
    Err(problem.with_hint("send it as it is, without Content-Encoding"))
}

fn not_json() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "not-json",
        Failure::Input,
        "the body is not said to be JSON",
    )
    .with_hint("send it with `Content-Type: application/json`")
}

fn larger_than(most: usize) -> Problem {
    Problem::too_large(format!("the body is larger than {} KiB", most >> 10))
}

/// The whole body, unless it is too large or comes too slowly.
pub(crate) async fn read(body: Body, most: usize, patience: Duration) -> Result<Bytes, Problem> {
    let collect = async {
        let mut stream = body.into_data_stream();
        let mut first: Option<Bytes> = None;
        let mut rest = Vec::new();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|_| Problem::bad_request("the body broke off"))?;
            match &first {
                None => first = Some(piece),
                Some(begin) => {
                    if rest.is_empty() {
                        rest.extend_from_slice(begin);
                    }
                    rest.extend_from_slice(&piece);
                }
            }
            if rest.len().max(first.as_ref().map_or(0, Bytes::len)) > most {
                return Err(larger_than(most));
            }
        }
        Ok(match (first, rest.is_empty()) {
            (Some(whole), true) => whole,
            _ => Bytes::from(rest),
        })
    };
    match tokio::time::timeout(patience, collect).await {
        Ok(body) => body,
        Err(_) => Err(Problem::timeout()),
    }
}

pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Otherwise an array would do for an object, its members in the order of the code.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::bad_request(
            "the body is a JSON array where an object is due",
        ));
    }
    serde_json::from_slice(body).map_err(|error| misread("the body", &error.to_string()))
}

/// What is wrong with a text that was parsed, with the name that was probably meant.
fn misread(what: &str, cause: &str) -> Problem {
    let problem = Problem::bad_request(format!("{what} cannot be read: {cause}"));
    let names: Vec<&str> = cause.split('`').skip(1).step_by(2).collect();
    match names.as_slice() {
        [unknown, known @ ..] if cause.contains("unknown field") => {
            let nearest = known
                .iter()
                .filter(|name| strsim::jaro_winkler(unknown, name) > 0.7)
                .max_by(|one, other| {
                    let [one, other] = [one, other].map(|name| strsim::jaro_winkler(unknown, name));
                    one.total_cmp(&other)
                });
            match nearest {
                Some(nearest) => problem.with_hint(format!("did you mean `{nearest}`?")),
                None => problem,
            }
        }
        _ => problem,
    }
}
