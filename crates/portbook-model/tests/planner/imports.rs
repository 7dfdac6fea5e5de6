//! Many apps with exact ports: all or none.

use portbook_model::{Ask, ImportEntry, Outcome, Refusal, Source};

use crate::kit::{Desk, Entry, app, at, ports};

fn faults(refused: Result<Outcome, Refusal>) -> Vec<String> {
    let Err(Refusal::Import(problems)) = refused else {
        panic!("{refused:?}")
    };
    problems
        .iter()
        .map(|problem| format!("{}: {}", problem.entry + 1, problem.fault))
        .collect()
}

#[test]
fn what_a_file_says_is_registered_as_it_says() {
    let mut desk = Desk::new();
    // Neither browsers nor the host have a say: these apps may well be running.
    desk.host.in_use = [9001].into();
    let entries: &[Entry<'_>] = &[
        ("m", 1, &[("backend", 6665), ("frontend", 9001)]),
        ("m", 2, &[("backend", 1), ("frontend", 65535)]),
    ];
    assert_eq!(
        desk.import(entries),
        Ok(Outcome::Imported {
            registered: 2,
            unchanged: 0
        })
    );
    assert_eq!(desk.pair("m", 1), (6665, 9001));
    assert_eq!(desk.grant("m", 2).allocation.source, Source::Import);
    assert_eq!(
        desk.import(entries),
        Ok(Outcome::Imported {
            registered: 0,
            unchanged: 2
        })
    );
}

#[test]
fn one_entry_that_cannot_stand_keeps_all_of_them_out_and_every_fault_is_told() {
    let mut desk = Desk::new();
    desk.pair("m", 1);
    desk.promise(
        "a.json",
        &[("x", 1, &[("backend", 9101), ("frontend", 9102)])],
    );
    let refused = desk.import(&[
        ("ok", 1, &[("backend", 9001), ("frontend", 9002)]),
        ("m", 1, &[("backend", 9003), ("frontend", 9010)]),
        ("n", 1, &[("backend", 8001), ("frontend", 9004)]),
        ("n", 2, &[("backend", 9101), ("frontend", 9005)]),
        ("n", 3, &[("backend", 9001), ("frontend", 9006)]),
        ("ok", 1, &[("backend", 9007), ("frontend", 9008)]),
        ("n", 4, &[("backend", 9009), ("frontend", 9009)]),
    ]);
    assert_eq!(
        faults(refused),
        [
            "2: m/app1 holds backend 5001, frontend 8001 in the book",
            "3: port 8001 is taken by m/app1 as its frontend",
            "4: port 9101 is promised to x/app1",
            "5: port 9001 is claimed by ok/app1 already, entry 1",
            "6: ok/app1 is named by entry 1 already",
            "7: port 9009 is claimed by n/app4 already, entry 7",
        ]
    );
}

#[test]
fn an_app_may_import_what_it_was_promised() {
    let mut desk = Desk::new();
    let pair: &[(&str, u16)] = &[("backend", 9101), ("frontend", 9102)];
    desk.promise("a.json", &[("x/y", 1, pair)]);
    assert!(desk.import(&[("x_y", 1, pair)]).is_ok());
}

#[test]
fn an_imported_app_is_as_old_as_the_file_says_but_not_of_the_future() {
    let mut desk = Desk::new();
    let entry = |number, base, created_at| ImportEntry {
        app: app("m", number),
        ports: ports(&[("backend", base), ("frontend", base + 1)]),
        created_at,
    };
    let entries = vec![
        entry(1, 9001, Some(at(-5))),
        entry(2, 9003, Some(at(5))),
        entry(3, 9005, None),
    ];
    desk.ask(Ask::Import { entries }).unwrap();
    let mut made = |number| {
        desk.space()
            .allocation(&app("m", number))
            .unwrap()
            .created_at
    };
    assert_eq!([made(1), made(2), made(3)], [at(-5), at(0), at(0)]);
}
