//! `list`, `stats` and `map`.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::kit::{Sandbox, each, keys};

#[test]
fn a_list_is_ordered_by_model_then_app_number() {
    let sandbox = Sandbox::new();
    for line in ["zeta 2", "alpha 10", "zeta 1", "alpha 9"] {
        sandbox.text(&format!("allocate {line}"));
    }
    let list = sandbox.json("list");
    assert_eq!(each(&list, "model"), ["alpha", "alpha", "zeta", "zeta"]);
    assert_eq!(each(&list, "app_num"), [9, 10, 1, 2]);
    let first = &list[0];
    assert_eq!(
        keys(first),
        [
            "app_num",
            "backend_port",
            "created_at",
            "frontend_port",
            "is_available",
            "model",
            "ports",
            "space",
        ]
    );
    assert_eq!(
        (&first["backend_port"], &first["is_available"]),
        (&json!(5007), &json!(true))
    );
    let at = first["created_at"].as_str().unwrap();
    assert!(at.ends_with('Z') && at.as_bytes()[10] == b'T', "{at}");
    assert_snapshot!(sandbox.cleaned(&sandbox.text("list")), @r"
    MODEL  APP  BACKEND  FRONTEND  SINCE
    alpha  9    5007     8007      [TIME]
    alpha  10   5003     8003      [TIME]
    zeta   1    5005     8005      [TIME]
    zeta   2    5001     8001      [TIME]
    ");
}

#[test]
fn a_filter_is_a_model_or_a_glob() {
    let sandbox = Sandbox::new();
    for model in ["openai_gpt-4", "openai_gpt-4.1", "x-ai/grok-4"] {
        sandbox.run_words(["allocate", model, "1"]).done();
    }
    let models = |pattern: &str| -> Vec<String> {
        let list = sandbox.run_words(["list", pattern, "--json"]).done().json();
        each(&list, "model")
            .into_iter()
            .map(|model| model.as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(models("openai_gpt-4"), ["openai_gpt-4"]);
    assert_eq!(models("openai_*"), ["openai_gpt-4", "openai_gpt-4.1"]);
    assert_eq!(models("*-4"), ["openai_gpt-4", "x-ai/grok-4"]);
    assert_eq!(models("x-ai_grok-?"), ["x-ai/grok-4"]);
    assert_eq!(models("x-ai_grok-4"), ["x-ai/grok-4"]);
    assert_eq!(models("openai"), [""; 0]);
}

#[test]
fn a_list_can_be_csv() {
    let sandbox = Sandbox::new();
    sandbox.run_words(["allocate", "a, \"b\"", "1"]).done();
    sandbox.text("allocate plain 1");
    assert_snapshot!(sandbox.cleaned(&sandbox.text("list --csv")), @r#"
    model,app_num,backend_port,frontend_port,ports,is_available,space,created_at
    "a, ""b""",1,5001,8001,backend=5001;frontend=8001,true,default,[TIME]
    plain,1,5003,8003,backend=5003;frontend=8003,true,default,[TIME]
    "#);
    sandbox.run("list --csv --json").error(2);
}

#[test]
fn an_empty_list_is_an_empty_answer() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("list");
    assert_eq!(run.done().stdout, "");
    assert_snapshot!(run.stderr, @"note: nothing is allocated in the space `default`");
    assert_eq!(sandbox.run("list --quiet").done().stderr, "");
    assert_eq!(sandbox.json("list"), json!([]));
    assert_eq!(
        sandbox.run("list nobody").done().stderr,
        "note: nothing is allocated to models like `nobody` in the space `default`\n"
    );
}

#[test]
fn stats_count_by_model_and_range() {
    let sandbox = Sandbox::configured(
        "[ranges.backend]\nbase = 20000\nstep = 2\nmax = 20019\n[ranges.frontend]\nbase = 20001\nstep = 2\nmax = 20019\n",
    );
    sandbox.text("pool add gpus 20016-20019 openai_*");
    sandbox.text("allocate one 1-3");
    sandbox.text("allocate two 1");
    let stats = sandbox.json("stats");
    assert_eq!(stats["allocations"], 4);
    assert_eq!(
        stats["models"],
        json!([{"model": "one", "apps": 3}, {"model": "two", "apps": 1}])
    );
    assert_eq!(
        stats["ranges"],
        json!([
            {"role": "backend", "base": 20000, "step": 2, "max": 20019, "used": 4, "free": 4},
            {"role": "frontend", "base": 20001, "step": 2, "max": 20019, "used": 4, "free": 4},
        ])
    );
    assert_eq!(stats["free_slots"], 4);
    assert_snapshot!(sandbox.text("stats"), @r"
    space default: 4 apps with 8 ports, room for 4 more
    RANGE     PORTS               USED  FREE
    backend   20000-20019 step 2  4     4     ███████████████░░░░░░░░░░░░░░░
    frontend  20001-20019 step 2  4     4     ███████████████░░░░░░░░░░░░░░░

    POOL  PORTS                     USED  FREE
    gpus  20016-20019 for openai_*  0     4     ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░

    MODEL  APPS
    one    3     ██████████████████████████████
    two    1     ██████████
    ");
}

#[test]
fn the_map_is_the_whole_line_in_stretches() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate one 1");
    sandbox.text("pool add gpus 20000-20009 openai_*");
    let map = sandbox.json("map");
    let stretches = map.as_array().unwrap();
    let of = |port: u64| -> &Value {
        let holds = |stretch: &&Value| {
            (stretch["first"].as_u64().unwrap()..=stretch["last"].as_u64().unwrap()).contains(&port)
        };
        &stretches.iter().find(holds).unwrap()["state"]
    };
    assert_eq!(
        (of(5001), of(8001), of(20005)),
        (&json!("backend"), &json!("frontend"), &json!("pool"))
    );
    assert_eq!((of(6667), of(5003)), (&json!("blocked"), &json!("free")));
    assert_eq!(stretches[0]["first"], 1);
    assert_eq!(stretches.last().unwrap()["last"], 65535);
    for pair in stretches.windows(2) {
        assert_eq!(
            pair[0]["last"].as_u64().unwrap() + 1,
            pair[1]["first"].as_u64().unwrap()
        );
    }
    let drawn = sandbox.text("map");
    assert!(
        drawn.contains('B') && drawn.contains('F') && drawn.contains("A cell is 8 ports"),
        "{drawn}"
    );
}

#[test]
fn who_only_reads_makes_no_book() {
    // A server makes its book when it starts.
    let sandbox = Sandbox::without_server("a server's book is there");
    for line in [
        "list",
        "list --csv",
        "stats",
        "map",
        "history",
        "check",
        "export",
        "pool list",
        "repair",
        "cleanup",
    ] {
        sandbox.run(line).done();
    }
    for line in ["get m 1", "resolve m 1", "env m 1"] {
        sandbox.run(line).ended(1);
    }
    let folder = sandbox.book().parent().unwrap().to_owned();
    assert!(!folder.exists(), "{} was made", folder.display());
    assert_eq!(sandbox.pair("allocate m 1"), (5001, 8001));
    assert!(sandbox.book().exists());
}
