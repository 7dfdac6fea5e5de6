//! Giving back, coming back, and the rest between.

use portbook_model::{Ask, Policy, Source};

use crate::kit::{Desk, app, at, delay, pair_of, policy, ports};

#[test]
fn a_release_says_what_was_given_back_and_is_no_failure_twice() {
    let mut desk = Desk::new();
    desk.pair("m", 1);
    assert_eq!(
        desk.release("m", 1),
        Some(ports(&[("backend", 5001), ("frontend", 8001)]))
    );
    assert_eq!(desk.release("m", 1), None);
    assert_eq!(desk.release("never", 1), None);
    let planned = desk.plan(&[Ask::Release {
        apps: vec![app("m", 1)],
    }]);
    assert!(planned.changes.is_empty());
}

#[test]
fn who_comes_back_gets_the_ports_it_had() {
    let mut desk = Desk::new();
    desk.pair("m", 1);
    desk.pair("m", 2);
    desk.release("m", 1);
    desk.release("m", 2);
    let grant = desk.grant("m", 2);
    assert_eq!(
        (pair_of(&grant.allocation), grant.allocation.source),
        ((5003, 8003), Source::Returning)
    );
    assert!(grant.created);
}

#[test]
fn who_comes_back_too_late_gets_the_lowest_slot() {
    let mut desk = Desk::new();
    desk.pair("m", 1);
    desk.release("m", 1);
    assert_eq!(desk.pair("n", 1), (5001, 8001));
    let grant = desk.grant("m", 1);
    assert_eq!(
        (pair_of(&grant.allocation), grant.allocation.source),
        ((5003, 8003), Source::Dynamic)
    );
    // Of the ports it had most lately, if it comes back once more.
    desk.release("n", 1);
    desk.release("m", 1);
    assert_eq!(desk.pair("m", 1), (5003, 8003));
}

#[test]
fn who_comes_back_gets_all_its_ports_or_others() {
    let mut desk = Desk::new();
    desk.pair("m", 1);
    desk.release("m", 1);
    desk.host.in_use = [8001].into();
    assert_eq!(
        desk.explain("m", 1).1,
        ["frontend 8001: in use on this host"; 2]
    );
    assert_eq!(desk.pair("m", 1), (5003, 8003));
}

#[test]
fn a_released_port_rests_for_others_but_not_for_who_gave_it_back() {
    let mut desk = Desk::with(Policy::default().with_reuse_delay(delay(1000)));
    desk.pair("m", 1);
    desk.wall = at(10);
    desk.release("m", 1);
    desk.wall = at(1009);
    let (_, passed) = desk.explain("n", 1);
    assert_eq!(
        passed,
        [
            "backend 5001: resting until 2023-11-14T22:13:21.010Z",
            "frontend 8001: resting until 2023-11-14T22:13:21.010Z"
        ]
    );
    assert_eq!(desk.pair("n", 1), (5003, 8003));
    let mut early = desk.clone();
    assert_eq!(early.pair("m", 1), (5001, 8001));
    desk.wall = at(1010);
    assert_eq!(desk.pair("n", 2), (5001, 8001));
}

#[test]
fn a_full_book_gives_no_resting_port_either() {
    let ranges = [("backend", 6001, 1, 6001), ("frontend", 7001, 1, 7001)];
    let mut desk = Desk::with(policy(&ranges).with_reuse_delay(delay(1000)));
    desk.pair("m", 1);
    desk.release("m", 1);
    let refused = desk
        .request(portbook_model::AllocationRequest::plain(vec![app("n", 1)]))
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "no eligible port is left for n/app1: backend 6001-6001 step 1 has 1 port, 1 resting; \
         frontend 7001-7001 step 1 has 1 port, 1 resting"
    );
    // It may still be asked for by its number: rests bind portbook's own choice only.
    assert!(
        desk.pin("n", 1, &[("backend", 6001), ("frontend", 7001)])
            .is_ok()
    );
}
