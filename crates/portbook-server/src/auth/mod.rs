//! Who asks, and what they may.
//!
//! Without tokens whoever can reach the server may do everything: it then listens on loopback and unix
//! sockets only. With tokens each request by TCP carries one (`Authorization: Bearer`); a unix socket's
//! file already says who may connect.

mod tokens;

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use portbook::Failure;
use portbook::model::Actor;
use portbook::wire::Right;

pub(crate) use tokens::Tokens;
pub use tokens::{NewToken, TokenFileError};

use crate::app::App;
use crate::listen::Peer;
use crate::problem::Problem;

/// The longest claim that the history takes from a client, in characters.
const LONGEST_CLAIM: usize = 100;

/// Whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    who: Who,
    right: Right,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    Token(String),
    Address(IpAddr),
    User(Option<u32>),
}

impl Caller {
    /// Who it is, for the history; `claim` is what the client says of itself.
    pub(crate) fn actor(&self, claim: Option<&str>) -> Actor {
        let known = match &self.who {
            Who::Token(name) => format!("token {name}"),
            Who::Address(address) => address.to_string(),
            Who::User(Some(uid)) => format!("uid {uid}"),
            Who::User(None) => "a unix socket".to_owned(),
        };
        let claim: String = claim
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_control())
            .take(LONGEST_CLAIM)
            .collect();
        if claim.is_empty() {
            known.into()
        } else {
            format!("{known}: {claim}").into()
        }
    }

    /// Refuses what the caller may not do.
    pub(crate) fn must_have(&self, right: Right) -> Result<(), Problem> {
        if self.right >= right {
            return Ok(());
        }
        let problem = Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            Failure::Book,
            format!(
                "this takes a token with the scope {}, and the token's is {}",
                right.as_str(),
                self.right.as_str()
            ),
        );
        Err(problem.with_hint("`portbook token NAME --scope SCOPE` makes a token"))
    }
}

/// Finds out who asks; whoever needs a token and has none that counts is turned away.
pub(crate) async fn authenticate(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    match identify(&app, &request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn identify(app: &App, request: &Request) -> Result<Caller, Problem> {
    let peer = request.extensions().get::<Peer>().copied();
    let all = |who| Caller {
        who,
        right: Right::Admin,
    };
    match (peer, &app.tokens) {
        (Some(Peer::Unix(uid)), _) => Ok(all(Who::User(uid))),
        (Some(Peer::Tcp(address)), None) => Ok(all(Who::Address(address))),
        (None, None) => Err(Problem::internal(
            "nobody knows where the request came from",
        )),
        (_, Some(tokens)) => {
            let given = request
                .headers()
                .get(header::AUTHORIZATION)
                .ok_or_else(|| unauthorized("a token is needed"))?;
            let token = given
                .to_str()
                .ok()
                .and_then(|given| given.split_once(' '))
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                .map(|(_, token)| token.trim())
                .ok_or_else(|| unauthorized("the header Authorization has no bearer token"))?;
            let found = tokens.find(token).map_err(|error| {
                tracing::error!(%error, "the tokens cannot be read, so nobody is let in");
                Problem::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "tokens-unreadable",
                    Failure::Book,
                    "the server cannot read its tokens",
                )
            })?;
            let (name, right) = found.ok_or_else(|| unauthorized("the token is unknown"))?;
            Ok(Caller {
                who: Who::Token(name),
                right,
            })
        }
    }
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        Failure::Book,
        detail,
    )
    .with_hint("put the token into PORTBOOK_TOKEN, or send it as `Authorization: Bearer TOKEN`")
}

macro_rules! extractor {
    ($(#[$doc:meta])* $name:ident, $right:expr) => {
        $(#[$doc])*
        pub(crate) struct $name(pub(crate) Caller);

        impl FromRequestParts<Arc<App>> for $name {
            type Rejection = Problem;

            async fn from_request_parts(
                parts: &mut Parts,
                _: &Arc<App>,
            ) -> Result<Self, Problem> {
                let caller = parts.extensions.get::<Caller>().cloned();
                let caller = caller.ok_or_else(|| unauthorized("a token is needed"))?;
                caller.must_have($right)?;
                Ok(Self(caller))
            }
        }
    };
}

extractor!(
    /// Somebody who may look.
    Reader,
    Right::Read
);
extractor!(
    /// Somebody who may get ports and give them back.
    Writer,
    Right::Write
);
extractor!(
    /// Somebody who may change what is not an app's own.
    Admin,
    Right::Admin
);
