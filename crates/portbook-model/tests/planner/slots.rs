//! The lowest slot in which every role's port is eligible.

use std::collections::BTreeSet;

use portbook_model::{AllocationRequest, Ask, Outcome, Policy, Refusal, Source};

use crate::kit::{Desk, app, at, delay, pair_of, policy, set};

#[test]
fn a_fresh_book_gives_the_slots_in_order() {
    let mut desk = Desk::new();
    let first = desk.grant("m", 1);
    assert!(first.created);
    assert_eq!(first.allocation.source, Source::Dynamic);
    assert_eq!(pair_of(&first.allocation), (5001, 8001));
    assert_eq!(desk.pair("m", 2), (5003, 8003));
    assert_eq!(desk.pair("another", 1), (5005, 8005));
}

#[test]
fn who_asks_again_gets_the_same_and_nothing_happens() {
    let mut desk = Desk::new();
    let first = desk.grant("m", 1);
    desk.wall = at(1000);
    let mut planned = desk.plan(&[Ask::Allocate(AllocationRequest::plain(vec![app("m", 1)]))]);
    assert!(planned.changes.is_empty());
    let Ok(Outcome::Allocated(grants)) = planned.answers.remove(0) else {
        panic!("refused")
    };
    assert!(!grants[0].created);
    assert_eq!(grants[0].allocation, first.allocation);
}

#[test]
fn what_an_app_holds_is_kept_without_a_look_at_the_host() {
    let mut desk = Desk::new();
    desk.pair("m", 1);
    // Most likely the app itself listens there by now.
    desk.host.in_use = [5001, 8001].into();
    desk.host.asked.borrow_mut().clear();
    assert_eq!(desk.pair("m", 1), (5001, 8001));
    assert_eq!(*desk.host.asked.borrow(), [0; 0]);
}

#[test]
fn slots_that_were_given_back_are_filled_again_lowest_first() {
    let mut desk = Desk::new();
    for number in 1..=5 {
        desk.pair("m", number);
    }
    for number in [4, 2] {
        desk.release("m", number);
    }
    assert_eq!(desk.pair("n", 1), (5003, 8003));
    assert_eq!(desk.pair("n", 2), (5007, 8007));
    assert_eq!(desk.pair("n", 3), (5011, 8011));
}

#[test]
fn sixteen_hundred_apps_hold_3200_different_ports() {
    let mut desk = Desk::new();
    let apps = (1..=1600).map(|number| app("m", number)).collect();
    let grants = desk.request(AllocationRequest::plain(apps)).unwrap();
    let pairs: Vec<(u16, u16)> = grants
        .iter()
        .map(|grant| pair_of(&grant.allocation))
        .collect();
    let ports: BTreeSet<u16> = pairs
        .iter()
        .flat_map(|(backend, frontend)| [*backend, *frontend])
        .collect();
    assert_eq!(ports.len(), 3200);
    // The first 1494 are the slots below 8001, the frontend of the first app, less those whose
    // backend no browser opens: the apps 31, 833, 834, 835, 840 and 849 by their slots' numbers.
    let refused = [5061, 6665, 6667, 6669, 6679, 6697];
    let below: Vec<_> = (5001..8001)
        .step_by(2)
        .filter(|backend| !refused.contains(backend))
        .collect();
    assert_eq!(
        pairs
            .iter()
            .map(|(backend, _)| *backend)
            .take(1494)
            .collect::<Vec<_>>(),
        below
    );
    assert_eq!(pairs[30], (5063, 8063));
    assert!(
        pairs
            .iter()
            .all(|(backend, frontend)| frontend - backend == 3000)
    );
    // Then come the slots whose backend is the frontend that a refused slot left.
    let left: Vec<_> = refused
        .iter()
        .map(|backend| (backend + 3000, backend + 6000))
        .collect();
    assert_eq!(pairs[1494..1500], left);
}

