//! SIGKILL at each call that changes the disk, one after the other: whatever is on the disk at any
//! moment of a creation, a commit or a close, is met.

use serde_json::Value;

use crate::killed_at_random::assert_no_leftovers;
use crate::kit::{Desk, Done};
use crate::ledger::{Ledger, ports_of};
use crate::traced;

/// Kills `allocate NEW 1-2` at each of its calls on a desk made by `prepare`, and looks at what is left.
fn kill_at_each_call(prepare: impl Fn() -> Desk) -> usize {
    let words = "allocate new 1-2 --json";
    let mut kills = 0;
    for (call, count) in traced::calls(&prepare(), words) {
        for nth in 1..=count {
            let desk = prepare();
            let before = desk
                .book()
                .exists()
                .then(|| Ledger::of_history_and_list(&desk));
            let kill = format!("{call}:signal=KILL:when={nth}");
            let ended = traced::portbook(&desk, std::slice::from_ref(&kill), words);
            assert!(
                ended.signal == Some(9) || ended.code == Some(0),
                "{ended:#?}"
            );
            kills += usize::from(ended.signal == Some(9));
            assert_whole_after(
                &desk,
                &ended,
                before.map_or(0, |before| before.history.len()),
            );
        }
    }
    kills
}

fn assert_whole_after(desk: &Desk, ended: &Done, changes_before: usize) {
    // The next one repairs what has to be repaired, and gets what the killed one got, if it did.
    let again = desk.json("allocate new 1-2");
    let rows = again.as_array().unwrap();
    let created = rows.iter().filter(|row| row["created"] == true).count();
    assert!(
        created == 0 || created == 2,
        "half a commit after {ended:#?}: {again}"
    );
    if let Ok(answer) = serde_json::from_str::<Value>(&ended.stdout) {
        assert_eq!(created, 0, "an answer was lost: {ended:#?}");
        for (said, held) in answer.as_array().unwrap().iter().zip(rows) {
            assert_eq!(ports_of(said), ports_of(held), "{ended:#?}");
        }
    }
    let ledger = Ledger::of_history_and_list(desk);
    assert_eq!(ledger.history.len(), changes_before + 2, "{ended:#?}");
    assert_no_leftovers(desk);
}

#[test]
fn invariant_12_killed_at_each_call_of_a_creation_the_book_is_there_or_not_and_never_half() {
    let kills = kill_at_each_call(Desk::new);
    println!("{kills} kills");
    assert!(kills >= 20, "only {kills} kills");
}

#[test]
fn invariant_3_killed_at_each_call_of_a_commit_the_book_has_it_or_not_and_never_half() {
    let kills = kill_at_each_call(|| {
        let desk = Desk::new();
        let service = desk.service();
        service.get_or_allocate_ports("old", 1).unwrap();
        service.release_ports("old", 1).unwrap();
        desk
    });
    println!("{kills} kills");
    assert!(kills >= 8, "only {kills} kills");
}

#[test]
fn invariant_3_a_commit_is_whole_when_the_journal_of_a_killed_process_lies_there() {
    // A copy of the files of a book that is open: as a killed process leaves them.
    let source = Desk::new();
    let service = source.service();
    service.get_or_allocate_ports("old", 1).unwrap();
    service.release_ports("old", 1).unwrap();
    let files =
        ["", "-wal", ".lock"].map(|suffix| (suffix, std::fs::read(source.beside(suffix)).unwrap()));
    assert!(!files[1].1.is_empty(), "the journal holds the changes");
    let kills = kill_at_each_call(|| {
        let desk = Desk::new();
        desk.put_book(&files[0].1);
        for (suffix, bytes) in &files {
            std::fs::write(desk.beside(suffix), bytes).unwrap();
        }
        desk
    });
    println!("{kills} kills");
    assert!(kills >= 8, "only {kills} kills");
}

/// A change of many pages, which SQLite writes to its journal before it commits.
#[test]
fn invariant_3_an_import_that_is_killed_or_fails_registers_all_or_nothing() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../portbook-apps/tests/data/port_config.json"
    );
    let import = format!("import {file}");
    let desk = Desk::new();
    desk.run("allocate old 1 --ports backend=4001,frontend=4002")
        .ok();
    let book = std::fs::read(desk.book()).unwrap();
    let calls = traced::calls(&desk, &import)["pwrite64"];
    let mut registered = [0, 0];
    for (step, nth) in (1..=calls)
        .step_by(calls / 12 + 1)
        .chain([calls])
        .enumerate()
    {
        let desk = Desk::new();
        desk.put_book(&book);
        let (how, code) = [
            ("signal=KILL", None),
            ("error=EIO", Some(4)),
            ("error=ENOSPC", Some(4)),
        ][step % 3];
        let done = traced::portbook(&desk, &[format!("pwrite64:{how}:when={nth}")], &import);
        assert!(done.code == code || done.code == Some(0), "{done:#?}");
        let apps = Ledger::of_history_and_list(&desk).held.len() - 1;
        assert!(apps == 0 || apps == 750, "{apps} of 750: {done:#?}");
        assert!(
            done.code == Some(0) || done.signal.is_some() || apps == 0,
            "{done:#?}"
        );
        assert!(done.code != Some(0) || apps == 750, "{done:#?}");
        registered[apps / 750] += 1;
        desk.run(&import).ok();
        assert_eq!(Ledger::of_history_and_list(&desk).history.len(), 751);
    }
    println!("{registered:?}");
    assert!(registered[0] > 0 && registered[1] > 0, "{registered:?}");
}
