//! The planner against a naive one, over any commands, under any rules, on any host.

use std::collections::{BTreeMap, BTreeSet};

use portbook_model::{
    AppKey, Ask, Book, Command, Explanation, Ineligible, Needs, Outcome, Plan, PortSet, Refusal,
    Source, Space, SpaceBook, Timestamp, plan,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::anything::{Step, any_ground, any_step};
use crate::kit::{self, Desk, at, exact};
use crate::naive::{Answer, Naive, name, numbers};

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
                    let asks: Vec<Ask> = wishes.iter().map(|wish| ground.ask(wish, desk.space())).collect();
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
        if let (Ask::Allocate(request), Ok(Outcome::Allocated(grants))) = (ask, answer)
            && let ([app], [grant]) = (request.apps.as_slice(), grants.as_slice())
            && let Some(explanation) = grant.explanation.as_ref().filter(|_| grant.created)
        {
            let source = grant.allocation.source;
            let ports = numbers(&grant.allocation.ports);
            explains(&state, app, &ports, source, explanation, now)?;
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
        Ok(Outcome::GivenBack(given)) => Answer::GivenBack(numbers(given)),
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
        Ok(
            Outcome::Reclaimed(_)
            | Outcome::Noted(_)
            | Outcome::RunBegun { .. }
            | Outcome::Moved(_)
            | Outcome::Accepted,
        ) => panic!("the naive planner does not know of {answer:?}"),
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
        .filter(|(port, _)| needs.every_owner || needs.owners.contains(*port));
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
