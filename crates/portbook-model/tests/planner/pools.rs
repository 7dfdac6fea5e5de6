//! Pools: their models draw from them, nobody else does.

use portbook_model::{Ask, Outcome, Refusal, Source};

use crate::kit::{Desk, app, pair_of, pool, port};

#[test]
fn members_draw_from_the_pool_and_nobody_else_does() {
    let mut desk = Desk::new();
    desk.pool("p", 5001, 5004, "openai_*");
    let grant = desk.grant("openai/gpt-4", 1);
    assert_eq!(
        (pair_of(&grant.allocation), grant.allocation.source),
        ((5001, 5002), Source::Pool)
    );
    assert_eq!(desk.pair("x-ai/grok-4", 1), (5005, 8005));
    assert_eq!(desk.pair("openai_o3", 1), (5003, 5004));
}

#[test]
fn a_pool_passes_over_what_is_not_eligible() {
    let mut desk = Desk::new();
    desk.pool("p", 6664, 6680, "m");
    desk.promise(
        "a.json",
        &[("x", 1, &[("backend", 6671), ("frontend", 9001)])],
    );
    desk.host.in_use = [6664, 6670].into();
    // 6665 to 6669 and 6679 are the browsers'.
    assert_eq!(desk.pair("m", 1), (6672, 6673));
}

#[test]
fn a_pool_that_is_empty_leaves_its_models_the_lowest_slot() {
    let mut desk = Desk::new();
    desk.pool("p", 9001, 9003, "m");
    assert_eq!(desk.pair("m", 1), (9001, 9002));
    let (_, passed) = desk.explain("m", 2);
    assert_eq!(
        passed[..2],
        [
            "backend 9001: allocated to m/app1 as its backend",
            "backend 9002: allocated to m/app1 as its frontend"
        ]
    );
    assert_eq!(desk.pair("m", 2), (5001, 8001));
}

#[test]
fn several_pools_of_a_model_are_drawn_from_lowest_first() {
    let mut desk = Desk::new();
    desk.pool("a", 9101, 9101, "m");
    desk.pool("z", 9001, 9001, "*");
    assert_eq!(desk.pair("m", 1), (9001, 9101));
}

#[test]
fn a_pool_never_shares_a_port_with_another() {
    let mut desk = Desk::new();
    desk.pool("p", 9001, 9010, "m");
    let mut add = |name, first, last, models| {
        let pool = pool(name, first, last, models);
        desk.ask(Ask::AddPool { pool })
            .map_err(|refusal| refusal.to_string())
    };
    assert_eq!(add("p", 9001, 9010, "m"), Ok(Outcome::PoolAdded(false)));
    assert_eq!(
        add("p", 9001, 9010, "n"),
        Err("there is a pool `p` already: 9001-9010 for m".to_owned())
    );
    assert_eq!(
        add("q", 9010, 9020, "m"),
        Err("the pool's ports 9010-9020 overlap the pool `p` (9001-9010)".to_owned())
    );
    assert_eq!(add("q", 9011, 9020, "m"), Ok(Outcome::PoolAdded(true)));
}

#[test]
fn a_pool_that_is_given_up_is_anybodys() {
    let mut desk = Desk::new();
    let pool = pool("p", 5001, 5001, "m");
    desk.ask(Ask::AddPool { pool: pool.clone() }).unwrap();
    let remove = Ask::RemovePool {
        name: pool.name.clone(),
    };
    assert_eq!(
        desk.ask(remove.clone()),
        Ok(Outcome::PoolRemoved(pool.clone()))
    );
    assert_eq!(desk.ask(remove), Err(Refusal::NoPool(pool.name)));
    assert_eq!(desk.pair("x", 1), (5001, 8001));
}

#[test]
fn who_holds_a_port_keeps_it_when_a_pool_is_made_around_it() {
    let mut desk = Desk::new();
    desk.pair("x", 1);
    desk.pool("p", 5001, 5002, "m");
    assert_eq!(desk.pair("x", 1), (5001, 8001));
    desk.release("x", 1);
    assert_eq!(desk.pair("x", 1), (5003, 8003));
}

#[test]
fn a_promise_in_a_pool_is_kept() {
    let mut desk = Desk::new();
    desk.pool("p", 5001, 5004, "m");
    desk.promise(
        "a.json",
        &[("x", 1, &[("backend", 5001), ("frontend", 5002)])],
    );
    assert_eq!(desk.pair("m", 1), (5003, 5004));
    assert_eq!(desk.pair("x", 1), (5001, 5002));
    assert!(desk.space().owners[&port(5001)].app == app("x", 1));
}
