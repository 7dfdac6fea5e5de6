//! What the command promises to whoever calls it, one idea a module.

#![allow(
    clippy::unwrap_used,
    reason = "what a helper of a test cannot have fails the test"
)]

mod agents;
mod allocating;
mod backups;
mod bad_input;
mod broken_books;
mod checking;
mod cleaning_up;
mod configuring;
mod docs;
mod doctoring;
mod eligibility;
mod environment;
mod here;
mod history;
mod host;
mod importing;
mod kit;
mod leases;
mod listing;
mod old_service;
mod output;
mod pins;
mod pools;
mod promises;
mod releasing;
mod repairing;
mod repairing_files;
mod resolving;
mod roles;
mod scaffolding;
mod spaces;
mod terminal;
mod validating;

/// Here the commands have the book themselves; in `cli_remote`, a server has it.
const KEEPER: kit::Keeper = kit::Keeper::Command;
