//! The promises of every store.
//!
//! Each public function that takes a [`Make`] is one promise; it is kept, or it panics and says how it
//! was broken. A store's tests name a way to make a new, empty book, and get one test a promise:
//!
//! ```
//! # use portbook_store::MemoryStore;
//! portbook_store::store_contract!(|| MemoryStore::new());
//! // For a store whose turns nobody waits for, in a module of its own: every other promise holds.
//! mod without_turns {
//!     # use portbook_store::MemoryStore;
//!     portbook_store::store_contract!(without turns, || MemoryStore::without_turns());
//! }
//! ```
//!
//! A book in a temporary folder is made together with what removes the folder: see [`Guarded`].
//! What a store promises of crashes, of files and of several processes is for its own tests.

#![allow(clippy::unwrap_used, reason = "a promise that is not kept panics")]

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use portbook_model::{
    Allocation, AllocationRequest, AppKey, AppNumber, AppRecord, Ask, Batch, Book, Change, Command,
    CommitId, ImportEntry, Lease, Model, ModelPattern, Needs, Outcome, Policy, Pool, PoolName,
    Port, PortRange, PortStretch, Ports, Promise, PromiseFile, Recorded, Refusal, ReleaseCause,
    Revision, Role, Source, Space, SpaceBook, SpaceChange, Span, Timestamp, UncheckedHost, plan,
};

use crate::{CommitError, Filter, HistoryFilter, MemoryStore, Reading, Store, StoreError, Turn};

/// Makes a new, empty book.
pub type Make<'a> = &'a dyn Fn() -> Box<dyn Store>;

/// Turns every promise into a test, for the store that the expression, a closure, makes.
#[macro_export]
macro_rules! store_contract {
    (without turns, $make:expr) => {
        $crate::store_contract!(@tests $make;
            a_new_book_is_empty_and_has_a_name_of_its_own,
            each_change_is_one_revision,
            a_commit_happens_whole_or_not_at_all,
            a_commit_on_another_revision_is_stale_and_changes_nothing,
            of_two_who_read_the_same_book_one_commits,
            a_port_has_one_owner_whatever_is_planned,
            an_app_has_one_record_whatever_is_planned,
            a_release_takes_only_what_is_the_apps,
            spaces_have_nothing_to_do_with_each_other,
            a_reading_stays_as_it_was,
            a_turn_that_is_dropped_commits_nothing,
            a_commit_is_found_by_its_name,
            changes_are_read_from_any_revision_on,
            history_is_filtered_and_its_end_can_be_asked_for,
            allocations_are_filtered_and_in_order,
            a_models_name_is_no_pattern_beneath,
            the_first_spelling_is_the_one_shown,
            names_in_any_script_are_kept,
            lapsed_leases_are_found_in_every_space,
            rests_reach_back_as_far_as_asked,
            the_last_release_of_a_port_counts,
            promises_are_replaced_file_by_file,
            what_is_needed_is_loaded_and_no_more,
            every_kind_of_change_reads_back,
            the_last_port_of_the_ranges_is_given_out,
            many_threads_get_a_pair_each,
            threads_that_ask_for_one_app_hear_of_one_pair,
            any_commands_leave_what_they_leave_in_memory,
        );
    };
    (@tests $make:expr; $($promise:ident,)+) => {
        $(
            #[test]
            fn $promise() {
                let make = $make;
                $crate::contract::$promise(&|| Box::new(make()));
            }
        )+
    };
    ($make:expr) => {
        $crate::store_contract!(without turns, $make);
        $crate::store_contract!(@tests $make;
            one_has_the_turn_and_others_wait_as_long_as_they_will,
            readings_wait_for_no_turn,
        );
    };
}

/// A store, and what must not be dropped before it: the temporary folder that it lies in.
#[derive(Debug)]
pub struct Guarded<S, G> {
    /// The store.
    pub store: S,
    /// What goes after it.
    pub guard: G,
}

impl<S: Store, G: Send + Sync> Store for Guarded<S, G> {
    fn read(&self) -> Result<Box<dyn Reading + '_>, StoreError> {
        self.store.read()
    }

    fn turn(&self, patience: Duration) -> Result<Box<dyn Turn + '_>, StoreError> {
        self.store.turn(patience)
    }

    fn find_commit(&self, commit: CommitId, after: Revision) -> Result<bool, StoreError> {
        self.store.find_commit(commit, after)
    }

    fn location(&self) -> String {
        self.store.location()
    }
}

/// How long a promise waits for a turn that it is to get.
const PATIENCE: Duration = Duration::from_secs(60);

/// A moment long enough ago that every release came after it.
const EVER: i64 = i64::MIN;

/// Commits what `commands` come to, as the service does: turn, read, load, plan, commit, and once
/// more from the start when another commit came first. Nothing on the host is in use.
///
/// `wall` is what the clock shows; the plan's time is never before the book's last change.
pub fn commit_plan(
    store: &dyn Store,
    commands: &[Command],
    policy: &Policy,
    wall: Timestamp,
) -> Vec<Result<Outcome, Refusal>> {
    loop {
        let mut turn = store.turn(PATIENCE).unwrap();
        let mut book = Book::new(turn.head().unwrap());
        let now = book.clock(wall);
        let delay = i64::try_from(policy.reuse_delay().as_millis()).unwrap();
        let released_after = Timestamp::from_millis(now.millis() - delay);
        let lapsed = turn.lapsed(now).unwrap();
        for (space, mut needs) in Needs::of(commands) {
            if commands
                .iter()
                .any(|command| command.space == space && command.ask == Ask::Expire)
            {
                let here = lapsed.iter().filter(|(other, _)| *other == space);
                needs.apps.extend(here.map(|(_, app)| app.clone()));
            }
            let mut known = turn.space(&space, released_after).unwrap();
            turn.load(&space, &needs, &mut known).unwrap();
            book.spaces.insert(space, known);
        }
        let planned = plan(&mut book, commands, &UncheckedHost, policy, now);
        if planned.changes.is_empty() {
            return planned.answers;
        }
        let batch = batch_at(now, planned.changes);
        match turn.commit(book.head.revision, &batch) {
            Ok(()) => return planned.answers,
            Err(CommitError::Stale) => thread::yield_now(),
            Err(failure) => panic!("a commit that was planned rightly failed: {failure}"),
        }
    }
}

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

