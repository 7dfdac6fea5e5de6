//! `pool`: stretches of ports reserved for models.

use insta::assert_snapshot;
use serde_json::json;

use crate::kit::{Sandbox, each};

#[test]
fn its_models_draw_from_it_and_nobody_else_does() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.text("pool add gpus 5001-5004 openai_*"), @"pool gpus: 5001-5004 for openai_*: reserved");
    let drawn = sandbox.json("allocate openai_gpt-4 1");
    assert_eq!(
        (&drawn["backend"], &drawn["frontend"]),
        (&json!(5001), &json!(5002))
    );
    assert_eq!(drawn["source"], "pool");
    assert_eq!(sandbox.pair("allocate other 1"), (5005, 8005));
    sandbox.text("allocate openai_gpt-4 2");
    // An empty pool sends its models to the ranges.
    let third = sandbox.json("allocate openai_gpt-4 3");
    assert_eq!(
        (&third["source"], &third["backend"]),
        (&json!("dynamic"), &json!(5007))
    );
}

#[test]
fn pools_are_listed_with_how_full_they_are() {
    let sandbox = Sandbox::new();
    sandbox.text("pool add gpus 20000-20009 openai_*");
    sandbox.text("allocate openai_gpt-4 1");
    let expected = json!([
        {"name": "gpus", "first": 20000, "last": 20009, "models": "openai_*", "used": 2, "free": 8}
    ]);
    assert_eq!(sandbox.json("pool list"), expected);
    assert_snapshot!(sandbox.text("pool list"), @r"
    POOL  PORTS        MODELS    USED  FREE
    gpus  20000-20009  openai_*  2     8
    ");
}

#[test]
fn an_overlap_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.text("pool add gpus 20000-20009 openai_*");
    sandbox
        .run("pool add more 20009-20020 x")
        .failed_saying(1, &["20009-20020", "gpus"]);
    sandbox
        .run("pool add gpus 30000-30001 x")
        .failed_saying(1, &["gpus", "already"]);
    // Another space has a line of its own.
    sandbox.text("pool add more 20009-20020 x --space lab");
    assert_eq!(sandbox.changes(), 1);
    // Adding it again just so is no failure and changes nothing.
    assert!(
        sandbox
            .text("pool add gpus 20000-20009 openai_*")
            .contains("already")
    );
    assert_eq!(sandbox.changes(), 1);
}

#[test]
fn a_pool_that_is_given_up_is_anybodys() {
    let sandbox = Sandbox::new();
    sandbox.text("pool add gpus 5001-5002 openai_*");
    sandbox.text("pool remove gpus");
    assert_eq!(sandbox.pair("allocate other 1"), (5001, 8001));
    sandbox
        .run("pool remove gpus")
        .failed_saying(1, &["no pool `gpus`"]);
    assert_eq!(sandbox.json("pool list"), json!([]));
    let history = sandbox.history();
    assert_eq!(
        each(&history, "change"),
        ["pool-added", "pool-removed", "allocated"]
    );
}

#[test]
fn i4_an_app_keeps_a_port_that_a_pool_came_over() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate other 1");
    sandbox.text("pool add gpus 5001-5002 openai_*");
    assert_eq!(sandbox.pair("allocate other 1"), (5001, 8001));
    let conflicts = sandbox.conflicts();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(
        (&conflicts[0]["kind"], &conflicts[0]["port"]),
        (&json!("pool-trespass"), &json!(5001))
    );
    sandbox.run("check").ended(1);
}
