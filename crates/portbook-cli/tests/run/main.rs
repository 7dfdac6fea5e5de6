//! What `portbook run` promises to the command, to whoever calls it, and to the book.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "what a helper of a test cannot have fails the test"
)]

mod endings;
mod environment;
mod going;
#[path = "../cli/kit.rs"]
#[allow(dead_code, reason = "the other tests of the command need more of it")]
mod kit;
mod leases;
mod listening;
mod notes;
mod releasing;
mod servers;
mod signals;
mod streams;
mod terminal;

/// The commands have the book themselves.
const KEEPER: kit::Keeper = kit::Keeper::Command;
