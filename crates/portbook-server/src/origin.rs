//! Which hosts the server answers for, and which pages may speak to it.
//!
//! A page in a browser can send requests to any address, and by a name that it makes point here it
//! can read the answers, too (DNS rebinding). So the name that a request was sent to has to be one of
//! ours, and a request that a page sends has to come from one of ours.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use portbook::Failure;

use crate::app::App;
use crate::listen::Peer;
use crate::problem::Problem;

/// What the server may be called, and who may call it from a page.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guard {
    /// Names besides `localhost` and the addresses that are listened at.
    hosts: Vec<String>,
    /// Every address is listened at, so that any address may be ours.
    any_address: bool,
    /// Pages' origins, `https://example.org`, that may read answers.
    origins: Vec<String>,
}

impl Guard {
    pub(crate) fn new(
        listening: &[SocketAddr],
        allowed_hosts: &[String],
        allowed_origins: &[String],
    ) -> Self {
        let addresses = listening.iter().map(|address| address.ip());
        let mut hosts: Vec<String> = addresses.clone().map(bracketed).collect();
        hosts.extend(allowed_hosts.iter().map(|host| host.to_ascii_lowercase()));
        Self {
            hosts,
            any_address: addresses.clone().any(|ip| ip.is_unspecified()),
            origins: allowed_origins.to_vec(),
        }
    }

    /// Whether a request's host is one of ours: `localhost:7678`, `[::1]:7678`, ...
    fn is_ours(&self, authority: &str) -> bool {
        let Ok(authority) = authority.parse::<Authority>() else {
            return false;
        };
        if authority.as_str().contains('@') {
            return false;
        }
        let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
        let ip = host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .map(|ip| ip.to_canonical());
        host == "localhost"
            || host.ends_with(".localhost")
            || ip.is_ok_and(|ip| ip.is_loopback() || self.any_address)
            || self.hosts.contains(&host)
    }

    /// Whether a page of this origin may read answers though it is from elsewhere.
    fn is_allowed_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| allowed == origin)
    }
}

fn bracketed(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// Turns away what was sent to another name, or by a page from elsewhere.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match judge(&app.guard, &request) {
        Verdict::Ours => next.run(request).await,
        Verdict::Allowed(origin) => {
            let is_preflight = request.method() == Method::OPTIONS
                && request
                    .headers()
                    .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
            let mut response = if is_preflight {
                preflight()
            } else {
                next.run(request).await
            };
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.append(header::VARY, HeaderValue::from_static("origin"));
            response
        }
        Verdict::Refused(problem) => problem.into_response(),
    }
}

enum Verdict {
    Ours,
    Allowed(HeaderValue),
    Refused(Problem),
}

fn judge(guard: &Guard, request: &Request) -> Verdict {
    let headers = request.headers();
    let is_unix = matches!(request.extensions().get::<Peer>(), Some(Peer::Unix(_)));
    let host = match host(request, headers) {
        Ok(Some(host)) => host,
        Ok(None) if is_unix => "localhost",
        Ok(None) => {
            return Verdict::Refused(Problem::bad_request("the request names no host"));
        }
        Err(problem) => return Verdict::Refused(problem),
    };
    // No page can connect to a unix socket.
    if !is_unix && !guard.is_ours(host) {
        return refused(
            "foreign-host",
            "this server is not known by the name that the request was sent to",
            "start it with --allow-host NAME if that is its name",
        );
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Verdict::Ours;
    };
    let text = origin.to_str().unwrap_or_default();
    let is_same = text
        .split_once("://")
        .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host));
    if is_same {
        Verdict::Ours
    } else if guard.is_allowed_origin(text) {
        Verdict::Allowed(origin.clone())
    } else {
        refused(
            "foreign-origin",
            "a page from elsewhere may not ask this server",
            "start it with --allow-origin ORIGIN if that page may",
        )
    }
}

fn refused(code: &str, detail: &str, hint: &str) -> Verdict {
    let problem = Problem::new(StatusCode::FORBIDDEN, code, Failure::Input, detail);
    Verdict::Refused(problem.with_hint(hint))
}

/// The host that a request was sent to: the target's own, where it has one, else the header's (RFC 9112,
/// 3.2.2). Two headers that might say different things are none (RFC 9112, 3.2).
fn host<'r>(request: &'r Request, headers: &'r HeaderMap) -> Result<Option<&'r str>, Problem> {
    let mut named = headers.get_all(header::HOST).iter();
    let header = named.next().and_then(|host| host.to_str().ok());
    if named.next().is_some() {
        return Err(Problem::bad_request("the request names two hosts"));
    }
    let target = request.uri().authority().map(Authority::as_str);
    Ok(target.or(header))
}

fn preflight() -> Response {
    let allowed = [
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, DELETE"),
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("authorization, content-type, last-event-id"),
        ),
        (
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static("600"),
        ),
    ];
    (StatusCode::NO_CONTENT, allowed).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_ours() {
        let listening = ["192.0.2.7:80".parse().unwrap()];
        let guard = Guard::new(&listening, &["ports.example".to_owned()], &[]);
        for ours in [
            "localhost",
            "localhost:7678",
            "LOCALHOST:1",
            "127.0.0.1:7678",
            "127.9.9.9",
            "[::1]:7678",
            "a.localhost:1",
            "192.0.2.7:80",
            "ports.example:443",
        ] {
            assert!(guard.is_ours(ours), "{ours}");
        }
        for foreign in [
            "",
            "evil.example",
            "localhost.evil.example",
            "192.0.2.8",
            "user@localhost",
            "127.0.0.1.evil.example:80",
            "127.0.0.1.nip.io",
        ] {
            assert!(!guard.is_ours(foreign), "{foreign}");
        }
    }
}
