//! Whatever answers for a book: this process over a store, or a portbook server elsewhere.
//!
//! Each method is one turn or one reading, so that what has to agree with each other is asked for
//! together. What the answering side knows better is decided there: planning, the rules, and what its
//! host uses. What the asking side knows better comes along: who asks, in which space, and what a file
//! of pre-configured ports there promises.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use portbook_apps::export::PortConfiguration;
use portbook_model::{
    Actor, Allocation, AllocationRequest, AppKey, AppNumber, AppRecord, Ask, Grant, Head, Holder,
    Model, ModelPattern, Outcome, Policy, Pool, PoolName, Port, PromiseFile, Recorded, Refusal,
    Revision, Space, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::check::Conflict;
use crate::repair::RepairIntent;
use crate::rules::Rules;
use crate::truths::LiveContainers;
use crate::usage::{PortLine, Stats};
use crate::watching::{Waits, Watcher};

/// The answers to one request's asks, in order.
pub(crate) type Answers = Vec<Result<Outcome, Refusal>>;

/// On whose behalf something is asked, and of which number line.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// The space.
    pub(crate) space: Space,
    /// Who asks, for the history.
    pub(crate) by: Actor,
    /// Whether the host may be looked at, where the answering side looks at one at all.
    pub(crate) checks_host: bool,
    /// Whether the space may be about this host: if spaces are hosts, only that of its name is.
    pub(crate) is_of_this_host: bool,
    /// Whether somebody still waits for the answer.
    pub(crate) waits: Waits,
}

/// Whether a check looks at the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HostLook {
    /// Where the answering side's configuration has it so.
    AsConfigured,
    /// Whatever the configuration says.
    Always,
    /// Not at all.
    Never,
}

/// A record as it was at a moment of the book's own time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// What the book knows of the app.
    pub(crate) record: Option<AppRecord>,
    /// The time that the book goes by.
    pub(crate) now: Timestamp,
}

/// What apps held at a moment of the book's own time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Held {
    /// The allocations, those among them whose lease has ended and that nobody has reclaimed yet.
    pub(crate) allocations: Vec<Allocation>,
    /// The time that the book goes by.
    pub(crate) now: Timestamp,
}

impl Held {
    /// The allocations whose lease has not ended.
    pub(crate) fn standing(self) -> Vec<Allocation> {
        let mut allocations = self.allocations;
        allocations.retain(|allocation| !allocation.has_lapsed(self.now));
        allocations
    }
}

/// Which changes are asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct HistoryOf {
    /// Those of these models' apps; `None`: all, and those that concern no app.
    pub(crate) models: Option<ModelPattern>,
    /// Those of this app of the models.
    pub(crate) number: Option<AppNumber>,
    /// Only the last so many.
    pub(crate) last: Option<usize>,
}

/// One that answers for a book.
pub(crate) trait Desk: Send + Sync {
    /// Where the book is, without passwords: for messages.
    fn location(&self) -> String;

    /// The rules that ports are given out by.
    fn policy(&self) -> Result<Arc<Policy>, Error>;

    /// The rules that this process gives ports out by; `None` where another one does.
    fn own_rules(&self) -> Option<&Rules>;

    /// Has somebody count what the writer does; the first who comes stays.
    fn watch(&self, watcher: Arc<dyn Watcher>);

    /// Has the asks carried out together, in one commit, and returns once that is durable.
    fn submit(&self, scope: &Scope, asks: Vec<Ask>) -> Result<Answers, Error>;

    /// The answers that the asks would get now, without anything happening.
    fn preview(&self, scope: &Scope, asks: Vec<Ask>) -> Result<Answers, Error>;

    /// The grants for apps that all hold already what is asked for; `None` where a plain look cannot
    /// tell, or does not pay.
    fn standing(
        &self,
        scope: &Scope,
        request: &AllocationRequest,
    ) -> Result<Option<Vec<Grant>>, Error>;

    /// What the book knows of an app.
    fn record(&self, scope: &Scope, app: &AppKey) -> Result<Seen, Error>;

    /// What apps hold, by model, then app number.
    fn held(
        &self,
        scope: &Scope,
        models: Option<ModelPattern>,
        number: Option<AppNumber>,
    ) -> Result<Held, Error>;

    /// The apps' ports with whether they are usable.
    fn configurations(
        &self,
        scope: &Scope,
        models: Option<ModelPattern>,
    ) -> Result<Vec<PortConfiguration>, Error>;

    /// Every conflict; `file` is the file of pre-configured ports that the asker knows.
    fn conflicts(
        &self,
        scope: &Scope,
        file: Option<PromiseFile>,
        host: HostLook,
    ) -> Result<Vec<Conflict>, Error>;

    /// What a repair moves and leaves; what the asker's file promises is promised, and `containers` are
    /// those that the asker knows of.
    fn repair_intent(
        &self,
        scope: &Scope,
        file: Option<PromiseFile>,
        containers: &LiveContainers,
        moves_running: bool,
    ) -> Result<RepairIntent, Error>;

    /// What happened, oldest first.
    fn history(&self, scope: &Scope, of: &HistoryOf) -> Result<Vec<Recorded>, Error>;

    /// How much is allocated; what the asker's file promises is promised.
    fn stats(&self, scope: &Scope, file: Option<PromiseFile>) -> Result<Stats, Error>;

    /// What each port is used for; what the asker's file promises is promised.
    fn port_line(&self, scope: &Scope, file: Option<PromiseFile>) -> Result<PortLine, Error>;

    /// The pools, by name.
    fn pools(&self, scope: &Scope) -> Result<BTreeMap<PoolName, Pool>, Error>;

    /// Every space that has something in it.
    fn spaces(&self) -> Result<Vec<Space>, Error>;

    /// The models of which the space knows an app, in the order in which it came to know them.
    fn models(&self, scope: &Scope) -> Result<Vec<Model>, Error>;

    /// Who has a port of the host, as far as it can be told.
    fn holder(&self, scope: &Scope, port: Port) -> Result<Option<Holder>, Error>;

    /// Whether an app holds a port or is promised it.
    fn is_claimed(&self, scope: &Scope, port: Port) -> Result<bool, Error>;

    /// The apps at whose ports somebody is on the host who may be the app: its own process, a container
    /// engine, or one that cannot be seen; none where the host is not looked at. What `containers` says
    /// is a stranger's is not the app.
    fn apps_that_answer(
        &self,
        scope: &Scope,
        containers: &LiveContainers,
    ) -> Result<BTreeSet<AppKey>, Error>;

    /// Which book it is and how far it has come.
    fn head(&self) -> Result<Head, Error>;

    /// The changes of every space after a revision, oldest first.
    fn changes_since(&self, after: Revision) -> Result<Vec<Recorded>, Error>;
}
