//! Members go away in the middle.

use std::thread;
use std::time::{Duration, Instant};

use portbook_etcd::testing::Cluster;
use serde_json::Value;

use crate::kit::Desk;
use crate::load::under_load;
use crate::proxy::{Cut, Proxy};

/// Everybody was served, however long it took, and what was answered holds.
#[track_caller]
fn nobody_noticed(desk: &Desk, (failed, answers): (Vec<crate::desk::Run>, Vec<Value>)) {
    assert!(
        answers.len() > 4,
        "hardly anybody was served: {}",
        answers.len()
    );
    assert!(failed.is_empty(), "{failed:?}");
    desk.holds(&answers);
}

#[test]
fn allocation_goes_on_while_one_member_of_three_is_down() {
    let cluster = Cluster::start(3);
    let desk = Desk::at(cluster.place());
    let told = under_load(&desk, || {
        thread::sleep(Duration::from_millis(500));
        let leader = cluster.leader();
        cluster.signal(leader, "KILL");
        thread::sleep(Duration::from_secs(4));
        cluster.revive(leader);
        thread::sleep(Duration::from_secs(2));
        let follower = (cluster.leader() + 1) % cluster.len();
        cluster.signal(follower, "KILL");
        thread::sleep(Duration::from_secs(2));
    });
    nobody_noticed(&desk, told);
}

#[test]
fn allocation_goes_on_while_the_leader_hangs_and_when_it_goes_on() {
    let cluster = Cluster::start(3);
    let desk = Desk::at(cluster.place());
    let told = under_load(&desk, || {
        thread::sleep(Duration::from_millis(500));
        let leader = cluster.leader();
        cluster.signal(leader, "STOP");
        thread::sleep(Duration::from_secs(6));
        cluster.signal(leader, "CONT");
        thread::sleep(Duration::from_secs(2));
    });
    nobody_noticed(&desk, told);
}

#[test]
fn without_a_majority_nothing_is_changed_and_that_is_said_in_time() {
    let cluster = Cluster::start(3);
    let desk = Desk::at(cluster.place());
    let before = desk.json("allocate m 1");
    cluster.signal(0, "KILL");
    cluster.signal(1, "KILL");
    let began = Instant::now();
    let refused = desk.run("allocate m 2");
    assert_eq!(refused.status, 4, "{refused:?}");
    assert!(began.elapsed() < Duration::from_secs(60), "{refused:?}");
    assert_eq!(refused.stderr.trim_end().lines().count(), 1, "{refused:?}");
    cluster.revive(0);
    let after = desk.json("allocate m 2");
    desk.holds(&[before, after]);
}

#[test]
fn a_commit_whose_answer_was_lost_is_looked_up_and_told_truly() {
    let desk = Desk::new();
    for number in 1..=3 {
        let (through, proxy) = behind(&desk, Cut::BeforeTheClientHears);
        let answer = through.json(&format!("allocate m {number}"));
        assert!(!proxy.is_whole(), "nothing was cut");
        assert_eq!(answer["created"], true);
        desk.holds(&[answer]);
    }
    assert_eq!(desk.json("history").as_array().unwrap().len(), 3);
}

#[test]
fn a_commit_that_no_member_heard_of_is_made_once_more() {
    let desk = Desk::new();
    desk.done("allocate m 1");
    let (through, proxy) = behind(&desk, Cut::BeforeTheMemberHears);
    let answer = through.json("allocate m 2");
    assert_eq!(
        (&answer["created"], proxy.is_whole()),
        (&Value::Bool(true), false)
    );
    desk.holds(&[answer]);
    assert_eq!(desk.json("history").as_array().unwrap().len(), 2);
}

/// Whoever asks what became of a commit while it is still on its way has an answer that stays true.
#[test]
fn a_commit_that_arrives_after_it_was_looked_for_comes_too_late() {
    let desk = Desk::new();
    let pause = Duration::from_secs(2);
    let (through, proxy) = behind(&desk, Cut::AndTheMemberHearsLate(pause));
    let first = through.json("allocate m 1");
    let second = through.json("allocate m 2");
    let deadline = Instant::now() + Duration::from_secs(30);
    while !proxy.was_late() {
        assert!(Instant::now() < deadline, "the late commit never arrived");
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(desk.json("history").as_array().unwrap().len(), 2);
    desk.holds(&[first, second]);
}

/// The desk's book, reached by a wire that is cut at the next commit.
fn behind(desk: &Desk, cut: Cut) -> (Desk, Proxy) {
    let member = Cluster::shared().host(0);
    let proxy = Proxy::start(&member, cut);
    let through = desk.by(desk.store.replace(&member, proxy.host()));
    (through, proxy)
}

/// At whatever moment an import is killed, the book has all of it or nothing.
#[test]
fn an_import_that_is_killed_leaves_all_or_nothing() {
    const APPS: usize = 2000;
    const KILLS: u32 = 8;
    let desk = Desk::new();
    let row = |app: usize| {
        let (backend, frontend) = (10_000 + 2 * app, 10_001 + 2 * app);
        format!(
            r#"{{"model":"m","app_number":{app},"backend_port":{backend},"frontend_port":{frontend}}}"#
        )
    };
    let rows: Vec<String> = (1..=APPS).map(row).collect();
    std::fs::write(desk.path("all.json"), format!("[{}]", rows.join(","))).unwrap();
    let began = Instant::now();
    desk.done("import all.json");
    let whole = began.elapsed();
    let (mut all, mut nothing) = (0, 0);
    for part in 1..=KILLS {
        let place = Desk::new();
        let mut import = place.command("import all.json");
        import.current_dir(
            std::path::Path::new(&desk.path("all.json"))
                .parent()
                .unwrap(),
        );
        let mut import = import
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(whole * part / KILLS);
        import.kill().unwrap();
        import.wait().unwrap();
        match place.json("list").as_array().unwrap().len() {
            0 => nothing += 1,
            APPS => all += 1,
            some => panic!("{some} of {APPS} apps were imported"),
        }
        // What was left half-way hinders nobody.
        let next = place.json("allocate next 1");
        place.holds(&[next]);
    }
    assert_eq!(all + nothing, KILLS);
}
