//! The line of all processes: keys in the order in which they were made, each gone with its lease.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::client::{Client, Condition, Order, Question, Row, Write};
use crate::error::Failure;
use crate::keys::{self, Keys};

/// How long a writer that hangs, or is gone, keeps the others waiting.
const LEASE: Duration = Duration::from_secs(5);
/// How long writers go on lining up after they met. Those who do not meet save a write each.
const WARY: Duration = Duration::from_secs(1);

/// What a writer knows of the line.
#[derive(Debug, Default)]
pub(crate) struct Line {
    lease: Mutex<Option<Lease>>,
    met: Mutex<Option<Instant>>,
}

#[derive(Debug, Clone, Copy)]
struct Lease {
    id: i64,
    renewed: Instant,
}

/// A place in the line: a key, and the revision of etcd's at which it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) key: String,
    pub(crate) created: i64,
}

/// Everybody who waits, the first first.
pub(crate) fn question() -> Question {
    Question {
        order: Order::ByCreation,
        ..Question::all(Keys::under(keys::TURN))
    }
}

impl Line {
    /// Another writer was met: for a while, nobody writes unless it is their turn.
    pub(crate) fn meet(&self) {
        *self.met.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(crate) fn is_wary(&self) -> bool {
        let met = *self.met.lock().unwrap_or_else(PoisonError::into_inner);
        met.is_some_and(|met| met.elapsed() < WARY)
    }

    /// Takes a place at the end of the line, or finds the one that was taken before.
    pub(crate) fn join(&self, client: &Client) -> Result<Ticket, Failure> {
        loop {
            let lease = self.lease(client)?;
            let key = keys::turn(lease);
            let joined = client.change_surely(
                &[Condition::Absent(Keys::one(key.as_str()))],
                &[Write::PutLeased(key.clone(), whoever_this_is(), lease)],
                &[Question::all(Keys::one(key.as_str()))],
            );
            match joined {
                Ok(joined) if joined.succeeded => {
                    return Ok(Ticket {
                        key,
                        created: joined.revision,
                    });
                }
                Ok(joined) => {
                    let rows = joined.found.into_iter().flat_map(|found| found.rows);
                    if let Some(row) = rows.into_iter().next() {
                        return Ok(Ticket {
                            key,
                            created: row.created,
                        });
                    }
                }
                Err(Failure::Refused(reason)) if reason.contains("lease not found") => {
                    self.forget_lease();
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Waits until the one ahead has left, at most for `patience`, and keeps the place meanwhile.
    pub(crate) fn wait_behind(
        &self,
        client: &Client,
        ahead: &Row,
        since: i64,
        patience: Duration,
    ) -> Result<(), Failure> {
        client.wait_for(&ahead.key, since, patience.min(LEASE / 3));
        self.lease(client).map(|_| ())
    }

    /// A lease that still runs for a good while.
    fn lease(&self, client: &Client) -> Result<i64, Failure> {
        let mut kept = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(lease) = kept.as_mut() {
            if now.duration_since(lease.renewed) < LEASE / 3 {
                return Ok(lease.id);
            }
            if client.keep_alive(lease.id)? {
                lease.renewed = now;
                return Ok(lease.id);
            }
        }
        let id = client.grant(LEASE)?;
        *kept = Some(Lease { id, renewed: now });
        Ok(id)
    }

    fn forget_lease(&self) {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// For those who wait behind it.
fn whoever_this_is() -> String {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().into_owned();
    format!("process {} on {host}", std::process::id())
}
