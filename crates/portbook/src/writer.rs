//! The one writer of a process.
//!
//! Callers [queue](crate::queue); whoever leads a round waits once for the store's turn, plans all of
//! its requests on one reading, commits once, and tells everybody. No thread of our own is needed, and
//! sixty-four callers share one fsync.
//!
//! Between commits the writer keeps what a plan always needs (the taken ports, promises and pools of
//! each space it has met) and brings it up to date from the changes that others committed. Apps are
//! read anew for each batch, so nothing is ever refused from memory alone.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use portbook_model::{
    Ask, Batch, Book, Change, Command, CommitId, Head, Needs, Plan, Policy, Recorded, Revision,
    Timestamp, plan,
};
use portbook_store::{CommitError, Reading, Store, StoreError, Turn};

use crate::Error;
use crate::desk::Answers;
use crate::error::Missing;
use crate::queue::{Full, Queue};
use crate::rules::Rules;
use crate::sightings::{Notebook, Sighting, Sightings};
use crate::watching::{Waits, Watcher};

/// How many requests share a commit at most.
const MOST_REQUESTS: usize = 64;
/// How many callers may wait.
const MOST_WAITING: usize = 4096;
/// How long a caller waits for its turn among other processes.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a plan is made anew after somebody else's commit came first.
const MOST_TRIES: u32 = 100;
/// How often a request is begun anew after the connection to the book broke.
pub(crate) const MOST_LOSSES: u32 = 10;
/// Beyond so many unseen changes, reading a space anew is quicker than following them.
const MOST_CHANGES_FOLLOWED: u64 = 10_000;

/// What a request ends with: its answers, or one failure that befell the whole batch.
type Ending = Result<Answers, Arc<Error>>;

pub(crate) struct Writer {
    store: Box<dyn Store>,
    rules: Rules,
    queue: Queue<Request, Ending>,
    memory: Mutex<Memory>,
    watcher: OnceLock<Arc<dyn Watcher>>,
}

/// What a caller wants, since when, and whether it still waits.
struct Request {
    commands: Vec<Command>,
    since: Instant,
    waits: Waits,
}

/// What the writer keeps between commits.
struct Memory {
    /// The spaces as far as they were read, and the rules that they were read for: a longer delay asks for
    /// releases that were passed over. Nothing after whatever went wrong.
    book: Option<(Book, Arc<Policy>)>,
    /// The last change of the book as it was last seen, if it had any: never forgotten, so that a book that
    /// went back is noticed whatever happened in between.
    seen: Option<Sighting>,
    /// Whether what earlier processes saw was asked for.
    is_acquainted: bool,
    /// What later processes are told of it.
    notebook: Notebook,
}

impl Memory {
    fn new(sightings: Sightings) -> Self {
        Self {
            book: None,
            seen: None,
            is_acquainted: false,
            notebook: Notebook::new(sightings),
        }
    }
}

/// How the book that is found goes with the one that was seen.
enum Continuity {
    /// What is known of it still holds, once these changes are followed.
    GoesOn(Vec<Recorded>),
    /// It holds what was seen, but is to be read anew.
    HoldsIt,
    /// It lacks what was seen, and somebody accepted that.
    Accepted,
}

impl Writer {
    pub(crate) fn new(store: Box<dyn Store>, sightings: Sightings, rules: Rules) -> Self {
        Self {
            store,
            rules,
            queue: Queue::new(MOST_REQUESTS, MOST_WAITING),
            memory: Mutex::new(Memory::new(sightings)),
            watcher: OnceLock::new(),
        }
    }

