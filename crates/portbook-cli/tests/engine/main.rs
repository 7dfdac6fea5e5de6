//! The promises about containers, with the engines themselves: Debian's Docker and podman.
//!
//! Each test starts an engine of its own, in a network of its own, with its data in a folder of its
//! own: this machine's firewall, sockets and engines are left alone. That takes root, and what
//! `scripts/test` installs.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // A helper of tests fails as a test does.

mod answering;
mod compose;
mod kit;
mod reaching;
mod repairing;
mod stopped;
