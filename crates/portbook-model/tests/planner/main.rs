//! What the planner promises, as examples and as properties against a naive one.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod anything;
mod imports;
mod kit;
mod leases;
mod naive;
mod names;
mod pins;
mod pools;
mod promised;
mod properties;
mod releases;
mod relocations;
mod repairs;
mod roles;
mod runs;
mod slots;
mod upstream;
