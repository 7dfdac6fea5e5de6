//! portbook: the book of record for ports.
//!
//! Every app, known by its key (model, app number), gets its own ports: automatically, durably, the
//! same ones every time it asks, never the same ones as anybody else. [`PortAllocationService`] is the
//! one entry point; the command `portbook` and everything else is thin over it.

mod backup;
mod check;
mod checkout;
mod claims;
mod cleanup;
mod configuration;
mod desk;
mod dot_env;
mod error;
mod import;
mod local;
mod naming;
mod open;
mod ownership;
mod promises;
mod queue;
mod records;
mod remote;
mod repair;
mod replay;
mod rules;
mod running;
mod scaffold;
mod service;
mod sightings;
mod stores;
mod truths;
mod usage;
mod validate;
mod watching;
pub mod wire;
mod writer;

pub use backup::{BackedUp, BackupFault, back_up, restore};
pub use check::{Conflict, ConflictKind, FilePlace};
pub use checkout::Checkout;
pub use cleanup::{
    Cleanup, CleanupRefused, CleanupRequest, InvalidShare, Orphan, OrphanState, Share, Untold,
};
pub use configuration::{
    Configuration, ConfigurationError, ConfigurationFault, Counts, Difference, Environment, Flags,
    Origin, Place, RangeSettings, Secret, ServerAccess, Value, without_password,
};
pub use error::{Error, Failure, Missing, command_words};
pub use import::{FileProblem, ImportReport};
pub use open::sqlite_path;
pub use ownership::process_identity;
pub use portbook_apps::export::PortConfiguration;
pub use promises::read_promises;
pub use records::{
    AllocationRecord, BlockedPorts, ChangeRecord, ExplanationRecord, GrantRecord, PassedOverRecord,
    PolicyRecord, PoolRecord, PortPair, PortsRecord, RangeRecord, ReleaseRecord, ResolvedRecord,
};
pub use repair::{
    AskEngines, FileChange, FileRepair, LeftConflict, MoveByHand, MovedPort, Repair, RepairRefused,
    RepairRequest,
};
pub use running::{BegunRun, EndedRun, RunPlace};
pub use scaffold::{Scaffold, ScaffoldRecord, ScaffoldRequest};
pub use service::{PortAllocationService, Resolved};
pub use stores::{
    Copied, Prepared, Verified, bring_up_to_date, copy, preparation, prepare, verify,
};
pub use truths::{
    AppState, AppTruth, Belonging, Comparison, ContainerFindings, ContainerName, Drift, Findings,
    PortHolder, PortTruth,
};
pub use usage::{ModelUse, PoolUse, PortLine, PortState, RangeStats, Stats, Stretch};
pub use validate::{UnreadFile, Validated};
pub use watching::Watcher;
pub use {
    portbook_apps as apps, portbook_engine as engine, portbook_host as host,
    portbook_model as model,
};
