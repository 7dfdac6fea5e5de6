//! What the keys beneath refuse, whatever is planned.

use std::collections::BTreeSet;

use portbook_model::{Change, Revision, Source, Space, SpaceChange};

use super::agreement::{agrees_with_its_changes, everything};
use super::kit::{
    allocated, app, at, batch, commit, elsewhere, here, listed, pool_added, ports_of, promised,
    released, revision, there,
};
use super::{Make, PATIENCE};
use crate::{CommitError, Filter, Store};

/// No plan, however wrong, gives a port to two apps, or to two roles of one.
pub fn a_port_has_one_owner_whatever_is_planned(make: Make<'_>) {
    let store = make();
    commit(&*store, vec![here(allocated("m", 1, 5001, 8001))]).unwrap();
    refuses(
        &*store,
        "the same role's port",
        vec![here(allocated("m", 2, 5001, 8003))],
    );
    refuses(
        &*store,
        "another role's port",
        vec![here(allocated("m", 2, 8001, 8003))],
    );
    refuses(
        &*store,
        "one port for two roles",
        vec![here(allocated("m", 2, 5003, 5003))],
    );
    refuses(
        &*store,
        "two apps of one batch",
        vec![
            here(allocated("m", 2, 5003, 8003)),
            here(allocated("n", 2, 8003, 8005)),
        ],
    );
    let steal = Change::Extended {
        app: app("m", 2),
        ports: ports_of(&[("db", 5001)]),
    };
    refuses(
        &*store,
        "a further role",
        vec![here(allocated("m", 2, 5003, 8003)), here(steal)],
    );
    let import = Change::Allocated {
        app: app("n", 1),
        ports: ports_of(&[("backend", 8001), ("frontend", 9001)]),
        source: Source::Import,
        created_at: Some(at(1)),
        lease: None,
    };
    refuses(&*store, "an import", vec![here(import)]);
}

/// No plan, however wrong, gives one app two records, by whatever spelling, or a role two ports.
pub fn an_app_has_one_record_whatever_is_planned(make: Make<'_>) {
    let store = make();
    commit(&*store, vec![here(allocated("x-ai/grok-4", 1, 5001, 8001))]).unwrap();
    refuses(
        &*store,
        "a second allocation",
        vec![here(allocated("x-ai/grok-4", 1, 5003, 8003))],
    );
    refuses(
        &*store,
        "its other spelling",
        vec![here(allocated("x-ai_grok-4", 1, 5003, 8003))],
    );
    refuses(
        &*store,
        "twice in one batch",
        vec![
            here(allocated("m", 1, 5003, 8003)),
            here(allocated("m", 1, 5005, 8005)),
        ],
    );
    let again = Change::Extended {
        app: app("x-ai/grok-4", 1),
        ports: ports_of(&[("backend", 5003)]),
    };
    refuses(&*store, "a second backend", vec![here(again)]);
    // What differs by a letter's case, a dot or a number is another app.
    commit(
        &*store,
        vec![
            here(allocated("X-ai_grok-4", 1, 5003, 8003)),
            here(allocated("x-ai_grok-4.1", 1, 5005, 8005)),
            here(allocated("x-ai/grok-4", 11, 5007, 8007)),
        ],
    )
    .unwrap();
    agrees_with_its_changes(&*store);
}

/// A release frees what the app holds: not another's ports, and nothing when it holds nothing.
pub fn a_release_takes_only_what_is_the_apps(make: Make<'_>) {
    let store = make();
    commit(
        &*store,
        vec![
            here(allocated("m", 1, 5001, 8001)),
            here(allocated("m", 2, 5003, 8003)),
        ],
    )
    .unwrap();
    refuses(
        &*store,
        "another's ports",
        vec![here(released("m", 1, 5003, 8003))],
    );
    refuses(
        &*store,
        "an app that never was",
        vec![here(released("n", 1, 5001, 8001))],
    );
    commit(&*store, vec![here(released("m", 1, 5001, 8001))]).unwrap();
    commit(&*store, vec![here(allocated("m", 3, 5001, 8001))]).unwrap();
    refuses(
        &*store,
        "an app that gave them back",
        vec![here(released("m", 1, 5001, 8001))],
    );
    agrees_with_its_changes(&*store);
}

/// Each space is a number line of its own.
pub fn spaces_have_nothing_to_do_with_each_other(make: Make<'_>) {
    let store = make();
    commit(
        &*store,
        vec![
            here(allocated("m", 1, 5001, 8001)),
            there(allocated("m", 1, 5001, 8001)),
            there(allocated("n", 1, 5003, 8003)),
        ],
    )
    .unwrap();
    in_space("with-a-pool", &*store, pool_added("p", 7000, 7009));
    in_space(
        "with-a-promise",
        &*store,
        promised("a.json", &[("m", 1, 5001, 8001)]),
    );
    let mut reading = store.read().unwrap();
    let names = |spaces: Vec<Space>| spaces.iter().map(Space::to_string).collect::<BTreeSet<_>>();
    let expected = ["default", "elsewhere", "with-a-pool", "with-a-promise"];
    assert_eq!(
        names(reading.spaces().unwrap()),
        expected.map(str::to_owned).into()
    );
    commit(&*store, vec![there(released("m", 1, 5001, 8001))]).unwrap();
    let held = |space: Space| {
        let filter = Filter {
            space,
            ..Filter::default()
        };
        listed(&*store, &filter)
    };
    assert_eq!(held(Space::default()), ["m/app1"]);
    assert_eq!(held(elsewhere()), ["n/app1"]);
    agrees_with_its_changes(&*store);
}

/// Commits a batch that no planner should have made, and checks that nothing of it is left.
fn refuses(store: &dyn Store, what: &str, changes: Vec<SpaceChange>) {
    let before = everything(store);
    let wrong = batch(changes);
    let answer = store
        .turn(PATIENCE)
        .unwrap()
        .commit(revision(store), &wrong);
    assert!(
        matches!(answer, Err(CommitError::Duplicate(_))),
        "{what}: {answer:?}"
    );
    assert_eq!(everything(store), before, "{what}: something of it is left");
    assert_eq!(
        store.find_commit(wrong.commit, Revision(0)),
        Ok(false),
        "{what}"
    );
}

fn in_space(name: &str, store: &dyn Store, change: Change) {
    let space = Space::new(name).unwrap();
    let by = "contract".into();
    commit(store, vec![SpaceChange { space, by, change }]).unwrap();
}
