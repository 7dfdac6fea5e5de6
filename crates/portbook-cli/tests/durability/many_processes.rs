//! Many processes at once on a book that is not there yet, folders included.

use std::collections::BTreeSet;
use std::process::Child;

use serde_json::Value;

use crate::kit::{Desk, Done, Gate};
use crate::ledger::{Ledger, Ports, app_of, list, ports_of};

const PROCESSES: u64 = 32;

/// Starts a process for each line of words, lets all of them go at once, and waits for their ends.
fn at_once(desk: &Desk, lines: &[String]) -> Vec<Done> {
    let gate = Gate::new();
    let start = |words: &String| desk.portbook_behind(&gate, words);
    let processes: Vec<Child> = lines.iter().map(start).collect();
    gate.open();
    let ends = processes.into_iter().zip(lines);
    ends.map(|(process, words)| Done::of(words, process.wait_with_output().unwrap()))
        .collect()
}

#[test]
fn invariant_3_and_4_processes_that_ask_for_one_app_get_the_same_ports() {
    let desk = Desk::new();
    let lines = vec!["allocate openai_gpt-4 1 --json".to_owned(); PROCESSES as usize];
    let answers: Vec<Value> = at_once(&desk, &lines).into_iter().map(Done::json).collect();
    let created = answers.iter().filter(|answer| answer["created"] == true);
    assert_eq!(created.count(), 1);
    let ports: BTreeSet<Ports> = answers.iter().map(ports_of).collect();
    assert_eq!(ports.len(), 1, "{ports:?}");
    let ledger = Ledger::of(&desk);
    assert_eq!(ledger.history.len(), 1);
    assert_eq!(ledger.ports("openai_gpt-4", 1), ports.first());
}

#[test]
fn invariant_1_and_7_processes_that_ask_for_different_apps_get_different_ports() {
    let desk = Desk::new();
    let lines: Vec<String> = (1..=PROCESSES)
        .map(|number| format!("allocate openai_gpt-4 {number} --json"))
        .collect();
    let answers: Vec<Value> = at_once(&desk, &lines).into_iter().map(Done::json).collect();
    assert!(answers.iter().all(|answer| answer["created"] == true));
    let ports: BTreeSet<u64> = answers
        .iter()
        .flat_map(|answer| ports_of(answer).into_values())
        .collect();
    assert_eq!(ports.len() as u64, 2 * PROCESSES);
    // The lowest slots without a hole, but for 5061, which browsers refuse.
    let slots = (0..=PROCESSES).filter(|slot| *slot != 30);
    let lowest = slots.flat_map(|slot| [5001 + 2 * slot, 8001 + 2 * slot]);
    assert_eq!(ports, lowest.collect());
    let ledger = Ledger::of(&desk);
    assert_eq!(ledger.history.len() as u64, PROCESSES);
    for answer in &answers {
        assert_eq!(
            ledger.held.get(&app_of(answer).unwrap()),
            Some(&ports_of(answer))
        );
    }
}

#[test]
fn invariant_3_batches_that_overlap_are_whole_and_agree() {
    let desk = Desk::new();
    // Each asks for five apps of twenty, of which others ask for some, too.
    let lines: Vec<String> = (0..PROCESSES)
        .map(|process| {
            let first = 1 + (process * 7) % 16;
            format!(
                "allocate model-{} {first}-{} --json",
                process % 2,
                first + 4
            )
        })
        .collect();
    let answers: Vec<Value> = at_once(&desk, &lines).into_iter().map(Done::json).collect();
    let ledger = Ledger::of(&desk);
    let mut created = 0;
    for answer in &answers {
        for (app, ports) in list(answer) {
            assert_eq!(ledger.held.get(&app), Some(&ports), "{app:?}");
        }
        let rows = answer.as_array().unwrap();
        assert_eq!(rows.len(), 5);
        created += rows.iter().filter(|row| row["created"] == true).count();
    }
    assert_eq!(
        created,
        ledger.history.len(),
        "an app was made twice, or by nobody"
    );
    assert_eq!(created, ledger.held.len());
}

#[test]
fn invariant_7_history_replays_when_processes_allocate_release_and_renew_at_once() {
    let desk = Desk::new();
    desk.run("allocate old 1-8 --ttl 1h").ok();
    let lines: Vec<String> = (0..PROCESSES)
        .map(|process| match process % 4 {
            0 => format!("release old {} --json", 1 + process / 4),
            1 => format!("renew old {} --ttl 2h --json", 1 + process / 4),
            2 => format!("allocate new {} --json", 1 + process / 4),
            _ => "allocate old 1-8 --json".to_owned(),
        })
        .collect();
    for done in at_once(&desk, &lines) {
        // To renew what was released is the one thing that may be refused, and to release twice.
        if done.words.starts_with("renew") && done.code == Some(1) {
            continue;
        }
        done.ok();
    }
    let ledger = Ledger::of(&desk);
    let released = ledger
        .history
        .iter()
        .filter(|entry| entry.kind == "released");
    assert_eq!(released.count(), 8);
    assert_eq!(
        (1..=8)
            .filter(|number| ledger.ports("new", *number).is_some())
            .count(),
        8
    );
}
