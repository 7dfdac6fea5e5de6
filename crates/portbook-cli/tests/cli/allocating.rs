//! `allocate` and `get`: the main job.

use std::collections::HashSet;
use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::kit::{Sandbox, each, keys};

const KEYS: [&str; 9] = [
    "app_num",
    "backend",
    "created",
    "expires_at",
    "frontend",
    "model",
    "ports",
    "source",
    "space",
];

#[test]
fn the_first_app_of_a_fresh_machine_has_5001_and_8001() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("allocate openai_gpt-4 1");
    assert_eq!(run.done().stderr, "");
    assert_snapshot!(run.stdout, @r"
    APP                BACKEND  FRONTEND
    openai_gpt-4/app1  5001     8001      new (dynamic)
    ");
    assert!(sandbox.book().is_file());
}

#[test]
fn one_app_is_an_object_with_exactly_the_keys_of_the_contract() {
    let sandbox = Sandbox::new();
    let answer = sandbox.json("allocate openai_gpt-4 1");
    let expected = json!({
        "model": "openai_gpt-4", "app_num": 1, "backend": 5001, "frontend": 8001,
        "ports": {"backend": 5001, "frontend": 8001}, "space": "default",
        "created": true, "source": "dynamic", "expires_at": null,
    });
    assert_eq!(answer, expected);
    assert_eq!(keys(&answer), KEYS);
}

#[test]
fn i4_asking_again_changes_nothing() {
    let sandbox = Sandbox::new();
    let first = sandbox.json("allocate openai_gpt-4 1");
    let before = sandbox.history();
    let mut again = sandbox.json("allocate openai_gpt-4 1");
    assert_eq!(again["created"], false);
    again["created"] = json!(true);
    assert_eq!(again, first);
    assert_eq!(sandbox.history(), before);
}

#[test]
fn get_answers_as_allocate_does_and_makes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.run("get openai_gpt-4 1").failed_saying(
        1,
        &["openai_gpt-4/app1", "portbook allocate openai_gpt-4 1"],
    );
    assert_eq!(
        sandbox.run("get openai_gpt-4 1 --json").error(1)["code"],
        "not-found"
    );
    sandbox.text("allocate openai_gpt-4 1");
    let got = sandbox.json("get openai_gpt-4 1");
    assert_eq!(got, sandbox.json("allocate openai_gpt-4 1"));
    assert_eq!(keys(&got), KEYS);
    assert_eq!(sandbox.changes(), 1);
}

#[test]
fn several_apps_are_an_array_in_the_order_asked() {
    let sandbox = Sandbox::new();
    let answer = sandbox.json("allocate openai_gpt-4 1,4,9-11");
    assert_eq!(each(&answer, "app_num"), [1, 4, 9, 10, 11]);
    assert_eq!(each(&answer, "backend"), [5001, 5003, 5005, 5007, 5009]);
    assert_eq!(each(&answer, "frontend"), [8001, 8003, 8005, 8007, 8009]);
    for app in answer.as_array().unwrap() {
        assert_eq!(keys(app), KEYS);
    }
    // A range of one is still one app.
    assert!(sandbox.json("allocate openai_gpt-4 1").is_object());
    assert!(sandbox.json("allocate openai_gpt-4 4-4").is_object());
}

#[test]
fn a_batch_is_one_commit() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate openai_gpt-4 1-30");
    let history = sandbox.history();
    let commits: HashSet<&Value> = each(&history, "commit").into_iter().collect();
    assert_eq!((history.as_array().unwrap().len(), commits.len()), (30, 1));
}

#[test]
fn the_answer_can_be_lines_for_a_shell() {
    let sandbox = Sandbox::configured(
        "roles = ['backend', 'frontend', 'web-socket']\n[ranges.web-socket]\nbase = 15001\n",
    );
    let lines = sandbox.text("allocate openai_gpt-4 1 --format env");
    assert_eq!(
        lines,
        "BACKEND_PORT=5001\nFRONTEND_PORT=8001\nWEB_SOCKET_PORT=15001\n"
    );
    let json = sandbox
        .run("allocate openai_gpt-4 1 --format json")
        .done()
        .json();
    assert_eq!(json["ports"]["web-socket"], 15001);
    sandbox
        .run("allocate openai_gpt-4 1-2 --format env")
        .failed_saying(2, &["one app"]);
}

#[test]
fn a_format_that_was_named_outranks_json() {
    let sandbox = Sandbox::new();
    let lines = sandbox.text("--json allocate openai_gpt-4 1 --format env");
    assert_eq!(lines, "BACKEND_PORT=5001\nFRONTEND_PORT=8001\n");
}

