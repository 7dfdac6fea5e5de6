//! Work that several threads share, each piece of which may make more.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// What waits to be done. Each worker keeps what it comes upon, and hands some of it over only where
/// another one has nothing to do: taking turns at one list for every piece costs more than a small piece.
pub(super) struct Queue<T> {
    shared: Mutex<Vec<T>>,
    changed: Condvar,
    workers: usize,
    /// How many workers wait for something to do; changed under the lock.
    idle: AtomicUsize,
    done: AtomicUsize,
}

impl<T> Queue<T> {
    /// A queue for so many workers, each of which has to ask for work until there is none.
    pub(super) fn new(waiting: Vec<T>, workers: usize) -> Self {
        Self {
            shared: Mutex::new(waiting),
            changed: Condvar::new(),
            workers,
            idle: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
        }
    }

    /// The next piece: the latest of the worker's own, else somebody's; `None` when all is done.
    pub(super) fn next(&self, own: &mut Vec<T>) -> Option<T> {
        if let Some(next) = own.pop() {
            return Some(next);
        }
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_idle = false;
        loop {
            if let Some(next) = shared.pop() {
                if is_idle {
                    self.idle.fetch_sub(1, Ordering::Relaxed);
                }
                return Some(next);
            }
            if !is_idle {
                is_idle = true;
                let idle = self.idle.fetch_add(1, Ordering::Relaxed) + 1;
                if idle == self.workers {
                    self.changed.notify_all();
                }
            }
            if self.idle.load(Ordering::Relaxed) == self.workers {
                return None;
            }
            shared = self
                .changed
                .wait(shared)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Notes that a piece is done, and shares what the worker has left where somebody waits for it, the
    /// oldest first, which most often leads to the most; gives how many pieces are done.
    pub(super) fn finish(&self, own: &mut Vec<T>) -> usize {
        if own.len() > 1 && self.idle.load(Ordering::Relaxed) > 0 {
            let given = own.len() / 2;
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            shared.extend(own.drain(..given));
            self.changed.notify_all();
        }
        self.done.fetch_add(1, Ordering::Relaxed) + 1
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// A piece of size n makes pieces of all sizes below n: 2^n in all.
    #[test]
    fn every_piece_is_done_once_however_many_work() {
        for workers in [1, 2, 7] {
            let queue = Queue::new(vec![12_u32], workers);
            let work = || {
                let (mut own, mut done) = (Vec::new(), 0);
                while let Some(size) = queue.next(&mut own) {
                    own.extend(0..size);
                    queue.finish(&mut own);
                    done += 1;
                }
                done
            };
            let done: usize = thread::scope(|scope| {
                let all: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
                all.into_iter().map(|worker| worker.join().unwrap()).sum()
            });
            assert_eq!(done, 1 << 12, "{workers} workers");
        }
    }
}
