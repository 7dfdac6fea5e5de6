//! Requests as spans for OpenTelemetry: the feature `otel`.
//!
//! The variables `OTEL_*` say where spans go and which ones, as its specification has them. Nothing is sent
//! unless they name an endpoint (`OTEL_EXPORTER_OTLP_ENDPOINT`) or the exporter (`OTEL_TRACES_EXPORTER=otlp`).
//! Spans go by OTLP over HTTP with protobuf bodies, from a thread of their own.

use std::env;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{Key, Value};
use opentelemetry_http::{Bytes, HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::field::Empty;
use tracing::{Instrument, Subscriber, info_span, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, layer::Filter};

/// What spans of requests are marked with, so that a log can leave them out.
pub const TARGET: &str = "portbook::request";
const SERVICE: &str = "portbook";
/// How long a collector may take that nothing else is said about.
const PATIENCE: Duration = Duration::from_secs(10);

/// What sends spans to a collector.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

/// The variables `OTEL_*` ask for what cannot be done.
#[derive(Debug, thiserror::Error)]
#[error("spans cannot be sent as the variables OTEL_* say: {0}")]
pub struct TelemetryError(#[from] ExporterBuildError);

impl Telemetry {
    /// As the environment says; `None` where it asks for nothing.
    pub fn from_environment() -> Result<Option<Self>, TelemetryError> {
        if !is_wanted(|name| env::var(name).ok()) {
            return Ok(None);
        }
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new())
            .build()?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource())
            .build();
        Ok(Some(Self { provider }))
    }

    /// What takes spans up.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer(SERVICE))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_filter(filter_fn(|metadata| metadata.target() == TARGET))
    }

    /// Sends what is left.
    pub fn finish(self) {
        if let Err(error) = self.provider.shutdown() {
            warn!(%error, "the last spans were not sent");
        }
    }
}

/// What has a log leave the spans of requests out, which are not made for it.
pub fn all_but_requests<S>() -> impl Filter<S> {
    filter_fn(|metadata| metadata.target() != TARGET)
}

fn is_wanted(variable: impl Fn(&str) -> Option<String>) -> bool {
    let says = |name: &str, value: &str| {
        variable(name).is_some_and(|said| said.trim().eq_ignore_ascii_case(value))
    };
    if says("OTEL_SDK_DISABLED", "true") || says("OTEL_TRACES_EXPORTER", "none") {
        return false;
    }
    let endpoints = [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    ];
    let mut endpoints = endpoints.into_iter().filter_map(&variable);
    says("OTEL_TRACES_EXPORTER", "otlp") || endpoints.any(|endpoint| !endpoint.is_empty())
}

/// What the spans are of: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`, else portbook.
fn resource() -> Resource {
    let said = Resource::builder().build();
    let name = said.get(&Key::from_static_str("service.name"));
    let is_named = name.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    if is_named {
        return said;
    }
    let name = Value::from(SERVICE);
    Resource::builder().with_service_name(name).build()
}

/// Lets a request be a span: a part of the caller's trace, where its `traceparent` names one.
pub(crate) async fn trace(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("", MatchedPath::as_str).to_owned();
    let method = request.method().as_str();
    let span = info_span!(
        target: TARGET,
        "request",
        otel.name = %format!("{method} {route}").trim_end(),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
    );
    let caller = TraceContextPropagator::new().extract(&HeaderExtractor(request.headers()));
    // Nobody takes spans up: then there is nothing to be a part of.
    let _ = span.set_parent(caller);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}

/// The way to a collector. It is called on the thread that sends spans, which may wait.
struct Collector {
    agent: ureq::Agent,
}

impl Collector {
    fn new() -> Self {
        let patience = [
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
            "OTEL_EXPORTER_OTLP_TIMEOUT",
        ];
        let mut said = patience.into_iter().filter_map(|name| env::var(name).ok());
        let millis = said.find_map(|millis| millis.parse().ok());
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(millis.map_or(PATIENCE, Duration::from_millis)))
            .build();
        Self {
            agent: agent.into(),
        }
    }

    fn send(
        &self,
        request: axum::http::Request<Bytes>,
    ) -> Result<axum::http::Response<Bytes>, HttpError> {
        let mut response = self.agent.run(request.map(|body| body.to_vec()))?;
        let body = response.body_mut().read_to_vec()?;
        Ok(response.map(|_| body.into()))
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collector")
    }
}

impl HttpClient for Collector {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: axum::http::Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<axum::http::Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move { self.send(request) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_sent_where_the_environment_says_where() {
        let wanted = |said: &[(&str, &str)]| {
            is_wanted(|name| {
                let found = said.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
        assert!(!wanted(&[]));
        assert!(!wanted(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]));
        assert!(wanted(&[endpoint]));
        assert!(wanted(&[("OTEL_TRACES_EXPORTER", "otlp")]));
        assert!(!wanted(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]));
        assert!(!wanted(&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")]));
    }
}
