//! `port_config.json`: ports that are an app's from the moment the file is known.

use serde_json::json;

use crate::kit::{Sandbox, each};

const FIRST: &str =
    r#"[{"model": "promised", "app_number": 1, "backend_port": 5001, "frontend_port": 8001}]"#;
const EDITED: &str =
    r#"[{"model_name": "promised", "app_num": 1, "backend_port": 5005, "frontend_port": 8005}]"#;

#[test]
fn i9_a_promise_is_kept_from_others_before_its_app_exists() {
    let sandbox = Sandbox::new();
    sandbox.write("port_config.json", FIRST);
    assert_eq!(sandbox.pair("allocate other 1"), (5003, 8003));
    let promised = sandbox.json("allocate promised 1");
    assert_eq!(
        (&promised["backend"], &promised["frontend"]),
        (&json!(5001), &json!(8001))
    );
    assert_eq!(promised["source"], "port_config");
}

#[test]
fn i9_a_promise_binds_a_process_that_does_not_see_the_file() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("elsewhere/port_config.json", FIRST);
    sandbox.text(&format!(
        "allocate other 1 --port-config {}",
        file.display()
    ));
    assert_eq!(sandbox.pair("allocate other 2"), (5005, 8005));
    assert_eq!(sandbox.pair("allocate promised 1"), (5001, 8001));
    assert_eq!(sandbox.json("get promised 1")["source"], "port_config");
}

#[test]
fn the_file_is_found_in_misc_too_and_named_by_flag_variable_and_configuration() {
    let here = Sandbox::new();
    here.write("misc/port_config.json", FIRST);
    assert_eq!(here.json("allocate promised 1")["source"], "port_config");

    let by_file = Sandbox::configured("port_config = 'mine.json'\n");
    by_file.write("mine.json", FIRST);
    by_file.write("port_config.json", EDITED);
    assert_eq!(by_file.pair("allocate promised 1"), (5001, 8001));

    let by_variable = Sandbox::new();
    by_variable.write("mine.json", FIRST);
    let mut command = by_variable.command();
    command
        .env("PORTBOOK_PORT_CONFIG", "mine.json")
        .args(["allocate", "promised", "1"]);
    crate::kit::Run::of(command).done();
    assert_eq!(by_variable.json("get promised 1")["source"], "port_config");

    by_variable
        .run("allocate m 1 --port-config none.json")
        .failed_saying(2, &["none.json", "--port-config"]);
}

#[test]
fn an_edited_file_takes_the_place_of_what_it_said_before() {
    let sandbox = Sandbox::new();
    sandbox.write("port_config.json", FIRST);
    sandbox.text("allocate other 1");
    sandbox.write("port_config.json", EDITED);
    assert_eq!(sandbox.pair("allocate other 2"), (5001, 8001));
    assert_eq!(sandbox.pair("allocate promised 1"), (5005, 8005));
    assert_eq!(
        each(&sandbox.history(), "change"),
        [
            "promised",
            "allocated",
            "promised",
            "allocated",
            "allocated"
        ]
    );
}

#[test]
fn i4_the_same_file_again_is_no_news() {
    let sandbox = Sandbox::new();
    sandbox.write("port_config.json", FIRST);
    sandbox.text("allocate promised 1");
    let before = sandbox.history();
    sandbox.text("allocate promised 1");
    assert_eq!(sandbox.history(), before);
}

#[test]
fn promises_can_be_forgotten() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("elsewhere.json", FIRST);
    let name = file.display();
    sandbox.text(&format!("allocate other 1 --port-config {name}"));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(sandbox.pair("allocate other 2").0, 5005);
    sandbox.text("import --forget elsewhere.json");
    assert_eq!(sandbox.pair("allocate other 3").0, 5001);
    sandbox
        .run("import --forget elsewhere.json")
        .failed_saying(1, &["elsewhere.json"]);
    // However the path is written, it is one file.
    sandbox.write("elsewhere.json", EDITED);
    std::fs::create_dir(sandbox.path("sub")).unwrap();
    sandbox.text("allocate other 4 --port-config sub/../elsewhere.json");
    sandbox.text("import --forget ./sub/../elsewhere.json");
}

#[test]
fn a_file_with_a_bad_entry_promises_nothing_and_stops_allocation() {
    let sandbox = Sandbox::new();
    sandbox.write("port_config.json", "[\n{\"model\": \"promised\", \"app_number\": 1, \"backend_port\": 0, \"frontend_port\": 8001}\n]");
    let run = sandbox.run("allocate other 1");
    assert_eq!(run.ended(2).stdout, "");
    assert!(run.stderr.starts_with("line 2: "), "{}", run.stderr);
    std::fs::remove_file(sandbox.path("port_config.json")).unwrap();
    assert_eq!(sandbox.pair("allocate other 1"), (5001, 8001));
    assert_eq!(sandbox.changes(), 1);
}

#[test]
fn a_promise_that_somebody_holds_already_is_a_conflict_and_moves_nobody() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate other 1");
    sandbox.write("port_config.json", FIRST);
    assert_eq!(sandbox.pair("allocate promised 1"), (5003, 8003));
    assert_eq!(sandbox.pair("get other 1"), (5001, 8001));
    let conflicts = json!(sandbox.conflicts());
    let kinds = each(&conflicts, "kind");
    assert!(
        !kinds.is_empty() && kinds.iter().all(|kind| **kind == "pre-config-mismatch"),
        "{conflicts}"
    );
}

#[test]
fn an_app_that_cannot_have_what_it_was_promised_is_told_so() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate early 1");
    sandbox.write("port_config.json", FIRST);
    let run = sandbox.run("allocate promised 1");
    let note = &run.done().stderr;
    for port in ["5001", "8001"] {
        assert!(note.contains(&format!("port {port} is promised")), "{note}");
    }
    assert!(sandbox.run("allocate promised 1").done().stderr.is_empty());
}

#[test]
fn what_a_file_promises_is_counted_before_any_change_of_the_book() {
    let sandbox = Sandbox::new();
    sandbox.write("port_config.json", FIRST);
    assert_eq!(sandbox.json("stats")["promised"], 2);
    assert_eq!(sandbox.changes(), 0);
}
