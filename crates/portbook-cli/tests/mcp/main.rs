//! What coding agents can do with the book: `portbook mcp`, asked by the protocol's official Python client.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "what a helper of a test cannot have fails the test"
)]

#[path = "../cli/kit.rs"]
#[allow(dead_code, reason = "the other tests of the command need more of it")]
mod kit;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use kit::Sandbox;

/// The commands have the book themselves.
const KEEPER: kit::Keeper = kit::Keeper::Command;

/// What the server says of itself, and its answers to these calls of one session in `directory`.
#[track_caller]
fn session<const N: usize>(
    sandbox: &Sandbox,
    directory: &Path,
    calls: [(&str, Value); N],
) -> (Value, [Value; N]) {
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../test-servers/bin/python");
    assert!(
        python.exists(),
        "{} is missing: run scripts/test-servers",
        python.display()
    );
    let mut agent = Command::new(python);
    agent
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mcp/agent.py"))
        .arg(sandbox.command().get_program())
        .arg(directory);
    sandbox.furnish(&mut agent);
    agent.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut agent = agent.spawn().unwrap();
    let mut calling = agent.stdin.take().unwrap();
    for (tool, arguments) in &calls {
        writeln!(calling, "{}", json!([tool, arguments])).unwrap();
    }
    drop(calling);
    let output = agent.wait_with_output().unwrap();
    assert!(output.status.success(), "the client failed");
    let answers = String::from_utf8(output.stdout).unwrap();
    let mut answers = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let greeting = answers.next().unwrap();
    let answers: Vec<Value> = answers.collect();
    (greeting, answers.try_into().unwrap())
}

#[test]
fn the_tools_say_what_they_do_and_whether_they_change_anything() {
    let sandbox = Sandbox::new();
    let (greeting, []) = session(&sandbox, &sandbox.work(), []);
    assert!(
        greeting["instructions"]
            .as_str()
            .unwrap()
            .contains("allocate_ports")
    );
    let tools = greeting["tools"].as_object().unwrap();
    let names: Vec<_> = tools.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "allocate_ports",
            "check_conflicts",
            "explain_port",
            "get_ports",
            "list_ports",
            "release_ports",
            "run_hints"
        ]
    );
    for (name, tool) in tools {
        let changes = ["allocate_ports", "release_ports"].contains(&name.as_str());
        assert_eq!(tool["annotations"]["readOnlyHint"], !changes, "{name}");
        assert!(tool["outputSchema"].is_object(), "{name}");
        assert!(tool["description"].as_str().unwrap().len() > 40, "{name}");
    }
    assert_eq!(
        tools["release_ports"]["annotations"]["destructiveHint"],
        true
    );
    assert_eq!(
        tools["allocate_ports"]["annotations"]["destructiveHint"],
        false
    );
}

#[test]
fn an_agent_gets_its_ports_and_is_told_how_to_run_on_them() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate somebody 1");
    let calls = [
        (
            "allocate_ports",
            json!({"model": "openai_gpt-4", "app_num": 1, "explain": true}),
        ),
        (
            "allocate_ports",
            json!({"model": "openai_gpt-4", "app_num": 1}),
        ),
        ("allocate_ports", json!({})),
        ("get_ports", json!({})),
        ("run_hints", json!({})),
        ("list_ports", json!({"model": "open*"})),
        ("explain_port", json!({"port": 5001})),
        ("check_conflicts", json!({})),
    ];
    let (_, [made, again, here, same, hints, listed, explained, checked]) =
        session(&sandbox, &sandbox.work(), calls);
    assert_eq!(
        (&made["backend"], &made["created"]),
        (&json!(5003), &json!(true))
    );
    assert!(
        made["explanation"]["passed_over"][0]
            .as_str()
            .unwrap()
            .contains("somebody/app1")
    );
    assert_eq!(
        (&again["backend"], &again["created"]),
        (&json!(5003), &json!(false))
    );
    assert_eq!(
        (&here["app"], &here["backend"]),
        (&json!("work/app1"), &json!(5005))
    );
    assert_eq!(same["ports"], here["ports"]);
    assert_eq!(hints["variables"]["BACKEND_PORT"], "5005");
    assert_eq!(hints["ways"][0]["write"], "portbook run work 1 -- COMMAND");
    assert_eq!(
        (&listed["total"], &listed["apps"][0]["app_num"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (&explained["state"], &explained["app"]),
        (&json!("backend"), &json!("somebody/app1"))
    );
    assert_eq!(checked["conflicts"], json!([]));
    assert_eq!(sandbox.pair("get work 1"), (5005, 8005));
}

#[test]
fn what_is_not_the_agents_is_released_only_if_it_says_so() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate somebody 1,2");
    sandbox.text("allocate --here");
    let theirs = json!({"model": "somebody", "app_num": 1});
    let calls = [
        ("allocate_ports", theirs.clone()),
        ("release_ports", theirs),
        (
            "release_ports",
            json!({"model": "somebody", "app_num": 1, "although_not_mine": true}),
        ),
        ("allocate_ports", json!({"model": "mine", "app_num": 1})),
        ("release_ports", json!({"model": "mine", "app_num": 1})),
        ("release_ports", json!({})),
    ];
    let (_, [_, refused, forced, _, own, here]) = session(&sandbox, &sandbox.work(), calls);
    let refused = refused["error"].as_str().unwrap();
    assert!(
        refused.contains("somebody/app1 is not yours") && refused.contains("although_not_mine")
    );
    assert_eq!(forced["app"], "somebody/app1");
    assert_eq!(own["app"], "mine/app1");
    assert_eq!(here["app"], "work/app1");
    assert_eq!(sandbox.json("list").as_array().unwrap().len(), 1);
}

#[test]
fn what_goes_wrong_is_told_with_what_to_do() {
    let sandbox = Sandbox::new();
    let calls = [
        ("get_ports", json!({"model": "m", "app_num": 7})),
        ("get_ports", json!({"model": "m"})),
        ("get_ports", json!({"model": "..", "app_num": 1})),
        ("get_ports", json!({"model": "m", "app_num": 0})),
        ("get_ports", json!({"modell": "m"})),
        (
            "allocate_ports",
            json!({"model": "m", "app_num": 1, "roles": ["nobody-knows"]}),
        ),
        ("explain_port", json!({"port": 0})),
    ];
    let (_, answers) = session(&sandbox, &sandbox.work(), calls);
    let told = [
        "portbook allocate m 7",
        "Give both",
        "means a directory",
        "0",
        "unknown field",
        "nobody-knows",
        "1 to 65535",
    ];
    for (answer, words) in answers.iter().zip(told) {
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn an_agent_that_goes_away_at_once_is_no_failure() {
    let sandbox = Sandbox::new();
    sandbox.run("mcp").done();
}