/// A new book is at revision 0, holds nothing, and is told from every other by its name.
pub fn a_new_book_is_empty_and_has_a_name_of_its_own(make: Make<'_>) {
    let store = make();
    let mut reading = store.read().unwrap();
    let head = reading.head().unwrap();
    assert_eq!(head.revision, Revision(0));
    assert!(!head.book.0.is_empty(), "the book has no name");
    assert_eq!(reading.changes_since(Revision(0)).unwrap(), []);
    assert_eq!(reading.history(&HistoryFilter::default()).unwrap(), []);
    assert_eq!(reading.spaces().unwrap(), []);
    assert_eq!(reading.allocations(&Filter::default()).unwrap(), []);
    assert_eq!(
        reading.audit(&Space::default()).unwrap(),
        crate::Audit::default()
    );
    assert_eq!(reading.app(&Space::default(), &app("m", 1)).unwrap(), None);
    assert!(!store.location().is_empty());
    drop(reading);
    let name = store.read().unwrap().head().unwrap().book;
    assert_eq!(name, head.book, "the book's name changed");
    assert_ne!(make().read().unwrap().head().unwrap().book, name);
}

/// A batch of n changes on revision r is recorded as r+1 to r+n, each with the commit's name, time and
/// author.
pub fn each_change_is_one_revision(make: Make<'_>) {
    let store = make();
    commit(&*store, vec![here(allocated("m", 1, 5001, 8001))]).unwrap();
    let mut batch = batch(vec![
        here(allocated("m", 2, 5003, 8003)),
        there(allocated("m", 1, 5001, 8001)),
        here(released("m", 1, 5001, 8001)),
    ]);
    batch.at = at(77);
    batch.actor = "cli:alice".to_owned();
    store
        .turn(PATIENCE)
        .unwrap()
        .commit(Revision(1), &batch)
        .unwrap();
    let mut reading = store.read().unwrap();
    let head = reading.head().unwrap();
    assert_eq!((head.revision, head.changed_at), (Revision(4), at(77)));
    let recorded = reading.changes_since(Revision(1)).unwrap();
    let expected = (2..)
        .zip(&batch.changes)
        .map(|(revision, step)| recorded_as(revision, &batch, step));
    assert_eq!(exact(&recorded), exact(&expected.collect::<Vec<_>>()));
}

/// When one change of a batch is refused, none of them happened.
pub fn a_commit_happens_whole_or_not_at_all(make: Make<'_>) {
    let store = make();
    commit(
        &*store,
        vec![
            here(allocated("m", 1, 5001, 8001)),
            here(pool_added("p", 7000, 7009)),
        ],
    )
    .unwrap();
    let before = everything(&*store);
    let refused = batch(vec![
        here(allocated("m", 2, 5003, 8003)),
        here(released("m", 1, 5001, 8001)),
        here(pool_added("q", 7010, 7019)),
        here(promised("a.json", &[("m", 3, 5005, 8005)])),
        there(allocated("m", 1, 5001, 8001)),
        // The only one that cannot be: this batch gave 5003 away already.
        here(allocated("m", 4, 5003, 8007)),
    ]);
    let answer = store.turn(PATIENCE).unwrap().commit(Revision(2), &refused);
    assert!(
        matches!(answer, Err(CommitError::Duplicate(_))),
        "{answer:?}"
    );
    assert_eq!(everything(&*store), before);
    assert_eq!(store.find_commit(refused.commit, Revision(0)), Ok(false));
    // And the book is as usable as before.
    commit(&*store, vec![here(allocated("m", 2, 5003, 8003))]).unwrap();
    agrees_with_its_changes(&*store);
}

/// A commit counts on the revision that it was planned on: on any other it is stale, whether the
/// book is behind or ahead.
pub fn a_commit_on_another_revision_is_stale_and_changes_nothing(make: Make<'_>) {
    let store = make();
    commit(
        &*store,
        vec![
            here(allocated("m", 1, 5001, 8001)),
            here(allocated("m", 2, 5003, 8003)),
        ],
    )
    .unwrap();
    let before = everything(&*store);
    for wrong in [0, 1, 3, u64::from(u32::MAX)] {
        let late = batch(vec![here(allocated("m", 3, 5005, 8005))]);
        let answer = store.turn(PATIENCE).unwrap().commit(Revision(wrong), &late);
        assert_eq!(
            answer,
            Err(CommitError::Stale),
            "planned on revision {wrong}"
        );
        assert_eq!(everything(&*store), before);
        assert_eq!(store.find_commit(late.commit, Revision(0)), Ok(false));
    }
    // Stale comes before duplicate: a plan on an old book is merely old.
    let both = batch(vec![here(allocated("m", 3, 5001, 8001))]);
    let answer = store.turn(PATIENCE).unwrap().commit(Revision(1), &both);
    assert_eq!(answer, Err(CommitError::Stale));
}

/// Of two plans on one revision, the first commits and the second is stale, turn or no turn.
pub fn of_two_who_read_the_same_book_one_commits(make: Make<'_>) {
    let store = make();
    let seen = store.read().unwrap().head().unwrap().revision;
    let first = batch(vec![here(allocated("m", 1, 5001, 8001))]);
    let second = batch(vec![here(allocated("m", 2, 5001, 8001))]);
    let answers: Vec<_> = thread::scope(|scope| {
        let store = &*store;
        let commit = |batch| scope.spawn(move || store.turn(PATIENCE).unwrap().commit(seen, batch));
        let running = [commit(&first), commit(&second)];
        running.map(|thread| thread.join().unwrap()).into()
    });
    assert!(
        answers.contains(&Ok(())) && answers.contains(&Err(CommitError::Stale)),
        "{answers:?}"
    );
    assert_eq!(revision(&*store), Revision(1));
}

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
            here(allocated("x-ai_grok-4", 11, 5007, 8007)),
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

/// A reading shows the book of one moment, whatever is committed while it lasts.
pub fn a_reading_stays_as_it_was(make: Make<'_>) {
    let store = make();
    commit(
        &*store,
        vec![
            here(allocated("m", 1, 5001, 8001)),
            here(pool_added("p", 7000, 7009)),
        ],
    )
    .unwrap();
    let mut early = store.read().unwrap();
    assert_eq!(early.head().unwrap().revision, Revision(2));
    commit(
        &*store,
        vec![
            here(allocated("m", 2, 5003, 8003)),
            here(released("m", 1, 5001, 8001)),
            here(pool_removed("p", 7000, 7009)),
            there(allocated("m", 1, 5001, 8001)),
        ],
    )
    .unwrap();
    let mut late = store.read().unwrap();
    assert_eq!(early.head().unwrap().revision, Revision(2));
    assert_eq!(late.head().unwrap().revision, Revision(6));
    let before = replay(&early.changes_since(Revision(0)).unwrap());
    assert_eq!(
        before.len(),
        1,
        "the reading shows changes that came after it"
    );
    same_space(&mut *early, &Space::default(), &before[&Space::default()]);
    let after = replay(&late.changes_since(Revision(0)).unwrap());
    same_space(&mut *late, &Space::default(), &after[&Space::default()]);
}

