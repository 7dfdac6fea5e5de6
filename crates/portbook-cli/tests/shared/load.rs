//! Clients at work while something goes wrong.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value;

use crate::desk::{Desk, Run};

/// While `disturb` does its worst, four clients allocate app after app. How many calls failed, and what
/// the others were answered.
pub(crate) fn under_load(desk: &Desk, disturb: impl FnOnce()) -> (Vec<Run>, Vec<Value>) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let client = |name: usize| {
            let (desk, is_over) = (desk, &is_over);
            scope.spawn(move || {
                let mut runs = Vec::new();
                let mut number = 1;
                while !is_over.load(Ordering::SeqCst) {
                    runs.push(desk.run(&format!("allocate client-{name} {number} --json")));
                    number += 1;
                }
                runs
            })
        };
        let clients: Vec<_> = (0..4).map(client).collect();
        let disturbed = catch_unwind(AssertUnwindSafe(disturb));
        is_over.store(true, Ordering::SeqCst);
        if let Err(panic) = disturbed {
            resume_unwind(panic);
        }
        let runs: Vec<Run> = clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect();
        let answers = runs.iter().filter_map(Run::answer).collect();
        let failed = runs.into_iter().filter(|run| run.status != 0).collect();
        (failed, answers)
    })
}