    pub(crate) fn watch(&self, watcher: Arc<dyn Watcher>) {
        // Whoever came first goes on counting.
        let _ = self.watcher.set(watcher);
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Has the commands carried out, together in one commit with those of whoever else waits, and
    /// returns once that commit is durable.
    pub(crate) fn submit(&self, commands: Vec<Command>, waits: &Waits) -> Result<Answers, Error> {
        let broken_off = || {
            Err(Arc::new(Error::Internal(
                "the planning of a change broke off".to_owned(),
            )))
        };
        let lead = |requests| self.lead(requests);
        let request = Request {
            commands,
            since: Instant::now(),
            waits: waits.clone(),
        };
        match self.queue.submit(request, lead, broken_off) {
            Ok(Some(Ok(answers))) => Ok(answers),
            Ok(Some(Err(error))) => Err(Error::Shared(error)),
            Ok(None) => Err(Error::Internal("a request got lost".to_owned())),
            Err(Full(waiting)) => Err(Error::QueueFull(waiting)),
        }
    }

    /// The answers that the commands would get now, without anything happening.
    pub(crate) fn preview(&self, commands: &[Command]) -> Result<Answers, Error> {
        let mut reading = self.store.read()?;
        let mut book = Book::new(reading.head()?);
        let now = book.clock(SystemTime::now().into());
        let policy = self.rules.policy();
        let plan = self.plan(&mut *reading, &mut book, commands, &policy, now)?;
        Ok(plan.answers)
    }

    /// Carries a round's requests out, all of them together, but for those that nobody waits for any
    /// more.
    fn lead(&self, requests: Vec<Request>) -> Vec<Ending> {
        let mut commands = Vec::new();
        let mut lengths = Vec::with_capacity(requests.len());
        for request in requests {
            if request.waits.is_over() {
                lengths.push(None);
                continue;
            }
            if let Some(watcher) = self.watcher.get() {
                watcher.waited(request.since.elapsed());
            }
            lengths.push(Some(request.commands.len()));
            commands.extend(request.commands);
        }
        let carried_out = match commands.is_empty() {
            true => Ok(Vec::new()),
            false => self.carry_out_despite_losses(&commands),
        };
        let mut answers = carried_out.map_err(Arc::new).map(Vec::into_iter);
        let ending = |length| match (length, &mut answers) {
            (None, _) => Err(Arc::new(Error::CallerGone)),
            (Some(length), Ok(answers)) => Ok(answers.by_ref().take(length).collect()),
            (Some(_), Err(error)) => Err(error.clone()),
        };
        lengths.into_iter().map(ending).collect()
    }

    /// A connection that breaks before the commit has changed nothing: everything is done once more.
    fn carry_out_despite_losses(&self, commands: &[Command]) -> Result<Answers, Error> {
        for _ in 0..MOST_LOSSES {
            match self.carry_out(commands) {
                Err(Error::Store(StoreError::Lost { .. })) => {}
                ended => return ended,
            }
        }
        self.carry_out(commands)
    }

    /// Plans and commits until the book takes it.
    fn carry_out(&self, commands: &[Command]) -> Result<Answers, Error> {
        // Nothing is kept in it while a plan is made, so that what a panic leaves is whole.
        let memory = self.memory.lock();
        let mut memory = memory.unwrap_or_else(PoisonError::into_inner);
        let mut reason = String::new();
        for _ in 0..MOST_TRIES {
            let mut turn = self.store.turn(PATIENCE)?;
            let head = turn.head()?;
            if !memory.is_acquainted {
                memory.seen = memory.notebook.recall(&head);
                memory.is_acquainted = true;
            }
            let policy = self.rules.policy();
            // Whatever goes wrong from here on, the book is read anew next time.
            let known = memory.book.take();
            let known = known.filter(|(_, of)| Arc::ptr_eq(of, &policy));
            let known = known.map(|(book, _)| book);
            let accepts = commands.iter().any(|command| command.ask == Ask::Accept);
            let seen = memory.seen.as_ref();
            let continuity = self.continuity(&mut *turn, seen, &head, known.is_some(), accepts)?;
            let mut now = Timestamp::from(SystemTime::now()).max(head.changed_at);
            if accepts && let Some(seen) = seen {
                // Whoever saw as much as this process did has to see that it came later.
                now = now.max(seen.at.after(Duration::from_millis(1)));
            }
            memory.seen = last_change(&mut *turn, seen, &head, &continuity)?;
            let mut book = catch_up(known, head, continuity);
            let expected = book.head.revision;
            let plan = self.plan(&mut *turn, &mut book, commands, &policy, now)?;
            if plan.changes.is_empty() {
                memory.book = Some((book, policy));
                return Ok(plan.answers);
            }
            let batch = Batch {
                commit: new_commit_id(),
                at: now,
                changes: plan.changes,
            };
            let began = Instant::now();
            let committed = turn.commit(expected, &batch);
            if let Some(watcher) = self.watcher.get() {
                match &committed {
                    Ok(()) => watcher.committed(began.elapsed(), batch.changes.len()),
                    Err(CommitError::Stale) => watcher.was_stale(),
                    Err(_) => {}
                }
            }
            match committed {
                Ok(()) => {}
                Err(CommitError::Stale) => {
                    reason = CommitError::Stale.to_string();
                    continue;
                }
                Err(CommitError::Duplicate(what)) => {
                    reason = what;
                    continue;
                }
                Err(CommitError::Unknown(said)) => self.confirm(batch.commit, expected, said)?,
                Err(CommitError::Failed(error)) => return Err(error.into()),
            }
            book.head.revision = expected.after(batch.changes.len());
            book.head.changed_at = now;
            let sighting = Sighting {
                book: book.head.book.clone(),
                revision: book.head.revision,
                commit: batch.commit,
                at: now,
            };
            memory.notebook.note(&sighting);
            memory.seen = Some(sighting);
            memory.book = Some((book, policy));
            return Ok(plan.answers);
        }
        Err(Error::Contended {
            location: self.store.location(),
            tries: MOST_TRIES,
            reason,
        })
    }

    /// The outcome of a commit is unknown: looks it up.
    fn confirm(&self, commit: CommitId, after: Revision, reason: String) -> Result<(), Error> {
        let location = self.store.location();
        match self.store.find_commit(commit, after) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::NotCommitted { location, reason }),
            Err(error) => Err(Error::Unconfirmed {
                location,
                reason: error.to_string(),
            }),
        }
    }

    /// How the book goes with what was seen of it. It is refused if it lacks that, until somebody accepts it
    /// as it lies: then, and not before, is it clear that nobody brings the rest back.
    fn continuity(
        &self,
        turn: &mut dyn Turn,
        seen: Option<&Sighting>,
        found: &Head,
        is_known: bool,
        accepts: bool,
    ) -> Result<Continuity, Error> {
        let Some(seen) = seen else {
            // Nothing was in it, so nothing can be missing.
            return Ok(match is_known {
                true => Continuity::GoesOn(turn.changes_since(Revision(0))?),
                false => Continuity::HoldsIt,
            });
        };
        if seen.is_of(found) {
            return Ok(Continuity::GoesOn(Vec::new()));
        }
        let behind = found.revision.0.checked_sub(seen.revision.0);
        let holds_it = match behind {
            Some(behind) if is_known && behind <= MOST_CHANGES_FOLLOWED => {
                let before = Revision(seen.revision.0.saturating_sub(1));
                let mut changes = turn.changes_since(before)?;
                if changes.first().map(|change| change.commit) == Some(seen.commit) {
                    changes.remove(0);
                    return Ok(Continuity::GoesOn(changes));
                }
                false
            }
            Some(_) => turn.commit_at(seen.revision)? == Some(seen.commit),
            None => false,
        };
        if holds_it {
            return Ok(Continuity::HoldsIt);
        }
        if accepts || was_accepted_after(turn, seen)? {
            return Ok(Continuity::Accepted);
        }
        Err(Error::WentBack {
            location: self.store.location(),
            missing: Box::new(Missing {
                book: (seen.book != found.book).then(|| seen.book.clone()),
                seen: seen.revision,
                at: seen.at,
                found: found.revision,
            }),
        })
    }

    /// Plans the commands on one reading, after the reclaiming of every lease that has ended.
    fn plan(
        &self,
        reading: &mut dyn Reading,
        book: &mut Book,
        commands: &[Command],
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Plan, Error> {
        let mut needs = Needs::of(commands);
        let mut lapsed = BTreeSet::new();
        for (space, app) in reading.lapsed(now)? {
            needs.entry(space.clone()).or_default().apps.insert(app);
            lapsed.insert(space);
        }
        let expiries = lapsed.len();
        // What time alone brings about is told of whoever came next.
        let by = commands.first().map(|command| command.by.clone());
        let expire = |space| Command {
            by: by.clone().unwrap_or_default(),
            ..Command::new(space, Ask::Expire)
        };
        let commands = match expiries {
            0 => Cow::Borrowed(commands),
            _ => {
                let expiries = lapsed.into_iter().map(expire);
                Cow::Owned(expiries.chain(commands.iter().cloned()).collect())
            }
        };
        for (space, needs) in &needs {
            if !book.spaces.contains_key(space) {
                let delay = policy.reuse_delay().as_millis();
                let delay = i64::try_from(delay).unwrap_or(i64::MAX);
                let released_after = Timestamp::from_millis(now.millis().saturating_sub(delay));
                let read = reading.space(space, released_after)?;
                book.spaces.insert(space.clone(), read);
            }
            let space_book = book.space(space);
            space_book.forget_loaded();
            reading.load(space, needs, space_book)?;
        }
        let host = self.rules.host_view();
        let mut plan = plan(book, &commands, &*host, policy, now);
        plan.answers.drain(..expiries);
        Ok(plan)
    }
}

