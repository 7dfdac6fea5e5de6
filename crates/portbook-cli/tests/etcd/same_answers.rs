//! What a command says of a book in a cluster is what it says of a book in a file.

use std::thread;
use std::time::{Duration, Instant};

use portbook_etcd::testing::Cluster;

use crate::commands::answer_alike;
use crate::kit::Desk;

#[test]
fn every_command_answers_as_it_does_for_a_file() {
    let cluster = Desk::new();
    let file = Desk::without_book(String::new());
    let file = file.by(format!("sqlite:{}", file.path("book.db")));
    answer_alike(&cluster, &file);
}

#[test]
fn sixteen_processes_get_ports_each_their_own() {
    let desk = Desk::new();
    let answers = thread::scope(|scope| {
        let ask = |model: usize| {
            let desk = &desk;
            scope.spawn(move || desk.json(&format!("allocate model-{model} 1-5")))
        };
        let threads: Vec<_> = (0..16).map(ask).collect();
        let answers = threads.into_iter().flat_map(|thread| {
            let answer = thread.join().unwrap();
            answer.as_array().unwrap().clone()
        });
        answers.collect::<Vec<_>>()
    });
    assert_eq!(answers.len(), 80);
    desk.holds(&answers);
}

#[test]
fn a_cluster_without_a_book_is_left_alone_until_one_is_made() {
    let desk = Desk::without_book(Cluster::shared().place());
    let refused = desk.run("allocate m 1");
    assert_eq!(refused.status, 4, "{refused:?}");
    assert!(
        refused.stderr.contains("portbook store init"),
        "{refused:?}"
    );
    assert!(desk.done("store init").contains("was made"));
    assert!(desk.done("store init").contains("already"));
    assert!(desk.done("store upgrade").contains("already"));
    desk.done("doctor");
    desk.done("allocate m 1");
}

#[test]
fn the_command_that_is_printed_makes_the_book_by_hand() {
    let cluster = Cluster::shared();
    let desk = Desk::without_book(cluster.place());
    let printed = desk.done("store init --print");
    let put = printed.trim_end().strip_prefix("etcdctl put ").unwrap();
    let words: Vec<&str> = put
        .split('\'')
        .filter(|word| !word.trim().is_empty())
        .collect();
    cluster.told(&["put", words[0], words[1]]);
    let answer = desk.json("allocate m 1");
    desk.holds(&[answer]);
}

#[test]
fn somebody_elses_hand_at_the_keys_is_found_out() {
    let desk = Desk::new();
    desk.done("allocate m 1-3");
    let cluster = Cluster::shared();
    let prefix = prefix(&desk);
    let ports = format!("{prefix}/ports/default");
    let theirs = cluster.told(&["get", "--print-value-only", &format!("{ports}/05003")]);
    cluster.told(&["put", &format!("{ports}/07777"), &theirs]);
    cluster.told(&["del", &format!("{ports}/05003")]);
    let verified = desk.run("store verify");
    assert_eq!(verified.status, 1, "{verified:?}");
    assert!(
        verified.stdout.contains("7777") && verified.stdout.contains("5003"),
        "{verified:?}"
    );
    cluster.told(&["put", &format!("{ports}/05001"), "nonsense"]);
    let verified = desk.run("store verify");
    assert!(verified.stdout.contains("05001"), "{verified:?}");
    let head = format!("{prefix}/head");
    let newer = cluster
        .told(&["get", "--print-value-only", &head])
        .replace("\"schema\":1", "\"schema\":99");
    cluster.told(&["put", &head, &newer]);
    let newer = desk.run("list");
    assert_eq!(newer.status, 4, "{newer:?}");
    assert!(newer.stderr.contains("schema 99"), "{newer:?}");
}

/// Beneath what the desk's book lies.
fn prefix(desk: &Desk) -> String {
    let place = desk.store.strip_prefix("etcd://").unwrap();
    place.split_once('/').unwrap().1.to_owned()
}

#[test]
fn a_cluster_that_is_not_there_is_said_so_in_time_and_without_its_password() {
    let desk = Desk::without_book("etcd://me:secret@127.0.0.1:1/books".to_owned());
    let begun = Instant::now();
    for line in ["allocate m 1", "list --verbose", "config"] {
        let run = desk.run(line);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(!said.contains("secret"), "{said}");
        assert!(run.status == 4 || line == "config", "{run:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(90));
    let nonsense = desk.by("etcd://me:secret@127.0.0.1/books?colour=red".to_owned());
    let run = nonsense.run("list");
    assert_eq!(run.status, 2, "{run:?}");
    assert!(
        run.stderr.contains("colour") && !run.stderr.contains("secret"),
        "{run:?}"
    );
}

#[test]
fn sixty_four_clients_in_four_processes_are_all_answered() {
    crate::contention::nobody_is_refused(&Desk::new());
}