/// Who takes a turn and changes their mind leaves the book as it was, and the turn to the next.
pub fn a_turn_that_is_dropped_commits_nothing(make: Make<'_>) {
    let store = make();
    let before = everything(&*store);
    for _ in 0..3 {
        let mut turn = store.turn(PATIENCE).unwrap();
        turn.space(&Space::default(), at(0)).unwrap();
        drop(turn);
    }
    assert_eq!(everything(&*store), before);
    commit(&*store, vec![here(allocated("m", 1, 5001, 8001))]).unwrap();
}

/// A commit is found by its name if it happened, among the changes after a revision.
pub fn a_commit_is_found_by_its_name(make: Make<'_>) {
    let store = make();
    let first = batch(vec![
        here(allocated("m", 1, 5001, 8001)),
        here(allocated("m", 2, 5003, 8003)),
    ]);
    let second = batch(vec![here(allocated("m", 3, 5005, 8005))]);
    assert_eq!(store.find_commit(first.commit, Revision(0)), Ok(false));
    store
        .turn(PATIENCE)
        .unwrap()
        .commit(Revision(0), &first)
        .unwrap();
    store
        .turn(PATIENCE)
        .unwrap()
        .commit(Revision(2), &second)
        .unwrap();
    let found = |batch: &Batch, after| store.find_commit(batch.commit, Revision(after)).unwrap();
    assert!(found(&first, 0) && found(&first, 1) && !found(&first, 2));
    assert!(found(&second, 0) && found(&second, 2) && !found(&second, 3));
    assert!(!found(&second, u64::from(u32::MAX)));
    assert!(
        !found(&batch(Vec::new()), 0),
        "a commit that never was is found"
    );
}

/// Who knows the book up to a revision reads what came after it, in order.
pub fn changes_are_read_from_any_revision_on(make: Make<'_>) {
    let store = make();
    for number in 1..=5 {
        let port = 5001 + 2 * u16::try_from(number).unwrap();
        commit(
            &*store,
            vec![here(allocated("m", number, port, port + 3000))],
        )
        .unwrap();
    }
    let mut reading = store.read().unwrap();
    for after in [0, 1, 4, 5, 6, u64::from(u32::MAX)] {
        let changes = reading.changes_since(Revision(after)).unwrap();
        let revisions: Vec<u64> = changes.iter().map(|change| change.revision.0).collect();
        assert_eq!(
            revisions,
            (after + 1..=5).collect::<Vec<_>>(),
            "after {after}"
        );
    }
}

