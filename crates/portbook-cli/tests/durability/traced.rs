//! `strace`, which makes the calls of another process fail or end it.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::kit::{Desk, Done, portbook_binary, words_of};

/// The calls that change what is on the disk: between two of them it stays as it is.
pub(crate) const CHANGING: [&str; 14] = [
    "mkdir",
    "pwrite64",
    "ftruncate",
    "fallocate",
    "fsync",
    "fdatasync",
    "renameat2",
    "rename",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "fchmod",
    "flock",
];

/// `portbook` with these words, under `strace` with these injections.
pub(crate) fn portbook(desk: &Desk, injections: &[String], words: &str) -> Done {
    let mut command = strace(desk, injections, "/dev/null");
    command.arg(portbook_binary()).args(words_of(words));
    let done = command.output().expect("these tests need strace");
    Done::of(&format!("{injections:?} {words}"), done)
}

/// `strace` in front of what is added to its arguments.
pub(crate) fn strace(desk: &Desk, injections: &[String], log: &str) -> Command {
    let mut command = desk.program("strace");
    let calls = |injection: &String| injection.split(':').next().unwrap_or_default().to_owned();
    let traced = match injections {
        [] => CHANGING.join(","),
        _ => injections.iter().map(calls).collect::<Vec<_>>().join(","),
    };
    // Not with `--seccomp-bpf`, though it is quicker: it loses the signals that are injected.
    command.args(["-f", "-qq", "-o", log]);
    command.arg(format!("-etrace={traced}"));
    for injection in injections {
        command.arg(format!("-einject={injection}"));
    }
    command
}

/// How often `portbook` with these words makes each call that changes the disk.
pub(crate) fn calls(desk: &Desk, words: &str) -> BTreeMap<String, usize> {
    let log = desk.root().join("strace.log");
    let mut command = strace(desk, &[], log.to_str().unwrap());
    command.arg(portbook_binary()).args(words_of(words));
    Done::of(words, command.output().expect("these tests need strace")).ok();
    let mut counts = BTreeMap::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        let call = line
            .split_once(' ')
            .map_or(line, |(_, call)| call.trim_start());
        if let Some((name, _)) = call.split_once('(') {
            *counts.entry(name.to_owned()).or_insert(0) += 1;
        }
    }
    assert!(
        counts.contains_key("pwrite64"),
        "strace saw nothing: {counts:?}"
    );
    counts
}

/// Waits for what has to come, for as long as the busiest machine may take.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "waited in vain: {what}"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}
