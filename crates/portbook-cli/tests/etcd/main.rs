//! The book in an etcd cluster: the same commands, the same answers, and nothing lost when members go away
//! in the middle.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a helper of a test cannot have fails the test"
)]

mod away;
#[path = "../shared/backups.rs"]
mod backups;
#[path = "../shared/commands.rs"]
mod commands;
#[path = "../shared/contention.rs"]
mod contention;
mod copies;
#[path = "../shared/desk.rs"]
mod desk;
mod kit;
#[path = "../shared/load.rs"]
mod load;
mod proxy;
mod same_answers;
mod secured;
