//! What goes wrong, told as RFC 9457 has it: the same code, message and hint as the command's.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use portbook::{Error, Failure, FileProblem};
use serde::Serialize;
use utoipa::ToSchema;

/// How soon whoever was turned away may ask again, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Why a request was not met (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The status in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// The error's name for programs, stable across versions.
    code: String,
    /// What is wrong, as one sentence.
    detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// What is wrong with a list that was sent, entry by entry; the line is one of the list's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    problems: Vec<FileProblem>,
    /// What kind of failure it is, as the command's exit status says it: `no` (1), `input` (2),
    /// `exhausted` (3), `book` (4), `other` (5).
    #[schema(value_type = String)]
    failure: Failure,
}

impl Problem {
    /// What a problem is sent as.
    pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

    pub(crate) fn new(
        status: StatusCode,
        code: &str,
        failure: Failure,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            code: code.to_owned(),
            detail: detail.into(),
            hint: None,
            problems: Vec::new(),
            failure,
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The request itself is wrong.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-request",
            Failure::Input,
            detail,
        )
    }

    /// There is nothing at that path.
    pub(crate) fn no_such_path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no-such-path",
            Failure::Input,
            "there is nothing at this path",
        )
        .with_hint("/docs lists what can be asked")
    }

    /// There is something at that path, but not by that method.
    pub(crate) fn no_such_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "no-such-method",
            Failure::Input,
            "this path does not know that method",
        )
        .with_hint("the header Allow lists those that it knows")
    }

    /// The body, or what it asks for, is larger than is taken.
    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            Failure::Input,
            detail,
        )
    }

    /// More is asked at once than can be answered.
    pub(crate) fn overloaded(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "queue-full",
            Failure::Book,
            detail,
        )
        .with_hint("ask again in a moment")
    }

    /// The request took too long to come or to be answered.
    pub(crate) fn timeout() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            Failure::Input,
            "the request did not come in time",
        )
    }

    /// A fault of the server's own.
    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            Failure::Other,
            detail,
        )
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

fn status_of(error: &Error) -> StatusCode {
    match (error.failure(), error.code()) {
        (_, "not-found" | "lease-ended" | "nothing-to-release") => StatusCode::NOT_FOUND,
        (Failure::No, _) => StatusCode::CONFLICT,
        (Failure::Input, _) => StatusCode::BAD_REQUEST,
        (Failure::Exhausted, _) => StatusCode::INSUFFICIENT_STORAGE,
        (Failure::Book, _) => StatusCode::SERVICE_UNAVAILABLE,
        (Failure::Other, _) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = status_of(&error);
        if status.is_server_error() {
            tracing::warn!(code = error.code(), %error, "a request failed");
        }
        let problems = match &error {
            Error::Entries { problems, .. } => problems.clone(),
            _ => Vec::new(),
        };
        Self {
            hint: error.hint(),
            problems,
            ..Self::new(status, error.code(), error.failure(), error.to_string())
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let kind = HeaderValue::from_static(Self::MEDIA_TYPE);
        let mut response = (status, [(header::CONTENT_TYPE, kind)], body).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"portbook\"");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