/// Whether somebody accepted the book, as it lies, later than what was seen happened.
fn was_accepted_after(turn: &mut dyn Turn, seen: &Sighting) -> Result<bool, Error> {
    let changes = turn.changes_since(Revision(0))?;
    let accepted = |recorded: &&Recorded| recorded.change == Change::Accepted;
    let last = changes.iter().rev().find(accepted);
    Ok(last.is_some_and(|accepted| accepted.at > seen.at))
}

/// The last change of the book that is found.
fn last_change(
    turn: &mut dyn Turn,
    seen: Option<&Sighting>,
    found: &Head,
    continuity: &Continuity,
) -> Result<Option<Sighting>, Error> {
    let commit = match (continuity, seen) {
        (_, Some(seen)) if seen.is_of(found) => return Ok(Some(seen.clone())),
        (Continuity::GoesOn(changes), _) if !changes.is_empty() => {
            changes.last().map(|change| change.commit)
        }
        _ => turn.commit_at(found.revision)?,
    };
    Ok(commit.map(|commit| Sighting {
        book: found.book.clone(),
        revision: found.revision,
        commit,
        at: found.changed_at,
    }))
}

/// What was known of the book, brought up to the turn's revision.
fn catch_up(known: Option<Book>, head: Head, continuity: Continuity) -> Book {
    match (known, continuity) {
        (Some(mut book), Continuity::GoesOn(changes)) => {
            for recorded in changes {
                if let Some(space) = book.spaces.get_mut(&recorded.space) {
                    space.apply(&recorded.change, recorded.at);
                }
            }
            book.head = head;
            book
        }
        _ => Book::new(head),
    }
}

/// A name that no other commit has: 16 random bytes of the kernel's.
pub(crate) fn new_commit_id() -> CommitId {
    let mut bytes = [0; 16];
    let random = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    if random != Ok(bytes.len()) {
        // Before the kernel has gathered randomness, time and process are distinct enough: the
        // name is looked for only among the few commits after the one that was planned on.
        let time = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |time| time.as_nanos());
        bytes = (time ^ (u128::from(std::process::id()) << 96)).to_le_bytes();
    }
    CommitId(bytes)
}
