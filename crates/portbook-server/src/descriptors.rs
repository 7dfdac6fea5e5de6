//! Room for connections: each takes a descriptor, and most processes begin with fewer than they may have.

use rustix::process::{Resource, getrlimit, setrlimit};
use tracing::warn;

/// Descriptors for what is no connection: the book, its journal, the log, each of the writer's threads.
const OTHERS: u64 = 512;

/// Sees to it that so many connections can be had at once, and returns how many can. Whoever comes
/// beyond those is turned away at once, instead of waiting for a descriptor that nobody gives back.
pub(crate) fn for_connections(wanted: usize) -> usize {
    let needed = wanted as u64 + OTHERS;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        let most = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
        let raised = rustix::process::Rlimit {
            current: Some(most),
            ..limit
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit.current = Some(most);
        }
    }
    let Some(current) = limit.current.filter(|current| *current < needed) else {
        return wanted;
    };
    let possible = current.saturating_sub(OTHERS).max(current / 2);
    warn!(
        wanted,
        possible, "fewer connections at once than wanted: the limit of open files is {current}"
    );
    usize::try_from(possible).unwrap_or(wanted).min(wanted)
}
