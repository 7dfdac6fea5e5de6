//! The rules that other allocators' bugs paid for, as far as they concern several processes.

use std::thread;

use portbook::Failure;
use rusqlite::{Connection, OpenFlags};

use crate::kit::Desk;
use crate::ledger::{Ledger, ports_of};

const ROOM_FOR_TWO: &str = "
[ranges.backend]
base = 5001
max = 5003
[ranges.frontend]
base = 8001
max = 8003
";

/// kubernetes#85894
#[test]
fn invariant_5_a_full_range_is_never_told_from_a_cache() {
    let desk = Desk::new();
    desk.configure(ROOM_FOR_TWO);
    let service = desk.service();
    for number in [1, 2] {
        service.get_or_allocate_ports("model", number).unwrap();
    }
    let error = service.get_or_allocate_ports("model", 3).unwrap_err();
    assert_eq!(error.failure(), Failure::Exhausted, "{error}");
    desk.run("release model 1").ok();
    let pair = service.get_or_allocate_ports("model", 3).unwrap();
    assert_eq!((pair.backend.get(), pair.frontend.get()), (5001, 8001));
    let error = service.get_or_allocate_ports("model", 1).unwrap_err();
    assert_eq!(error.failure(), Failure::Exhausted, "{error}");
}

/// kubernetes#85894
#[test]
fn invariant_5_not_found_is_never_told_from_a_cache() {
    let desk = Desk::new();
    let service = desk.service();
    service.get_or_allocate_ports("other", 1).unwrap();
    assert!(!service.release_ports("model", 1).unwrap());
    let made = desk.json("allocate model 1");
    let pair = service.get_or_allocate_ports("model", 1).unwrap();
    assert_eq!(u64::from(pair.backend.get()), ports_of(&made)["backend"]);
    assert!(service.release_ports("model", 1).unwrap());
    assert_eq!(desk.run("get model 1").code, Some(1));
}

/// kubernetes#37488
#[test]
fn invariant_3_an_app_and_its_ports_are_one_transaction_for_whoever_looks() {
    let desk = Desk::new();
    let service = desk.service();
    // Whoever only opens a service makes no book.
    service.get_or_allocate_ports("model", 1).unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 1..=120 {
                service.get_or_allocate_ports("model", number).unwrap();
                if number % 3 == 0 {
                    service.release_ports("model", number).unwrap();
                }
            }
        });
        let book =
            Connection::open_with_flags(desk.book(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        book.busy_timeout(std::time::Duration::from_secs(60))
            .unwrap();
        let halves = "
            SELECT (SELECT count(*) FROM apps WHERE (released_at IS NULL) * 2 <> (
                       SELECT count(*) FROM ports WHERE (space, app_num, identity) = (apps.space, apps.app_num, apps.identity)
                   ))
                 + (SELECT count(*) FROM ports WHERE (space, app_num, identity) NOT IN (SELECT space, app_num, identity FROM apps))
                 + (SELECT coalesce(max(revision), 0) - count(*) FROM changes)
                 + (SELECT count(*) FROM apps) - (SELECT count(DISTINCT json_extract(payload, '$.app_num')) FROM changes)";
        while !writer.is_finished() {
            let found: i64 = book.query_row(halves, [], |row| row.get(0)).unwrap();
            assert_eq!(found, 0, "half an allocation was seen");
        }
        writer.join().unwrap();
    });
    assert_eq!(Ledger::of(&desk).held.len(), 80);
}

/// kubernetes#64466, and a peer whose `my_app` released `my-app`.
#[test]
fn a_release_gives_back_what_is_the_callers_and_nothing_else() {
    let desk = Desk::new();
    let names = [
        "my_app", "my-app", "my.app", "myXapp", "my_app2", "MY_APP", "my",
    ];
    for name in names {
        desk.run(&format!("allocate {name} 1-2")).ok();
    }
    desk.run("allocate my_app 1 --space elsewhere").ok();
    for name in ["m*", "my%", "*", "%", "my__app", "[m]y_app"] {
        let done = desk.run(&format!("release {name} 1"));
        assert_eq!(done.code, Some(1), "{done:#?}");
    }
    assert_eq!(
        Ledger::of_history_and_list(&desk).held.len(),
        2 * names.len()
    );
    desk.run("release my_app 1").ok();
    let held: Vec<_> = desk.json("list").as_array().unwrap().clone();
    assert_eq!(held.len(), 2 * names.len() - 1);
    assert!(
        held.iter()
            .all(|app| !(app["model"] == "my_app" && app["app_num"] == 1))
    );
    desk.run("get my_app 1 --space elsewhere").ok();
}

/// marathon#4071
#[test]
fn invariant_1_pins_of_two_processes_meet_the_same_rows_as_everybody() {
    let desk = Desk::new();
    let gate = crate::kit::Gate::new();
    let pin = |model| format!("allocate {model} 1 --ports backend=5001,frontend=8001 --json");
    let start = |index| match index % 2 {
        0 => desk.portbook_behind(&gate, &pin(format!("pinned{index}"))),
        _ => desk.portbook_behind(&gate, &format!("allocate plain{index} 1 --json")),
    };
    let processes: Vec<_> = (0..12).map(start).collect();
    gate.open();
    let mut pinned = 0;
    for (index, process) in processes.into_iter().enumerate() {
        let done = crate::kit::Done::of("", process.wait_with_output().unwrap());
        match (index % 2, done.code) {
            (0, Some(0)) => pinned += 1,
            // Taken: a conflict, and no failure.
            (0, code) => assert_eq!(code, Some(1), "{done:#?}"),
            _ => drop(done.ok()),
        }
    }
    assert!(pinned <= 1, "{pinned} apps have one port");
    assert_eq!(Ledger::of(&desk).held.len(), 6 + pinned);
}
