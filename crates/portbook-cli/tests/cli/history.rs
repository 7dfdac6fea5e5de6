//! `history`: what happened.

use insta::assert_snapshot;
use serde_json::json;

use crate::kit::{Sandbox, each, keys};

fn eventful() -> Sandbox {
    let sandbox = Sandbox::configured("[ranges.db]\nbase = 15432\n");
    let file = sandbox.write(
        "apps.json",
        r#"[{"model": "promised", "app_num": 1, "backend_port": 7001, "frontend_port": 9001}]"#,
    );
    let file = file.to_str().unwrap();
    sandbox.text("allocate my_app 1");
    sandbox.text("allocate my_app 1 --roles db");
    sandbox.text("allocate my-app 1 --ttl 1h");
    sandbox.text("renew my-app 1 --ttl 2h");
    sandbox.text("release my_app 1");
    sandbox.text("pool add gpus 20000-20009 openai_*");
    sandbox.text("pool remove gpus");
    sandbox.text(&format!("allocate promised 1 --port-config {file}"));
    sandbox.text(&format!("import --forget {file}"));
    sandbox
}

#[test]
fn every_kind_of_change_is_told() {
    let sandbox = eventful();
    let table = sandbox.text("history");
    // How wide the columns are hangs on the lengths of paths and pids.
    let words: Vec<String> = sandbox
        .cleaned(&table)
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_snapshot!(words.join("\n"), @r"
    REV TIME CHANGE WHAT WHY BY
    1 [TIME] allocated my_app/app1 backend=5001 frontend=8001 dynamic tester (pid [PID])
    2 [TIME] extended my_app/app1 db=15432 tester (pid [PID])
    3 [TIME] allocated my-app/app1 backend=5003 frontend=8003 dynamic tester (pid [PID])
    4 [TIME] renewed my-app/app1 until [TIME] tester (pid [PID])
    5 [TIME] released my_app/app1 backend=5001 db=15432 frontend=8001 asked tester (pid [PID])
    6 [TIME] pool-added gpus: 20000-20009 for openai_* tester (pid [PID])
    7 [TIME] pool-removed gpus: 20000-20009 for openai_* tester (pid [PID])
    8 [TIME] promised 1 promise of [ROOT]/work/apps.json tester (pid [PID])
    9 [TIME] allocated promised/app1 backend=7001 frontend=9001 port_config tester (pid [PID])
    10 [TIME] unpromised the promises of [ROOT]/work/apps.json tester (pid [PID])
    ");
}

#[test]
fn i7_every_change_is_a_record_with_time_and_cause() {
    let sandbox = eventful();
    let history = sandbox.history();
    assert_eq!(
        each(&history, "change"),
        [
            "allocated",
            "extended",
            "allocated",
            "renewed",
            "released",
            "pool-added",
            "pool-removed",
            "promised",
            "allocated",
            "unpromised",
        ]
    );
    assert_eq!(each(&history, "revision"), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    let times = each(&history, "at");
    assert!(
        times
            .windows(2)
            .all(|pair| pair[0].as_str() <= pair[1].as_str()),
        "{times:?}"
    );
    let released = &history[4];
    assert_eq!(
        keys(released),
        [
            "app_num", "at", "by", "cause", "change", "commit", "model", "ports", "revision",
            "space"
        ]
    );
    assert_eq!(released["cause"], "asked");
    assert_eq!(
        released["ports"],
        json!({"backend": 5001, "frontend": 8001, "db": 15432})
    );
    assert!(released["by"].as_str().unwrap().contains("tester (pid "));
    let allocated = &history[0];
    assert_eq!(
        keys(allocated),
        [
            "app_num", "at", "by", "change", "commit", "model", "ports", "revision", "source",
            "space"
        ]
    );
    // The promise and the allocation that came with it are one commit.
    assert_eq!(history[7]["commit"], history[8]["commit"]);
}

#[test]
fn it_can_be_asked_about_a_model_an_app_and_the_end() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate one 1-3");
    sandbox.text("allocate two 1");
    sandbox.text("release one 2");
    let numbers = |line: &str| -> Vec<i64> {
        let history = sandbox.json(line);
        each(&history, "revision")
            .into_iter()
            .map(|revision| revision.as_i64().unwrap())
            .collect()
    };
    assert_eq!(numbers("history one"), [1, 2, 3, 5]);
    assert_eq!(numbers("history one 2"), [2, 5]);
    assert_eq!(numbers("history t*"), [4]);
    assert_eq!(numbers("history --last 2"), [4, 5]);
    assert_eq!(numbers("history one --last 1"), [5]);
    assert_eq!(numbers("history one 2 --last 9"), [2, 5]);
    assert_eq!(numbers("history nobody"), [0_i64; 0]);
    sandbox.run("history one 0").failed(2);
    sandbox
        .run("history --last -1")
        .failed_saying(2, &["--last: `-1` is not a number"]);
}

#[test]
fn an_underscore_and_a_percent_sign_are_letters() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate my_app 1");
    sandbox.text("allocate my-app 1");
    sandbox.text("allocate myXapp 1");
    for filter in [
        "history my_app",
        "list my_app",
        "history my_ap?",
        "list my_a*",
    ] {
        assert_eq!(each(&sandbox.json(filter), "model"), ["my_app"], "{filter}");
    }
    for filter in ["history %", "list %", "list my%", "list _______"] {
        assert_eq!(sandbox.json(filter), json!([]), "{filter}");
    }
}
