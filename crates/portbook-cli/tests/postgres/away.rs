//! The database goes away in the middle.

use std::process::Command;
use std::thread;
use std::time::Duration;

use portbook_postgres::testing::Server;
use serde_json::Value;

use crate::kit::Desk;
use crate::load::under_load;
use crate::proxy::{Cut, Proxy};

#[test]
fn allocation_goes_on_when_the_server_was_restarted_in_the_middle() {
    let server = Server::start();
    let desk = Desk::at(server.place());
    let (failed, answers) = under_load(&desk, || {
        for mode in ["fast", "immediate"] {
            thread::sleep(Duration::from_millis(500));
            server.restart(mode);
        }
        thread::sleep(Duration::from_millis(500));
    });
    assert!(
        answers.len() > 4,
        "hardly anybody was served: {}",
        answers.len()
    );
    assert!(failed.is_empty(), "{failed:?}");
    desk.holds(&answers);
}

#[test]
fn a_backend_that_is_killed_takes_nothing_along() {
    let server = Server::start();
    let desk = Desk::at(server.place());
    let (failed, answers) = under_load(&desk, || {
        for _ in 0..3 {
            let killed = (0..200).any(|_| {
                thread::sleep(Duration::from_millis(50));
                kill_a_backend(&server)
            });
            assert!(killed, "no backend was caught at work");
        }
        thread::sleep(Duration::from_secs(1));
    });
    assert!(
        answers.len() > 4,
        "hardly anybody was served: {}",
        answers.len()
    );
    for run in &failed {
        assert_eq!(run.status, 4, "{run:?}");
        assert!(run.stderr.contains("not-committed"), "{run:?}");
    }
    desk.holds(&answers);
}

/// Kills whichever session of portbook's is there. The server ends every session then, and recovers.
fn kill_a_backend(server: &Server) -> bool {
    let processes = Command::new("pgrep")
        .args([
            "--parent",
            &server.pid().to_string(),
            "--full",
            "postgres: postgres postgres",
        ])
        .output()
        .unwrap();
    let processes = String::from_utf8(processes.stdout).unwrap();
    let Some(pid) = processes.lines().next() else {
        return false;
    };
    Command::new("kill")
        .args(["-9", pid])
        .status()
        .unwrap()
        .success()
}

#[test]
fn a_commit_whose_answer_was_lost_is_looked_up_and_told_truly() {
    let server = Server::shared();
    let desk = Desk::new();
    for number in 1..=3 {
        let proxy = Proxy::start(server.folder(), Cut::BeforeTheClientHears, 1);
        let through = desk.by(address_behind(&desk, &proxy));
        let answer = through.json(&format!("allocate m {number}"));
        assert_eq!(proxy.left(), 0, "nothing was cut");
        assert_eq!(answer["created"], true);
        desk.holds(&[answer]);
    }
}

#[test]
fn a_commit_that_the_server_never_heard_of_is_made_once_more() {
    let server = Server::shared();
    let desk = Desk::new();
    desk.done("allocate m 1");
    let proxy = Proxy::start(server.folder(), Cut::BeforeTheServerHears, 1);
    let through = desk.by(address_behind(&desk, &proxy));
    let answer = through.json("allocate m 2");
    assert_eq!((&answer["created"], proxy.left()), (&Value::Bool(true), 0));
    desk.holds(&[answer]);
    assert_eq!(desk.json("history").as_array().unwrap().len(), 2);
}

#[test]
fn whoever_holds_the_turn_and_hangs_lets_it_go_when_it_goes_on() {
    let server = Server::shared();
    let desk = Desk::new();
    let (_, schema) = desk.store.rsplit_once("%3D").unwrap();
    let holder = format!(
        "BEGIN; SELECT pg_advisory_xact_lock(1885499503, '{schema}.portbook_head'::regclass::oid::integer);
         SELECT pg_sleep(2); COMMIT"
    );
    thread::scope(|scope| {
        scope.spawn(|| server.sql(&holder));
        thread::sleep(Duration::from_millis(500));
        assert_eq!(
            desk.json("list"),
            Value::Array(Vec::new()),
            "readers wait for no turn"
        );
        let answer = desk.json("allocate m 1");
        desk.holds(&[answer]);
    });
}

fn address_behind(desk: &Desk, proxy: &Proxy) -> String {
    with_folder(desk, &proxy.folder().display().to_string())
}

/// The desk's book, reached by the socket in another folder.
fn with_folder(desk: &Desk, folder: &str) -> String {
    let (_, rest) = desk.store.split_once('@').unwrap();
    let (_, rest) = rest.split_once('/').unwrap();
    format!("postgres://postgres@{}/{rest}", folder.replace('/', "%2F"))
}
