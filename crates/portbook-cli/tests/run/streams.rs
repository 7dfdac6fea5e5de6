//! Standard input and output are the command's.

use std::process::Command;

use crate::kit::{Run, Sandbox};

#[test]
fn what_comes_in_goes_out_untouched() {
    let sandbox = Sandbox::new();
    let mut shell = Command::new("sh");
    let line = "head -c 200000000 /dev/zero | \"$0\" run m 1 -- cat | wc -c
        seq 3 | \"$0\" run m 1 -- sh -c 'read first; echo $first >&2; cat'";
    shell
        .args(["-c", line])
        .arg(sandbox.command().get_program());
    sandbox.furnish(&mut shell);
    let run = Run::of(shell);
    assert_eq!(run.done().stdout, "200000000\n2\n3\n");
    assert_eq!(run.stderr, "1\n");
}

#[test]
fn descriptors_of_the_caller_are_passed_through_and_none_is_added() {
    let sandbox = Sandbox::new();
    let mut shell = Command::new("bash");
    let line = "echo passed > words
        look='cat <&9; ls /proc/$$/fd'
        sh -c \"$look\" 9< words | sort > without; \"$0\" run m 1 -- sh -c \"$look\" 9< words | sort";
    shell
        .args(["-c", line])
        .arg(sandbox.command().get_program());
    sandbox.furnish(&mut shell);
    let run = Run::of(shell);
    let without = std::fs::read_to_string(sandbox.path("without")).unwrap();
    assert_eq!(run.done().stdout, without);
    assert!(without.contains("passed"), "{without}");
}
