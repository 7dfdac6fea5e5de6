//! The line of a process's own threads, for stores that let one of them at a time ask for the turn.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Those who wait, in the order in which they came; the first of them has its turn.
#[derive(Debug, Default)]
pub struct Queue {
    line: Mutex<Line>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Line {
    places: VecDeque<u64>,
    given: u64,
}

/// The first place, until it is dropped.
#[derive(Debug)]
pub struct Place<'a>(&'a Queue);

impl Queue {
    /// Waits to be the first; `None` if that took longer than `patience`.
    pub fn wait(&self, patience: Duration) -> Option<Place<'_>> {
        let mut line = self.line();
        let place = line.given;
        line.given += 1;
        line.places.push_back(place);
        let (mut line, _) = self
            .moved
            .wait_timeout_while(line, patience, |line| line.places.front() != Some(&place))
            .unwrap_or_else(PoisonError::into_inner);
        if line.places.front() == Some(&place) {
            return Some(Place(self));
        }
        line.places.retain(|other| *other != place);
        None
    }

    /// A thread that died left a whole line behind.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.line().places.pop_front();
        self.0.moved.notify_all();
    }
}
