//! More roles than backend and frontend.

use portbook_model::{AllocationRequest, Change, Grant, Policy, Refusal, Source};

use crate::kit::{Desk, app, pair_of, policy, port, ports, ranges, role};

const THREE: [(&str, u16, u16, u16); 3] = [
    ("backend", 5001, 2, 5099),
    ("frontend", 8001, 2, 8099),
    ("db", 15001, 1, 15050),
];

fn with_db(desk: &mut Desk, number: u32) -> Result<Grant, Refusal> {
    let mut request = AllocationRequest::plain(vec![app("m", number)]);
    request.roles.insert(role("db"));
    desk.request(request).map(|mut grants| grants.remove(0))
}

#[test]
fn a_slot_serves_every_role_that_is_asked_for() {
    let mut desk = Desk::with(policy(&THREE));
    desk.host.in_use = [15001].into();
    let grant = with_db(&mut desk, 1).unwrap();
    assert_eq!(
        grant.allocation.ports,
        ports(&[("backend", 5003), ("frontend", 8003), ("db", 15002)])
    );
    // Who asks for two roles is not kept from slot 0 by the third.
    assert_eq!(desk.pair("m", 2), (5001, 8001));
}

#[test]
fn a_role_that_every_app_gets_is_given_unasked() {
    let mut desk = Desk::with(Policy::new(ranges(&THREE), [role("db")]).unwrap());
    assert_eq!(
        desk.grant("m", 1).allocation.ports[&role("db")],
        port(15001)
    );
}

#[test]
fn roles_are_added_later_and_what_was_there_stays() {
    let mut desk = Desk::with(policy(&THREE));
    desk.pair("m", 1);
    desk.pair("m", 2);
    let before = desk.space().clone();
    let grant = with_db(&mut desk, 2).unwrap();
    assert!(!grant.created);
    assert_eq!(grant.added, [role("db")]);
    assert_eq!(grant.allocation.source, Source::Dynamic);
    assert_eq!(
        grant.allocation.ports,
        ports(&[("backend", 5003), ("frontend", 8003), ("db", 15001)])
    );
    let mut replayed = before;
    let added = Change::Extended {
        app: app("m", 2),
        ports: ports(&[("db", 15001)]),
    };
    replayed.apply(&added, grant.allocation.updated_at);
    assert_eq!(
        crate::kit::exact(&replayed),
        crate::kit::exact(desk.space())
    );
    // Asking for less takes nothing away, asking again adds nothing.
    assert_eq!(desk.grant("m", 2).allocation.ports.len(), 3);
    assert_eq!(with_db(&mut desk, 2).unwrap().added, []);
}

#[test]
fn a_promise_for_a_later_role_is_honoured() {
    let mut desk = Desk::with(policy(&THREE));
    desk.pair("m", 1);
    desk.promise("a.json", &[("m", 1, &[("backend", 9001), ("db", 15042)])]);
    assert_eq!(
        with_db(&mut desk, 1).unwrap().allocation.ports[&role("db")],
        port(15042)
    );
}

#[test]
fn who_comes_back_gets_every_role_that_it_had() {
    let mut desk = Desk::with(policy(&THREE));
    with_db(&mut desk, 1).unwrap();
    desk.release("m", 1);
    let grant = desk.grant("m", 1);
    assert_eq!(
        grant.allocation.ports,
        ports(&[("backend", 5001), ("frontend", 8001), ("db", 15001)])
    );
    assert_eq!(grant.allocation.source, Source::Returning);
}

#[test]
fn who_comes_back_for_more_gets_what_it_had_and_the_rest() {
    let mut desk = Desk::with(policy(&THREE));
    desk.pair("m", 1);
    desk.pair("m", 2);
    desk.release("m", 1);
    desk.release("m", 2);
    let grant = with_db(&mut desk, 2).unwrap();
    assert_eq!(
        (pair_of(&grant.allocation), grant.allocation.ports.len()),
        ((5003, 8003), 3)
    );
}

#[test]
fn who_comes_back_does_without_a_role_that_is_no_more() {
    let mut desk = Desk::with(policy(&THREE));
    with_db(&mut desk, 1).unwrap();
    desk.release("m", 1);
    desk.policy = policy(&THREE[..2]);
    let grant = desk.grant("m", 1);
    assert_eq!(grant.allocation.source, Source::Returning);
    assert_eq!(
        grant.allocation.ports,
        ports(&[("backend", 5001), ("frontend", 8001)])
    );
}

#[test]
fn a_role_without_a_range_is_unknown() {
    let mut desk = Desk::new();
    assert_eq!(with_db(&mut desk, 1), Err(Refusal::UnknownRole(role("db"))));
}

#[test]
fn a_full_range_refuses_its_role_alone() {
    let mut desk = Desk::with(policy(&[
        ("backend", 5001, 2, 5099),
        ("frontend", 8001, 2, 8099),
        ("db", 15001, 1, 15001),
    ]));
    with_db(&mut desk, 1).unwrap();
    desk.pair("m", 2);
    let refused = with_db(&mut desk, 2).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "no eligible port is left for m/app2: db 15001-15001 step 1 has 1 port, 1 allocated"
    );
    assert_eq!(desk.pair("m", 2), (5003, 8003));
}