#[test]
fn global_flags_stand_before_or_after_the_command() {
    let sandbox = Sandbox::new();
    let before = sandbox
        .run("--json --space lab allocate openai_gpt-4 1")
        .done()
        .json();
    let mut after = sandbox
        .run("allocate openai_gpt-4 1 --space lab --json")
        .done()
        .json();
    after["created"] = json!(true);
    assert_eq!(before, after);
    assert_eq!(before["space"], "lab");
}

#[test]
fn i1_1600_apps_hold_3200_different_ports() {
    let sandbox = Sandbox::new();
    let answer = sandbox.json("allocate openai_gpt-4 1-1600");
    let ports: HashSet<u64> = answer
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|app| {
            [
                app["backend"].as_u64().unwrap(),
                app["frontend"].as_u64().unwrap(),
            ]
        })
        .collect();
    assert_eq!(ports.len(), 3200);
    assert_eq!(sandbox.conflicts(), [] as [Value; 0]);
}

#[test]
fn released_slots_are_filled_lowest_first() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate openai_gpt-4 1-5");
    sandbox.text("release openai_gpt-4 2,4");
    assert_eq!(sandbox.pair("allocate other 1"), (5003, 8003));
    assert_eq!(sandbox.pair("allocate other 2"), (5007, 8007));
    assert_eq!(sandbox.pair("allocate other 3"), (5011, 8011));
}

#[test]
fn a_returning_app_gets_the_ports_it_had() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate openai_gpt-4 1-3");
    sandbox.text("release openai_gpt-4 1-3");
    let back = sandbox.json("allocate openai_gpt-4 2");
    assert_eq!(
        (&back["backend"], &back["source"]),
        (&json!(5003), &json!("returning"))
    );
    assert_eq!(back["created"], true);
    // Where somebody else has them by now, it gets others.
    assert_eq!(sandbox.pair("allocate other 1"), (5001, 8001));
    assert_eq!(sandbox.pair("allocate openai_gpt-4 1"), (5005, 8005));
}

#[test]
fn two_spellings_of_one_directory_are_one_model() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate x-ai/grok-4 1");
    let other = sandbox.json("allocate x-ai_grok-4 1");
    assert_eq!(
        (&other["model"], &other["created"]),
        (&json!("x-ai/grok-4"), &json!(false))
    );
    assert_eq!(sandbox.json("get x-ai_grok-4 1")["backend"], 5001);
    assert_eq!(sandbox.json("allocate x-ai_grok-4 2")["backend"], 5003);
    sandbox.text("release x-ai_grok-4 1");
    sandbox.run("get x-ai/grok-4 1").failed(1);
}

#[test]
fn spaces_have_number_lines_of_their_own() {
    let sandbox = Sandbox::new();
    assert_eq!(
        sandbox.pair("allocate openai_gpt-4 1 --space one"),
        (5001, 8001)
    );
    assert_eq!(sandbox.pair("allocate other 1 --space two"), (5001, 8001));
    sandbox.run("get openai_gpt-4 1").failed(1);
    sandbox.run("release openai_gpt-4 1 --space two").failed(1);
    assert_eq!(
        sandbox.json("list --space one").as_array().unwrap().len(),
        1
    );
    assert_eq!(
        sandbox
            .json("history --space two")
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(sandbox.changes(), 0);
}

#[test]
fn every_model_that_makes_a_directory_can_be_asked_for() {
    let sandbox = Sandbox::new();
    for model in [
        "gpt 4",
        "日本語",
        "-dash",
        "a'b\"c",
        "x".repeat(200).as_str(),
        "%_%",
        "...",
        "a/../b",
    ] {
        let run = sandbox.run_words(["--json", "allocate", "--", model, "1"]);
        assert_eq!(run.done().json()["model"], model);
        assert_eq!(
            sandbox
                .run_words(["--json", "get", "--", model, "1"])
                .done()
                .json()["model"],
            model
        );
    }
    let highest = sandbox.json("allocate openai_gpt-4 2147483647");
    assert_eq!(highest["app_num"], 2147483647);
}

#[test]
fn processes_at_once_on_a_book_that_is_not_there_all_succeed() {
    let sandbox = Sandbox::new();
    let started: Vec<_> = (0..12)
        .map(|number| {
            let app = if number % 2 == 0 { 1 } else { number };
            let mut command = sandbox.command();
            command.args(["allocate", "openai_gpt-4", &app.to_string(), "--json"]);
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut answers = HashSet::new();
    for child in started {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        answers.insert((answer["app_num"].as_u64(), answer["backend"].as_u64()));
    }
    let ports: HashSet<_> = answers.iter().map(|(_, port)| port).collect();
    assert_eq!((answers.len(), ports.len()), (6, 6), "{answers:?}");
}
