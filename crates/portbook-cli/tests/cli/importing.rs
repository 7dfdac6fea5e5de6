//! `import` and `export`: all of a file or nothing of it.

use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::kit::{REAL_PORT_CONFIG, Sandbox, each};

#[test]
fn the_real_port_config_goes_in_and_comes_out_byte_for_byte() {
    let sandbox = Sandbox::new();
    let report = sandbox.json(&format!("import {REAL_PORT_CONFIG}"));
    assert_eq!(
        (&report["imported"], &report["unchanged"]),
        (&json!(750), &json!(0))
    );
    let warnings = report["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    let told: String = warnings
        .iter()
        .map(|warning| warning["message"].as_str().unwrap())
        .collect();
    for port in ["6665", "6667", "6669", "6697"] {
        assert_eq!(told.matches(&format!("port {port}, ")).count(), 1, "{told}");
    }
    let export = sandbox.run("export --format port-config");
    let written = fs::read_to_string(REAL_PORT_CONFIG).unwrap();
    assert!(
        export.done().stdout.trim_end() == written.trim_end(),
        "the export differs from the file"
    );
    assert_eq!(sandbox.json("list").as_array().unwrap().len(), 750);
    // Again: nothing changes.
    let before = sandbox.history();
    let run = sandbox.run(&format!("import {REAL_PORT_CONFIG}"));
    assert_snapshot!(run.done().stdout, @"0 apps registered, 750 unchanged, 4 warnings");
    assert_eq!(run.stderr.lines().count(), 4, "{}", run.stderr);
    assert_eq!(sandbox.history(), before);
    // The file may also lie where it is found by itself: what is imported agrees with it.
    fs::copy(REAL_PORT_CONFIG, sandbox.path("port_config.json")).unwrap();
    let kinds = sandbox.conflicts();
    assert!(
        kinds.len() == 4 && kinds.iter().all(|found| found["kind"] == "browser-blocked"),
        "{kinds:?}"
    );
}

/// A book with leases, further roles and two spellings; the files of it, format by format.
fn exported(format: &str) -> (Sandbox, String) {
    let sandbox = Sandbox::configured("[ranges.db]\nbase = 15432\n");
    sandbox.text("allocate x-ai/grok-4 1-2");
    sandbox.run_words(["allocate", "a, \"b\"", "1"]).done();
    if format != "port-config" {
        sandbox.text("allocate other 7 --roles db");
    }
    let text = sandbox.text(&format!("export --format {format}"));
    (sandbox, text)
}

#[test]
fn an_export_read_into_a_second_book_is_the_same_book() {
    for format in ["json", "csv", "port-config"] {
        let (first, text) = exported(format);
        let second = Sandbox::new();
        let file = second.write("export", &text);
        second.text(&format!("import {}", file.display()));
        assert_eq!(
            second.text(&format!("export --format {format}")),
            text,
            "{format}"
        );
        if format != "port-config" {
            assert_eq!(
                second.json("list"),
                first.json("list"),
                "{format}: times, roles and all"
            );
        }
        assert_eq!(second.json("get x-ai_grok-4 2")["source"], "import");
        let before = second.changes();
        assert!(
            second
                .text(&format!("import {}", file.display()))
                .starts_with("0 apps registered")
        );
        assert_eq!(second.changes(), before);
    }
}

#[test]
fn an_export_is_what_list_answers() {
    let (sandbox, text) = exported("json");
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap(),
        sandbox.json("list")
    );
    let (sandbox, text) = exported("csv");
    assert_eq!(text, sandbox.text("list --csv"));
}

#[test]
fn roles_that_a_format_cannot_hold_are_told_of() {
    let sandbox = Sandbox::configured("[ranges.db]\nbase = 15432\n");
    sandbox.text("allocate one 1 --roles db");
    let run = sandbox.run("export --format port-config");
    assert!(
        run.done().stderr.contains("further roles"),
        "{}",
        run.stderr
    );
    assert_eq!(
        run.json(),
        json!([
            {"model_name": "one", "app_number": 1, "backend_port": 5001, "frontend_port": 8001}
        ])
    );
}

