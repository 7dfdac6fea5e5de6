//! What others paid for, and what the system before this one did wrong.

use portbook_model::{AllocationRequest, Ask, Refusal};

use crate::kit::{Desk, app, at, pair_of, policy, port};

/// kubernetes#37488, #64466: a late release freed what somebody else had by then.
#[test]
fn a_second_release_frees_nothing_of_the_next_owners() {
    let mut desk = Desk::new();
    desk.pair("m", 1);
    desk.release("m", 1);
    assert_eq!(desk.pair("n", 1), (5001, 8001));
    assert_eq!(desk.release("m", 1), None);
    assert!(desk.space().taken.contains(port(5001)));
    assert_eq!(desk.pair("x", 1), (5003, 8003));
}

/// kubernetes#64345, and ports that an index forgot: what is derived agrees with the rows.
#[test]
fn what_is_taken_is_what_apps_hold() {
    let mut desk = Desk::new();
    for number in 1..=20 {
        desk.pair("m", number);
        desk.release("m", number / 2 + 1);
    }
    let space = desk.space();
    let held = space.apps.values().filter_map(|record| record.held());
    let rows: portbook_model::PortSet = held
        .flat_map(|allocation| allocation.ports.values().copied())
        .collect();
    assert_eq!(space.taken, rows);
    assert_eq!(space.owners.len(), rows.count());
}

/// kubernetes#135333: a conflict is not a failure, and a failure is not a conflict.
#[test]
fn full_and_unknown_and_taken_are_told_apart() {
    let mut desk = Desk::with(policy(&[
        ("backend", 6001, 1, 6001),
        ("frontend", 7001, 1, 7001),
    ]));
    let plain = || AllocationRequest::plain(vec![app("m", 2)]);
    desk.host.is_mute = true;
    assert!(matches!(desk.request(plain()), Err(Refusal::Host(_))));
    desk.host.is_mute = false;
    desk.pair("m", 1);
    assert!(matches!(desk.request(plain()), Err(Refusal::Exhausted(_))));
    assert!(matches!(
        desk.pin("m", 2, &[("backend", 6001)]),
        Err(Refusal::PinTaken { .. })
    ));
}

/// marathon#4071: a port that was asked for by its number went past the check for duplicates.
#[test]
fn no_path_that_writes_gives_a_port_twice() {
    let mut desk = Desk::new();
    desk.pair("m", 1);
    desk.pin("pinned", 1, &[("backend", 5003), ("frontend", 5005)])
        .unwrap();
    desk.import(&[("imported", 1, &[("backend", 5007), ("frontend", 8009)])])
        .unwrap();
    desk.pool("p", 5009, 5012, "pooled");
    assert_eq!(desk.pair("pooled", 1), (5009, 5010));
    for taken in [5001, 8001, 5003, 5005, 5007, 8009, 5009, 5010] {
        assert!(
            desk.pin("late", 1, &[("backend", taken)]).is_err(),
            "{taken} was pinned twice"
        );
        assert!(
            desk.import(&[("late", 1, &[("backend", taken), ("frontend", 9999)])])
                .is_err(),
            "{taken} was imported twice"
        );
    }
    assert_eq!(desk.pair("late", 1), (5013, 8013));
}

/// The ranges meet: the backend of slot 1500 is 8001, the first app's frontend.
#[test]
fn the_ranges_of_two_roles_are_one_number_line() {
    let mut desk = Desk::with(policy(&[
        ("backend", 6001, 1, 6010),
        ("frontend", 6002, 1, 6011),
    ]));
    let pairs: Vec<_> = (1..=5).map(|number| desk.pair("m", number)).collect();
    assert_eq!(
        pairs,
        [
            (6001, 6002),
            (6003, 6004),
            (6005, 6006),
            (6007, 6008),
            (6009, 6010)
        ]
    );
}

/// With no port left the old system gave everybody 60000 and 63000.
#[test]
fn nobody_is_given_a_port_outside_the_ranges() {
    let mut desk = Desk::with(policy(&[
        ("backend", 6001, 1, 6003),
        ("frontend", 7001, 1, 7003),
    ]));
    let grants: Vec<_> = (1..=9)
        .filter_map(|number| {
            desk.request(AllocationRequest::plain(vec![app("m", number)]))
                .ok()
        })
        .collect();
    assert_eq!(grants.len(), 3);
    let inside =
        |(backend, frontend)| (6001..=6003).contains(&backend) && (7001..=7003).contains(&frontend);
    assert!(
        grants
            .iter()
            .all(|grants| inside(pair_of(&grants[0].allocation)))
    );
}

/// A registry whose pattern for `my_app` also released `my-app`.
#[test]
fn a_release_means_the_app_that_it_names() {
    let mut desk = Desk::new();
    for model in ["my_app", "my-app", "myXapp", "my%app"] {
        desk.pair(model, 1);
    }
    // A slash, a percent sign and an underscore are one letter of a directory's name.
    assert_eq!(desk.space().taken.count(), 6);
    desk.release("my_app", 1);
    assert_eq!(desk.space().taken.count(), 4);
    assert_eq!(desk.pair("my-app", 1), (5003, 8003));
}

/// A lease that ended while nobody looked was given away and then renewed by its old owner.
#[test]
fn what_was_reclaimed_and_given_on_cannot_be_renewed() {
    let mut desk = Desk::new();
    desk.lease("m", 1, 10);
    desk.wall = at(10);
    desk.ask(Ask::Expire).unwrap();
    assert_eq!(desk.pair("n", 1), (5001, 8001));
    let renew = Ask::Renew {
        app: app("m", 1),
        ttl: None,
    };
    assert_eq!(desk.ask(renew), Err(Refusal::NothingToRenew(app("m", 1))));
}
