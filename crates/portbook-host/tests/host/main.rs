//! This machine as it is, with real sockets on its loopback addresses.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // A helper of tests fails as a test does.

mod holders;
mod port_matrix;
mod sockets;
