//! What `portbook serve` promises to whatever runs it, and to programs that speak another protocol.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "what a helper of a test cannot have fails the test"
)]

use std::path::PathBuf;

mod asking;
mod crowds;
mod far;
mod hostile;
mod installing;
#[path = "../cli/kit.rs"]
#[allow(dead_code, reason = "the other tests of the command need more of it")]
mod kit;
mod openapi;
mod portpicker;
mod reloading;
mod serving;
mod stopping;
mod systemd;

/// What `scripts/test-servers` made.
fn installed(name: &str) -> PathBuf {
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../test-servers");
    let path = place.join(name);
    assert!(
        path.exists(),
        "{} is missing: run scripts/test-servers",
        path.display()
    );
    path
}

/// The commands have the book themselves.
const KEEPER: kit::Keeper = kit::Keeper::Command;
