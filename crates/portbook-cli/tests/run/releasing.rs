//! `--release-on-exit`: what was made for the run goes with it, and nothing else.

use rustix::process::Signal;

use crate::going::{Going, is_alive, send, wait_until};
use crate::kit::Sandbox;

const WAIT: &str = "sys.stdin.read()";

#[test]
fn the_ports_go_however_the_command_ends() {
    let sandbox = Sandbox::new();
    for (script, status) in [("exit 0", 0), ("exit 3", 3), ("kill -KILL $$", 137)] {
        let words = [
            "run",
            "m",
            "1",
            "--release-on-exit",
            "--",
            "sh",
            "-c",
            script,
        ];
        sandbox.run_words(words).ended(status);
        sandbox.run("get m 1").failed(1);
    }
    sandbox
        .run("run m 1 --release-on-exit -- no-such-command")
        .failed(127);
    sandbox.run("get m 1").failed(1);
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let (going, pid) = Going::start(&sandbox, "m 1 --release-on-exit", WAIT);
        going.send(signal);
        going.end();
        assert!(!is_alive(pid));
        sandbox.run("get m 1").failed(1);
    }
}

#[test]
fn an_app_that_stood_before_keeps_its_ports() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate m 1");
    let run = sandbox.run("run m 1 --release-on-exit -- true");
    assert!(
        run.done().stderr.contains("it keeps them"),
        "{}",
        run.stderr
    );
    assert_eq!(sandbox.pair("get m 1"), (5001, 8001));
}

#[test]
fn what_was_given_to_somebody_else_meanwhile_is_not_released() {
    let sandbox = Sandbox::new();
    let (going, _) = Going::start(&sandbox, "m 1 --release-on-exit", WAIT);
    sandbox.text("release m 1");
    sandbox.text("allocate m 1");
    assert!(going.end().success());
    assert_eq!(sandbox.pair("get m 1"), (5001, 8001));
}

#[test]
fn cleanup_finds_what_a_killed_run_left() {
    let sandbox = Sandbox::new();
    let (going, pid) = Going::start(&sandbox, "m 1 --release-on-exit", WAIT);
    send(going.pid(), Signal::KILL);
    wait_until("portbook is gone", || !is_alive(going.pid()));
    sandbox.text("cleanup --grace 0 --max-share 100 --yes");
    assert_eq!(sandbox.pair("get m 1"), (5001, 8001), "its command runs");
    send(pid, Signal::KILL);
    wait_until("the command is gone", || !is_alive(pid));
    sandbox.text("cleanup --grace 0 --max-share 100 --yes");
    sandbox.run("get m 1").failed(1);
    going.end();
}

#[test]
fn killed_portbook_leaves_an_app_that_the_next_such_run_releases() {
    let sandbox = Sandbox::new();
    let (going, pid) = Going::start(&sandbox, "m 1 --release-on-exit", WAIT);
    send(going.pid(), Signal::KILL);
    send(pid, Signal::KILL);
    wait_until("both are gone", || !is_alive(pid) && !is_alive(going.pid()));
    let history = sandbox.text("history m 1 --json");
    assert!(history.contains("\"release_on_exit\": true"), "{history}");
    assert_eq!(sandbox.pair("get m 1"), (5001, 8001));
    sandbox.run("run m 1 --release-on-exit -- true").done();
    sandbox.run("get m 1").failed(1);
    going.end();
}
