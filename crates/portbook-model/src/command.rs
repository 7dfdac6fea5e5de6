//! What can be asked of a book, and what it answers.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    Actor, Allocation, AppKey, Explanation, Ineligible, Note, Pool, PoolName, Port, PortRange,
    PortStretch, Ports, ProcessIdentity, PromiseFile, ReleaseCause, Role, Run, Space, Span,
    Timestamp,
};

/// A wish to change the book, in one space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The space.
    pub space: Space,
    /// What is asked.
    pub ask: Ask,
    /// Who asks, for the history.
    pub by: Actor,
    /// Whether ports that the host uses are passed over, where the host is looked at.
    pub checks_host: bool,
}

impl Command {
    /// A command of nobody in particular, with the host to be looked at.
    pub fn new(space: Space, ask: Ask) -> Self {
        Self {
            space,
            ask,
            by: Actor::default(),
            checks_host: true,
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// Ports for one app or several: all of them or none.
    Allocate(AllocationRequest),
    /// To give back what these apps hold; an app that holds nothing is no failure.
    Release {
        /// The apps.
        apps: Vec<AppKey>,
    },
    /// To give back what apps hold whose end was found out by a look at them: only where the
    /// allocation is still as it was then, so that nobody who came back meanwhile loses its ports.
    Reclaim {
        /// The allocations as they were seen, and why they end.
        orphans: Vec<(Allocation, ReleaseCause)>,
    },
    /// To give back what an app holds in some roles besides backend and frontend, which every app has:
    /// only where the allocation is still as it was seen.
    GiveBack {
        /// The allocation as it was seen.
        seen: Allocation,
        /// The roles.
        roles: BTreeSet<Role>,
    },
    /// To remember something of apps; one that holds nothing is passed over.
    Note {
        /// The apps and what to remember.
        notes: Vec<(AppKey, Note)>,
    },
    /// To get or allocate ports for an app and to remember the command that is about to run with them.
    BeginRun(RunRequest),
    /// To move ports: all of them or none.
    Move {
        /// Which, and where to.
        moves: Vec<Move>,
    },
    /// To move the end of an app's lease to `ttl` from now, or to the lease's own length from now.
    Renew {
        /// The app.
        app: AppKey,
        /// The new length.
        ttl: Option<Span>,
    },
    /// To reclaim every allocation among the loaded apps whose lease has ended.
    Expire,
    /// To register exact ports for many apps: all of them or none.
    Import {
        /// The apps and their ports, in the order of the file.
        entries: Vec<ImportEntry>,
    },
    /// To note what a file of pre-configured ports promises.
    Promise {
        /// The file.
        file: PromiseFile,
    },
    /// To let the promises of a file go.
    Unpromise {
        /// Where the file was.
        source: String,
    },
    /// To reserve a stretch of ports for some models.
    AddPool {
        /// The pool.
        pool: Pool,
    },
    /// To give a pool up.
    RemovePool {
        /// Its name.
        name: PoolName,
    },
    /// To go on with the book as it lies, although somebody saw changes that it lacks.
    Accept,
}

/// One role's port of an app that is to get another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The app.
    pub app: AppKey,
    /// The role.
    pub role: Role,
    /// The port it has, as the asker supposes.
    pub from: Port,
    /// The port it is to have; `None`: the lowest eligible one.
    pub to: Option<Port>,
    /// Why, for the history.
    pub why: String,
}

/// An app whose ports were moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedApp {
    /// The app.
    pub app: AppKey,
    /// The ports it left.
    pub from: Ports,
    /// The ports it has instead.
    pub to: Ports,
    /// Why.
    pub why: String,
}

/// Which ports are wanted for which apps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocationRequest {
    /// The apps.
    pub apps: Vec<AppKey>,
    /// Roles besides those that every app gets.
    pub roles: BTreeSet<Role>,
    /// Exact ports, for one app alone.
    pub pins: Ports,
    /// How long a new allocation lasts; `None`: for good.
    pub ttl: Option<Span>,
    /// Whether to say what was passed over and why.
    pub explain: bool,
}

