//! Short names for what the promises are told in.

use std::sync::atomic::{AtomicU64, Ordering};

use portbook_model::{
    Allocation, AllocationRequest, AppKey, AppNumber, Ask, Batch, Change, Command, CommitId, Lease,
    Model, ModelPattern, Outcome, Pool, PoolName, Port, PortStretch, Ports, Promise, PromiseFile,
    Recorded, Refusal, ReleaseCause, Revision, Role, Source, Space, SpaceChange, Span, Timestamp,
};

use super::PATIENCE;
use crate::{CommitError, Filter, Store};

pub(super) fn commit(store: &dyn Store, changes: Vec<SpaceChange>) -> Result<(), CommitError> {
    commit_at(store, 0, changes)
}

pub(super) fn commit_at(
    store: &dyn Store,
    moment: i64,
    changes: Vec<SpaceChange>,
) -> Result<(), CommitError> {
    let mut turn = store.turn(PATIENCE)?;
    let seen = turn.head()?.revision;
    turn.commit(seen, &batch_at(at(moment), changes))
}

pub(super) fn revision(store: &dyn Store) -> Revision {
    store.read().unwrap().head().unwrap().revision
}

pub(super) fn listed(store: &dyn Store, filter: &Filter) -> Vec<String> {
    let allocations = store.read().unwrap().allocations(filter).unwrap();
    allocations
        .iter()
        .map(|allocation| allocation.app.to_string())
        .collect()
}

pub(super) fn filter(models: Option<&str>, number: Option<u32>) -> Filter {
    Filter {
        space: Space::default(),
        models: models.map(|models| ModelPattern::new(models).unwrap()),
        number: number.map(|number| AppNumber::new(number).unwrap()),
    }
}

/// The one allocation of the one answer.
pub(super) fn granted(answers: &[Result<Outcome, Refusal>]) -> &Allocation {
    match answers {
        [Ok(Outcome::Allocated(grants))] if grants.len() == 1 => &grants[0].allocation,
        other => panic!("no allocation: {other:?}"),
    }
}

pub(super) fn recorded_as(revision: u64, batch: &Batch, step: &SpaceChange) -> Recorded {
    Recorded {
        revision: Revision(revision),
        commit: batch.commit,
        at: batch.at,
        actor: step.by.to_string(),
        space: step.space.clone(),
        change: step.change.clone(),
    }
}

pub(super) fn batch(changes: Vec<SpaceChange>) -> Batch {
    batch_at(at(0), changes)
}

/// A batch with a name that no other of this process has.
pub(super) fn batch_at(at: Timestamp, changes: Vec<SpaceChange>) -> Batch {
    static GIVEN: AtomicU64 = AtomicU64::new(1);
    let mut name = [0; 16];
    name[..4].copy_from_slice(&std::process::id().to_be_bytes());
    name[8..].copy_from_slice(&GIVEN.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    Batch {
        commit: CommitId(name),
        at,
        changes,
    }
}

/// A change in the default space.
pub(super) fn here(change: Change) -> SpaceChange {
    SpaceChange {
        space: Space::default(),
        by: "contract".into(),
        change,
    }
}

/// A change in another space.
pub(super) fn there(change: Change) -> SpaceChange {
    SpaceChange {
        space: elsewhere(),
        by: "another".into(),
        change,
    }
}

pub(super) fn elsewhere() -> Space {
    Space::new("elsewhere").unwrap()
}

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

pub(super) fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

pub(super) fn app(model: &str, number: u32) -> AppKey {
    AppKey::new(Model::new(model).unwrap(), AppNumber::new(number).unwrap())
}

pub(super) fn ports_of(ports: &[(&str, u16)]) -> Ports {
    ports
        .iter()
        .map(|(role, number)| (Role::new(role).unwrap(), port(*number)))
        .collect()
}

pub(super) fn ports(backend: u16, frontend: u16) -> Ports {
    ports_of(&[("backend", backend), ("frontend", frontend)])
}

pub(super) fn allocated(model: &str, number: u32, backend: u16, frontend: u16) -> Change {
    Change::Allocated {
        app: app(model, number),
        ports: ports(backend, frontend),
        source: Source::Dynamic,
        created_at: None,
        lease: None,
    }
}

pub(super) fn lease(end: i64) -> Lease {
    Lease {
        expires_at: at(end),
        ttl: Span::from_millis(10),
    }
}

pub(super) fn leased(model: &str, number: u32, backend: u16, frontend: u16, end: i64) -> Change {
    Change::Allocated {
        app: app(model, number),
        ports: ports(backend, frontend),
        source: Source::Dynamic,
        created_at: None,
        lease: Some(lease(end)),
    }
}

pub(super) fn renewed(model: &str, number: u32, end: i64) -> Change {
    Change::Renewed {
        app: app(model, number),
        lease: lease(end),
    }
}

pub(super) fn released(model: &str, number: u32, backend: u16, frontend: u16) -> Change {
    Change::Released {
        app: app(model, number),
        ports: ports(backend, frontend),
        cause: ReleaseCause::Asked,
    }
}

pub(super) fn promised(source: &str, entries: &[(&str, u32, u16, u16)]) -> Change {
    Change::Promised {
        file: promise_file(source, entries),
    }
}

pub(super) fn promise_file(source: &str, entries: &[(&str, u32, u16, u16)]) -> PromiseFile {
    let promise = |(model, number, backend, frontend): &(&str, u32, u16, u16)| Promise {
        app: app(model, *number),
        ports: ports(*backend, *frontend),
    };
    PromiseFile {
        source: source.to_owned(),
        digest: "digest".to_owned(),
        promises: entries.iter().map(promise).collect(),
    }
}

pub(super) fn pool(name: &str, first: u16, last: u16) -> Pool {
    Pool {
        name: PoolName::new(name).unwrap(),
        ports: PortStretch::new(port(first), port(last)).unwrap(),
        models: ModelPattern::new("x-ai/*").unwrap(),
    }
}

pub(super) fn pool_added(name: &str, first: u16, last: u16) -> Change {
    Change::PoolAdded {
        pool: pool(name, first, last),
    }
}

pub(super) fn pool_removed(name: &str, first: u16, last: u16) -> Change {
    Change::PoolRemoved {
        pool: pool(name, first, last),
    }
}

pub(super) fn command(ask: Ask) -> Command {
    Command::new(Space::default(), ask)
}

pub(super) fn allocate(model: &str, number: u32) -> Command {
    command(Ask::Allocate(AllocationRequest::plain(vec![app(
        model, number,
    )])))
}
