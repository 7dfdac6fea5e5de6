//! Ports that move, notes that are taken, orphans that are reclaimed.

use portbook_model::{
    AppDirectory, Ask, Move, MovedApp, Note, Outcome, Port, Refusal, ReleaseCause,
};
use proptest::prelude::*;

use crate::kit::{Desk, app, port, ports, role};

fn step(model: &str, number: u32, of: &str, from: u16, to: Option<u16>) -> Move {
    Move {
        app: app(model, number),
        role: role(of),
        from: port(from),
        to: to.map(port),
        why: "a test".to_owned(),
    }
}

fn moved(desk: &mut Desk, moves: Vec<Move>) -> Result<Vec<MovedApp>, Refusal> {
    match desk.ask(Ask::Move { moves })? {
        Outcome::Moved(moved) => Ok(moved),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_port_moves_to_the_lowest_eligible_one_and_the_app_keeps_the_others() {
    let mut desk = Desk::new();
    desk.grant("m", 1);
    desk.grant("m", 2);
    let moved = moved(&mut desk, vec![step("m", 1, "backend", 5001, None)]).unwrap();
    assert_eq!(moved[0].to, ports(&[("backend", 5005)]));
    assert_eq!(desk.pair("m", 1), (5005, 8001));
    assert_eq!(
        desk.pair("m", 3),
        (5007, 8007),
        "a slot is free as a whole or not at all"
    );
}

#[test]
fn nobody_is_moved_to_a_port_that_somebody_had_to_leave() {
    let mut desk = Desk::new();
    desk.grant("m", 1);
    desk.grant("m", 2);
    let both = vec![
        step("m", 1, "backend", 5001, None),
        step("m", 2, "backend", 5003, None),
    ];
    moved(&mut desk, both).unwrap();
    assert_eq!(desk.pair("m", 1).0, 5005);
    assert_eq!(desk.pair("m", 2).0, 5007);
}

#[test]
fn apps_can_change_places() {
    let mut desk = Desk::new();
    for number in 1..=3 {
        desk.grant("m", number);
    }
    let circle = vec![
        step("m", 1, "backend", 5001, Some(5003)),
        step("m", 2, "backend", 5003, Some(5005)),
        step("m", 3, "backend", 5005, Some(5001)),
    ];
    moved(&mut desk, circle).unwrap();
    assert_eq!(desk.pair("m", 1), (5003, 8001));
    assert_eq!(desk.pair("m", 2), (5005, 8003));
    assert_eq!(desk.pair("m", 3), (5001, 8005));
}

#[test]
fn an_app_can_swap_its_own_two_ports() {
    let mut desk = Desk::new();
    desk.grant("m", 1);
    let swap = vec![
        step("m", 1, "backend", 5001, Some(8001)),
        step("m", 1, "frontend", 8001, Some(5001)),
    ];
    moved(&mut desk, swap).unwrap();
    assert_eq!(desk.pair("m", 1), (8001, 5001));
}

#[test]
fn a_move_on_a_wrong_picture_of_the_book_changes_nothing() {
    let mut desk = Desk::new();
    desk.grant("m", 1);
    desk.grant("m", 2);
    let before = desk.book.clone();
    for wrong in [
        step("m", 2, "backend", 5001, None),
        step("m", 9, "backend", 5001, None),
        step("m", 2, "backend", 5003, Some(8001)),
    ] {
        let good = step("m", 1, "backend", 5001, None);
        assert!(moved(&mut desk, vec![good, wrong]).is_err());
        assert_eq!(
            format!("{:?}", before.spaces.keys()),
            format!("{:?}", desk.book.spaces.keys())
        );
        assert_eq!(desk.pair("m", 1), (5001, 8001));
        assert_eq!(desk.pair("m", 2), (5003, 8003));
    }
}

#[test]
fn a_port_that_the_host_uses_is_no_destination_unless_it_is_promised_to_the_app() {
    let mut desk = Desk::new();
    desk.grant("m", 1);
    desk.host.in_use.insert(7001);
    let to_used = || vec![step("m", 1, "backend", 5001, Some(7001))];
    assert!(matches!(
        moved(&mut desk, to_used()),
        Err(Refusal::PinTaken { .. })
    ));
    desk.promise("/port_config.json", &[("m", 1, &[("backend", 7001)])]);
    moved(&mut desk, to_used()).unwrap();
    assert_eq!(desk.pair("m", 1), (7001, 8001));
}

#[test]
fn an_orphan_is_reclaimed_only_as_it_was_seen() {
    let mut desk = Desk::new();
    let seen = desk.grant("m", 1).allocation;
    let orphans = || vec![(seen.clone(), ReleaseCause::DirectoryGone)];
    let found = Note::Directory(AppDirectory {
        path: "/srv/m/app1".to_owned(),
        template: None,
        branch: None,
    });
    let notes = vec![(app("m", 1), found), (app("m", 7), Note::Missing)];
    assert_eq!(desk.ask(Ask::Note { notes }), Ok(Outcome::Noted(1)));
    let reclaimed = desk.ask(Ask::Reclaim { orphans: orphans() });
    assert_eq!(
        reclaimed,
        Ok(Outcome::Reclaimed(vec![])),
        "it came back meanwhile"
    );
    let seen = desk.grant("m", 1).allocation;
    let orphans = vec![(seen, ReleaseCause::DirectoryGone)];
    let reclaimed = desk.ask(Ask::Reclaim { orphans });
    assert_eq!(reclaimed, Ok(Outcome::Reclaimed(vec![app("m", 1)])));
    assert_eq!(
        desk.pair("m", 1),
        (5001, 8001),
        "it returns with its old ports"
    );
}

#[test]
fn the_first_time_that_an_app_was_missed_counts() {
    let mut desk = Desk::new();
    desk.grant("m", 1);
    let note = |note| Ask::Note {
        notes: vec![(app("m", 1), note)],
    };
    assert_eq!(desk.ask(note(Note::Missing)), Ok(Outcome::Noted(1)));
    let first = desk.grant("m", 1).allocation.notes.missing_since;
    desk.wall = desk.wall.after(std::time::Duration::from_secs(60));
    assert_eq!(desk.ask(note(Note::Missing)), Ok(Outcome::Noted(0)));
    assert_eq!(desk.grant("m", 1).allocation.notes.missing_since, first);
    assert_eq!(desk.ask(note(Note::Found)), Ok(Outcome::Noted(1)));
    assert_eq!(desk.grant("m", 1).allocation.notes.missing_since, None);
}

proptest! {
    /// Whatever moves are asked, no port ever has two owners, at any step of the way, and the space's
    /// derived state follows the apps.
    #[test]
    fn invariant_1_moves_never_give_a_port_two_owners(
        asked in proptest::collection::vec((1..5u32, any::<bool>(), proptest::option::of(5000..5012u16)), 1..6)
    ) {
        let mut desk = Desk::new();
        let mut held = std::collections::BTreeMap::new();
        for number in 1..5 {
            let (backend, frontend) = desk.pair("m", number);
            held.insert((number, true), backend);
            held.insert((number, false), frontend);
        }
        let moves: Vec<Move> = asked
            .iter()
            .map(|(number, backend, to)| {
                let of = if *backend { "backend" } else { "frontend" };
                step("m", *number, of, held[&(*number, *backend)], *to)
            })
            .collect();
        let mut rows: std::collections::BTreeMap<Port, portbook_model::AppKey> = desk
            .space()
            .apps
            .values()
            .filter_map(|record| record.held())
            .flat_map(|held| held.ports.values().map(|port| (*port, held.app.clone())).collect::<Vec<_>>())
            .collect();
        let plan = desk.plan(&[Ask::Move { moves }]);
        for step in &plan.changes {
            let portbook_model::Change::Moved { app, from, to, .. } = &step.change else {
                panic!("{step:?}");
            };
            for port in from.values() {
                prop_assert_eq!(rows.remove(port), Some(app.clone()));
            }
            for port in to.values() {
                prop_assert_eq!(rows.insert(*port, app.clone()), None);
            }
        }
        prop_assert_eq!(rows.len(), 8);
        let taken: Vec<Port> = desk.space().taken.iter().collect();
        let rows: Vec<Port> = rows.into_keys().collect();
        prop_assert_eq!(taken, rows);
    }
}
