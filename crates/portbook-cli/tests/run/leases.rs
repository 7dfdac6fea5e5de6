//! `--ttl`: the lease lasts as long as the command, and its own length longer.

use serde_json::Value;

use crate::going::{Going, wait_until};
use crate::kit::Sandbox;

const WAIT: &str = "sys.stdin.read()";

#[test]
fn a_lease_is_renewed_while_the_command_runs() {
    let sandbox = Sandbox::new();
    let (going, _) = Going::start(&sandbox, "m 1 --ttl 3s", WAIT);
    let end = || {
        sandbox.json("get m 1")["expires_at"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let first = end();
    // By then the first lease has ended long ago.
    wait_until("the lease was renewed often", || {
        let history = sandbox.json("history m 1");
        let renewals = history.as_array().unwrap().iter();
        renewals
            .filter(|change| change["change"] == "renewed")
            .count()
            >= 5
    });
    assert!(end() > first);
    assert!(going.end().success());
    assert_eq!(sandbox.json("get m 1")["backend"], 5001);
    wait_until("the lease has ended", || sandbox.run("get m 1").status == 1);
}

#[test]
fn what_is_for_good_stays_so() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate m 1");
    let run = sandbox.run("run m 1 --ttl 1s -- true");
    assert!(run.done().stderr.contains("for good"), "{}", run.stderr);
    assert_eq!(sandbox.json("get m 1")["expires_at"], Value::Null);
}

#[test]
fn an_app_that_is_released_meanwhile_is_not_leased_again() {
    let sandbox = Sandbox::new();
    let (going, _) = Going::start(&sandbox, "m 1 --ttl 300ms", WAIT);
    // It may have ended already, on a busy machine.
    sandbox.run("release m 1");
    let changes = sandbox.changes();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(sandbox.changes(), changes);
    assert!(going.end().success());
    assert_eq!(sandbox.changes(), changes);
}
