//! portbook's book in an etcd cluster, for those who have outgrown one machine.
//!
//! etcd 3.4 and newer, best with three members; nothing here needs more than the right to read and write
//! the keys under the address's prefix.
//!
//! | question | file |
//! | --- | --- |
//! | what may an address say, and what of it may be shown | `address.rs` |
//! | what is sent to etcd, which member is asked, what if it does not answer | `wire.rs`, `client.rs`, `error.rs` |
//! | under which keys does a book lie | `keys.rs`, `records.rs` |
//! | what does the book say at one moment | `snapshot.rs`, `reading.rs`, `audit.rs` |
//! | what does a change do to the keys | `draft.rs` |
//! | who may write next | `turn.rs` |
//! | how does a commit become one step, however large | `session.rs`, `staging.rs` |
//! | how is a book made, opened, and asked about a lost commit | `creation.rs`, `store.rs` |
//!
//! # What a commit rests on
//!
//! Every transaction that changes the book also writes its head, on the condition that the head is still
//! as the writer read it. So whatever was read at that revision of etcd's still holds when the commit
//! comes about. Beneath, each port and each app has a key of its own, and a new one is made on the
//! condition that there is none.
//!
//! The turn is for fairness. Who meets no one takes none: it would be another write. Once a commit was
//! stale, or somebody is seen to wait, writers line up by keys that live as long as their leases, and
//! every commit is on the condition that its own key is the one in front, or that nobody waits: a writer
//! that slept longer than its lease is stale, whatever it believes.
//!
//! When an answer is lost, the outcome is looked up: first the head is written anew as it was, so that
//! the lost transaction, should it still be on its way, is stale when it arrives.

mod address;
mod audit;
mod client;
mod creation;
mod draft;
mod error;
mod keys;
mod reading;
mod records;
mod session;
mod snapshot;
mod staging;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod turn;
mod wire;

pub use address::{Address, InvalidAddress};
pub use creation::{init, init_command, upgrade};
pub use store::{EtcdStore, Options};
