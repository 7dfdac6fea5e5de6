//! A reading or a turn.

use std::time::{Duration, Instant};

use portbook_model::{
    Allocation, AppKey, AppRecord, Batch, CommitId, Head, Model, Needs, Recorded, Revision, Space,
    SpaceBook, Timestamp,
};
use portbook_store::{
    Audit, CommitError, Filter, HistoryFilter, Place, Reading, Store, StoreError, Turn,
};

use crate::client::{Client, Condition, Question, Row, Write};
use crate::creation;
use crate::draft::Draft;
use crate::error::{Failure, Refused};
use crate::keys::{self, Keys};
use crate::records::HeadRecord;
use crate::snapshot::{Known, Snapshot};
use crate::staging::{self, MOST_BYTES, MOST_OPERATIONS, Writes};
use crate::store::EtcdStore;
use crate::turn::{self, Ticket};

/// What is read first, in one request.
#[derive(Debug)]
pub(crate) struct Start {
    /// etcd's revision, at which everything else is read, too.
    at: i64,
    pub(crate) head: HeadRecord,
    /// The revision of etcd's at which the head was last written.
    pub(crate) changed: i64,
    /// Who waits for the turn, the first first.
    line: Vec<Row>,
    /// The key of the lease that ends first.
    first_lease: Option<String>,
}

impl Start {
    pub(crate) fn read(client: &Client, location: &str) -> Result<Self, StoreError> {
        let first_lease = Question {
            limit: 1,
            only_keys: true,
            ..Question::all(Keys::under(keys::LEASES))
        };
        let questions = [
            Question::all(Keys::one(keys::HEAD)),
            turn::question(),
            first_lease,
        ];
        let asked = client.ask(&questions, None);
        let (at, found) = asked.map_err(|failure| failure.for_book(location))?;
        let mut found = found.into_iter().map(|found| found.rows);
        let mut next = || found.next().unwrap_or_default();
        let head = creation::found(next().pop(), location)?;
        Ok(Self {
            at,
            head: head.head,
            changed: head.changed,
            line: next(),
            first_lease: next().pop().map(|row| row.key),
        })
    }
}

/// The book at one moment, and a writer's place if it is one.
pub(crate) struct Session<'a> {
    store: &'a EtcdStore,
    pub(crate) start: Start,
    snapshot: Snapshot<'a>,
    /// Among the threads of this process; `None` for those who only read.
    _place: Option<Place<'a>>,
    /// Among all processes, where they line up. It is left with the commit, or when this is dropped.
    ticket: Option<Ticket>,
    /// Whether this is a turn that has not tried to commit.
    is_undecided: bool,
}

impl<'a> Session<'a> {
    /// Reads the book as it is now.
    pub(crate) fn reading(store: &'a EtcdStore) -> Result<Self, StoreError> {
        Self::on(store, store.begin()?)
    }

    /// Reads the book as it was at `start`.
    pub(crate) fn on(store: &'a EtcdStore, start: Start) -> Result<Self, StoreError> {
        let staged = match start.head.staged {
            Some(commit) => staging::read(&store.client, commit, start.at)
                .map_err(|failure| store.failed(&failure))?,
            None => Writes::new(),
        };
        Ok(Self {
            snapshot: Snapshot::new(
                &store.client,
                &store.location,
                start.at,
                staged,
                Known::default(),
            ),
            store,
            start,
            _place: None,
            ticket: None,
            is_undecided: false,
        })
    }

