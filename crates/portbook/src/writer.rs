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
    Ask, Batch, Book, Command, CommitId, Head, Needs, Plan, Policy, Revision, Timestamp, plan,
};
use portbook_store::{CommitError, Reading, Store, StoreError, Turn};

use crate::Error;
use crate::desk::Answers;
use crate::queue::{Full, Queue};
use crate::rules::Rules;
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
#[derive(Default)]
struct Memory {
    /// The spaces as far as they were read, and the rules that they were read for: a longer delay asks for
    /// releases that were passed over. Nothing after whatever went wrong.
    book: Option<(Book, Arc<Policy>)>,
    /// The furthest that the book was seen: never forgotten, so that a book that went back is noticed
    /// whatever happened in between.
    seen: Option<Head>,
}

impl Writer {
    pub(crate) fn new(store: Box<dyn Store>, rules: Rules) -> Self {
        Self {
            store,
            rules,
            queue: Queue::new(MOST_REQUESTS, MOST_WAITING),
            memory: Mutex::default(),
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
            self.check_continuity(memory.seen.as_ref(), &head)?;
            memory.seen = Some(head.clone());
            let policy = self.rules.policy();
            // Whatever goes wrong from here on, the book is read anew next time.
            let known = memory.book.take();
            let known = known.filter(|(_, of)| Arc::ptr_eq(of, &policy));
            let mut book = self.catch_up(&mut *turn, known.map(|(book, _)| book), head)?;
            let expected = book.head.revision;
            let now = book.clock(SystemTime::now().into());
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
            memory.seen = Some(book.head.clone());
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

    /// What was known of the book, brought up to the turn's revision.
    fn catch_up(&self, turn: &mut dyn Turn, book: Option<Book>, head: Head) -> Result<Book, Error> {
        let Some(mut book) = book else {
            return Ok(Book::new(head));
        };
        let behind = head.revision.0 - book.head.revision.0;
        if behind > MOST_CHANGES_FOLLOWED {
            return Ok(Book::new(head));
        }
        if behind > 0 {
            for recorded in turn.changes_since(book.head.revision)? {
                if let Some(space) = book.spaces.get_mut(&recorded.space) {
                    space.apply(&recorded.change, recorded.at);
                }
            }
        }
        book.head = head;
        Ok(book)
    }

    fn check_continuity(&self, seen: Option<&Head>, found: &Head) -> Result<(), Error> {
        let Some(seen) = seen else { return Ok(()) };
        let location = self.store.location();
        if seen.book != found.book {
            return Err(Error::Replaced {
                location,
                seen: seen.book.clone(),
                found: found.book.clone(),
            });
        }
        if seen.revision > found.revision {
            return Err(Error::WentBack {
                location,
                seen: seen.revision,
                found: found.revision,
            });
        }
        Ok(())
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
