//! The promises of `cli`, asked of a server: the same tests, in which each sandbox has a
//! `portbook serve` and every command is its client.
//!
//! Left out are the modules that are about something else than answers from the book:
//!
//! - `agents`: files of a project, no book
//! - `bad_input`: what is refused before any book is asked
//! - `broken_books`, `old_service`: what is in the file itself
//! - `docs`, `terminal`: help, manual and how an answer looks on a terminal
//! - `doctoring`: how this machine stands
//!
//! A single test that needs the file says so by `Sandbox::without_server`, with the reason.

#![allow(
    clippy::unwrap_used,
    reason = "what a helper of a test cannot have fails the test"
)]

const KEEPER: kit::Keeper = kit::Keeper::Server;

#[path = "../cli/allocating.rs"]
mod allocating;
#[path = "../cli/checking.rs"]
mod checking;
#[path = "../cli/cleaning_up.rs"]
mod cleaning_up;
#[path = "../cli/configuring.rs"]
mod configuring;
#[path = "../cli/eligibility.rs"]
mod eligibility;
#[path = "../cli/environment.rs"]
mod environment;
#[path = "../cli/here.rs"]
mod here;
#[path = "../cli/history.rs"]
mod history;
#[path = "../cli/host.rs"]
mod host;
#[path = "../cli/importing.rs"]
mod importing;
#[path = "../cli/kit.rs"]
mod kit;
#[path = "../cli/leases.rs"]
mod leases;
#[path = "../cli/listing.rs"]
mod listing;
#[path = "../cli/output.rs"]
mod output;
#[path = "../cli/pins.rs"]
mod pins;
#[path = "../cli/pools.rs"]
mod pools;
#[path = "../cli/promises.rs"]
mod promises;
#[path = "../cli/releasing.rs"]
mod releasing;
#[path = "../cli/repairing.rs"]
mod repairing;
#[path = "../cli/repairing_files.rs"]
mod repairing_files;
#[path = "../cli/resolving.rs"]
mod resolving;
#[path = "../cli/roles.rs"]
mod roles;
#[path = "../cli/scaffolding.rs"]
mod scaffolding;
#[path = "../cli/spaces.rs"]
mod spaces;
#[path = "../cli/validating.rs"]
mod validating;