impl AllocationRequest {
    /// The ports of every role that an app gets by itself, for good.
    pub fn plain(apps: Vec<AppKey>) -> Self {
        Self {
            apps,
            roles: BTreeSet::new(),
            pins: BTreeMap::new(),
            ttl: None,
            explain: false,
        }
    }
}

/// A command that is about to run with an app's ports. That it may have them and that it is remembered
/// is one step: no command runs unknown to the book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRequest {
    /// The app.
    pub app: AppKey,
    /// Roles besides those that every app gets.
    pub roles: BTreeSet<Role>,
    /// How long a new allocation lasts; `None`: for good.
    pub ttl: Option<Span>,
    /// The command's process.
    pub process: ProcessIdentity,
    /// Whether the app is to be released when the command ends, if it is made for this run.
    pub release_on_exit: bool,
    /// The command noted before, where the asker found it ended; any other that is noted stands.
    pub ended: Option<ProcessIdentity>,
}

/// One app of an import with the ports it is to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportEntry {
    /// The app.
    pub app: AppKey,
    /// Its ports.
    pub ports: Ports,
    /// When the allocation came to be, if the file says.
    pub created_at: Option<Timestamp>,
}

/// The answer to an [`Ask`] that could be met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// What the book holds for each app asked for, in that order.
    Allocated(Vec<Grant>),
    /// For each app asked for, in that order, what it gave back; `None`: it held nothing.
    Released(Vec<(AppKey, Option<Ports>)>),
    /// Of the orphans, those that were reclaimed, in that order.
    Reclaimed(Vec<AppKey>),
    /// What was given back of one app; nothing where it was not as it was seen.
    GivenBack(Ports),
    /// How many apps have a note that they did not have.
    Noted(usize),
    /// What the app holds; and the command that is noted as its run already, in whose place the new one
    /// was not put.
    RunBegun {
        /// What the app holds, with what is remembered of it now.
        grant: Grant,
        /// The run that stands.
        standing: Option<Run>,
    },
    /// The apps whose ports were moved.
    Moved(Vec<MovedApp>),
    /// The allocation with its new end.
    Renewed(Allocation),
    /// What was reclaimed.
    Expired(Vec<(AppKey, Ports)>),
    /// How many apps were registered, and how many had these ports already.
    Imported {
        /// Newly registered.
        registered: usize,
        /// Already as the file says.
        unchanged: usize,
    },
    /// Whether the promises are news to the book.
    Promised(bool),
    /// Whether there were any.
    Unpromised(bool),
    /// The pool stands; `false`: it stood already, just so.
    PoolAdded(bool),
    /// The pool that was given up.
    PoolRemoved(Pool),
    /// The book is accepted as it lies.
    Accepted,
}

/// What an app holds, and what of it is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The allocation as the book holds it.
    pub allocation: Allocation,
    /// Whether this command made it.
    pub created: bool,
    /// The roles that this command added to an app that existed.
    pub added: Vec<Role>,
    /// Pre-configured ports that were honoured although the host uses them.
    pub in_use: Vec<Port>,
    /// Pre-configured ports that a new allocation had to do without, since another app holds one of
    /// them.
    pub unkept: Ports,
    /// How the ports were chosen, where that was asked.
    pub explanation: Option<Explanation>,
}

