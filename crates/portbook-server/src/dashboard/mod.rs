//! The dashboard: a page for people who would rather look than read.
//!
//! It is plain files under `assets/`, embedded as they are: no build step, and nothing that comes from
//! anywhere else. All it knows it asks of the REST interface, as any other program does, so that it can
//! do nothing that its reader's token does not allow; the files themselves say nothing of the book and
//! are served without one.

mod assets;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use assets::Asset;

/// Everything from here and from nowhere else, nothing inline, no text that becomes markup or script,
/// and no page that frames this one.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The headers that every answer has. A browser may keep a file, and asks each time whether it is still
/// the same: after an upgrade no page is put together from the files of two versions.
const HEADERS: [(HeaderName, &str); 7] = [
    (CACHE_CONTROL, "no-cache"),
    (CONTENT_SECURITY_POLICY, POLICY),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
];

/// The page on `/`, and what it is made of under `/assets/`.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route(
            "/",
            get(|headers: HeaderMap| async move { serve("index.html", &headers) }),
        )
        .route(
            "/assets/{*path}",
            get(|Path(path): Path<String>, headers: HeaderMap| async move {
                serve(&path, &headers)
            }),
        )
}

fn serve(path: &str, headers: &HeaderMap) -> Response {
    let Some(asset) = assets::find(path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = [(ETAG, asset.tag.as_str())];
    if is_known(asset, headers) {
        return (StatusCode::NOT_MODIFIED, HEADERS, tag).into_response();
    }
    let kind = [(CONTENT_TYPE, asset.kind)];
    (HEADERS, tag, kind, Bytes::from_static(asset.content)).into_response()
}

/// Whether the asker has this very content already (RFC 9110, section 13.1.2).
fn is_known(asset: &Asset, headers: &HeaderMap) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || tag == asset.tag)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn ask(path: &str, known: Option<&str>) -> Response {
        let mut request = Request::get(path);
        if let Some(tag) = known {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let request = request.body(Body::empty()).unwrap();
        router::<()>()
            .with_state(())
            .oneshot(request)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn the_page_and_its_parts_come_with_a_strict_policy_and_a_tag() {
        for (path, kind) in [
            ("/", "text/html; charset=utf-8"),
            ("/assets/app.js", "text/javascript; charset=utf-8"),
            ("/assets/style/tokens.css", "text/css; charset=utf-8"),
            ("/assets/fonts/plex-sans.woff2", "font/woff2"),
        ] {
            let answer = ask(path, None).await;
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            assert_eq!(answer.headers()[CONTENT_TYPE], kind);
            assert_eq!(answer.headers()[CONTENT_SECURITY_POLICY], POLICY);
            assert_eq!(answer.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert_eq!(answer.headers()[CACHE_CONTROL], "no-cache");
            let tag = answer.headers()[ETAG].to_str().unwrap().to_owned();
            for known in [tag.clone(), format!("\"other\", W/{tag}")] {
                let again = ask(path, Some(&known)).await;
                assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path} {known}");
                assert_eq!(again.headers()[ETAG], tag.as_str());
            }
        }
        assert_eq!(ask("/", Some("\"other\"")).await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn what_is_no_part_of_the_page_is_not_found() {
        for path in ["/assets/", "/assets/absent.js", "/assets/../Cargo.toml"] {
            assert_eq!(ask(path, None).await.status(), StatusCode::NOT_FOUND);
        }
    }
}
