//! The words, the book and the planner of portbook.
//!
//! Everything that changes the book is a [`Command`]; the pure planner, [`plan()`], turns commands into
//! [`Change`]s; a store commits changes if and only if the book is still at the revision that the
//! planner saw. Nothing in this crate reads a file, a socket or a clock, so that every rule about
//! ports can be tested with plain values and a recorded history can be replayed.
//!
//! | question | module |
//! | --- | --- |
//! | what is a port, a range, a set of ports | `port` |
//! | what is a model, an app, a role, a space | `app` |
//! | what does the planner see of the book | `book`, `notes`, `promise`, `pool` |
//! | what can be asked, what is answered | `command` |
//! | what can happen | `change` |
//! | which rules apply | `policy`, `browsers`, `host` |
//! | which ports does an app get, and why | `plan` |
//! | which model was meant | `resolve` |

mod app;
mod book;
mod browsers;
mod change;
mod command;
mod host;
mod notes;
#[cfg(feature = "openapi")]
mod openapi;
pub mod plan;
mod policy;
mod pool;
mod port;
mod promise;
mod resolve;
mod time;

pub use app::{
    Actor, AppKey, AppNumber, AppNumbers, InvalidAppNumber, InvalidAppNumbers, InvalidModel,
    InvalidPoolName, InvalidRole, InvalidSpace, Model, PoolName, Role, Space,
};
pub use book::{
    Allocation, AppRecord, Book, BookId, FormerAllocation, Head, Lease, Owner, Ports, Rest,
    Revision, SpaceBook,
};
pub use browsers::browser_blocked;
pub use change::{Batch, Change, CommitId, Recorded, ReleaseCause, Source, SpaceChange};
pub use command::{
    AllocationRequest, Ask, Command, Exhaustion, Grant, ImportEntry, ImportFault, ImportProblem,
    Move, MovedApp, Needs, Outcome, RangeUse, Refusal, RunRequest,
};
pub use host::{Holder, HostUnknown, HostView, Process, SocketUse, Transport, UncheckedHost};
pub use notes::{AppDirectory, Note, Notes, ProcessIdentity, Run};
pub use plan::{Explanation, Ineligible, PassedOver, Plan, plan};
pub use policy::{BlockedBy, InvalidPolicy, Policy};
pub use pool::{InvalidModelPattern, ModelPattern, Pool};
pub use port::{
    InvalidPort, InvalidRange, InvalidStretch, Port, PortRange, PortSet, PortStretch, Slot,
};
pub use promise::{Promise, PromiseFile, Promises};
pub use resolve::{Match, Resolution, resolve};
pub use time::{InvalidSpan, InvalidTimestamp, Span, Timestamp};
