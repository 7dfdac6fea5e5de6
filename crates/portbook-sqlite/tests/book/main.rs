//! What a book in a file promises beyond the contract of every store: about files, processes,
//! crashes, and rows that somebody else wrote.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails panics"
)]

mod commits;
mod creation;
mod damage;
mod former_service;
mod opening;
mod processes;
mod replacement;
mod support;
