//! Pre-configured ports: their app's alone.

use portbook_model::{Ask, Outcome, Source};

use crate::kit::{Desk, app, pair_of, policy, promise_file};

const FIRST: &[(&str, u16)] = &[("backend", 5001), ("frontend", 8001)];
const FAR: &[(&str, u16)] = &[("backend", 9101), ("frontend", 9102)];

#[test]
fn promised_ports_are_never_given_to_others() {
    let mut desk = Desk::new();
    desk.promise("a.json", &[("late", 7, FIRST)]);
    assert_eq!(desk.pair("m", 1), (5003, 8003));
    let grant = desk.grant("late", 7);
    assert_eq!(
        (pair_of(&grant.allocation), grant.allocation.source),
        ((5001, 8001), Source::PortConfig)
    );
}

#[test]
fn a_full_book_keeps_what_it_promised() {
    let mut desk = Desk::with(policy(&[
        ("backend", 6001, 1, 6002),
        ("frontend", 7001, 1, 7002),
    ]));
    desk.promise(
        "a.json",
        &[("late", 7, &[("backend", 6002), ("frontend", 7002)])],
    );
    assert_eq!(desk.pair("m", 1), (6001, 7001));
    let refused = desk
        .request(portbook_model::AllocationRequest::plain(vec![app("m", 2)]))
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("1 allocated, 1 promised to other apps;"),
        "{refused}"
    );
    assert_eq!(desk.pair("late", 7), (6002, 7002));
}

#[test]
fn a_promise_is_honoured_though_no_browser_opens_the_port() {
    let mut desk = Desk::new();
    desk.promise(
        "a.json",
        &[("m", 1, &[("backend", 6665), ("frontend", 6697)])],
    );
    assert_eq!(desk.pair("m", 1), (6665, 6697));
}

#[test]
fn a_promise_is_honoured_though_the_host_uses_the_port_and_that_is_said() {
    let mut desk = Desk::new();
    desk.promise("a.json", &[("m", 1, FIRST)]);
    desk.host.in_use = [8001].into();
    let grant = desk.grant("m", 1);
    assert_eq!(pair_of(&grant.allocation), (5001, 8001));
    assert_eq!(
        grant
            .in_use
            .iter()
            .map(|port| port.get())
            .collect::<Vec<_>>(),
        [8001]
    );
}

#[test]
fn promised_before_former_before_pool_before_the_lowest_slot() {
    let mut desk = Desk::new();
    let mut sources = Vec::new();
    let mut ask = |desk: &mut Desk| {
        let grant = desk.grant("m", 1);
        sources.push((pair_of(&grant.allocation), grant.allocation.source));
        desk.release("m", 1);
    };
    ask(&mut desk);
    // It returns to what it had, though now its model has a pool,
    desk.pool("p", 9001, 9002, "m");
    ask(&mut desk);
    // unless a file says otherwise.
    desk.promise("a.json", &[("m", 1, FAR)]);
    ask(&mut desk);
    // Without the file it returns there; when it cannot, the pool is next, and the slots come last.
    desk.ask(Ask::Unpromise {
        source: "a.json".to_owned(),
    })
    .unwrap();
    ask(&mut desk);
    desk.host.in_use = [9101].into();
    ask(&mut desk);
    desk.host.in_use = [9001].into();
    ask(&mut desk);
    assert_eq!(
        sources,
        [
            ((5001, 8001), Source::Dynamic),
            ((5001, 8001), Source::Returning),
            ((9101, 9102), Source::PortConfig),
            ((9101, 9102), Source::Returning),
            ((9001, 9002), Source::Pool),
            ((5001, 8001), Source::Dynamic),
        ]
    );
}

#[test]
fn a_promise_that_came_too_late_moves_nobody() {
    let mut desk = Desk::new();
    assert_eq!(desk.pair("m", 1), (5001, 8001));
    desk.promise("a.json", &[("late", 7, FIRST), ("m", 1, FAR)]);
    assert_eq!(desk.pair("m", 1), (5001, 8001));
    // All of it or none: half of a promise is no pair that its app was told of.
    let (_, passed) = desk.explain("late", 7);
    assert_eq!(
        passed[..2],
        [
            "backend 5001: allocated to m/app1 as its backend",
            "frontend 8001: allocated to m/app1 as its frontend"
        ]
    );
    assert_eq!(desk.pair("late", 7), (5003, 8003));
    // Once given back, they are the promised app's alone.
    desk.release("m", 1);
    desk.release("late", 7);
    assert_eq!(desk.pair("x", 1), (5003, 8003));
    assert_eq!(desk.pair("late", 7), (5001, 8001));
}

#[test]
fn a_file_that_is_known_is_no_news_and_a_changed_one_replaces_it() {
    let mut desk = Desk::new();
    let file = promise_file("a.json", &[("late", 7, FIRST)]);
    let promise = Ask::Promise { file };
    assert_eq!(desk.ask(promise.clone()), Ok(Outcome::Promised(true)));
    assert_eq!(desk.ask(promise), Ok(Outcome::Promised(false)));
    desk.promise("a.json", &[("late", 7, FAR)]);
    assert_eq!(desk.pair("m", 1), (5001, 8001));
    let unpromise = Ask::Unpromise {
        source: "a.json".to_owned(),
    };
    assert_eq!(desk.ask(unpromise.clone()), Ok(Outcome::Unpromised(true)));
    assert_eq!(desk.ask(unpromise), Ok(Outcome::Unpromised(false)));
    assert_eq!(desk.pair("late", 7), (5003, 8003));
}

#[test]
fn where_two_files_disagree_the_first_by_path_counts_whichever_came_first() {
    for order in [["a.json", "b.json"], ["b.json", "a.json"]] {
        let mut desk = Desk::new();
        for source in order {
            let model = if source == "a.json" { "a" } else { "b" };
            desk.promise(source, &[(model, 1, FIRST)]);
        }
        assert_eq!(desk.pair("b", 1), (5003, 8003));
        assert_eq!(desk.pair("a", 1), (5001, 8001));
    }
}

#[test]
fn a_file_that_promises_one_port_for_two_roles_gives_no_port_twice() {
    let mut desk = Desk::new();
    desk.promise(
        "a.json",
        &[("m", 1, &[("backend", 5001), ("frontend", 5001)])],
    );
    let (backend, frontend) = desk.pair("m", 1);
    assert_ne!(backend, frontend);
}

#[test]
fn what_a_file_leaves_out_comes_from_the_lowest_slot() {
    let mut desk = Desk::new();
    desk.promise("a.json", &[("m", 1, &[("backend", 8001)])]);
    // 8001 is taken by its own backend.
    assert_eq!(desk.pair("m", 1), (8001, 8003));
}

#[test]
fn what_is_left_of_a_promise_is_still_its_apps() {
    let mut desk = Desk::new();
    desk.pair("m", 1);
    desk.promise(
        "a.json",
        &[("late", 7, &[("backend", 5003), ("frontend", 8001)])],
    );
    assert_eq!(desk.pair("m", 2), (5005, 8005));
    assert_eq!(desk.pair("late", 7), (5003, 8003));
}