#[test]
fn a_port_in_use_on_the_host_is_passed_over() {
    let mut desk = Desk::new();
    desk.host.in_use = [5001, 8003].into();
    assert_eq!(desk.pair("m", 1), (5005, 8005));
}

#[test]
fn a_host_that_cannot_tell_is_no_free_port_and_no_full_range() {
    let mut desk = Desk::new();
    desk.host.is_mute = true;
    let refused = desk
        .request(AllocationRequest::plain(vec![app("m", 1)]))
        .unwrap_err();
    assert!(matches!(refused, Refusal::Host(_)));
    assert_eq!(
        refused.to_string(),
        "whether port 5001 is in use on this host cannot be told: too many open files"
    );
}

#[test]
fn ephemeral_ports_are_given_out_last() {
    let ranges = [("backend", 6001, 1, 6004), ("frontend", 7001, 1, 7004)];
    let mut desk = Desk::with(policy(&ranges).with_ephemeral(set([6001, 7002])));
    let pairs: Vec<_> = (1..=4).map(|number| desk.pair("m", number)).collect();
    assert_eq!(
        pairs,
        [(6003, 7003), (6004, 7004), (6001, 7001), (6002, 7002)]
    );
}

#[test]
fn the_block_list_is_passed_over() {
    let mut desk = Desk::with(Policy::default().with_block_list(set([5001, 8003])));
    assert_eq!(desk.pair("m", 1), (5005, 8005));
}

#[test]
fn one_slot_never_gives_one_port_to_two_roles() {
    // Slot 0 is 6001/6001, slot 1 is 6002/6003, slot 2 is 6003/6005.
    let mut desk = Desk::with(policy(&[
        ("backend", 6001, 1, 6010),
        ("frontend", 6001, 2, 6010),
    ]));
    assert_eq!(desk.pair("m", 1), (6002, 6003));
    assert_eq!(desk.pair("m", 2), (6004, 6007));
}

#[test]
fn the_last_port_of_the_ranges_is_usable() {
    let mut desk = Desk::with(policy(&[
        ("backend", 65530, 2, 65534),
        ("frontend", 65531, 2, 65535),
    ]));
    let pairs: Vec<_> = (1..=3).map(|number| desk.pair("m", number)).collect();
    assert_eq!(pairs, [(65530, 65531), (65532, 65533), (65534, 65535)]);
}

#[test]
fn a_batch_is_all_or_nothing() {
    let mut desk = Desk::with(policy(&[
        ("backend", 6001, 1, 6003),
        ("frontend", 7001, 1, 7003),
    ]));
    let batch = |apps: &[u32]| {
        AllocationRequest::plain(apps.iter().map(|number| app("m", *number)).collect())
    };
    assert!(matches!(
        desk.request(batch(&[1, 2, 3, 4])),
        Err(Refusal::Exhausted(_))
    ));
    assert!(desk.space().taken.is_empty());
    let grants = desk.request(batch(&[3, 1, 3])).unwrap();
    let pairs: Vec<_> = grants
        .iter()
        .map(|grant| (pair_of(&grant.allocation), grant.created))
        .collect();
    assert_eq!(
        pairs,
        [
            ((6001, 7001), true),
            ((6002, 7002), true),
            ((6001, 7001), false)
        ]
    );
}

#[test]
fn a_refused_command_leaves_those_beside_it_alone() {
    let mut desk = Desk::with(policy(&[
        ("backend", 6001, 1, 6002),
        ("frontend", 7001, 1, 7002),
    ]));
    let ask = |number| Ask::Allocate(AllocationRequest::plain(vec![app("m", number)]));
    let release = Ask::Release {
        apps: vec![app("m", 1)],
    };
    let planned = desk.plan(&[ask(1), ask(2), ask(3), release, ask(3)]);
    let met: Vec<bool> = planned.answers.iter().map(Result::is_ok).collect();
    assert_eq!(met, [true, true, false, true, true]);
    assert_eq!(planned.changes.len(), 4);
    assert_eq!(desk.pair("m", 3), (6001, 7001));
}

