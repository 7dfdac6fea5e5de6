//! What `portbook serve` promises to whatever runs it, and to programs that speak another protocol.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "what a helper of a test cannot have fails the test"
)]

#[path = "../cli/kit.rs"]
#[allow(dead_code, reason = "the other tests of the command need more of it")]
mod kit;

mod installing;
mod portpicker;
mod reloading;
mod serving;
mod stopping;
mod systemd;

/// The commands have the book themselves.
const KEEPER: kit::Keeper = kit::Keeper::Command;
