//! What the book keeps when many want it at once, when processes are killed, and when the disk fails.
//!
//! The names of the tests carry the numbers of the invariants in ARCHITECTURE.md. Several tests
//! need `strace`; those with a small disk need to be root, to mount one in a namespace of their own.
//! What the tests draw by lot they print as a seed: `PORTBOOK_SEED` repeats it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod clock;
mod disk_errors;
mod fixture;
mod full_disk;
mod hanging_holder;
mod killed_at_each_call;
mod killed_at_random;
mod killed_scaffold;
mod kit;
mod ledger;
mod many_processes;
mod many_threads;
mod network_file_system;
mod peculiar_files;
mod read_only;
mod replaced_files;
mod scene;
mod traced;
mod two_names;
mod upstream;
