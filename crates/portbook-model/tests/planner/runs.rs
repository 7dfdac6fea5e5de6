//! Runs: one command at a time is remembered, and only what was made for runs is released with them.

use std::collections::BTreeSet;

use portbook_model::{Ask, Grant, Outcome, ProcessIdentity, Run, RunRequest};

use crate::kit::{Desk, app};

fn process(pid: u32) -> ProcessIdentity {
    ProcessIdentity {
        pid,
        start_time: 7,
        boot: "boot".to_owned(),
    }
}

/// A command's beginning, to be released with its end; the command of pid `ended` was found ended.
fn begin(desk: &mut Desk, pid: u32, ended: Option<u32>) -> (Grant, Option<Run>) {
    let request = RunRequest {
        app: app("m", 1),
        roles: BTreeSet::new(),
        ttl: None,
        process: process(pid),
        release_on_exit: true,
        ended: ended.map(process),
    };
    match desk.ask(Ask::BeginRun(request)) {
        Ok(Outcome::RunBegun { grant, standing }) => (grant, standing),
        other => panic!("{other:?}"),
    }
}

fn noted(desk: &mut Desk) -> Run {
    desk.grant("m", 1).allocation.notes.run.unwrap()
}

#[test]
fn the_first_of_two_that_begin_is_remembered() {
    let mut desk = Desk::new();
    let (grant, standing) = begin(&mut desk, 1, None);
    assert!(grant.created && standing.is_none());
    assert_eq!(grant.allocation.notes.run, Some(noted(&mut desk)));
    let (grant, standing) = begin(&mut desk, 2, None);
    assert_eq!((grant.created, standing), (false, Some(noted(&mut desk))));
    assert_eq!(noted(&mut desk).process, process(1));
}

#[test]
fn only_the_run_that_was_found_ended_is_replaced() {
    let mut desk = Desk::new();
    begin(&mut desk, 1, None);
    assert!(begin(&mut desk, 3, Some(2)).1.is_some());
    assert!(begin(&mut desk, 3, Some(1)).1.is_none());
    assert_eq!(noted(&mut desk).process, process(3));
    // An app that was left behind by a run that was to release it is still its runs' own.
    assert!(noted(&mut desk).release_on_exit);
}

#[test]
fn an_app_that_stood_before_is_not_released_with_a_run() {
    let mut desk = Desk::new();
    desk.pair("m", 1);
    begin(&mut desk, 1, None);
    assert!(!noted(&mut desk).release_on_exit);
}
