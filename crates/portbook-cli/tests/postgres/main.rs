//! The book in a PostgreSQL database: the same commands, the same answers, and nothing lost when the
//! database goes away in the middle.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a helper of a test cannot have fails the test"
)]

mod away;
mod copies;
mod kit;
mod proxy;
mod same_answers;
