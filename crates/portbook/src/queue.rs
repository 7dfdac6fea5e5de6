//! How callers share a commit: they gather in rounds, and one of each round leads it.
//!
//! Whoever comes joins the round that gathers, and who comes first leads it: a lone caller at once, and
//! waits for nobody. When a round has ended, the lead is handed to the next round before anybody is
//! told, so that its leader is at work already while the callers of the former one wake, all of them by
//! one call of the system's. They take what is theirs without a lock in common, on which each would wait
//! a second time.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Rounds of requests `R`, each of which ends with an `E`.
pub(crate) struct Queue<R, E> {
    waiting: Mutex<Waiting<R, E>>,
    most_in_round: usize,
    most_waiting: usize,
}

struct Waiting<R, E> {
    /// Those that nobody works on yet, the oldest first; only the last is not full.
    rounds: VecDeque<Gathering<R, E>>,
    /// How many requests these have together.
    requests: usize,
    /// Whether somebody leads a round, or has been told to.
    led: bool,
}

struct Gathering<R, E> {
    round: Arc<Round<E>>,
    requests: Vec<R>,
}

/// The number of a round's first request, whose caller leads.
const FIRST: usize = 0;

/// What the callers of a round wait on.
struct Round<E> {
    /// Set when it is this round's turn: its first caller waits for that, and leads.
    due: OnceLock<()>,
    /// What became of each request, by its number; taken by its caller.
    endings: OnceLock<Vec<Mutex<Option<E>>>>,
}

/// There are as many requests waiting as there may be.
#[derive(Debug)]
pub(crate) struct Full(pub(crate) usize);

/// What a panicking thread leaves under these locks is whole: nothing is called while they are held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<R, E> Queue<R, E> {
    /// A queue whose rounds have at most so many requests, and in which so many may wait.
    pub(crate) fn new(most_in_round: usize, most_waiting: usize) -> Self {
        let waiting = Waiting {
            rounds: VecDeque::new(),
            requests: 0,
            led: false,
        };
        Self {
            waiting: Mutex::new(waiting),
            most_in_round,
            most_waiting,
        }
    }

    /// Has a request carried out by whoever leads its round: by this caller, with `carry_out`, if that
    /// falls to it. `carry_out` gives an ending for each request, in order; where it gives too few, or
    /// panics, the rest end with `broken_off`.
    ///
    /// `None` only where an ending got lost, which does not happen.
    pub(crate) fn submit(
        &self,
        request: R,
        carry_out: impl FnOnce(Vec<R>) -> Vec<E>,
        broken_off: impl Fn() -> E,
    ) -> Result<Option<E>, Full> {
        let (round, number, is_due) = self.join(request)?;
        if number > FIRST {
            return Ok(round.ending(number));
        }
        if !is_due {
            round.due.wait();
        }
        let lead = Lead {
            queue: self,
            broken_off,
            taken: lock(&self.waiting).take_round(),
            endings: Vec::new(),
        };
        Ok(lead.carry_out(carry_out))
    }

    /// The round that the request is in, its number there, and whether it is the round's turn now.
    fn join(&self, request: R) -> Result<(Arc<Round<E>>, usize, bool), Full> {
        let mut waiting = lock(&self.waiting);
        if waiting.requests >= self.most_waiting {
            return Err(Full(waiting.requests));
        }
        waiting.requests += 1;
        // Where nobody leads, no round waits: this one begins now.
        let is_due = !mem::replace(&mut waiting.led, true);
        let gathering = waiting.rounds.back_mut();
        match gathering.filter(|last| last.requests.len() < self.most_in_round) {
            Some(last) => {
                last.requests.push(request);
                Ok((last.round.clone(), last.requests.len() - 1, is_due))
            }
            None => {
                let round = Arc::new(Round {
                    due: OnceLock::new(),
                    endings: OnceLock::new(),
                });
                waiting.rounds.push_back(Gathering {
                    round: round.clone(),
                    requests: vec![request],
                });
                Ok((round, FIRST, is_due))
            }
        }
    }

    /// Gives the lead to the next round, if there is one.
    fn hand_on(&self) {
        let mut waiting = lock(&self.waiting);
        let next = waiting.rounds.front().map(|next| next.round.clone());
        waiting.led = next.is_some();
        drop(waiting);
        if let Some(next) = next {
            // It is told once, by whoever led before it.
            let _ = next.due.set(());
        }
    }
}

impl<R, E> Waiting<R, E> {
    fn take_round(&mut self) -> Option<Gathering<R, E>> {
        let taken = self.rounds.pop_front()?;
        self.requests -= taken.requests.len();
        Some(taken)
    }
}

impl<E> Round<E> {
    /// Waits until the round has ended, and takes what became of the request of this number.
    fn ending(&self, number: usize) -> Option<E> {
        let ending = self.endings.wait().get(number)?;
        lock(ending).take()
    }
}

/// The lead over one round. However it ends, every request has an ending and the lead goes on.
struct Lead<'a, R, E, B: Fn() -> E> {
    queue: &'a Queue<R, E>,
    broken_off: B,
    taken: Option<Gathering<R, E>>,
    endings: Vec<Option<E>>,
}

impl<R, E, B: Fn() -> E> Lead<'_, R, E, B> {
    fn carry_out(mut self, carry_out: impl FnOnce(Vec<R>) -> Vec<E>) -> Option<E> {
        let taken = self.taken.as_mut()?;
        let requests = mem::take(&mut taken.requests);
        self.endings.resize_with(requests.len(), || None);
        let endings = carry_out(requests);
        for (place, ending) in self.endings.iter_mut().zip(endings) {
            *place = Some(ending);
        }
        self.endings.get_mut(FIRST).and_then(Option::take)
    }
}

impl<R, E, B: Fn() -> E> Drop for Lead<'_, R, E, B> {
    fn drop(&mut self) {
        self.queue.hand_on();
        let Some(Gathering { round, .. }) = self.taken.take() else {
            return;
        };
        let endings = mem::take(&mut self.endings).into_iter().enumerate();
        let endings = endings.map(|(number, ending)| match number {
            FIRST => Mutex::new(ending),
            _ => Mutex::new(ending.or_else(|| Some((self.broken_off)()))),
        });
        // Nobody else ends this round.
        let _ = round.endings.set(endings.collect());
    }
}
