//! Standard output carries the answer and nothing else, to whoever reads it.

use std::fs::OpenOptions;
use std::process::Stdio;

use crate::kit::{Run, Sandbox};

#[test]
fn a_reader_who_has_read_enough_is_no_failure() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate one 1-3000");
    for line in [
        "list",
        "list --json",
        "export",
        "history",
        "history --json",
        "map",
        "list --csv",
    ] {
        let mut shell = std::process::Command::new("bash");
        let program = sandbox.command().get_program().to_owned();
        let script = format!("set -o pipefail; \"$0\" {line} | head -1 >/dev/null");
        shell.args(["-c", &script]).arg(program);
        sandbox.furnish(&mut shell);
        let run = Run::of(shell);
        assert_eq!(run.done().stderr, "", "{line}");
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate one 1");
    for line in [
        "list",
        "get one 1 --json",
        "allocate two 1",
        "stats",
        "map",
        "check",
        "export",
        "history",
        "config",
        "doctor",
        "completions bash",
        "man",
        "--help",
        "--version",
        "list --help",
    ] {
        let mut command = sandbox.command();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        command
            .args(line.split(' '))
            .stdout(full)
            .stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(5), "{line}: {stderr}");
        assert!(
            stderr.contains("cannot be written") && stderr.lines().count() == 1,
            "{line}: {stderr:?}"
        );
    }
    // What was committed stays so: asking again tells it.
    assert_eq!(sandbox.pair("get two 1"), (5003, 8003));
}

#[test]
fn there_are_no_colours_in_a_pipe_unless_they_are_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate one 1");
    for line in [
        "list",
        "stats",
        "map",
        "check",
        "history",
        "doctor",
        "get one 1",
        "allocate one 1",
        "--help",
        "config",
    ] {
        let plain = sandbox.text(line);
        assert!(!plain.contains('\x1b'), "{line}: {plain:?}");
        assert_eq!(
            plain.replace(|c: char| c.is_ascii_digit(), ""),
            sandbox
                .text(&format!("{line} --color never"))
                .replace(|c: char| c.is_ascii_digit(), ""),
            "{line}"
        );
    }
    for line in [
        "list",
        "stats",
        "map",
        "check",
        "history",
        "doctor",
        "allocate one 1",
    ] {
        let coloured = sandbox.text(&format!("{line} --color always"));
        assert!(coloured.contains("\x1b["), "{line}: {coloured:?}");
    }
    let error = sandbox.run("get nobody 1 --color always");
    assert!(error.stderr.contains("\x1b["), "{:?}", error.stderr);
    assert!(!sandbox.run("get nobody 1").stderr.contains('\x1b'));
}

#[test]
fn json_has_no_colours_whatever_is_asked() {
    let sandbox = Sandbox::new();
    sandbox
        .run("allocate one 1 --json --color always")
        .done()
        .json();
    sandbox.run("list --json --color always").done().json();
    let run = sandbox.run("get nobody 1 --json --color always");
    assert_eq!(run.error(1)["code"], "not-found");
}

#[test]
fn quiet_leaves_the_answer_and_errors() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("list --quiet");
    assert_eq!((run.done().stdout.as_str(), run.stderr.as_str()), ("", ""));
    let run = sandbox.run("history -q");
    assert_eq!(run.done().stderr, "");
    assert!(sandbox.text("allocate one 1 --quiet").contains("5001"));
    sandbox.run("get nobody 1 --quiet").failed(1);
}

#[test]
fn no_line_of_a_table_ends_in_blanks() {
    let sandbox = Sandbox::new();
    sandbox.text("pool add gpus 20000-20009 openai_*");
    sandbox.text("allocate one 1-3");
    for line in [
        "allocate one 1",
        "get one 1",
        "list",
        "stats",
        "history",
        "pool list",
        "config",
        "resolve one 1",
    ] {
        let text = sandbox.text(line);
        for written in text.lines() {
            assert_eq!(written, written.trim_end(), "{line}");
        }
    }
}

#[test]
fn every_command_answers_in_json() {
    let sandbox = Sandbox::new();
    for line in [
        "allocate one 1",
        "get one 1",
        "resolve one 1",
        "list",
        "stats",
        "map",
        "history",
        "check",
        "pool add p 20000-20001 x",
        "pool list",
        "pool remove p",
        "config",
        "doctor",
        "export",
        "allocate two 1 --ttl 1h",
        "renew two 1",
        "release two 1",
    ] {
        let run = sandbox.run(&format!("{line} --json"));
        let json = run.done().json();
        assert!(json.is_array() || json.is_object(), "{line}");
        assert_eq!(run.stderr, "", "{line}");
    }
}