/// Why an [`Ask`] could not be met; nothing of it was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// A role that has no range.
    #[error("the role `{0}` is unknown")]
    UnknownRole(Role),
    /// Two roles of one app whose ports no environment could tell apart.
    #[error("the roles `{one}` and `{other}` share one variable, so that no app can have both")]
    SharedVariable {
        /// The one role.
        one: Role,
        /// The other role.
        other: Role,
    },
    /// Exact ports for several apps at once.
    #[error("exact ports can be asked for one app only, not for {0}")]
    PinsForSeveral(usize),
    /// One port for two roles.
    #[error("port {0} is asked for twice: each role needs a port of its own")]
    PinnedTwice(Port),
    /// An exact port that cannot be had.
    #[error("port {port} cannot be the {role} of {app}: {reason}")]
    PinTaken {
        /// The app that wants it.
        app: AppKey,
        /// What for.
        role: Role,
        /// The port.
        port: Port,
        /// Why not.
        reason: Ineligible,
    },
    /// An exact port for a role in which the app has another.
    #[error("{app} already has {held} as its {role}, so it cannot have {wanted}")]
    PinDiffers {
        /// The app.
        app: AppKey,
        /// The role.
        role: Role,
        /// What it has.
        held: Port,
        /// What was asked.
        wanted: Port,
    },
    /// A port to be moved that the app does not hold, or not any more.
    #[error(
        "{app} does not hold {supposed} as its {role}{instead}",
        instead = .held.map(|held| format!(", but {held}")).unwrap_or_default()
    )]
    NotHeldAsSupposed {
        /// The app.
        app: AppKey,
        /// The role.
        role: Role,
        /// What it was supposed to hold.
        supposed: Port,
        /// What it holds.
        held: Option<Port>,
    },
    /// A move without a destination.
    #[error("nothing of {0} is to be moved")]
    NothingToMove(AppKey),
    /// No slot is left.
    #[error("no eligible port is left for {app}: {exhaustion}", app = .0.app, exhaustion = .0)]
    Exhausted(Box<Exhaustion>),
    /// Nothing to renew.
    #[error("{0} has no allocation to renew")]
    NothingToRenew(AppKey),
    /// The allocation is for good.
    #[error("{0} has its ports for good: there is no lease to renew")]
    NoLease(AppKey),
    /// A lease that ends as it begins.
    #[error("a lease of no length ends before it begins")]
    ZeroTtl,
    /// Entries of an import that cannot stand.
    #[error("{} of the entries cannot be registered", .0.len())]
    Import(Vec<ImportProblem>),
    /// A pool that would share ports with another.
    #[error("the pool's ports {wanted} overlap the pool `{}` ({})", .other.name, .other.ports)]
    PoolOverlaps {
        /// The stretch asked for.
        wanted: PortStretch,
        /// The pool that is there.
        other: Pool,
    },
    /// A pool of that name is there and differs.
    #[error("there is a pool `{}` already: {} for {}", .0.name, .0.ports, .0.models)]
    PoolExists(Pool),
    /// There is no such pool.
    #[error("there is no pool `{0}`")]
    NoPool(PoolName),
    /// The machine did not say whether a port is in use.
    #[error(transparent)]
    Host(#[from] crate::HostUnknown),
}

/// What is wrong with one entry of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportProblem {
    /// Which entry, counted from 0.
    pub entry: usize,
    /// What is wrong.
    pub fault: ImportFault,
}

/// Why an entry cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum ImportFault {
    /// The app stands there with other ports.
    #[error("{app} holds {held} in the book")]
    HoldsOthers {
        /// The app.
        app: AppKey,
        /// What it holds, as text.
        held: String,
    },
    /// Another app has the port.
    #[error("port {port} is taken by {owner}", owner = describe_owner(.by))]
    Taken {
        /// The port.
        port: Port,
        /// Who has it, if loaded.
        by: Option<(AppKey, Role)>,
    },
    /// The port is another app's by a known file.
    #[error("port {port} is promised to {to}")]
    Promised {
        /// The port.
        port: Port,
        /// Whom it is promised to.
        to: AppKey,
    },
    /// Two entries name one app.
    #[error("{app} is named by entry {} already", .earlier + 1)]
    AppTwice {
        /// The app.
        app: AppKey,
        /// The entry, counted from 0, that named it first.
        earlier: usize,
    },
    /// Two entries, or two roles of one, claim one port.
    #[error("port {port} is claimed by {app} already, entry {}", .earlier + 1)]
    PortTwice {
        /// The port.
        port: Port,
        /// Who claimed it first.
        app: AppKey,
        /// The entry, counted from 0, that claimed it first.
        earlier: usize,
    },
}

