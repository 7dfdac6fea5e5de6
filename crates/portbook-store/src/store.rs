//! The interface between the service and whatever keeps the book.

use std::time::Duration;

use portbook_model::{
    Allocation, AppKey, AppNumber, AppRecord, Batch, CommitId, Head, Model, ModelPattern, Needs,
    Recorded, Revision, Space, SpaceBook, Timestamp,
};

use crate::{CommitError, StoreError};

/// Something that keeps a book and commits to it conditionally.
///
/// A store promises:
/// 1. A commit happens whole or not at all, and only if the book is still at the revision that the
///    batch was planned on; otherwise it is [`CommitError::Stale`] and nothing happened.
/// 2. In a space, no port has two owners and no app two records, whatever is asked of it: the keys
///    beneath see to that even if a planner were wrong ([`CommitError::Duplicate`]).
/// 3. When `commit` returns `Ok`, the commit survives a crash of the process and of the machine.
/// 4. When it cannot tell, it says [`CommitError::Unknown`], and [`find_commit`](Store::find_commit)
///    finds out.
///
/// The turn is for speed and fairness only: every promise holds without it.
pub trait Store: Send + Sync {
    /// Reads the book as it is at one moment. Never waits for writers' turns.
    fn read(&self) -> Result<Box<dyn Reading + '_>, StoreError>;

    /// Waits for the caller's turn to write, at most `patience`, and reads the book then.
    fn turn(&self, patience: Duration) -> Result<Box<dyn Turn + '_>, StoreError>;

    /// Looks up, in the book as it lies now and by a fresh connection, whether a commit happened,
    /// among the changes after `after`. An answer of `true` is as durable as a commit's `Ok`.
    fn find_commit(&self, commit: CommitId, after: Revision) -> Result<bool, StoreError>;

    /// Where the book is, without passwords: for messages.
    fn location(&self) -> String;
}

/// The book at one moment.
pub trait Reading {
    /// Which book it is and how far it has come.
    fn head(&mut self) -> Result<Head, StoreError>;

    /// The changes after `after`, oldest first.
    fn changes_since(&mut self, after: Revision) -> Result<Vec<Recorded>, StoreError>;

    /// The commit that made the change of this revision; `None` where there is no such change. Names of
    /// commits are unique, and each commit rests on the one before it: two books that have the same one
    /// at a revision tell the same history up to it.
    fn commit_at(&mut self, revision: Revision) -> Result<Option<CommitId>, StoreError>;

    /// What is always complete in a [`SpaceBook`], and the releases after `released_after`.
    fn space(&mut self, space: &Space, released_after: Timestamp) -> Result<SpaceBook, StoreError>;

    /// Loads into `book` what `needs` names, and the models of the apps named that the book knows,
    /// as they were first spelt.
    fn load(
        &mut self,
        space: &Space,
        needs: &Needs,
        book: &mut SpaceBook,
    ) -> Result<(), StoreError>;

    /// The record of one app.
    fn app(&mut self, space: &Space, app: &AppKey) -> Result<Option<AppRecord>, StoreError>;

    /// The held allocations that `filter` lets through, by model identity, then app number. Those
    /// whose lease has ended are among them until a command reclaims them.
    fn allocations(&mut self, filter: &Filter) -> Result<Vec<Allocation>, StoreError>;

    /// The apps whose lease ended at or before `now`, with their spaces.
    fn lapsed(&mut self, now: Timestamp) -> Result<Vec<(Space, AppKey)>, StoreError>;

    /// The changes that `filter` lets through, oldest first.
    fn history(&mut self, filter: &HistoryFilter) -> Result<Vec<Recorded>, StoreError>;

    /// Every space that has something in it.
    fn spaces(&mut self) -> Result<Vec<Space>, StoreError>;

    /// Every model of which the space knows an app, held or former, as it was first spelt, in the order
    /// in which the space came to know them. That order never changes, since no app is forgotten.
    fn models(&mut self, space: &Space) -> Result<Vec<Model>, StoreError>;

    /// The rows of a space as they lie, however wrong, and whatever the store itself finds broken:
    /// for checks, after somebody else's hand was in it.
    fn audit(&mut self, space: &Space) -> Result<Audit, StoreError>;
}

/// The book at the caller's turn to write.
pub trait Turn: Reading {
    /// Commits the batch if the book is still at `expected`, and returns once it is durable.
    fn commit(self: Box<Self>, expected: Revision, batch: &Batch) -> Result<(), CommitError>;
}

/// Which apps are meant: all of a space, those of some models, or those of one number.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The space.
    pub space: Space,
    /// Which models; `None`: all.
    pub models: Option<ModelPattern>,
    /// Which app of these models; `None`: all.
    pub number: Option<AppNumber>,
}

impl Filter {
    /// Whether an app of the space is meant.
    pub fn means(&self, app: &AppKey) -> bool {
        let models = self.models.as_ref();
        models.is_none_or(|models| models.matches(&app.model))
            && self.number.is_none_or(|number| number == app.number)
    }

    /// The identity of the one model that is meant, if a pattern without wildcards says so: a store
    /// finds its apps by their keys.
    pub fn only_identity(&self) -> Option<String> {
        let text = self.models.as_ref()?.as_str();
        let model = Model::new(text).ok()?;
        (!text.contains(['*', '?'])).then(|| model.identity().to_owned())
    }
}

/// Which changes are meant.
#[derive(Debug, Clone, Default)]
pub struct HistoryFilter {
    /// Whose changes. With neither models nor number, also those that concern no single app:
    /// pools and promises.
    pub of: Filter,
    /// Only the last so many.
    pub last: Option<usize>,
}

/// A space's rows as they lie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Every claim on a port.
    pub claims: Vec<Claim>,
    /// The apps that are said to hold ports, `model/appN` each.
    pub apps: Vec<String>,
    /// What the store finds broken in itself, a sentence each.
    pub damage: Vec<String>,
}

/// One row that gives a port to an app, unchecked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The port's number, which may be none.
    pub port: i64,
    /// The app's name, `model/appN`; `None` where the row names an app that is not there.
    pub app: Option<String>,
    /// The role.
    pub role: String,
}
