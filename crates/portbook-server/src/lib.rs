//! portbook as a service for every program on the machine and, where its owner allows, on others.
//!
//! | question | where |
//! | --- | --- |
//! | what can be asked | `routes/`, a file a resource; `openapi` describes it |
//! | who may ask | `auth/`, and from which pages: `origin` |
//! | where does it listen, with which limits | `listen`, `activation`, `tls`, `limits`, `lingering`, `descriptors`, put together in `server` |
//! | what is the service manager told | `supervisor` |
//! | what changes while it runs | `reload` |
//! | what is told when something goes wrong | `problem` |
//! | what if an answer got lost | `calls` |
//! | how do others hear of changes | `events` |
//! | how is it doing | `metrics` |
//! | how is it traced | `telemetry` (the feature `otel`) |
//! | who makes answers about the whole book | `scribe` |

mod activation;
mod app;
mod auth;
mod calls;
pub mod dashboard;
mod descriptors;
mod docs;
mod events;
mod extract;
mod limits;
mod lingering;
mod listen;
mod metrics;
mod openapi;
mod origin;
pub mod portserver;
mod problem;
mod reload;
mod routes;
mod scribe;
mod server;
mod supervisor;
#[cfg(feature = "otel")]
pub mod telemetry;
mod tls;

pub use activation::Inherited;
pub use auth::{NewToken, TokenFileError};
pub use limits::Limits;
pub use listen::{Address, InvalidAddress};
pub use reload::Reloader;
pub use routes::document as openapi_document;
pub use server::{ServeError, Server, Settings};
pub use tls::{TlsError, TlsFiles};
