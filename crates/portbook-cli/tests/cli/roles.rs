//! Roles besides backend and frontend.

use std::collections::HashSet;

use serde_json::json;

use crate::kit::{Sandbox, each};

const WITH_DB: &str = "[ranges.db]\nbase = 15432\nstep = 10\n[ranges.ws]\nbase = 17001\n";

#[test]
fn a_role_of_the_configuration_is_every_apps() {
    let sandbox = Sandbox::configured(&format!("roles = ['db']\n{WITH_DB}"));
    let answer = sandbox.json("allocate openai_gpt-4 1-2");
    assert_eq!(
        each(&answer, "ports"),
        [
            &json!({"backend": 5001, "frontend": 8001, "db": 15432}),
            &json!({"backend": 5003, "frontend": 8003, "db": 15442}),
        ]
    );
}

#[test]
fn a_role_that_is_asked_for_is_that_apps() {
    let sandbox = Sandbox::configured(WITH_DB);
    let one = sandbox.json("allocate openai_gpt-4 1 --roles db,ws");
    assert_eq!(
        one["ports"],
        json!({"backend": 5001, "frontend": 8001, "db": 15432, "ws": 17001})
    );
    let two = sandbox.json("allocate openai_gpt-4 2");
    assert_eq!(two["ports"], json!({"backend": 5003, "frontend": 8003}));
}

#[test]
fn i4_an_app_that_gets_a_role_later_keeps_what_it_has() {
    let sandbox = Sandbox::configured(WITH_DB);
    sandbox.text("allocate openai_gpt-4 1-3");
    let two = sandbox.run("allocate openai_gpt-4 2 --roles db");
    assert!(two.done().stdout.contains("added"), "{}", two.stdout);
    let two = sandbox.json("get openai_gpt-4 2");
    assert_eq!(
        two["ports"],
        json!({"backend": 5003, "frontend": 8003, "db": 15432})
    );
    assert_eq!(two["source"], "dynamic");
    // Without naming it, it stays.
    assert_eq!(
        sandbox.json("allocate openai_gpt-4 2")["ports"],
        two["ports"]
    );
    assert_eq!(sandbox.changes(), 4);
}

#[test]
fn a_role_without_a_range_is_unknown() {
    let sandbox = Sandbox::new();
    sandbox
        .run("allocate openai_gpt-4 1 --roles db")
        .failed_saying(2, &["`db`", "[ranges.db]"]);
    sandbox
        .run("allocate openai_gpt-4 1 --ports db=7000")
        .failed_saying(2, &["`db`"]);
    assert_eq!(sandbox.changes(), 0);
    let sandbox = Sandbox::configured("roles = ['db']\n");
    sandbox
        .run("allocate openai_gpt-4 1")
        .failed_saying(2, &["db", "portbook.toml:1"]);
}

#[test]
fn roles_that_no_shell_can_tell_apart_are_not_one_apps() {
    let sandbox = Sandbox::configured(
        "[ranges.web-socket]\nbase = 15001\n[ranges.web_socket]\nbase = 17001\n",
    );
    let both = ["`web-socket`", "`web_socket`", "one variable"];
    sandbox
        .run("allocate openai_gpt-4 1 --roles web-socket,web_socket")
        .failed_saying(2, &both);
    assert_eq!(sandbox.changes(), 0);
    sandbox.text("allocate openai_gpt-4 1 --roles web-socket");
    sandbox
        .run("allocate openai_gpt-4 1-2 --roles web_socket")
        .failed_saying(2, &both);
    assert_eq!(sandbox.changes(), 1);
    assert!(
        sandbox
            .text("env openai_gpt-4 1")
            .contains("WEB_SOCKET_PORT=15001")
    );
}

#[test]
fn i1_two_roles_on_one_range_never_share_a_port() {
    let sandbox = Sandbox::configured("[ranges.db]\nbase = 5003\n");
    let apps = sandbox.json("allocate openai_gpt-4 1-40 --roles db");
    let ports: HashSet<u64> = each(&apps, "ports")
        .into_iter()
        .flat_map(|ports| {
            ports
                .as_object()
                .unwrap()
                .values()
                .map(|port| port.as_u64().unwrap())
        })
        .collect();
    assert_eq!(ports.len(), 120);
}
