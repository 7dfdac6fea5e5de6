//! `--ports`: exact ports, or none.

use serde_json::json;

use crate::kit::{Sandbox, ranges};

#[test]
fn a_pinned_port_is_had_and_the_rest_comes_from_the_ranges() {
    let sandbox = Sandbox::new();
    let one = sandbox.json("allocate openai_gpt-4 1 --ports backend=7777");
    assert_eq!(
        (&one["backend"], &one["source"]),
        (&json!(7777), &json!("pinned"))
    );
    assert_eq!(one["frontend"], 8001);
    // Outside every range, and in another role's: nobody else gets it.
    let two = sandbox.json("allocate openai_gpt-4 2 --ports backend=8003,frontend=80");
    assert_eq!(
        (&two["backend"], &two["frontend"]),
        (&json!(8003), &json!(80))
    );
    assert_eq!(sandbox.pair("allocate openai_gpt-4 3-3").1, 8005);
}

#[test]
fn i4_asking_for_the_ports_that_it_has_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate openai_gpt-4 1");
    let again = sandbox.json("allocate openai_gpt-4 1 --ports backend=5001,frontend=8001");
    assert_eq!(
        (&again["created"], &again["source"]),
        (&json!(false), &json!("dynamic"))
    );
    assert_eq!(sandbox.changes(), 1);
}

#[test]
fn i1_a_port_that_another_app_has_is_refused_with_its_name() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate owner 1");
    let run = sandbox.run("allocate openai_gpt-4 1 --ports frontend=5001");
    run.failed_saying(1, &["5001", "owner/app1", "backend"]);
    assert_eq!(
        sandbox
            .run("allocate openai_gpt-4 1 --ports frontend=5001 --json")
            .error(1)["code"],
        "port-taken"
    );
    assert_eq!(sandbox.changes(), 1);
    sandbox.run("get openai_gpt-4 1").failed(1);
}

#[test]
fn i4_an_app_with_another_port_in_that_role_keeps_it() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate openai_gpt-4 1");
    let run = sandbox.run("allocate openai_gpt-4 1 --ports backend=7777");
    run.failed_saying(1, &["already has 5001 as its backend", "7777"]);
    assert_eq!(sandbox.pair("get openai_gpt-4 1"), (5001, 8001));
}

#[test]
fn i9_a_promised_port_is_refused_to_others_and_given_to_its_app() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "port_config.json",
        r#"[{"model": "promised", "app_num": 1, "backend_port": 7001, "frontend_port": 9001}]"#,
    );
    sandbox
        .run("allocate other 1 --ports backend=7001")
        .failed_saying(1, &["7001", "promised to promised/app1"]);
    // Of what it does not pin, the promise is kept too.
    assert_eq!(
        sandbox.pair("allocate promised 1 --ports backend=7001"),
        (7001, 9001)
    );
}

#[test]
fn a_port_of_another_models_pool_is_refused_and_of_its_own_is_not() {
    let sandbox = Sandbox::new();
    sandbox.text("pool add gpus 20000-20009 openai_*");
    sandbox
        .run("allocate other 1 --ports backend=20003")
        .failed_saying(1, &["20003", "gpus"]);
    assert_eq!(
        sandbox
            .pair("allocate openai_gpt-4 1 --ports backend=20003")
            .0,
        20003
    );
}

#[test]
fn one_port_for_two_roles_or_two_apps_makes_no_sense() {
    let sandbox = Sandbox::configured(&ranges(20_000, 5));
    sandbox
        .run("allocate m 1 --ports backend=7000,frontend=7000")
        .failed_saying(2, &["7000"]);
    sandbox
        .run("allocate m 1 --ports backend=7000,backend=7001")
        .failed_saying(2, &["`backend`"]);
    sandbox
        .run("allocate m 1-2 --ports backend=7000")
        .failed_saying(2, &["one app only"]);
    assert_eq!(sandbox.changes(), 0);
}

#[test]
fn a_browser_blocked_port_may_be_pinned_and_check_tells_of_it() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate openai_gpt-4 1 --ports backend=6667");
    assert_eq!(sandbox.json("list")[0]["is_available"], false);
    assert_eq!(sandbox.conflicts()[0]["kind"], "browser-blocked");
}
