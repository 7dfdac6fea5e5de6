//! The promises of every store.
