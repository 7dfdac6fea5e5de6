//! What may be given out, and what is said when nothing is left.

use insta::assert_snapshot;
use serde_json::Value;

use crate::kit::{Sandbox, each, ranges};

#[test]
fn an_exhausted_range_is_an_error_that_says_what_it_is_full_of() {
    let sandbox = Sandbox::configured(&ranges(20_000, 2));
    sandbox.text("allocate openai_gpt-4 1-2");
    let before = sandbox.history();
    let run = sandbox.run("allocate openai_gpt-4 3");
    assert_snapshot!(run.failed(3), @"no eligible port is left for openai_gpt-4/app3: backend 20000-20003 step 2 has 2 ports, 2 allocated; frontend 20001-20003 step 2 has 2 ports, 2 allocated (release apps that are gone, widen the ranges in the configuration, or use another --space)");
    assert_eq!(
        sandbox.run("allocate openai_gpt-4 3 --json").error(3)["code"],
        "exhausted"
    );
    assert_eq!(sandbox.history(), before);
}

#[test]
fn i3_a_batch_gets_ports_for_all_its_apps_or_for_none() {
    let sandbox = Sandbox::configured(&ranges(20_000, 5));
    sandbox.text("allocate openai_gpt-4 1");
    let before = sandbox.history();
    sandbox
        .run("allocate openai_gpt-4 1-6")
        .failed_saying(3, &["openai_gpt-4/app6", "5 allocated"]);
    assert_eq!(sandbox.history(), before);
    assert_eq!(sandbox.json("list").as_array().unwrap().len(), 1);
    sandbox.text("allocate openai_gpt-4 1-5");
}

#[test]
fn i5_a_range_that_has_a_port_again_gives_it() {
    let sandbox = Sandbox::configured(&ranges(20_000, 1));
    sandbox.text("allocate one 1");
    sandbox.run("allocate two 1").failed(3);
    sandbox.text("release one 1");
    assert_eq!(sandbox.pair("allocate two 1"), (20_000, 20_001));
}

#[test]
fn the_last_port_of_a_range_is_usable() {
    let sandbox = Sandbox::configured(
        "[ranges.backend]\nbase = 20000\nstep = 5\nmax = 20010\n\
         [ranges.frontend]\nbase = 65533\nstep = 1\nmax = 65535\n",
    );
    let answer = sandbox.json("allocate openai_gpt-4 1-3");
    assert_eq!(each(&answer, "backend"), [20_000, 20_005, 20_010]);
    assert_eq!(each(&answer, "frontend"), [65_533, 65_534, 65_535]);
    sandbox.run("allocate openai_gpt-4 4").failed(3);
}

#[test]
fn ports_that_browsers_refuse_are_passed_over() {
    let sandbox = Sandbox::configured("[ranges.backend]\nbase = 5059\n");
    let answer = sandbox.json("allocate openai_gpt-4 1-2");
    assert_eq!(each(&answer, "backend"), [5059, 5063]);
    let full = Sandbox::configured(
        "[ranges.backend]\nbase = 6665\nstep = 1\nmax = 6669\n[ranges.frontend]\nbase = 8001\n",
    );
    full.run("allocate openai_gpt-4 1")
        .failed_saying(3, &["5 blocked", "backend 6665-6669"]);
}

#[test]
fn the_block_list_of_the_configuration_is_passed_over_and_may_be_pinned() {
    let sandbox = Sandbox::configured("block = [5001, '8003-8005']\n");
    assert_eq!(sandbox.pair("allocate openai_gpt-4 1"), (5007, 8007));
    let run = sandbox
        .run("allocate openai_gpt-4 2 --explain --json")
        .done()
        .json();
    assert_eq!(
        run["explain"]["passed_over"][0]["why"],
        "blocked by the configuration's block list"
    );
    assert_eq!(
        sandbox.pair("allocate openai_gpt-4 3 --ports backend=5001,frontend=8003"),
        (5001, 8003)
    );
}

#[test]
fn ephemeral_ports_come_last() {
    let sysctl = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let bounds: Vec<u16> = sysctl
        .split_whitespace()
        .map(|port| port.parse().unwrap())
        .collect();
    let [first, _] = bounds[..] else {
        panic!("{sysctl}")
    };
    // Where nothing else is left, they are given out all the same.
    let sandbox = Sandbox::configured(&format!(
        "[ranges.backend]\nbase = {}\nstep = 1\nmax = {}\n[ranges.frontend]\nbase = 8001\nstep = 1\nmax = 8004\n",
        first - 2,
        first + 1
    ));
    let answer = sandbox.json("allocate openai_gpt-4 1-4");
    assert_eq!(each(&answer, "frontend"), [8001, 8002, 8003, 8004]);
    // A slot that is not ephemeral is taken before a lower one that is.
    let upwards = Sandbox::configured(&format!(
        "[ranges.backend]\nbase = {first}\nstep = 1\nmax = 65535\n[ranges.frontend]\nbase = 1025\nstep = 1\n"
    ));
    let last: u64 = sysctl.split_whitespace().nth(1).unwrap().parse().unwrap();
    let reserved = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_reserved_ports").unwrap();
    if last < 65_535 && reserved.trim().is_empty() {
        assert_eq!(upwards.pair("allocate openai_gpt-4 1").0, last + 1);
        assert_eq!(upwards.conflicts(), [] as [Value; 0]);
    }
}

#[test]
fn a_released_port_rests_for_others_and_not_for_the_app_itself() {
    let sandbox = Sandbox::configured("reuse_delay = '1h'\n");
    sandbox.text("allocate one 1-2");
    sandbox.text("release one 1-2");
    assert_eq!(sandbox.pair("allocate two 1"), (5005, 8005));
    let explained = sandbox.text("allocate two 2 --explain");
    assert!(
        explained.contains("backend 5001: resting until "),
        "{explained}"
    );
    assert_eq!(sandbox.pair("allocate one 1"), (5001, 8001));
    // Without the delay, the port is anybody's.
    sandbox.write("portbook.toml", "");
    assert_eq!(sandbox.pair("allocate two 3"), (5003, 8003));
}

#[test]
fn an_explanation_says_for_every_candidate_why_it_was_passed_over() {
    let sandbox = Sandbox::configured("block = [8005]\n");
    sandbox.write(
        "port_config.json",
        r#"[{"model": "promised", "app_number": 1, "backend_port": 5003, "frontend_port": 8003}]"#,
    );
    sandbox.text("allocate one 1");
    sandbox.text("pool add special 5007-5007 special");
    assert_snapshot!(sandbox.text("allocate two 1 --explain"), @r"
    APP       BACKEND  FRONTEND
    two/app1  5009     8009      new (dynamic)

    two/app1: the lowest slot in which every role's port is eligible
      backend 5001: allocated to one/app1 as its backend
      frontend 8001: allocated to one/app1 as its frontend
      backend 5003: promised to promised/app1
      frontend 8003: promised to promised/app1
      frontend 8005: blocked by the configuration's block list
      backend 5007: in the pool `special`, which is for other models
    ");
    let again = sandbox.json("allocate two 1 --explain");
    assert_eq!(again["explain"]["passed_over"], serde_json::json!([]));
    assert_eq!(
        again["explain"]["reason"],
        "it holds these ports already, and keeps them"
    );
}
