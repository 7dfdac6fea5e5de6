//! What a command says of a book in a database is what it says of a book in a file.

use std::time::{Duration, Instant};

use portbook_postgres::testing::Server;

use crate::commands::answer_alike;
use crate::kit::Desk;

#[test]
fn every_command_answers_as_it_does_for_a_file() {
    let database = Desk::new();
    let file = Desk::without_book(String::new());
    let file = file.by(format!("sqlite:{}", file.path("book.db")));
    answer_alike(&database, &file);
}

#[test]
fn sixteen_processes_get_ports_each_their_own() {
    let desk = Desk::new();
    let answers = std::thread::scope(|scope| {
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
fn a_database_without_a_book_is_left_alone_until_one_is_made() {
    let desk = Desk::without_book(Server::shared().place());
    let refused = desk.run("allocate m 1");
    assert_eq!(refused.status, 4, "{refused:?}");
    assert!(
        refused.stderr.contains("portbook store init"),
        "{refused:?}"
    );
    assert!(desk.done("store init").contains("was made"));
    assert!(desk.done("store init").contains("already"));
    assert!(desk.done("store upgrade").contains("already"));
    desk.done("allocate m 1");
}

#[test]
fn the_sql_that_is_printed_makes_the_book_by_hand_without_any_privilege() {
    let server = Server::shared();
    let desk = Desk::without_book(server.place());
    let (_, schema) = desk.store.rsplit_once("%3D").unwrap();
    let user = format!("plain_{schema}");
    server.sql(&format!(
        "CREATE USER {user}; ALTER SCHEMA {schema} OWNER TO {user}"
    ));
    let statements = desk.done("store init --print");
    server.sql(&format!(
        "SET ROLE {user}; SET search_path = {schema}; {statements}"
    ));
    let plain = desk.by(desk.store.replace("postgres@", &format!("{user}@")));
    let answer = plain.json("allocate m 1");
    plain.holds(&[answer]);
}

#[test]
fn somebody_elses_hand_in_the_tables_is_found_out() {
    let desk = Desk::new();
    desk.done("allocate m 1-3");
    let (_, schema) = desk.store.rsplit_once("%3D").unwrap();
    let server = Server::shared();
    server.sql(&format!(
        "UPDATE {schema}.portbook_ports SET port = 7777 WHERE port = 5003"
    ));
    let verified = desk.run("store verify");
    assert_eq!(verified.status, 1, "{verified:?}");
    assert!(
        verified.stdout.contains("7777") && verified.stdout.contains("5003"),
        "{verified:?}"
    );
    server.sql(&format!("UPDATE {schema}.portbook_head SET schema = 99"));
    let newer = desk.run("list");
    assert_eq!(newer.status, 4, "{newer:?}");
    assert!(newer.stderr.contains("schema 99"), "{newer:?}");
}

#[test]
fn a_server_that_is_not_there_is_said_so_in_time_and_without_its_password() {
    let desk = Desk::without_book("postgres://me:secret@127.0.0.1:1/books".to_owned());
    let begun = Instant::now();
    for line in ["allocate m 1", "list --verbose", "config"] {
        let run = desk.run(line);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(!said.contains("secret"), "{said}");
        assert!(run.status == 4 || line == "config", "{run:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(90));
    let nonsense = desk.by("postgres://me:secret@127.0.0.1/books?colour=red".to_owned());
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
