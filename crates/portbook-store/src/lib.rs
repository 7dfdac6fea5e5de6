//! Where a book is kept.
//!
//! [`Store`] is what the service asks of a store: a turn, a reading, a conditional commit. The crates
//! `portbook-sqlite` and its siblings implement it; [`MemoryStore`] does so for tests and for books that
//! need not last. Every store passes the same suite, `contract`.

#[cfg(feature = "contract")]
pub mod contract;
mod error;
mod memory;
mod queue;
mod store;

pub use error::{CommitError, StoreError};
pub use memory::MemoryStore;
pub use queue::{Place, Queue};
pub use store::{Audit, Claim, Filter, HistoryFilter, Reading, Store, Turn};
