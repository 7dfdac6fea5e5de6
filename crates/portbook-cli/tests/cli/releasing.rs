//! `release`: ports given back.

use insta::assert_snapshot;
use serde_json::json;

use crate::kit::Sandbox;

#[test]
fn it_says_what_was_given_back() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate openai_gpt-4 1-3");
    assert_snapshot!(sandbox.text("release openai_gpt-4 1"), @"released 5001, 8001 of openai_gpt-4/app1");
    let one = sandbox.json("release openai_gpt-4 2");
    assert_eq!(
        one,
        json!({
            "model": "openai_gpt-4", "app_num": 2, "released": true, "ports": {"backend": 5003, "frontend": 8003},
        })
    );
    assert_eq!(sandbox.json("list").as_array().unwrap().len(), 1);
}

#[test]
fn with_nothing_to_release_the_answer_is_no() {
    let sandbox = Sandbox::new();
    sandbox
        .run("release openai_gpt-4 1")
        .failed_saying(1, &["nothing to release", "openai_gpt-4/app1"]);
    sandbox
        .run("release openai_gpt-4 1-9")
        .failed_saying(1, &["9 apps"]);
    assert_eq!(
        sandbox.run("release openai_gpt-4 1 --json").error(1)["code"],
        "nothing-to-release"
    );
}

#[test]
fn of_several_apps_those_that_hold_ports_are_released() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate openai_gpt-4 1,3");
    assert_snapshot!(sandbox.text("release openai_gpt-4 1-3"), @r"
    released 5001, 8001 of openai_gpt-4/app1
    openai_gpt-4/app2 had no ports
    released 5003, 8003 of openai_gpt-4/app3
    ");
}

#[test]
fn a_model_is_no_pattern_here() {
    // The upstream tools' worst: releasing my_app also released my-app.
    let sandbox = Sandbox::new();
    sandbox.text("allocate my-app 1");
    sandbox.text("allocate my.app 1");
    for pattern in ["my_app", "my%app", "%", "my?app", "*"] {
        sandbox.run_words(["release", pattern, "1"]).failed(1);
    }
    assert_eq!(sandbox.json("list").as_array().unwrap().len(), 2);
}