fn describe_owner(owner: &Option<(AppKey, Role)>) -> String {
    match owner {
        Some((app, role)) => format!("{app} as its {role}"),
        None => "another app".to_owned(),
    }
}

/// No slot is left: what fills each range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exhaustion {
    /// The app that went without.
    pub app: AppKey,
    /// Each range that was searched.
    pub ranges: Vec<RangeUse>,
}

/// What the ports of one role's range are used for; every port counts once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeUse {
    /// The role.
    pub role: Role,
    /// Its range.
    pub range: PortRange,
    /// Held by apps.
    pub taken: usize,
    /// Promised to other apps by files.
    pub promised: usize,
    /// In other models' pools.
    pub pooled: usize,
    /// Blocked by browsers or the block list.
    pub blocked: usize,
    /// Resting after a release.
    pub resting: usize,
    /// Found in use on this host during the search.
    pub in_use: usize,
    /// Eligible by themselves, though not together with another role's port of the same slot.
    pub free: usize,
}

impl std::fmt::Display for Exhaustion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, range) in self.ranges.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{range}")?;
        }
        Ok(())
    }
}

impl std::fmt::Display for RangeUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [
            (self.taken, "allocated"),
            (self.promised, "promised to other apps"),
            (self.pooled, "in other models' pools"),
            (self.blocked, "blocked"),
            (self.resting, "resting"),
            (self.in_use, "in use on this host"),
            (self.free, "free but without a free partner in their slot"),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let total = match self.range.count() {
            1 => "1 port".to_owned(),
            count => format!("{count} ports"),
        };
        write!(
            f,
            "{} {} has {total}, {}",
            self.role,
            self.range,
            parts.join(", ")
        )
    }
}

/// What must be loaded of a space before commands can be planned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Apps whose records are wanted.
    pub apps: BTreeSet<AppKey>,
    /// Ports whose owners are wanted, with those owners' records left aside.
    pub owners: BTreeSet<Port>,
    /// Whether the owner of every port is wanted.
    pub every_owner: bool,
}

impl Needs {
    /// What planning these commands takes, by space.
    pub fn of<'a>(commands: impl IntoIterator<Item = &'a Command>) -> BTreeMap<Space, Needs> {
        let mut needs: BTreeMap<Space, Needs> = BTreeMap::new();
        for command in commands {
            let needs = needs.entry(command.space.clone()).or_default();
            match &command.ask {
                Ask::Allocate(request) => {
                    needs.apps.extend(request.apps.iter().cloned());
                    needs.owners.extend(request.pins.values().copied());
                    needs.every_owner |= request.explain;
                }
                Ask::BeginRun(request) => {
                    needs.apps.insert(request.app.clone());
                }
                Ask::Release { apps } => needs.apps.extend(apps.iter().cloned()),
                Ask::Reclaim { orphans } => {
                    let apps = orphans.iter().map(|(seen, _)| seen.app.clone());
                    needs.apps.extend(apps);
                }
                Ask::GiveBack { seen, .. } => {
                    needs.apps.insert(seen.app.clone());
                }
                Ask::Note { notes } => {
                    needs.apps.extend(notes.iter().map(|(app, _)| app.clone()));
                }
                Ask::Move { moves } => {
                    for step in moves {
                        needs.apps.insert(step.app.clone());
                        needs.owners.extend(step.to);
                    }
                }
                Ask::Renew { app, .. } => {
                    needs.apps.insert(app.clone());
                }
                Ask::Import { entries } => {
                    for entry in entries {
                        needs.apps.insert(entry.app.clone());
                        needs.owners.extend(entry.ports.values().copied());
                    }
                }
                Ask::Expire
                | Ask::Promise { .. }
                | Ask::Unpromise { .. }
                | Ask::AddPool { .. }
                | Ask::RemovePool { .. }
                | Ask::Accept => {}
            }
        }
        needs
    }
}
