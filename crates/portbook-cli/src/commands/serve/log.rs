//! What a server says of itself while it runs: the log, and spans for OpenTelemetry where that was built in.

use std::io::{self, IsTerminal};

#[cfg(feature = "otel")]
use portbook_server::telemetry::{Telemetry, all_but_requests};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::arguments::{LogFormat, Serve};
use crate::output::Complaint;

/// The log of this process.
pub(super) struct Log {
    #[cfg(feature = "otel")]
    telemetry: Option<Telemetry>,
}

impl Log {
    /// Sends the log to standard error. `PORTBOOK_LOG` says how much of it: `debug`, `warn`, ...
    pub(super) fn begin(arguments: &Serve) -> Result<Self, Complaint> {
        let filter =
            EnvFilter::try_from_env("PORTBOOK_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
        let lines = fmt::layer()
            .with_ansi(io::stderr().is_terminal())
            .with_writer(io::stderr);
        let lines = match arguments.log_format {
            LogFormat::Text => lines.with_target(false).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        #[cfg(not(feature = "otel"))]
        let (log, registry) = (Self {}, Registry::default().with(lines.with_filter(filter)));
        #[cfg(feature = "otel")]
        let (log, registry) = {
            let telemetry = Telemetry::from_environment();
            let telemetry =
                telemetry.map_err(|error| Complaint::other("telemetry", error.to_string()))?;
            let spans = telemetry.as_ref().map(Telemetry::layer);
            let lines = lines.with_filter(filter).with_filter(all_but_requests());
            (
                Self { telemetry },
                Registry::default().with(lines).with(spans),
            )
        };
        // Where somebody else has set a log up, that one counts.
        drop(registry.try_init());
        Ok(log)
    }

    /// Sends what was not sent yet.
    pub(super) fn end(self) {
        #[cfg(feature = "otel")]
        if let Some(telemetry) = self.telemetry {
            telemetry.finish();
        }
    }
}
