//! The planner against a naive one, over any commands, under any rules, on any host.

use std::collections::{BTreeMap, BTreeSet};

use portbook_model::{
    AllocationRequest, AppKey, Ask, Book, Command, Explanation, ImportEntry, Ineligible, Needs,
    Outcome, Plan, Policy, PoolName, PortSet, Promise, PromiseFile, Refusal, Source, Space,
    SpaceBook, Span, Timestamp, plan,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::kit::{self, Desk, at, exact, set};
use crate::naive::{Answer, Naive, Rules, name, numbers};

/// How many ports the commands speak of: few, so that they meet.
const SPAN: u16 = 36;
const ROLES: [&str; 3] = ["backend", "frontend", "db"];

/// One thing that happens, with ports as distances from where the ranges begin.
#[derive(Debug, Clone)]
enum Step {
    /// Commands that are planned together.
    Ask(Vec<Wish>),
    /// The clock goes on, or back.
    Clock(i64),
    /// Other programs come and go on the host.
    Host(BTreeSet<u16>),
}

#[derive(Debug, Clone)]
enum Wish {
    Allocate {
        apps: Vec<AppKey>,
        roles: BTreeSet<usize>,
        pins: BTreeMap<usize, u16>,
        ttl: Option<u64>,
        explain: bool,
    },
    Release(Vec<AppKey>),
    Renew(AppKey, Option<u64>),
    Expire,
    Import(Vec<(AppKey, u16, u16, Option<i64>)>),
    Promise(u8, Vec<(AppKey, BTreeMap<usize, u16>)>),
    Unpromise(u8),
    AddPool(u8, u16, u16, usize),
    RemovePool(u8),
}

/// Rules, and where their ports begin.
#[derive(Debug, Clone)]
struct Ground {
    origin: u16,
    rules: Rules,
}

impl Ground {
    fn number(&self, distance: u16) -> u16 {
        self.origin.saturating_add(distance)
    }

    fn policy(&self) -> Option<Policy> {
        let ranges: Vec<_> = self
            .rules
            .ranges
            .iter()
            .map(|(role, (base, step, max))| (role.as_str(), *base, *step, *max))
            .collect();
        let base_roles = self.rules.base_roles.iter().map(|role| kit::role(role));
        let policy = Policy::new(kit::ranges(&ranges), base_roles).ok()?;
        let delay = u64::try_from(self.rules.reuse_delay).unwrap();
        Some(
            policy
                .with_block_list(set(self.rules.block_list.iter().copied()))
                .with_ephemeral(set(self.rules.ephemeral.iter().copied()))
                .with_reuse_delay(kit::delay(delay)),
        )
    }

    fn ports(&self, distances: &BTreeMap<usize, u16>) -> portbook_model::Ports {
        distances
            .iter()
            .map(|(role, distance)| (kit::role(ROLES[*role]), kit::port(self.number(*distance))))
            .collect()
    }

    fn ask(&self, wish: &Wish) -> Ask {
        let source = |file: &u8| format!("/{file}.json");
        match wish {
            Wish::Allocate {
                apps,
                roles,
                pins,
                ttl,
                explain,
            } => Ask::Allocate(AllocationRequest {
                apps: apps.clone(),
                roles: roles.iter().map(|role| kit::role(ROLES[*role])).collect(),
                pins: self.ports(pins),
                ttl: ttl.map(Span::from_millis),
                explain: *explain,
            }),
            Wish::Release(apps) => Ask::Release { apps: apps.clone() },
            Wish::Renew(app, ttl) => Ask::Renew {
                app: app.clone(),
                ttl: ttl.map(Span::from_millis),
            },
            Wish::Expire => Ask::Expire,
            Wish::Import(entries) => {
                let entry =
                    |(app, backend, frontend, created_at): &(AppKey, u16, u16, Option<i64>)| {
                        ImportEntry {
                            app: app.clone(),
                            ports: self.ports(&[(0, *backend), (1, *frontend)].into()),
                            created_at: created_at.map(at),
                        }
                    };
                Ask::Import {
                    entries: entries.iter().map(entry).collect(),
                }
            }
            Wish::Promise(file, entries) => {
                let promise = |(app, ports): &(AppKey, BTreeMap<usize, u16>)| Promise {
                    app: app.clone(),
                    ports: self.ports(ports),
                };
                let promises: Vec<_> = entries.iter().map(promise).collect();
                Ask::Promise {
                    file: PromiseFile {
                        source: source(file),
                        digest: format!("{promises:?}"),
                        promises,
                    },
                }
            }
            Wish::Unpromise(file) => Ask::Unpromise {
                source: source(file),
            },
            Wish::AddPool(pool, first, count, models) => {
                let models = ["x-ai?grok*", "my?app", "*"][*models];
                let (first, last) = (self.number(*first), self.number(first + count));
                Ask::AddPool {
                    pool: kit::pool(&format!("p{pool}"), first, last, models),
                }
            }
            Wish::RemovePool(pool) => Ask::RemovePool {
                name: PoolName::new(&format!("p{pool}")).unwrap(),
            },
        }
    }
}

fn any_app() -> impl Strategy<Value = AppKey> {
    // The first two are one model.
    let models = prop::sample::select(vec!["x-ai/grok-4", "x-ai_grok-4", "my_app", "my-app"]);
    (models, 1u32..5).prop_map(|(model, number)| kit::app(model, number))
}

fn any_distance() -> impl Strategy<Value = u16> {
    0..SPAN
}

fn any_wish() -> impl Strategy<Value = Wish> {
    let apps = || prop_oneof![3 => vec(any_app(), 1), 1 => vec(any_app(), 0..6)];
    let ttl = || option::weighted(0.3, 0u64..40);
    let roles = || prop_oneof![2 => Just(BTreeSet::new()), 1 => btree_set(0usize..3, 0..3)];
    let pins =
        || prop_oneof![4 => Just(BTreeMap::new()), 1 => btree_map(0usize..3, any_distance(), 0..3)];
    let allocate = (apps(), roles(), pins(), ttl(), any::<bool>()).prop_map(
        |(apps, roles, pins, ttl, explain)| Wish::Allocate {
            apps,
            roles,
            pins,
            ttl,
            explain,
        },
    );
    let entry = (
        any_app(),
        any_distance(),
        any_distance(),
        option::of(-100i64..100),
    );
    let promise = (any_app(), btree_map(0usize..3, any_distance(), 1..4));
    prop_oneof![
        8 => allocate,
        4 => apps().prop_map(Wish::Release),
        1 => (any_app(), ttl()).prop_map(|(app, ttl)| Wish::Renew(app, ttl)),
        1 => Just(Wish::Expire),
        1 => vec(entry, 0..3).prop_map(Wish::Import),
        1 => (0u8..2, vec(promise, 0..4)).prop_map(|(file, entries)| Wish::Promise(file, entries)),
        1 => (0u8..2).prop_map(Wish::Unpromise),
        1 => (0u8..3, any_distance(), 0u16..6, 0usize..3).prop_map(|(p, first, count, models)| Wish::AddPool(p, first, count, models)),
        1 => (0u8..3).prop_map(Wish::RemovePool),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => prop_oneof![3 => vec(any_wish(), 1), 1 => vec(any_wish(), 2..5)].prop_map(Step::Ask),
        2 => prop_oneof![3 => 0i64..30, 1 => -60i64..0].prop_map(Step::Clock),
        1 => btree_set(any_distance(), 0..8).prop_map(Step::Host),
    ]
}

/// Few ports in awkward places: the first that there are, among those that browsers refuse, the last.
fn any_ground() -> impl Strategy<Value = Ground> {
    let origin = prop::sample::select(vec![
        1u16,
        6655,
        65536u32.wrapping_sub(u32::from(SPAN)) as u16,
    ]);
    let range = || (0u16..20, 1u16..4, 0u16..30);
    let ranges = (range(), range(), option::of(range()));
    let sets = || btree_set(any_distance(), 0..6);
    (
        origin,
        ranges,
        any::<bool>(),
        sets(),
        sets(),
        prop_oneof![Just(0i64), 1i64..40],
        any::<bool>(),
    )
        .prop_map(
            |(
                origin,
                (backend, frontend, db),
                db_for_all,
                block_list,
                ephemeral,
                reuse_delay,
                equal,
            )| {
                let place = |(base, step, length): (u16, u16, u16)| {
                    let base = origin + base;
                    (base, step, base.saturating_add(length))
                };
                // Often, ranges with one step that meet.
                let frontend = if equal {
                    (frontend.0, backend.1, frontend.2)
                } else {
                    frontend
                };
                let mut ranges = BTreeMap::from([
                    ("backend".to_owned(), place(backend)),
                    ("frontend".to_owned(), place(frontend)),
                ]);
                ranges.extend(db.map(|range| ("db".to_owned(), place(range))));
                let mut base_roles = BTreeSet::from(["backend".to_owned(), "frontend".to_owned()]);
                if db_for_all && ranges.contains_key("db") {
                    base_roles.insert("db".to_owned());
                }
                let move_there = |set: BTreeSet<u16>| {
                    set.into_iter().map(|distance| origin + distance).collect()
                };
                let (block_list, ephemeral) = (move_there(block_list), move_there(ephemeral));
                Ground {
                    origin,
                    rules: Rules {
                        ranges,
                        base_roles,
                        block_list,
                        ephemeral,
                        reuse_delay,
                    },
                }
            },
        )
}

proptest! {
    #[test]
    fn the_planner_does_what_the_naive_one_does(ground in any_ground(), steps in vec(any_step(), 1..40)) {
        let Some(policy) = ground.policy() else { return Ok(()) };
        let mut desk = Desk::with(policy);
        let mut naive = Naive::with(ground.rules.clone());
        let mut spelt = BTreeMap::new();
        for step in &steps {
            match step {
                Step::Clock(by) => desk.wall = at(desk.wall.millis() - at(0).millis() + by),
                Step::Host(used) => {
                    let used: BTreeSet<u16> = used.iter().map(|distance| ground.number(*distance)).collect();
                    desk.host.in_use = used.clone();
                    naive.in_use = used;
                }
                Step::Ask(wishes) => {
                    let asks: Vec<Ask> = wishes.iter().map(|wish| ground.ask(wish)).collect();
                    one_step(&mut desk, &mut naive, &asks)?;
                    first_spelling_is_kept(&mut desk, &mut spelt)?;
                }
            }
        }
    }
}

fn one_step(desk: &mut Desk, naive: &mut Naive, asks: &[Ask]) -> Result<(), TestCaseError> {
    let before = desk.clone();
    let now = desk.book.clock(desk.wall);
    let planned = desk.plan(asks);
    for (ask, answer) in asks.iter().zip(&planned.answers) {
        let state = naive.clone();
        let expected = naive.ask(ask, now.millis());
        prop_assert_eq!(in_short(answer), expected, "{:?}", ask);
        if let (Ask::Allocate(request), Ok(Outcome::Allocated(grants))) = (ask, answer) {
            if let ([app], [grant]) = (request.apps.as_slice(), grants.as_slice()) {
                if let Some(explanation) = grant.explanation.as_ref().filter(|_| grant.created) {
                    let source = grant.allocation.source;
                    explains(
                        &state,
                        app,
                        &numbers(&grant.allocation.ports),
                        source,
                        explanation,
                        now,
                    )?;
                }
            }
        }
    }
    holds_the_same(desk, naive)?;
    is_consistent(desk.space())?;
    follows_from_the_changes(&before, desk, &planned, now)?;
    is_determined(&before, asks, &planned, now)?;
    needs_no_more_than_it_says(&before, asks, &planned, now)?;
    is_idempotent(desk, asks, &planned)
}

/// The planner's answer as the naive one gives it.
fn in_short(answer: &Result<Outcome, Refusal>) -> Answer {
    let roles =
        |roles: &[portbook_model::Role]| roles.iter().map(|role| role.to_string()).collect();
    match answer {
        Ok(Outcome::Allocated(grants)) => Answer::Allocated(
            grants
                .iter()
                .map(|grant| {
                    (
                        numbers(&grant.allocation.ports),
                        grant.created,
                        roles(&grant.added),
                    )
                })
                .collect(),
        ),
        Ok(Outcome::Released(released)) => Answer::Released(
            released
                .iter()
                .map(|(_, ports)| ports.as_ref().map(numbers))
                .collect(),
        ),
        Ok(Outcome::Renewed(_)) => Answer::Renewed,
        Ok(Outcome::Expired(gone)) => {
            Answer::Expired(gone.iter().map(|(app, _)| name(app)).collect())
        }
        Ok(Outcome::Imported {
            registered,
            unchanged,
        }) => Answer::Imported(*registered, *unchanged),
        Ok(Outcome::Promised(news)) => Answer::Promised(*news),
        Ok(Outcome::Unpromised(known)) => Answer::Unpromised(*known),
        Ok(Outcome::PoolAdded(new)) => Answer::PoolAdded(*new),
        Ok(Outcome::PoolRemoved(_)) => Answer::PoolRemoved,
        Err(refusal) => Answer::Refused(refusal.into()),
    }
}

/// The book holds what the naive planner holds.
fn holds_the_same(desk: &mut Desk, naive: &Naive) -> Result<(), TestCaseError> {
    let held = desk
        .space()
        .apps
        .values()
        .filter_map(|record| record.held());
    let held: BTreeMap<_, _> = held
        .map(|allocation| {
            let lease = allocation.lease.map(|lease| {
                (
                    lease.expires_at.millis(),
                    i64::try_from(lease.ttl.duration().as_millis()).unwrap(),
                )
            });
            let (created_at, source) = (allocation.created_at.millis(), allocation.source);
            let held = crate::naive::Held {
                ports: numbers(&allocation.ports),
                source,
                created_at,
                lease,
            };
            (name(&allocation.app), held)
        })
        .collect();
    prop_assert_eq!(&held, &naive.held);
    Ok(())
}

/// No port has two owners, and what is derived agrees with the apps' own records.
fn is_consistent(space: &SpaceBook) -> Result<(), TestCaseError> {
    let mut taken = PortSet::new();
    for allocation in space.apps.values().filter_map(|record| record.held()) {
        for (role, port) in &allocation.ports {
            prop_assert!(taken.insert(*port), "{} was given twice", port);
            let owner = &space.owners[port];
            prop_assert_eq!((&owner.app, &owner.role), (&allocation.app, role));
        }
    }
    prop_assert_eq!(&space.taken, &taken);
    prop_assert_eq!(space.owners.len(), taken.count());
    prop_assert!(
        space.rests.keys().all(|port| !taken.contains(*port)),
        "a port rests while it is held"
    );
    Ok(())
}

/// The changes, followed from the book before, give the book after: so who was not there can know.
fn follows_from_the_changes(
    before: &Desk,
    after: &mut Desk,
    planned: &Plan,
    now: Timestamp,
) -> Result<(), TestCaseError> {
    let mut replayed = before.clone();
    for change in &planned.changes {
        replayed
            .book
            .space(&change.space)
            .apply(&change.change, now);
    }
    prop_assert_eq!(exact(replayed.space()), exact(after.space()));
    if planned.answers.iter().all(Result::is_err) {
        prop_assert!(planned.changes.is_empty());
    }
    Ok(())
}

/// The same question gets the same plan, alone or among others.
fn is_determined(
    before: &Desk,
    asks: &[Ask],
    planned: &Plan,
    now: Timestamp,
) -> Result<(), TestCaseError> {
    let commands: Vec<Command> = asks.iter().cloned().map(kit::command).collect();
    let mut once_more = before.clone();
    let again = plan(
        &mut once_more.book,
        &commands,
        &before.host,
        &before.policy,
        now,
    );
    prop_assert_eq!(format!("{again:?}"), format!("{planned:?}"));
    let mut one_by_one = before.clone();
    let mut together = Plan::default();
    for command in commands {
        let unchanged = exact(one_by_one.space());
        let one = plan(
            &mut one_by_one.book,
            &[command],
            &before.host,
            &before.policy,
            now,
        );
        if one.answers[0].is_err() {
            prop_assert!(one.changes.is_empty());
            prop_assert_eq!(exact(one_by_one.space()), unchanged);
        }
        together.answers.extend(one.answers);
        together.changes.extend(one.changes);
    }
    prop_assert_eq!(format!("{together:?}"), format!("{planned:?}"));
    Ok(())
}

/// With nothing loaded but what `Needs` names (and the apps whose lease has ended), the plan is the
/// same.
fn needs_no_more_than_it_says(
    before: &Desk,
    asks: &[Ask],
    planned: &Plan,
    now: Timestamp,
) -> Result<(), TestCaseError> {
    let commands: Vec<Command> = asks.iter().cloned().map(kit::command).collect();
    let mut whole = before.clone();
    let whole = whole.space();
    let mut partial = whole.clone();
    partial.forget_loaded();
    let since = now.millis() - i64::try_from(before.policy.reuse_delay().as_millis()).unwrap();
    partial.rests.retain(|_, rest| rest.since.millis() > since);
    let needs = Needs::of(&commands)
        .remove(&Space::default())
        .unwrap_or_default();
    for record in whole.apps.values() {
        let lapsed = record
            .held()
            .is_some_and(|allocation| allocation.has_lapsed(now));
        if needs.apps.contains(record.app()) || (lapsed && asks.contains(&Ask::Expire)) {
            partial.load(record.clone());
        }
    }
    let wanted = whole
        .owners
        .iter()
        .filter(|(port, _)| needs.every_owner || needs.owners.contains(**port));
    partial
        .owners
        .extend(wanted.map(|(port, owner)| (*port, owner.clone())));
    let mut book = Book::new(before.book.head.clone());
    book.spaces.insert(Space::default(), partial);
    let lean = plan(&mut book, &commands, &before.host, &before.policy, now);
    prop_assert_eq!(format!("{lean:?}"), format!("{planned:?}"));
    Ok(())
}

/// To ask for the same once more changes nothing.
fn is_idempotent(desk: &Desk, asks: &[Ask], planned: &Plan) -> Result<(), TestCaseError> {
    let ([ask], [Ok(_)]) = (asks, planned.answers.as_slice()) else {
        return Ok(());
    };
    let mut again = desk.clone();
    let repeated = again.plan(std::slice::from_ref(ask));
    prop_assert!(
        repeated.changes.is_empty(),
        "asked again, {:?} changed {:?}",
        ask,
        repeated.changes
    );
    if let Ok(Outcome::Allocated(grants)) = &repeated.answers[0] {
        prop_assert!(
            grants
                .iter()
                .all(|grant| !grant.created && grant.added.is_empty())
        );
    }
    Ok(())
}

/// Everything that is listed as passed over was, for the reason that is given; and for an app that got
/// a slot, every lower slot is listed.
fn explains(
    state: &Naive,
    app: &AppKey,
    ports: &BTreeMap<String, u16>,
    source: Source,
    explanation: &Explanation,
    now: Timestamp,
) -> Result<(), TestCaseError> {
    for passed in &explanation.passed_over {
        let (port, role) = (passed.port.get(), passed.role.as_str());
        let is_true = match &passed.why {
            Ineligible::Taken(owner) => {
                let owner = owner
                    .as_ref()
                    .map(|(app, role)| (name(app), role.to_string()));
                owner.is_some() && state.owner(port) == owner
            }
            Ineligible::Promised(to) => {
                state.promised_to(port) == Some(name(to)) && name(to) != name(app)
            }
            Ineligible::Pool(pool) => {
                state.pool_for_others(port, &app.model) == Some(pool.to_string())
            }
            Ineligible::Blocked(_) => state.is_blocked(port),
            Ineligible::Resting { until } => {
                *until > now && state.is_resting(port, &name(app), now.millis())
            }
            Ineligible::InUse(_) => state.in_use.contains(&port),
            Ineligible::Twin(other) => other.as_str() != role,
            Ineligible::Ephemeral => state.rules.ephemeral.contains(&port),
            Ineligible::OwnRole(other) => other.as_str() != role,
        };
        prop_assert!(is_true, "{} {}: {} is not true", role, port, passed.why);
    }
    if source != Source::Dynamic {
        return Ok(());
    }
    let roles: Vec<&String> = ports.keys().collect();
    for slot in 0.. {
        let candidate = state.slot(&roles, slot);
        if candidate.as_ref() == Some(ports) {
            break;
        }
        let candidate = candidate.unwrap();
        let is_listed = explanation
            .passed_over
            .iter()
            .any(|passed| candidate.get(passed.role.as_str()) == Some(&passed.port.get()));
        prop_assert!(
            is_listed,
            "slot {} with {:?} was passed over without a word",
            slot,
            candidate
        );
    }
    Ok(())
}

/// However often an app comes, goes and is imported, it is shown as it was first spelt.
fn first_spelling_is_kept(
    desk: &mut Desk,
    spelt: &mut BTreeMap<crate::naive::App, String>,
) -> Result<(), TestCaseError> {
    for record in desk.space().apps.values() {
        let shown = record.app().to_string();
        let first = spelt
            .entry(name(record.app()))
            .or_insert_with(|| shown.clone());
        prop_assert_eq!(&*first, &shown);
    }
    Ok(())
}
