//! Exact ports, or a refusal.

use portbook_model::{AllocationRequest, Ineligible, Refusal, Source};

use crate::kit::{Desk, app, at, delay, pair_of, port, ports, role};

#[test]
fn a_pinned_port_is_had_exactly_and_the_rest_comes_from_the_lowest_slot() {
    let mut desk = Desk::new();
    let grant = desk.pin("m", 1, &[("backend", 8001)]).unwrap();
    assert_eq!(
        (pair_of(&grant.allocation), grant.allocation.source),
        ((8001, 8003), Source::Pinned)
    );
    let grant = desk
        .pin("m", 2, &[("backend", 1), ("frontend", 65535)])
        .unwrap();
    assert_eq!(pair_of(&grant.allocation), (1, 65535));
}

#[test]
fn a_pin_that_cannot_be_had_is_refused_with_the_reason() {
    let mut desk = Desk::new();
    desk.pair("m", 1);
    desk.pool("p", 9001, 9002, "openai_*");
    desk.promise(
        "a.json",
        &[("x", 1, &[("backend", 9003), ("frontend", 9004)])],
    );
    desk.host.in_use = [9005].into();
    let mut refusal = |wanted| {
        desk.pin("m", 2, &[("backend", wanted)])
            .unwrap_err()
            .to_string()
    };
    let cannot =
        |wanted: u16, why: &str| format!("port {wanted} cannot be the backend of m/app2: {why}");
    assert_eq!(
        refusal(8001),
        cannot(8001, "allocated to m/app1 as its frontend")
    );
    assert_eq!(
        refusal(9001),
        cannot(9001, "in the pool `p`, which is for other models")
    );
    assert_eq!(refusal(9003), cannot(9003, "promised to x/app1"));
    assert_eq!(refusal(9005), cannot(9005, "in use on this host"));
}

#[test]
fn who_names_a_port_may_have_one_that_portbook_would_not_choose() {
    let mut desk = Desk::new();
    desk.policy = desk
        .policy
        .clone()
        .with_reuse_delay(delay(1000))
        .with_block_list(crate::kit::set([5001]));
    desk.pin("x", 1, &[("backend", 5003), ("frontend", 5061)])
        .unwrap();
    desk.wall = at(10);
    desk.release("x", 1);
    assert_eq!(
        pair_of(
            &desk
                .pin("m", 1, &[("backend", 5003), ("frontend", 5001)])
                .unwrap()
                .allocation
        ),
        (5003, 5001)
    );
    assert!(desk.pin("m", 2, &[("backend", 5061)]).is_ok());
}

#[test]
fn pins_are_for_one_app_and_each_role_has_its_own() {
    let mut desk = Desk::new();
    let mut request = AllocationRequest::plain(vec![app("m", 1), app("m", 2)]);
    request.pins = ports(&[("backend", 9001)]);
    assert_eq!(desk.request(request), Err(Refusal::PinsForSeveral(2)));
    assert_eq!(
        desk.pin("m", 1, &[("backend", 9001), ("frontend", 9001)]),
        Err(Refusal::PinnedTwice(port(9001)))
    );
    assert_eq!(
        desk.pin("m", 1, &[("db", 9001)]),
        Err(Refusal::UnknownRole(role("db")))
    );
}

#[test]
fn an_app_that_has_its_ports_keeps_them_whatever_is_pinned() {
    let mut desk = Desk::new();
    desk.pair("m", 1);
    assert!(!desk.pin("m", 1, &[("backend", 5001)]).unwrap().created);
    let refused = desk.pin("m", 1, &[("backend", 9001)]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "m/app1 already has 5001 as its backend, so it cannot have 9001"
    );
}

#[test]
fn one_bad_pin_takes_the_good_one_with_it() {
    let mut desk = Desk::new();
    desk.pair("m", 1);
    let refused = desk.pin("m", 2, &[("backend", 9001), ("frontend", 5001)]);
    let Err(Refusal::PinTaken { reason, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        reason,
        Ineligible::Taken(Some((app("m", 1), role("backend"))))
    );
    assert_eq!(desk.pair("x", 1), (5003, 8003));
}
