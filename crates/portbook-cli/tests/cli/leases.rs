//! `--ttl` and `renew`: allocations with an end.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::{Sandbox, each};

/// Long enough for a lease of a second to end.
fn wait() {
    sleep(Duration::from_millis(1200));
}

#[test]
fn a_lease_has_an_end_and_others_have_none() {
    let sandbox = Sandbox::new();
    let leased = sandbox.json("allocate openai_gpt-4 1 --ttl 2h");
    let end = leased["expires_at"].as_str().unwrap();
    assert!(end.starts_with("20") && end.ends_with('Z'), "{end}");
    assert_eq!(
        sandbox.json("allocate openai_gpt-4 2")["expires_at"],
        Value::Null
    );
    let table = sandbox.text("allocate openai_gpt-4 1-2");
    assert!(
        table.contains("UNTIL") && table.contains("for good"),
        "{table}"
    );
}

#[test]
fn renewing_moves_the_end() {
    let sandbox = Sandbox::new();
    let first = sandbox.json("allocate openai_gpt-4 1 --ttl 1h");
    let renewed = sandbox.json("renew openai_gpt-4 1 --ttl 3h");
    assert!(renewed["expires_at"].as_str() > first["expires_at"].as_str());
    assert_eq!(renewed["backend"], first["backend"]);
    let shorter = sandbox.json("renew openai_gpt-4 1 --ttl 1m");
    assert!(shorter["expires_at"].as_str() < first["expires_at"].as_str());
    assert!(sandbox.text("renew openai_gpt-4 1").contains("renewed"));
}

#[test]
fn what_has_no_lease_cannot_be_renewed() {
    let sandbox = Sandbox::new();
    sandbox
        .run("renew openai_gpt-4 1")
        .failed_saying(1, &["openai_gpt-4/app1"]);
    sandbox.text("allocate openai_gpt-4 1");
    sandbox
        .run("renew openai_gpt-4 1 --ttl 1h")
        .failed_saying(1, &["for good"]);
    assert_eq!(
        sandbox.run("renew openai_gpt-4 1 --json").error(1)["code"],
        "no-lease"
    );
}

#[test]
fn i4_what_is_for_good_stays_so() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate openai_gpt-4 1");
    assert_eq!(
        sandbox.json("allocate openai_gpt-4 1 --ttl 1s")["expires_at"],
        Value::Null
    );
    assert_eq!(sandbox.changes(), 1);
}

#[test]
fn asking_again_never_shortens_a_lease() {
    let sandbox = Sandbox::new();
    let first = sandbox.json("allocate openai_gpt-4 1 --ttl 2h");
    assert_eq!(
        sandbox.json("allocate openai_gpt-4 1 --ttl 1m")["expires_at"],
        first["expires_at"]
    );
    assert_eq!(
        sandbox.json("allocate openai_gpt-4 1")["expires_at"],
        first["expires_at"]
    );
}

#[test]
fn a_lease_that_ended_is_reclaimed_by_the_next_change() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate leased 1 --ttl 1s");
    sandbox.text("allocate kept 1 --ttl 1h");
    wait();
    sandbox
        .run("get leased 1")
        .failed_saying(1, &["lease of leased/app1 ended"]);
    assert_eq!(
        sandbox.run("get leased 1 --json").error(1)["code"],
        "lease-ended"
    );
    assert_eq!(each(&sandbox.json("list"), "model"), ["kept"]);
    // Not reclaimed yet is a warning: the exit status stays 0.
    let run = sandbox.run("check --json");
    assert_eq!(each(&run.done().json(), "kind"), ["orphan"]);
    assert_eq!(sandbox.pair("allocate next 1"), (5001, 8001));
    let history = sandbox.history();
    let released = history
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["change"] == "released")
        .unwrap();
    assert_eq!(
        (&released["model"], &released["cause"]),
        (&json!("leased"), &json!("lease-ended"))
    );
    assert_eq!(sandbox.conflicts(), [] as [Value; 0]);
}

#[test]
fn an_app_whose_lease_ended_comes_back_to_its_ports() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate leased 1 --ttl 1s");
    wait();
    let back = sandbox.json("allocate leased 1");
    assert_eq!(
        (&back["backend"], &back["source"]),
        (&json!(5001), &json!("returning"))
    );
    assert_eq!(
        (&back["created"], &back["expires_at"]),
        (&json!(true), &Value::Null)
    );
    sandbox.text("allocate leased 2 --ttl 1s");
    wait();
    sandbox.run("renew leased 2").failed(1);
}