    /// Waits for the turn and reads the book then.
    pub(crate) fn turn(store: &'a EtcdStore, patience: Duration) -> Result<Self, StoreError> {
        let began = Instant::now();
        let busy = |holder: String| StoreError::Busy {
            location: store.location.clone(),
            waited: began.elapsed(),
            holder,
        };
        let place = match store.options.turns {
            true => {
                let place = store.queue.wait(patience);
                Some(place.ok_or_else(|| busy("another thread of this process".to_owned()))?)
            }
            false => None,
        };
        let mut waiting = Waiting {
            store,
            ticket: None,
        };
        let start = loop {
            let start = store.begin()?;
            if let Some(commit) = start.head.staged {
                // Whoever committed it is gone, or about to do the same.
                staging::carry_out(&store.client, &start.head, start.changed, commit, start.at)
                    .map_err(|failure| store.failed(&failure))?;
                continue;
            }
            if waiting.is_its_turn(&start)? {
                break start;
            }
            let Some(ahead) = waiting.ahead(&start) else {
                waiting.join()?;
                continue;
            };
            let left = patience.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Err(busy(ahead.value.clone()));
            }
            store
                .line
                .wait_behind(&store.client, ahead, start.at, left)
                .map_err(|failure| store.failed(&failure))?;
        };
        let known = store.known_at(start.changed);
        Ok(Self {
            snapshot: Snapshot::new(
                &store.client,
                &store.location,
                start.at,
                Writes::new(),
                known,
            ),
            store,
            start,
            _place: place,
            ticket: waiting.ticket.take(),
            is_undecided: true,
        })
    }

    /// Whether the book has come further than this.
    pub(crate) fn is_past(&self, revision: Revision) -> bool {
        self.start.head.revision > revision
    }

    pub(crate) fn has_commit(&self, commit: CommitId, after: Revision) -> Result<bool, StoreError> {
        let changes = self.snapshot.changes_since(after)?;
        Ok(changes.iter().any(|change| change.commit == commit))
    }

    fn write(&mut self, expected: Revision, batch: &Batch) -> Result<(), CommitError> {
        if self.start.head.revision != expected {
            return Err(CommitError::Stale);
        }
        let draft = Draft::of(batch, expected, &self.snapshot)?;
        let mut conditions = self.conditions();
        conditions.extend(self.new_keys(&draft)?);
        let head = HeadRecord {
            revision: expected.after(batch.changes.len()),
            changed_at: self.start.head.changed_at.max(batch.at),
            ..self.start.head.clone()
        };
        let fits =
            draft.writes.len() <= MOST_OPERATIONS && staging::size(&draft.writes) <= MOST_BYTES;
        match fits {
            true => {
                let writes = staging::writes(&draft.writes);
                let changed = self.commit_with(&head, &conditions, writes, batch)?;
                let mut known = self.snapshot.take_known();
                known.apply(draft.writes);
                self.store.keep_known(changed, known);
            }
            false => self.write_in_parts(head, conditions, &draft.writes, batch)?,
        }
        Ok(())
    }

    /// That the book is as it was read, and nobody else's turn.
    fn conditions(&self) -> Vec<Condition> {
        let mut conditions = vec![Condition::Unchanged(
            keys::HEAD.to_owned(),
            self.start.changed,
        )];
        match &self.ticket {
            Some(ticket) => {
                conditions.push(Condition::MadeAt(ticket.key.clone(), ticket.created));
            }
            None if self.store.options.turns => {
                conditions.push(Condition::Absent(Keys::under(keys::TURN)));
            }
            None => {}
        }
        conditions
    }

    /// That what is new is not there. More of it than one transaction takes is read instead: what was
    /// read holds for as long as the head is unchanged.
    fn new_keys(&self, draft: &Draft) -> Result<Vec<Condition>, Refused> {
        if draft.new.len() + 3 <= MOST_OPERATIONS {
            let absent = |key: &String| Condition::Absent(Keys::one(key.as_str()));
            return Ok(draft.new.iter().map(absent).collect());
        }
        let keys: Vec<String> = draft.new.iter().cloned().collect();
        self.snapshot.learn(&keys, &[])?;
        let there = |key: &&String| self.snapshot.known(key).flatten().is_some();
        match keys.iter().find(there) {
            Some(key) => Err(Refused::Duplicate(format!("there is a key {key} already"))),
            None => Ok(Vec::new()),
        }
    }

    fn write_in_parts(
        &mut self,
        mut head: HeadRecord,
        mut conditions: Vec<Condition>,
        writes: &Writes,
        batch: &Batch,
    ) -> Result<(), CommitError> {
        let client = &self.store.client;
        let failed = |failure: Failure| CommitError::Failed(self.store.failed(&failure));
        staging::clear(client, self.start.changed).map_err(failed)?;
        staging::stage(client, batch.commit, writes).map_err(failed)?;
        conditions.push(staging::is_laid_down(batch.commit));
        head.staged = Some(batch.commit);
        let changed = self.commit_with(&head, &conditions, Vec::new(), batch)?;
        // It has happened. Should this fail, whoever comes next carries it out.
        let _ = staging::carry_out(&self.store.client, &head, changed, batch.commit, changed);
        Ok(())
    }

    /// Moves the head on together with these writes, and says at which revision of etcd's.
    fn commit_with(
        &mut self,
        head: &HeadRecord,
        conditions: &[Condition],
        mut writes: Vec<Write>,
        batch: &Batch,
    ) -> Result<i64, CommitError> {
        let failed = |failure: &Failure| CommitError::Failed(self.store.failed(failure));
        let text = creation::text(head).map_err(|failure| failed(&failure))?;
        writes.push(Write::Put(keys::HEAD.to_owned(), text));
        if let Some(ticket) = &self.ticket {
            writes.push(Write::Delete(Keys::one(ticket.key.as_str())));
        }
        let otherwise = [Question::all(Keys::one(keys::HEAD)), turn::question()];
        let client = &self.store.client;
        match client.change(conditions, &writes, &otherwise) {
            Ok(changed) if changed.succeeded => {
                self.ticket = None;
                Ok(changed.revision)
            }
            Ok(refused) => {
                let mut found = refused.found.into_iter().map(|found| found.rows);
                let head = found.next().unwrap_or_default().pop();
                let line = found.next().unwrap_or_default();
                Err(self.why_refused(head.as_ref(), &line))
            }
            Err(Failure::Unknown(reason)) => self.look_up(batch, head, reason),
            Err(failure) => Err(failed(&failure)),
        }
    }

    fn why_refused(&self, head: Option<&Row>, line: &[Row]) -> CommitError {
        let is_unchanged = head.is_some_and(|head| head.changed == self.start.changed);
        let is_our_turn = match &self.ticket {
            Some(ticket) => line
                .iter()
                .any(|row| row.key == ticket.key && row.created == ticket.created),
            None => line.is_empty() || !self.store.options.turns,
        };
        match is_unchanged && is_our_turn {
            true => CommitError::Duplicate(
                "a port or an app that is said to be new has a key already".to_owned(),
            ),
            false => {
                self.store.line.meet();
                CommitError::Stale
            }
        }
    }

    /// Whether a commit happened whose answer was lost.
    fn look_up(
        &self,
        batch: &Batch,
        head: &HeadRecord,
        reason: String,
    ) -> Result<i64, CommitError> {
        let after = self.start.head.revision;
        match self.store.find_commit(batch.commit, after) {
            Ok(true) => match self.store.begin() {
                Ok(start) if start.head == *head => Ok(start.changed),
                // Others have come since, or may have: no head will ever be that of revision 0.
                _ => Ok(0),
            },
            Ok(false) => Err(CommitError::Stale),
            Err(error) => Err(CommitError::Unknown(format!("{reason}; {error}"))),
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if self.is_undecided {
            let known = self.snapshot.take_known();
            self.store.keep_known(self.start.changed, known);
        }
        if let Some(ticket) = self.ticket.take() {
            self.store.client.try_to_delete(&ticket.key);
        }
    }
}

