//! The OpenAPI document: generated from the routes, served at `/openapi.json`.

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::routing::get;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, InfoBuilder, OpenApi, Ref, RefOr, SecurityRequirement};
use utoipa::{IntoResponses, OpenApi as _, ToSchema as _};

use crate::docs;
use crate::problem::Problem;

/// What any question may be answered with besides its own answers.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes answers that are made elsewhere")]
pub(crate) enum Question {
    /// The request is wrong: what it names is none, or it says what nobody knows.
    #[response(status = 400)]
    BadRequest(Problem),
    /// A token is needed, or the one that came is unknown.
    #[response(status = 401)]
    Unauthorized(Problem),
    /// The token's scope does not reach that far, or the request came from a page elsewhere.
    #[response(status = 403)]
    Forbidden(Problem),
    /// Too many ask at once, or the book cannot be reached: `Retry-After` says when to ask again.
    #[response(status = 503)]
    Unavailable(Problem),
    /// A fault of the server or its machine.
    #[response(status = 500)]
    Internal(Problem),
}

/// What any change may be answered with besides its own answers.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes answers that are made elsewhere")]
pub(crate) enum Change {
    /// The request is wrong: what it names is none, or it says what nobody knows.
    #[response(status = 400)]
    BadRequest(Problem),
    /// A token is needed, or the one that came is unknown.
    #[response(status = 401)]
    Unauthorized(Problem),
    /// The token's scope does not reach that far, or the request came from a page elsewhere.
    #[response(status = 403)]
    Forbidden(Problem),
    /// The body did not come in time.
    #[response(status = 408)]
    Timeout(Problem),
    /// The body, or what it names, is more than is taken at once.
    #[response(status = 413)]
    TooLarge(Problem),
    /// The body is not JSON.
    #[response(status = 415)]
    NotJson(Problem),
    /// Too many ask at once, or the book cannot be reached: `Retry-After` says when to ask again.
    #[response(status = 503)]
    Unavailable(Problem),
    /// A fault of the server or its machine.
    #[response(status = 500)]
    Internal(Problem),
}

#[derive(utoipa::OpenApi)]
#[openapi(tags(
    (name = "allocations", description = "The ports of apps"),
    (name = "pools", description = "Stretches of ports that are reserved for models"),
    (name = "book", description = "The book as a whole"),
))]
struct Base;

/// The document before the routes are added to it.
pub(crate) fn base() -> OpenApi {
    let mut document = Base::openapi();
    let info = InfoBuilder::new()
        .title("portbook")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Every app, known by its model and its number, gets its own ports, and keeps them. \
             The JSON is that of the command `portbook --json`; errors are `application/problem+json` \
             (RFC 9457) with the command's codes and hints.",
        ))
        .contact(None::<utoipa::openapi::Contact>)
        .build();
    document.info = info;
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "A token that `portbook token` made; none is needed where the server has no token file",
        ))
        .build();
    document
        .components
        .get_or_insert_default()
        .add_security_scheme("token", SecurityScheme::Http(token));
    document.security = Some(vec![
        SecurityRequirement::default(),
        SecurityRequirement::new::<_, [&str; 0], &str>("token", []),
    ]);
    document
}

/// The document with what holds for all routes alike: whatever describes a problem is of the problems'
/// own media type (RFC 9457, 3).
pub(crate) fn finish(mut document: OpenApi) -> OpenApi {
    let problem = Ref::from_schema_name(Problem::name());
    let is_problem = |content: &RefOr<Content>| match content {
        RefOr::T(content) => content.schema == Some(RefOr::Ref(problem.clone())),
        RefOr::Ref(_) => false,
    };
    for path in document.paths.paths.values_mut() {
        let operations = [&mut path.get, &mut path.post, &mut path.delete];
        let operations = operations.into_iter().flatten();
        for response in operations.flat_map(|operation| operation.responses.responses.values_mut())
        {
            if let RefOr::T(response) = response
                && let Some(content) = response.content.get("application/json")
                && is_problem(content)
            {
                let content = content.clone();
                response.content.clear();
                response
                    .content
                    .insert(Problem::MEDIA_TYPE.to_owned(), content);
            }
        }
    }
    document
}

/// The document as JSON, and as a page.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(document: OpenApi) -> Router<S> {
    let text = document.to_pretty_json().unwrap_or_default();
    let page = docs::page(&serde_json::from_str(&text).unwrap_or_default());
    let json = HeaderValue::from_static("application/json");
    let html = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(docs::POLICY),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    Router::new()
        .route(
            "/openapi.json",
            get(async move || ([(header::CONTENT_TYPE, json)], text)),
        )
        .route("/docs", get(async move || (html, page)))
}