const BAD: &str = r#"[
  {"model": "fine", "app_number": 1, "backend_port": 7001, "frontend_port": 9001},
  {"model": "high", "app_number": 1, "backend_port": 70000, "frontend_port": 9003},
  {"model": "twice", "app_number": 1, "backend_port": 7001, "frontend_port": 9005},
  {"model": "same", "app_number": 1, "backend_port": 7007, "frontend_port": 7007},
  {"model": "", "app_number": 0, "backend_port": 7009, "frontend_port": 9009},
  ["no", "entry"],
  {"model": "quoted", "app_number": 1, "backend_port": "7011", "frontend_port": 9011},
  {"model": "short", "app_number": 1, "backend_port": 7013},
  {"model": "taken", "app_number": 1, "backend_port": 5001, "frontend_port": 9015},
  {"model": "owner", "app_number": 1, "backend_port": 7017, "frontend_port": 9017},
  {"model": "fine", "app_number": 1, "backend_port": 7019, "frontend_port": 9019}
]
"#;

#[test]
fn everything_that_is_wrong_with_a_file_is_told_with_its_line() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate owner 1");
    let file = sandbox.write("bad.json", BAD);
    let before = sandbox.history();
    let run = sandbox.run(&format!("import {}", file.display()));
    assert_eq!(run.ended(2).stdout, "");
    assert_snapshot!(sandbox.cleaned(&run.stderr), @r#"
    line 3: `backend_port`: `70000` is not a port: a port is a number from 1 to 65535
    line 4: port 7001 is listed in line 2 already, as fine/app1's
    line 5: port 7007 is given for two roles of one app, backend and frontend
    line 6: a model's name is empty: write it as openai_gpt-4
    line 6: `0` is not an app number: app numbers run from 1 to 2147483647
    line 7: the entry is an array where an object with model, app number and ports is due
    line 8: `backend_port` is the text "7011": write the number without quotation marks
    line 9: the entry has no `frontend_port`
    line 10: port 5001 is taken by owner/app1 as its backend
    line 11: owner/app1 holds backend 5001, frontend 8001 in the book
    line 12: fine/app1 is listed in line 2 already
    portbook: [ROOT]/work/bad.json has 11 problems, so nothing was changed (correct the entries and import the file again)
    "#);
    for line in [3, 4, 5, 6, 7, 8, 9, 10, 11, 12] {
        assert!(
            run.stderr.contains(&format!("line {line}:")),
            "line {line} is missing:\n{}",
            run.stderr
        );
    }
    assert!(!run.stderr.contains("line 2:"), "{}", run.stderr);
    let error = sandbox
        .run(&format!("import {} --json", file.display()))
        .error(2);
    assert_eq!(error["code"], "bad-entries");
    assert_eq!(
        each(&error["problems"], "line").len(),
        run.stderr.lines().count() - 1
    );
    assert_eq!(sandbox.history(), before);
}

#[test]
fn both_spellings_of_the_keys_are_read_and_further_keys_ignored() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("apps.json", r#"[
        {"model_name": "one", "app_number": 1, "backend_port": 7001, "frontend_port": 9001, "note": {"x": [1]}},
        {"model": "two", "app_num": 2, "backend_port": 7003, "frontend_port": 9003}
    ]"#);
    sandbox.text(&format!("import {}", file.display()));
    assert_eq!(sandbox.pair("get one 1"), (7001, 9001));
    assert_eq!(sandbox.pair("get two 2"), (7003, 9003));
}

#[test]
fn an_import_can_come_from_standard_input() {
    let sandbox = Sandbox::new();
    let file = sandbox.write(
        "apps.json",
        r#"[{"model": "one", "app_num": 1, "backend_port": 7001, "frontend_port": 9001}]"#,
    );
    let mut command = sandbox.command();
    command
        .args(["import", "/dev/stdin"])
        .stdin(fs::File::open(file).unwrap());
    crate::kit::Run::of(command).done();
    assert_eq!(sandbox.pair("get one 1"), (7001, 9001));
}

#[test]
fn an_export_of_another_space_is_registered_here_with_a_warning() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate m 1-2 --space there");
    let export = sandbox.text("export --space there");
    sandbox.write("export.json", export);
    let run = sandbox.run("import export.json");
    let note = &run.done().stderr;
    assert!(
        note.contains("`there`") && note.contains("`default`"),
        "{note}"
    );
    let back = sandbox.run("import export.json --space there");
    assert_eq!(back.done().stderr, "");
}
