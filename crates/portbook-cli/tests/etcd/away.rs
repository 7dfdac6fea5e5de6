//! Members go away in the middle.

use std::thread;
use std::time::{Duration, Instant};

use portbook_etcd::testing::Cluster;
use serde_json::Value;

use crate::kit::Desk;
use crate::load::under_load;

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