/// The history of a space, of some models, of one app, or only its end, oldest first.
pub fn history_is_filtered_and_its_end_can_be_asked_for(make: Make<'_>) {
    let store = make();
    commit(
        &*store,
        vec![
            here(allocated("openai_gpt-4", 1, 5001, 8001)),
            here(pool_added("p", 7000, 7009)),
            here(allocated("openai_gpt-4", 2, 5003, 8003)),
            here(allocated("x-ai/grok-4", 1, 5005, 8005)),
            there(allocated("openai_gpt-4", 1, 5001, 8001)),
            here(released("openai_gpt-4", 1, 5001, 8001)),
            here(promised("a.json", &[("openai_gpt-4", 9, 5009, 8009)])),
        ],
    )
    .unwrap();
    let mut reading = store.read().unwrap();
    let mut history = |models: Option<&str>, number: Option<u32>, last: Option<usize>| {
        let filter = HistoryFilter {
            of: filter(models, number),
            last,
        };
        let recorded = reading.history(&filter).unwrap();
        recorded
            .iter()
            .map(|change| change.revision.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(history(None, None, None), [1, 2, 3, 4, 6, 7]);
    assert_eq!(history(None, None, Some(2)), [6, 7]);
    assert_eq!(history(None, None, Some(0)), [0; 0]);
    assert_eq!(history(None, None, Some(99)), [1, 2, 3, 4, 6, 7]);
    assert_eq!(history(Some("openai_*"), None, None), [1, 3, 6]);
    assert_eq!(history(Some("openai_*"), None, Some(2)), [3, 6]);
    assert_eq!(history(Some("openai/gpt-4"), Some(1), None), [1, 6]);
    assert_eq!(history(None, Some(1), None), [1, 4, 6]);
    assert_eq!(history(None, Some(1), Some(1)), [6]);
    assert_eq!(history(Some("nobody"), None, None), [0; 0]);
}

/// Lists are ordered by the model's identity, then by app number, not by text.
pub fn allocations_are_filtered_and_in_order(make: Make<'_>) {
    let store = make();
    let apps = [
        ("b", 2),
        ("a.b", 1),
        ("b", 10),
        ("a/b", 1),
        ("B", 1),
        ("b", 1),
        ("a-b", 3),
    ];
    let steps = apps.iter().zip((5001..).step_by(2));
    let steps =
        steps.map(|((model, number), port)| here(allocated(model, *number, port, port + 3000)));
    commit(&*store, steps.collect()).unwrap();
    let ask = |models: Option<&str>, number| listed(&*store, &filter(models, number));
    // Identities in the order of their bytes: `B` < `a-b` < `a.b` < `a_b` < `b`.
    assert_eq!(
        ask(None, None),
        [
            "B/app1", "a-b/app3", "a.b/app1", "a/b/app1", "b/app1", "b/app2", "b/app10"
        ]
    );
    assert_eq!(
        ask(None, Some(1)),
        ["B/app1", "a.b/app1", "a/b/app1", "b/app1"]
    );
    assert_eq!(ask(Some("b"), None), ["b/app1", "b/app2", "b/app10"]);
    assert_eq!(ask(Some("b"), Some(10)), ["b/app10"]);
    assert_eq!(ask(Some("a*"), None), ["a-b/app3", "a.b/app1", "a/b/app1"]);
    assert_eq!(ask(Some("a?b"), Some(1)), ["a.b/app1", "a/b/app1"]);
    assert_eq!(ask(Some("b"), Some(3)), [""; 0]);
}

/// What other stores take for wildcards (`_`, `%`) or for quotes is a letter like any other.
pub fn a_models_name_is_no_pattern_beneath(make: Make<'_>) {
    let store = make();
    let names = [
        "my_app",
        "my-app",
        "myXapp",
        "50%",
        "50__",
        "it's \"so\"",
        "a[bc]",
        "ab",
    ];
    let steps = names.iter().zip((5001..).step_by(2));
    commit(
        &*store,
        steps
            .map(|(name, port)| here(allocated(name, 1, port, port + 3000)))
            .collect(),
    )
    .unwrap();
    let ask = |models: &str| listed(&*store, &filter(Some(models), None));
    assert_eq!(ask("my_app"), ["my_app/app1"]);
    assert_eq!(ask("my_*"), ["my_app/app1"]);
    // `%` is no letter of a directory's name, so this is the model `50_`; it is none of a pattern.
    assert_eq!(ask("50%"), ["50%/app1"]);
    assert_eq!(ask("%*"), [""; 0]);
    assert_eq!(ask("it's*"), ["it's \"so\"/app1"]);
    assert_eq!(ask("a[bc]"), ["a[bc]/app1"]);
    let one = Change::Released {
        app: app("my_app", 1),
        ports: ports(5001, 8001),
        cause: ReleaseCause::Asked,
    };
    commit(&*store, vec![here(one)]).unwrap();
    assert_eq!(ask("my*"), ["my-app/app1", "myXapp/app1"]);
    agrees_with_its_changes(&*store);
}

/// A model is found by every spelling of its identity and shown as it was first spelt.
pub fn the_first_spelling_is_the_one_shown(make: Make<'_>) {
    let store = make();
    commit(&*store, vec![here(allocated("x-ai/grok-4", 1, 5001, 8001))]).unwrap();
    let policy = Policy::default();
    for spelling in ["x-ai_grok-4", "x-ai:grok-4", "x-ai/grok-4"] {
        let record = store
            .read()
            .unwrap()
            .app(&Space::default(), &app(spelling, 1))
            .unwrap();
        assert_eq!(record.unwrap().app().to_string(), "x-ai/grok-4/app1");
        assert_eq!(
            listed(&*store, &filter(Some(spelling), None)),
            ["x-ai/grok-4/app1"]
        );
        let answers = commit_plan(&*store, &[allocate(spelling, 1)], &policy, at(1));
        let grant = granted(&answers);
        assert_eq!(
            (grant.app.to_string().as_str(), &grant.ports),
            ("x-ai/grok-4/app1", &ports(5001, 8001))
        );
    }
    assert_eq!(
        listed(&*store, &filter(Some("x-ai/*"), None)),
        ["x-ai/grok-4/app1"]
    );
    // Neither giving the ports back nor coming back by another spelling changes that.
    let release = Ask::Release {
        apps: vec![app("x-ai_grok-4", 1)],
    };
    commit_plan(&*store, &[command(release)], &policy, at(2));
    let former = store
        .read()
        .unwrap()
        .app(&Space::default(), &app("x-ai_grok-4", 1))
        .unwrap();
    assert_eq!(former.unwrap().app().to_string(), "x-ai/grok-4/app1");
    let answers = commit_plan(&*store, &[allocate("x-ai_grok-4", 1)], &policy, at(3));
    assert_eq!(granted(&answers).app.to_string(), "x-ai/grok-4/app1");
    agrees_with_its_changes(&*store);
}

/// Names keep every letter, and the numbers that an app can have are kept to the largest.
pub fn names_in_any_script_are_kept(make: Make<'_>) {
    let store = make();
    let long = "m".repeat(Model::LONGEST);
    let names = [
        "Модель/四",
        "ä ö\u{301}",
        "🦀",
        "'; DROP TABLE apps; --",
        &long,
    ];
    let steps = names.iter().zip((5001..).step_by(2));
    let steps = steps.map(|(name, port)| here(allocated(name, i32::MAX as u32, port, port + 3000)));
    commit(&*store, steps.collect()).unwrap();
    let mut batch = batch(vec![here(allocated("m", 1, 1, 65535))]);
    batch.actor = "cli:Алиса \"'%_\\".to_owned();
    batch.commit = CommitId([0xff; 16]);
    batch.at = Timestamp::from_millis(253_402_300_799_999);
    store
        .turn(PATIENCE)
        .unwrap()
        .commit(Revision(5), &batch)
        .unwrap();
    let recorded = store.read().unwrap().changes_since(Revision(5)).unwrap();
    assert_eq!(
        exact(&recorded),
        exact(&vec![recorded_as(6, &batch, &batch.changes[0])])
    );
    assert_eq!(
        store.find_commit(CommitId([0xff; 16]), Revision(5)),
        Ok(true)
    );
    for name in names {
        let record = store
            .read()
            .unwrap()
            .app(&Space::default(), &app(name, i32::MAX as u32))
            .unwrap();
        assert_eq!(record.unwrap().app().model.spelling(), name);
    }
    agrees_with_its_changes(&*store);
}

/// The allocations whose lease has ended are found, whatever their space, and held until a command
/// reclaims them.
pub fn lapsed_leases_are_found_in_every_space(make: Make<'_>) {
    let store = make();
    commit(
        &*store,
        vec![
            here(leased("m", 1, 5001, 8001, 100)),
            here(leased("m", 2, 5003, 8003, 101)),
            here(allocated("m", 3, 5005, 8005)),
            there(leased("x/y", 1, 5001, 8001, 50)),
            here(leased("m", 4, 5007, 8007, 10)),
            here(renewed("m", 4, 500)),
            here(leased("m", 5, 5009, 8009, 10)),
            here(released("m", 5, 5009, 8009)),
        ],
    )
    .unwrap();
    let lapsed = |now| {
        let lapsed = store.read().unwrap().lapsed(at(now)).unwrap();
        lapsed
            .iter()
            .map(|(space, app)| format!("{space} {app}"))
            .collect::<BTreeSet<_>>()
    };
    let are = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(lapsed(49), are(&[]));
    assert_eq!(lapsed(50), are(&["elsewhere x/y/app1"]));
    assert_eq!(lapsed(100), are(&["elsewhere x/y/app1", "default m/app1"]));
    assert_eq!(
        lapsed(499),
        are(&["elsewhere x/y/app1", "default m/app1", "default m/app2"])
    );
    assert!(lapsed(500).contains("default m/app4"));
    assert_eq!(listed(&*store, &filter(Some("m"), None)).len(), 4);
    commit_plan(
        &*store,
        &[command(Ask::Expire)],
        &Policy::default(),
        at(100),
    );
    assert_eq!(
        listed(&*store, &filter(Some("m"), None)),
        ["m/app2", "m/app3", "m/app4"]
    );
    assert_eq!(lapsed(100), are(&["elsewhere x/y/app1"]));
    agrees_with_its_changes(&*store);
}

/// A space is read with the releases after a moment: the moment itself is no more among them.
pub fn rests_reach_back_as_far_as_asked(make: Make<'_>) {
    let store = make();
    for (number, released_at) in [(1, 10), (2, 20), (3, 30)] {
        let port = 5001 + 2 * u16::try_from(number).unwrap();
        commit_at(
            &*store,
            0,
            vec![here(allocated("m", number, port, port + 3000))],
        )
        .unwrap();
        commit_at(
            &*store,
            released_at,
            vec![here(released("m", number, port, port + 3000))],
        )
        .unwrap();
    }
    let rests = |after| {
        let book = store
            .read()
            .unwrap()
            .space(&Space::default(), at(after))
            .unwrap();
        book.rests
            .keys()
            .map(|port| port.get())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(rests(0), [5003, 8003, 5005, 8005, 5007, 8007].into());
    assert_eq!(rests(9), rests(0));
    assert_eq!(rests(10), [5005, 8005, 5007, 8007].into());
    assert_eq!(rests(29), [5007, 8007].into());
    assert_eq!(rests(30), [].into());
}

/// A port rests since its last release, for whoever gave it back then, and not while somebody holds
/// it.
pub fn the_last_release_of_a_port_counts(make: Make<'_>) {
    let store = make();
    commit_at(&*store, 10, vec![here(allocated("m", 1, 5001, 8001))]).unwrap();
    commit_at(&*store, 20, vec![here(released("m", 1, 5001, 8001))]).unwrap();
    // Within one moment another app has the backend and gives it back, and the first returns elsewhere.
    commit_at(
        &*store,
        20,
        vec![
            here(allocated("m", 2, 5001, 8005)),
            here(released("m", 2, 5001, 8005)),
            here(allocated("m", 1, 5007, 8007)),
            here(allocated("m", 3, 8005, 5009)),
        ],
    )
    .unwrap();
    let book = store
        .read()
        .unwrap()
        .space(&Space::default(), at(0))
        .unwrap();
    let rests: BTreeMap<u16, String> = book
        .rests
        .iter()
        .map(|(port, rest)| (port.get(), rest.by.to_string()))
        .collect();
    assert_eq!(
        rests,
        [(5001, "m/app2".to_owned()), (8001, "m/app1".to_owned())].into()
    );
    agrees_with_its_changes(&*store);
}

/// A file's promises replace those that it made before, go with it, and leave other files' alone.
pub fn promises_are_replaced_file_by_file(make: Make<'_>) {
    let store = make();
    let promises = || {
        let book = store
            .read()
            .unwrap()
            .space(&Space::default(), at(0))
            .unwrap();
        let files = book.promises.files();
        files
            .map(|file| format!("{} {} {}", file.source, file.digest, file.promises.len()))
            .collect::<Vec<_>>()
    };
    commit(
        &*store,
        vec![
            here(promised(
                "/b.json",
                &[("x/y", 1, 5001, 8001), ("x_y", 2, 5003, 8003)],
            )),
            here(promised("/a.json", &[("m", 1, 5001, 8003)])),
            there(promised("/a.json", &[])),
        ],
    )
    .unwrap();
    assert_eq!(promises(), ["/a.json digest 1", "/b.json digest 2"]);
    commit(
        &*store,
        vec![here(promised("/b.json", &[("x/y", 1, 6001, 9001)]))],
    )
    .unwrap();
    assert_eq!(promises(), ["/a.json digest 1", "/b.json digest 1"]);
    agrees_with_its_changes(&*store);
    let forget = Change::Unpromised {
        source: "/a.json".to_owned(),
    };
    commit(&*store, vec![here(forget)]).unwrap();
    assert_eq!(promises(), ["/b.json digest 1"]);
    agrees_with_its_changes(&*store);
}

/// A space is read without its apps; those that are needed are loaded, and the owners of ports.
pub fn what_is_needed_is_loaded_and_no_more(make: Make<'_>) {
    let store = make();
    commit(
        &*store,
        vec![
            here(allocated("m", 1, 5001, 8001)),
            here(allocated("m", 2, 5003, 8003)),
            here(allocated("m", 3, 5005, 8005)),
            here(released("m", 3, 5005, 8005)),
            there(allocated("m", 4, 5007, 8007)),
        ],
    )
    .unwrap();
    let mut reading = store.read().unwrap();
    let space = Space::default();
    let read = reading.space(&space, at(0)).unwrap();
    assert_eq!(
        read.taken,
        [5001, 8001, 5003, 8003].map(port).into_iter().collect()
    );
    assert!(read.apps.is_empty() && read.owners.is_empty());
    let mut book = read.clone();
    let needs = Needs {
        apps: [app("m", 1), app("m", 3), app("m", 4), app("m", 9)].into(),
        owners: [port(8003), port(5005)].into_iter().collect(),
        every_owner: false,
    };
    reading.load(&space, &needs, &mut book).unwrap();
    assert_eq!(
        book.apps.keys().cloned().collect::<BTreeSet<_>>(),
        [app("m", 1), app("m", 3)].into()
    );
    assert!(matches!(book.apps[&app("m", 3)], AppRecord::Former(_)));
    assert_eq!(
        book.allocation(&app("m", 1)).unwrap().ports,
        ports(5001, 8001)
    );
    let owner = &book.owners[&port(8003)];
    assert_eq!(
        (owner.app.to_string(), owner.role.clone()),
        ("m/app2".to_owned(), Role::frontend())
    );
    assert!(!book.owners.contains_key(&port(5005)) && !book.owners.contains_key(&port(5003)));
    let mut book = read;
    let needs = Needs {
        every_owner: true,
        ..Needs::default()
    };
    reading.load(&space, &needs, &mut book).unwrap();
    assert_eq!(book.owners.len(), 4);
    assert!(book.apps.is_empty());
}

/// What the store tells of the book is what its changes come to, for every kind of change.
pub fn every_kind_of_change_reads_back(make: Make<'_>) {
    let store = make();
    let steps = [
        allocated("x-ai/grok-4", 1, 5001, 8001),
        leased("m", 1, 5003, 8003, 1000),
        Change::Allocated {
            app: app("m", 2),
            ports: ports_of(&[
                ("backend", 1),
                ("frontend", 65535),
                ("db", 60000),
                ("web-socket", 2),
            ]),
            source: Source::Import,
            created_at: Some(at(-5)),
            lease: None,
        },
        Change::Extended {
            app: app("x-ai_grok-4", 1),
            ports: ports_of(&[("db", 15001)]),
        },
        renewed("m", 1, 2000),
        promised("/a.json", &[("m", 7, 6665, 9001)]),
        promised("/b.json", &[("m", 8, 6667, 9003)]),
        Change::Unpromised {
            source: "/a.json".to_owned(),
        },
        pool_added("p", 7000, 7009),
        pool_added("q", 65535, 65535),
        pool_removed("p", 7000, 7009),
        Change::Released {
            app: app("m", 1),
            ports: ports(5003, 8003),
            cause: ReleaseCause::LeaseEnded,
        },
        Change::Released {
            app: app("x-ai/grok-4", 1),
            ports: ports_of(&[("backend", 5001), ("frontend", 8001), ("db", 15001)]),
            cause: ReleaseCause::Asked,
        },
    ];
    let kinds: HashSet<&str> = steps.iter().map(Change::name).collect();
    assert_eq!(
        kinds.len(),
        8,
        "a kind of change is missing here: {kinds:?}"
    );
    let sources = Source::ALL.into_iter().zip((30_001..).step_by(2));
    let sourced = sources.map(|(source, port)| Change::Allocated {
        app: app(source.as_str(), 1),
        ports: ports(port, port + 1),
        source,
        created_at: None,
        lease: None,
    });
    for (moment, step) in (100..).zip(steps.into_iter().chain(sourced)) {
        commit_at(&*store, moment, vec![here(step.clone()), there(step)]).unwrap();
        agrees_with_its_changes(&*store);
    }
}

/// The last port of a range is as good as the first, up to 65535; then there is none.
pub fn the_last_port_of_the_ranges_is_given_out(make: Make<'_>) {
    let store = make();
    let policy = policy(
        &[("backend", 65530, 2, 65534), ("frontend", 65531, 2, 65535)],
        Duration::ZERO,
    );
    for (number, backend) in [(1, 65530), (2, 65532), (3, 65534)] {
        let answers = commit_plan(&*store, &[allocate("m", number)], &policy, at(1));
        assert_eq!(granted(&answers).ports, ports(backend, backend + 1));
    }
    let answers = commit_plan(&*store, &[allocate("m", 4)], &policy, at(2));
    assert!(
        matches!(answers.as_slice(), [Err(Refusal::Exhausted(_))]),
        "{answers:?}"
    );
    assert_eq!(revision(&*store), Revision(3));
    agrees_with_its_changes(&*store);
}

/// Eight threads ask for fifty new apps each: everybody is served, no port is given twice, and the
/// changes, sorted by their revision, come to what the book holds.
pub fn many_threads_get_a_pair_each(make: Make<'_>) {
    let store = make();
    let policy = Policy::default();
    let told: Vec<Allocation> = thread::scope(|scope| {
        let ask = |name: String| {
            let (store, policy) = (&*store, &policy);
            let one = move |number| {
                let answers = commit_plan(
                    store,
                    &[allocate(&name, number)],
                    policy,
                    at(i64::from(number)),
                );
                granted(&answers).clone()
            };
            scope.spawn(move || (1..=50).map(one).collect::<Vec<_>>())
        };
        let threads: Vec<_> = (1..=8)
            .map(|thread| ask(format!("model-{thread}")))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let ports: BTreeSet<Port> = told
        .iter()
        .flat_map(|allocation| allocation.ports.values().copied())
        .collect();
    assert_eq!((told.len(), ports.len()), (400, 800));
    let mut reading = store.read().unwrap();
    assert_eq!(reading.head().unwrap().revision, Revision(400));
    let held = reading.allocations(&Filter::default()).unwrap();
    let by_app = |allocations: Vec<Allocation>| -> BTreeMap<_, _> {
        allocations
            .into_iter()
            .map(|allocation| (allocation.app, allocation.ports))
            .collect()
    };
    assert_eq!(
        by_app(held),
        by_app(told),
        "the book holds something else than was told"
    );
    let revisions = reading
        .changes_since(Revision(0))
        .unwrap()
        .into_iter()
        .map(|change| change.revision.0);
    assert_eq!(revisions.collect::<Vec<_>>(), (1..=400).collect::<Vec<_>>());
    drop(reading);
    agrees_with_its_changes(&*store);
}

/// However many ask for one app at once, it is allocated once and all hear the same.
pub fn threads_that_ask_for_one_app_hear_of_one_pair(make: Make<'_>) {
    let store = make();
    let policy = Policy::default();
    for round in 1..=10 {
        let told: HashSet<String> = thread::scope(|scope| {
            let ask = || {
                granted(&commit_plan(
                    &*store,
                    &[allocate("m", round)],
                    &policy,
                    at(1),
                ))
                .clone()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            threads
                .into_iter()
                .map(|thread| exact(&thread.join().unwrap()))
                .collect()
        });
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(revision(&*store), Revision(u64::from(round)));
    }
}

/// After any commands the store answers as the store in memory does, and both hold what the changes
/// come to.
pub fn any_commands_leave_what_they_leave_in_memory(make: Make<'_>) {
    for seed in 1..=4 {
        let (store, memory) = (make(), MemoryStore::new());
        let mut dice = Dice(seed);
        let delay = Duration::from_millis(10 * (seed % 2));
        // Overlapping ranges with few ports: whoever asks meets others, and in the end a full book.
        let ranges = [
            ("backend", 5001, 1, 5020),
            ("frontend", 5008, 2, 5040),
            ("db", 5015, 3, 5060),
        ];
        let policy = policy(&ranges, delay);
        let mut seen = Revision(0);
        let mut replayed: BTreeMap<Space, SpaceBook> = BTreeMap::new();
        let mut now = 1000;
        for step in 0..120 {
            now += i64::from(dice.below(8));
            let commands: Vec<Command> = (0..=dice.below(3)).map(|_| dice.command(now)).collect();
            let answers = commit_plan(&*store, &commands, &policy, at(now));
            let expected = commit_plan(&memory, &commands, &policy, at(now));
            assert_eq!(
                exact(&answers),
                exact(&expected),
                "seed {seed}, step {step}: {commands:?}"
            );
            let changes = store.read().unwrap().changes_since(seen).unwrap();
            follow(&mut replayed, &changes);
            seen = seen.after(changes.len());
            for (space, book) in &replayed {
                same_space(&mut *memory.read().unwrap(), space, book);
                same_space(&mut *store.read().unwrap(), space, book);
            }
            let lapsed = |store: &dyn Store| {
                let lapsed = store.read().unwrap().lapsed(at(now)).unwrap();
                lapsed.into_iter().collect::<BTreeSet<_>>()
            };
            assert_eq!(lapsed(&*store), lapsed(&memory), "seed {seed}, step {step}");
        }
        assert!(
            seen > Revision(50),
            "the dice made too little happen: {seen}"
        );
        agrees_with_its_changes(&*store);
    }
}

/// While one has the turn, others wait for as long as they will and no longer, then are told so.
pub fn one_has_the_turn_and_others_wait_as_long_as_they_will(make: Make<'_>) {
    let store = make();
    let patience = Duration::from_millis(50);
    let mut first = store.turn(PATIENCE).unwrap();
    let began = Instant::now();
    let tried = thread::scope(|scope| {
        scope
            .spawn(|| store.turn(patience).map(|_| ()))
            .join()
            .unwrap()
    });
    assert!(
        began.elapsed() >= patience,
        "gave up after {:?}",
        began.elapsed()
    );
    assert!(began.elapsed() < PATIENCE, "waited {:?}", began.elapsed());
    assert!(
        matches!(&tried, Err(StoreError::Busy { waited, .. }) if *waited >= patience),
        "the turn was had by two: {tried:?}"
    );
    // Giving up took nothing from those who have the turn or come later.
    let seen = first.head().unwrap().revision;
    thread::scope(|scope| {
        let second = scope.spawn(|| {
            let mut turn = store.turn(PATIENCE).unwrap();
            let seen = turn.head().unwrap().revision;
            turn.commit(seen, &batch(vec![here(allocated("m", 2, 5003, 8003))]))
        });
        thread::sleep(patience);
        assert!(
            !second.is_finished(),
            "the second did not wait for its turn"
        );
        first
            .commit(seen, &batch(vec![here(allocated("m", 1, 5001, 8001))]))
            .unwrap();
        assert_eq!(
            second.join().unwrap(),
            Ok(()),
            "a turn read the book before it was its turn"
        );
    });
    // A failed commit gives the turn back as well.
    let stale = store
        .turn(PATIENCE)
        .unwrap()
        .commit(Revision(0), &batch(Vec::new()));
    assert_eq!(stale, Err(CommitError::Stale));
    assert!(store.turn(PATIENCE).is_ok());
}

/// Who only reads does not wait for those who write.
pub fn readings_wait_for_no_turn(make: Make<'_>) {
    let store = make();
    commit(&*store, vec![here(allocated("m", 1, 5001, 8001))]).unwrap();
    let mut turn = store.turn(PATIENCE).unwrap();
    assert_eq!(turn.head().unwrap().revision, Revision(1));
    let read = || {
        agrees_with_its_changes(&*store);
        store
            .read()
            .unwrap()
            .app(&Space::default(), &app("m", 1))
            .unwrap()
            .is_some()
    };
    assert!(thread::scope(|scope| scope.spawn(read).join().unwrap()));
    // Nor does a reading that lasts keep anybody from writing.
    let mut reading = store.read().unwrap();
    reading.head().unwrap();
    turn.commit(
        Revision(1),
        &batch(vec![here(allocated("m", 2, 5003, 8003))]),
    )
    .unwrap();
    assert_eq!(reading.head().unwrap().revision, Revision(1));
}

/// Follows recorded changes from an empty book, by the model's own account of what they mean.
fn replay(changes: &[Recorded]) -> BTreeMap<Space, SpaceBook> {
    let mut spaces = BTreeMap::new();
    follow(&mut spaces, changes);
    spaces
}

fn follow(spaces: &mut BTreeMap<Space, SpaceBook>, changes: &[Recorded]) {
    for recorded in changes {
        let space = spaces.entry(recorded.space.clone()).or_default();
        space.apply(&recorded.change, recorded.at);
    }
}

/// Checks every answer about one space against `expected`, which knows everything about it.
fn same_space(reading: &mut dyn Reading, space: &Space, expected: &SpaceBook) {
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
fn same_audit(reading: &mut dyn Reading, space: &Space, held: &[Allocation]) {
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

fn sorted<K: Ord + Clone, V: Clone>(map: &std::collections::HashMap<K, V>) -> BTreeMap<K, V> {
    map.iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn sorted_records(book: &SpaceBook) -> Vec<AppRecord> {
    sorted(&book.apps).into_values().collect()
}

/// A value with everything in it: two spellings of a model are equal, but not exactly.
fn exact(value: &impl Debug) -> String {
    format!("{value:#?}")
}

/// Everything that a store tells of its book.
fn everything(store: &dyn Store) -> String {
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

fn commit(store: &dyn Store, changes: Vec<SpaceChange>) -> Result<(), CommitError> {
    commit_at(store, 0, changes)
}

fn commit_at(store: &dyn Store, moment: i64, changes: Vec<SpaceChange>) -> Result<(), CommitError> {
    let mut turn = store.turn(PATIENCE)?;
    let seen = turn.head()?.revision;
    turn.commit(seen, &batch_at(at(moment), changes))
}

fn in_space(name: &str, store: &dyn Store, change: Change) {
    let space = Space::new(name).unwrap();
    commit(store, vec![SpaceChange { space, change }]).unwrap();
}

fn revision(store: &dyn Store) -> Revision {
    store.read().unwrap().head().unwrap().revision
}

fn listed(store: &dyn Store, filter: &Filter) -> Vec<String> {
    let allocations = store.read().unwrap().allocations(filter).unwrap();
    allocations
        .iter()
        .map(|allocation| allocation.app.to_string())
        .collect()
}

fn filter(models: Option<&str>, number: Option<u32>) -> Filter {
    Filter {
        space: Space::default(),
        models: models.map(|models| ModelPattern::new(models).unwrap()),
        number: number.map(|number| AppNumber::new(number).unwrap()),
    }
}

/// The one allocation of the one answer.
fn granted(answers: &[Result<Outcome, Refusal>]) -> &Allocation {
    match answers {
        [Ok(Outcome::Allocated(grants))] if grants.len() == 1 => &grants[0].allocation,
        other => panic!("no allocation: {other:?}"),
    }
}

fn recorded_as(revision: u64, batch: &Batch, step: &SpaceChange) -> Recorded {
    Recorded {
        revision: Revision(revision),
        commit: batch.commit,
        at: batch.at,
        actor: batch.actor.clone(),
        space: step.space.clone(),
        change: step.change.clone(),
    }
}

fn batch(changes: Vec<SpaceChange>) -> Batch {
    batch_at(at(0), changes)
}

/// A batch with a name that no other of this process has.
fn batch_at(at: Timestamp, changes: Vec<SpaceChange>) -> Batch {
    static GIVEN: AtomicU64 = AtomicU64::new(1);
    let mut name = [0; 16];
    name[..4].copy_from_slice(&std::process::id().to_be_bytes());
    name[8..].copy_from_slice(&GIVEN.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    Batch {
        commit: CommitId(name),
        at,
        actor: "contract".to_owned(),
        changes,
    }
}

/// A change in the default space.
fn here(change: Change) -> SpaceChange {
    SpaceChange {
        space: Space::default(),
        change,
    }
}

/// A change in another space.
fn there(change: Change) -> SpaceChange {
    SpaceChange {
        space: elsewhere(),
        change,
    }
}

fn elsewhere() -> Space {
    Space::new("elsewhere").unwrap()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

fn app(model: &str, number: u32) -> AppKey {
    AppKey::new(Model::new(model).unwrap(), AppNumber::new(number).unwrap())
}

fn ports_of(ports: &[(&str, u16)]) -> Ports {
    ports
        .iter()
        .map(|(role, number)| (Role::new(role).unwrap(), port(*number)))
        .collect()
}

fn ports(backend: u16, frontend: u16) -> Ports {
    ports_of(&[("backend", backend), ("frontend", frontend)])
}

fn allocated(model: &str, number: u32, backend: u16, frontend: u16) -> Change {
    Change::Allocated {
        app: app(model, number),
        ports: ports(backend, frontend),
        source: Source::Dynamic,
        created_at: None,
        lease: None,
    }
}

fn lease(end: i64) -> Lease {
    Lease {
        expires_at: at(end),
        ttl: Span::from_millis(10),
    }
}

fn leased(model: &str, number: u32, backend: u16, frontend: u16, end: i64) -> Change {
    Change::Allocated {
        app: app(model, number),
        ports: ports(backend, frontend),
        source: Source::Dynamic,
        created_at: None,
        lease: Some(lease(end)),
    }
}

fn renewed(model: &str, number: u32, end: i64) -> Change {
    Change::Renewed {
        app: app(model, number),
        lease: lease(end),
    }
}

fn released(model: &str, number: u32, backend: u16, frontend: u16) -> Change {
    Change::Released {
        app: app(model, number),
        ports: ports(backend, frontend),
        cause: ReleaseCause::Asked,
    }
}

fn promised(source: &str, entries: &[(&str, u32, u16, u16)]) -> Change {
    Change::Promised {
        file: promise_file(source, entries),
    }
}

fn promise_file(source: &str, entries: &[(&str, u32, u16, u16)]) -> PromiseFile {
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

fn pool(name: &str, first: u16, last: u16) -> Pool {
    Pool {
        name: PoolName::new(name).unwrap(),
        ports: PortStretch::new(port(first), port(last)).unwrap(),
        models: ModelPattern::new("x-ai/*").unwrap(),
    }
}

fn pool_added(name: &str, first: u16, last: u16) -> Change {
    Change::PoolAdded {
        pool: pool(name, first, last),
    }
}

fn pool_removed(name: &str, first: u16, last: u16) -> Change {
    Change::PoolRemoved {
        pool: pool(name, first, last),
    }
}

fn command(ask: Ask) -> Command {
    Command {
        space: Space::default(),
        ask,
    }
}

fn allocate(model: &str, number: u32) -> Command {
    command(Ask::Allocate(AllocationRequest::plain(vec![app(
        model, number,
    )])))
}

/// A policy with these ranges: role, base, step, max.
fn policy(ranges: &[(&str, u16, u16, u16)], reuse_delay: Duration) -> Policy {
    let range = |(role, base, step, max): &(&str, u16, u16, u16)| {
        (
            Role::new(role).unwrap(),
            PortRange::new(port(*base), *step, port(*max)).unwrap(),
        )
    };
    Policy::new(ranges.iter().map(range).collect(), [])
        .unwrap()
        .with_reuse_delay(reuse_delay)
}

/// Random commands, the same for the same seed: a linear congruential generator.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u16) -> u16 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u16::try_from((self.0 >> 33) % u64::from(sides)).unwrap()
    }

    fn app(&mut self) -> AppKey {
        let models = ["x-ai/grok-4", "x-ai_grok-4", "my_app", "my-app"];
        app(
            models[usize::from(self.below(4))],
            u32::from(self.below(5)) + 1,
        )
    }

    fn apps(&mut self) -> Vec<AppKey> {
        (0..=self.below(3)).map(|_| self.app()).collect()
    }

    fn port(&mut self) -> u16 {
        5001 + self.below(40)
    }

    fn command(&mut self, now: i64) -> Command {
        let space = if self.below(4) == 0 {
            elsewhere()
        } else {
            Space::default()
        };
        let ask = self.ask(now);
        Command { space, ask }
    }

    fn ask(&mut self, now: i64) -> Ask {
        match self.below(16) {
            0..=4 => self.allocation(),
            5..=8 => Ask::Release { apps: self.apps() },
            9 => Ask::Renew {
                app: self.app(),
                ttl: (self.below(2) == 0).then(|| Span::from_millis(20)),
            },
            10 => Ask::Expire,
            11 => {
                let created_at = (self.below(2) == 0).then(|| at(now - 500));
                let entry = |app| ImportEntry {
                    app,
                    ports: ports(self.port(), self.port()),
                    created_at,
                };
                let apps: Vec<_> = vec![app("imported", 1), app("imported", 2)];
                Ask::Import {
                    entries: apps.into_iter().map(entry).collect(),
                }
            }
            12 => {
                let source = format!("/{}.json", self.below(2));
                let entries = [
                    ("x-ai/grok-4", 1, self.port(), 5050),
                    ("my_app", 2, 5051, 5052),
                ];
                Ask::Promise {
                    file: promise_file(&source, &entries),
                }
            }
            13 => Ask::Unpromise {
                source: format!("/{}.json", self.below(2)),
            },
            14 => {
                let first = self.port();
                Ask::AddPool {
                    pool: pool(&format!("p{}", self.below(3)), first, first + self.below(5)),
                }
            }
            _ => Ask::RemovePool {
                name: PoolName::new(&format!("p{}", self.below(3))).unwrap(),
            },
        }
    }

    fn allocation(&mut self) -> Ask {
        let mut request = AllocationRequest::plain(self.apps());
        if self.below(3) == 0 {
            request.roles.insert(Role::new("db").unwrap());
        }
        if self.below(3) == 0 {
            request.ttl = Some(Span::from_millis(u64::from(self.below(40)) + 1));
        }
        if self.below(4) == 0 {
            request.apps.truncate(1);
            request.pins.insert(Role::backend(), port(self.port()));
        }
        request.explain = self.below(4) == 0;
        Ask::Allocate(request)
    }
}