/// A writer that waits. Whoever gives up leaves the line.
struct Waiting<'a> {
    store: &'a EtcdStore,
    ticket: Option<Ticket>,
}

impl Waiting<'_> {
    fn is_its_turn(&self, start: &Start) -> Result<bool, StoreError> {
        let line = &start.line;
        Ok(match &self.ticket {
            _ if !self.store.options.turns => true,
            Some(ticket) => line.first().is_some_and(|row| row.key == ticket.key),
            None => line.is_empty() && !self.store.line.is_wary(),
        })
    }

    /// Whoever comes just before; `None` if this writer has no place.
    fn ahead<'s>(&self, start: &'s Start) -> Option<&'s Row> {
        let ticket = self.ticket.as_ref()?;
        let place = start.line.iter().position(|row| row.key == ticket.key)?;
        start.line.get(place.checked_sub(1)?)
    }

    fn join(&mut self) -> Result<(), StoreError> {
        let joined = self.store.line.join(&self.store.client);
        self.ticket = Some(joined.map_err(|failure| self.store.failed(&failure))?);
        Ok(())
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.store.client.try_to_delete(&ticket.key);
        }
    }
}

impl Turn for Session<'_> {
    fn commit(mut self: Box<Self>, expected: Revision, batch: &Batch) -> Result<(), CommitError> {
        self.is_undecided = false;
        let committed = self.write(expected, batch);
        if committed == Err(CommitError::Stale) {
            self.store.line.meet();
        }
        committed
    }
}

impl Reading for Session<'_> {
    fn head(&mut self) -> Result<Head, StoreError> {
        Ok(self.start.head.head())
    }

    fn changes_since(&mut self, after: Revision) -> Result<Vec<Recorded>, StoreError> {
        if !self.is_past(after) {
            return Ok(Vec::new());
        }
        self.snapshot.changes_since(after)
    }

    fn commit_at(&mut self, revision: Revision) -> Result<Option<CommitId>, StoreError> {
        self.snapshot.commit_at(revision)
    }

    fn space(&mut self, space: &Space, released_after: Timestamp) -> Result<SpaceBook, StoreError> {
        self.snapshot.space(space, released_after)
    }

    fn load(
        &mut self,
        space: &Space,
        needs: &Needs,
        book: &mut SpaceBook,
    ) -> Result<(), StoreError> {
        self.snapshot.load(space, needs, book)
    }

    fn app(&mut self, space: &Space, app: &AppKey) -> Result<Option<AppRecord>, StoreError> {
        self.snapshot.app(space, app)
    }

    fn allocations(&mut self, filter: &Filter) -> Result<Vec<Allocation>, StoreError> {
        self.snapshot.allocations(filter)
    }

    fn lapsed(&mut self, now: Timestamp) -> Result<Vec<(Space, AppKey)>, StoreError> {
        let first = self.start.first_lease.as_deref();
        self.snapshot.lapsed(now, first)
    }

    fn history(&mut self, filter: &HistoryFilter) -> Result<Vec<Recorded>, StoreError> {
        self.snapshot.history(filter)
    }

    fn spaces(&mut self) -> Result<Vec<Space>, StoreError> {
        self.snapshot.spaces()
    }

    fn models(&mut self, space: &Space) -> Result<Vec<Model>, StoreError> {
        self.snapshot.models(space)
    }

    fn audit(&mut self, space: &Space) -> Result<Audit, StoreError> {
        self.snapshot.audit(space)
    }
}