#[test]
fn when_nothing_is_left_it_is_said_what_fills_each_range() {
    let ranges = [("backend", 5057, 2, 5071), ("frontend", 8001, 2, 8015)];
    let mut desk = Desk::with(policy(&ranges).with_reuse_delay(delay(60_000)));
    desk.pool("p", 5067, 5067, "openai_*");
    desk.promise(
        "a.json",
        &[("other", 1, &[("backend", 5069), ("frontend", 8013)])],
    );
    // Slot 0 is held, the frontend of slot 1 is in use, slot 2 is 5061, slot 3 rests, the backend of
    // slot 4 is in use, and the last three are another pool's, another app's and nobody's: that one
    // has its backend, but its frontend was pinned.
    desk.pair("m", 1);
    desk.pin("m", 2, &[("backend", 5063), ("frontend", 8007)])
        .unwrap();
    desk.release("m", 2);
    desk.pin("m", 3, &[("backend", 9001), ("frontend", 8015)])
        .unwrap();
    desk.host.in_use = [8003, 5065].into();
    let refused = desk
        .request(AllocationRequest::plain(vec![app("m", 9)]))
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "no eligible port is left for m/app9: backend 5057-5071 step 2 has 8 ports, 1 allocated, 1 promised to other \
         apps, 1 in other models' pools, 1 blocked, 1 resting, 1 in use on this host, 2 free but without a free \
         partner in their slot; frontend 8001-8015 step 2 has 8 ports, 2 allocated, 1 promised to other apps, 1 \
         resting, 1 in use on this host, 3 free but without a free partner in their slot"
    );
}

#[test]
fn a_full_book_gives_no_port_at_all_rather_than_a_made_up_one() {
    let mut desk = Desk::with(policy(&[
        ("backend", 6001, 1, 6001),
        ("frontend", 7001, 1, 7001),
    ]));
    desk.pair("m", 1);
    for number in 2..5 {
        let refused = desk
            .request(AllocationRequest::plain(vec![app("m", number)]))
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!(
                "no eligible port is left for m/app{number}: backend 6001-6001 step 1 has 1 port, 1 allocated; \
                 frontend 7001-7001 step 1 has 1 port, 1 allocated"
            )
        );
    }
    // And who holds ports is served as ever.
    assert_eq!(desk.pair("m", 1), (6001, 7001));
}

#[test]
fn everything_that_was_passed_over_is_listed_with_the_reason() {
    let mut desk = Desk::with(
        Policy::default()
            .with_block_list(set([5011]))
            .with_ephemeral(set([8013])),
    );
    desk.pair("m", 1);
    desk.promise(
        "a.json",
        &[("other", 1, &[("backend", 5003), ("frontend", 9001)])],
    );
    desk.pool("p", 8005, 8006, "openai_*");
    desk.host.in_use = [5007, 8007].into();
    let (reason, passed) = desk.explain("m", 2);
    assert_eq!(
        reason,
        "the lowest slot in which every role's port is eligible"
    );
    assert_eq!(
        passed,
        [
            "backend 5001: allocated to m/app1 as its backend",
            "frontend 8001: allocated to m/app1 as its frontend",
            "backend 5003: promised to other/app1",
            "frontend 8005: in the pool `p`, which is for other models",
            "backend 5007: in use on this host",
            "frontend 8007: in use on this host",
        ]
    );
    assert_eq!(desk.pair("m", 2), (5009, 8009));
    assert_eq!(
        desk.explain("m", 3).1[8..],
        [
            "backend 5011: blocked by the configuration's block list",
            "frontend 8013: in the host's ephemeral range, which is given out last"
        ]
    );
    let (reason, passed) = desk.explain("m", 3);
    assert_eq!(
        (reason.as_str(), passed.len()),
        ("it holds these ports already, and keeps them", 0)
    );
}
