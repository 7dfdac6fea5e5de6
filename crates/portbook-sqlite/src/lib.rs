//! The book in one SQLite file.
//!
//! [`SqliteStore`] is the embedded store: no server, one file, any number of processes. It answers
//! `portbook_store`'s interface so:
//!
//! | promise | how | module |
//! | --- | --- | --- |
//! | a turn, in order of arrival | `flock` on `<book>.lock`, then `BEGIN IMMEDIATE` | `lock`, `session` |
//! | commit whole, and on the revision that was planned on | one transaction; the revision is that of the last of `changes`, whose key has room for one commit on it | `rows` |
//! | no port twice, no app twice | primary key (space, port), primary key (space, app_num, identity) | `schema` |
//! | `Ok` outlasts a power cut | WAL with `synchronous=FULL` | `connection` |
//! | an unknown outcome is found out | commit ids, looked up by a fresh connection once the journal is emptied | `store` |
//! | readers wait for nobody | WAL, and a connection for each reading | `store` |
//!
//! [`legacy`] reads the databases of the Python service that portbook replaces.

mod audit;
mod connection;
mod creation;
mod error;
pub mod legacy;
mod lock;
mod place;
mod reading;
mod rows;
mod schema;
mod session;
mod store;

pub use legacy::read_legacy;
pub use place::lock_of;
pub use store::{Creation, Options, SqliteStore};
