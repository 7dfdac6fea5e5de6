//! portbook's book in a PostgreSQL database, for those who have outgrown one machine.
//!
//! Anything that speaks PostgreSQL's protocol with its guarantees will do, from version 13 on. Nothing
//! here needs a superuser or an extension, and nothing but [`init`] and [`upgrade`] changes the schema.
//!
//! | question | file |
//! | --- | --- |
//! | what may an address say, and what of it may be shown | `address.rs`, `tls.rs` |
//! | how are connections made, kept and given up | `connection.rs`, `store.rs` |
//! | which tables has a book | `schema.rs` |
//! | what is one transaction | `session.rs` |
//! | how are rows read, written, and looked at after somebody else's hand | `reading.rs`, `rows.rs`, `audit.rs` |
//!
//! # What a commit rests on
//!
//! A writer waits for the turn (a transaction-level advisory lock, taken by a statement of its own, so
//! that what is read after it is what the writer before it left), plans, and commits if and only if the
//! head is still at the revision that the plan was made on. Keys beneath refuse a second owner of a port.
//! The turn is for fairness: without it every promise holds, and plans are made again more often.
//!
//! When a connection is lost while it commits, the outcome is looked up by another one, which first waits
//! for the row of the head: whatever became of the lost transaction, it has ended by then.

mod address;
mod audit;
mod connection;
mod error;
mod reading;
mod rows;
mod schema;
mod session;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;

pub use address::{Address, InvalidAddress};
pub use schema::{init, init_statements, upgrade, upgrade_statements};
pub use store::{Options, PostgresStore};
