//! What container engines say of their containers: which ports they have, and which they want.
//!
//! Docker (20.10 and newer) and podman (4.3 and newer) answer one API. Two of its questions are asked:
//! which containers there are, running or not, and each one's inspection. The list is not enough: it
//! shows no ports of a container that does not run, though that wants them back when it starts; only
//! the inspection's `HostConfig.PortBindings` names them.
//!
//! | question | module |
//! | --- | --- |
//! | where may an engine answer | [`search`](Surroundings) |
//! | what is an engine's address | [`Endpoint`] |
//! | how is it asked | `exchange` |
//! | whom does one trust that is asked by TLS | `tls` |
//! | what does an inspection say | `inspection` |
//! | what is a container, to portbook | [`Container`] |
//!
//! The engine may run on another machine (`tcp://`), so nothing here asks this one.

mod container;
mod endpoint;
mod error;
mod exchange;
mod inspection;
mod search;
mod survey;
mod tls;

pub use container::{Compose, Container, ContainerState, Network, Publication, Wanted};
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use error::EngineError;
pub use search::{Places, Surroundings};
pub use survey::{Engine, Survey, survey};
