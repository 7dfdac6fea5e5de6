//! What the store tells, against what its changes come to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use portbook_model::{
    Allocation, AppRecord, Needs, Port, Recorded, Revision, Role, Space, SpaceBook, Timestamp,
};

use super::kit::elsewhere;
use crate::{Filter, Reading, Store};

/// A moment long enough ago that every release came after it.
pub(super) const EVER: i64 = i64::MIN;

/// Checks that everything the store says of the book is what its changes come to.
pub fn agrees_with_its_changes(store: &dyn Store) {
    let mut reading = store.read().unwrap();
    let replayed = replay(&reading.changes_since(Revision(0)).unwrap());
    for (space, expected) in &replayed {
        same_space(&mut *reading, space, expected);
    }
    let listed: BTreeSet<Space> = reading.spaces().unwrap().into_iter().collect();
    for space in &listed {
        assert!(
            replayed.contains_key(space),
            "nothing ever happened in the space {space}"
        );
    }
    for (space, book) in &replayed {
        let holds = !book.taken.is_empty()
            || !book.pools.is_empty()
            || book.promises.files().next().is_some();
        assert!(
            !holds || listed.contains(space),
            "the space {space} is missing"
        );
    }
}

/// Follows recorded changes from an empty book, by the model's own account of what they mean.
pub(super) fn replay(changes: &[Recorded]) -> BTreeMap<Space, SpaceBook> {
    let mut spaces = BTreeMap::new();
    follow(&mut spaces, changes);
    spaces
}

pub(super) fn follow(spaces: &mut BTreeMap<Space, SpaceBook>, changes: &[Recorded]) {
    for recorded in changes {
        let space = spaces.entry(recorded.space.clone()).or_default();
        space.apply(&recorded.change, recorded.at);
    }
}

/// Checks every answer about one space against `expected`, which knows everything about it.
pub(super) fn same_space(reading: &mut dyn Reading, space: &Space, expected: &SpaceBook) {
    let mut book = reading.space(space, Timestamp::from_millis(EVER)).unwrap();
    assert_eq!(book.taken, expected.taken);
    assert_eq!(exact(&book.pools), exact(&expected.pools));
    let files = |book: &SpaceBook| book.promises.files().cloned().collect::<Vec<_>>();
    assert_eq!(exact(&files(&book)), exact(&files(expected)));
    assert_eq!(exact(&sorted(&book.rests)), exact(&sorted(&expected.rests)));
    let needs = Needs {
        apps: expected.apps.keys().cloned().collect(),
        owners: Default::default(),
        every_owner: true,
    };
    reading.load(space, &needs, &mut book).unwrap();
    assert_eq!(
        exact(&sorted_records(&book)),
        exact(&sorted_records(expected))
    );
    assert_eq!(sorted(&book.owners), sorted(&expected.owners));
    for (app, record) in &expected.apps {
        assert_eq!(
            exact(&reading.app(space, app).unwrap()),
            exact(&Some(record.clone()))
        );
    }
    let filter = Filter {
        space: space.clone(),
        ..Filter::default()
    };
    let listed = reading.allocations(&filter).unwrap();
    let held: Vec<_> = sorted_records(expected)
        .into_iter()
        .filter_map(|record| record.held().cloned())
        .collect();
    assert_eq!(exact(&listed), exact(&held));
    same_audit(reading, space, &held);
}

/// Checks that the rows, as they lie, are those of `held` and no others.
pub(super) fn same_audit(reading: &mut dyn Reading, space: &Space, held: &[Allocation]) {
    let audit = reading.audit(space).unwrap();
    assert_eq!(audit.damage, [""; 0]);
    let apps: BTreeSet<String> = audit.apps.into_iter().collect();
    assert_eq!(
        apps,
        held.iter()
            .map(|allocation| allocation.app.to_string())
            .collect()
    );
    let claims: BTreeSet<_> = audit
        .claims
        .into_iter()
        .map(|claim| (claim.port, claim.app, claim.role))
        .collect();
    let rows = held.iter().flat_map(|allocation| {
        let app = allocation.app.to_string();
        let row = move |(role, port): (&Role, &Port)| {
            (i64::from(port.get()), Some(app.clone()), role.to_string())
        };
        allocation.ports.iter().map(row)
    });
    assert_eq!(claims, rows.collect());
}

pub(super) fn sorted<K: Ord + Clone, V: Clone>(
    map: &std::collections::HashMap<K, V>,
) -> BTreeMap<K, V> {
    map.iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

pub(super) fn sorted_records(book: &SpaceBook) -> Vec<AppRecord> {
    sorted(&book.apps).into_values().collect()
}

/// A value with everything in it: two spellings of a model are equal, but not exactly.
pub(super) fn exact(value: &impl Debug) -> String {
    format!("{value:#?}")
}

/// Everything that a store tells of its book.
pub(super) fn everything(store: &dyn Store) -> String {
    let mut reading = store.read().unwrap();
    let mut told = exact(&(
        reading.head().unwrap(),
        reading.changes_since(Revision(0)).unwrap(),
    ));
    for space in [Space::default(), elsewhere()] {
        let needs = Needs {
            every_owner: true,
            ..Needs::default()
        };
        let mut book = reading.space(&space, Timestamp::from_millis(EVER)).unwrap();
        reading.load(&space, &needs, &mut book).unwrap();
        let filter = Filter {
            space: space.clone(),
            ..Filter::default()
        };
        told += &exact(&(
            (
                &book.taken,
                &book.pools,
                book.promises.files().collect::<Vec<_>>(),
            ),
            (sorted(&book.rests), sorted(&book.owners)),
            reading.allocations(&filter).unwrap(),
            reading.audit(&space).unwrap(),
        ));
    }
    told
}
