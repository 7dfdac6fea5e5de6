//! Signals that portbook gets are the command's.

use rustix::process::Signal;

use crate::going::{Going, is_alive, wait_until};
use crate::kit::Sandbox;

/// Tells of each signal; ends with its standard input. A handler must not interrupt a `print` with one.
const TELL: &str = "
tell = lambda text: os.write(1, text.encode() + b'\\n')
for name in 'HUP INT QUIT USR1 USR2 TERM WINCH CONT'.split():
    signal.signal(getattr(signal, 'SIG' + name), lambda n, _: tell(signal.Signals(n).name))
tell('ready')
sys.stdin.read()
tell('end')";

#[test]
fn each_reaches_the_command_once() {
    let sandbox = Sandbox::new();
    let (mut going, _) = Going::start(&sandbox, "m 1", TELL);
    assert_eq!(going.line(), "ready");
    for (signal, name) in [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::TERM, "SIGTERM"),
        (Signal::WINCH, "SIGWINCH"),
        (Signal::CONT, "SIGCONT"),
    ] {
        going.send(signal);
        assert_eq!(going.line(), name);
    }
    going.close();
    assert_eq!(going.line(), "end");
    assert!(going.end().success());
}

#[test]
fn a_signal_that_ends_the_command_ends_portbook_with_it() {
    let sandbox = Sandbox::new();
    for (signal, status) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::QUIT, 131)] {
        // Nothing but the signal ends it: not the end of its input, which may come sooner.
        let (going, pid) = Going::start(&sandbox, "m 1", "signal.pause()");
        going.send(signal);
        let ended = going.end();
        assert_eq!(ended.code(), Some(status));
        assert!(!is_alive(pid), "an orphan is left");
    }
}

#[test]
fn what_the_command_started_goes_with_it_and_daemons_stay() {
    let sandbox = Sandbox::new();
    let script = "
import subprocess
wait = ['sh', '-c', 'sleep 1000 & wait']
print(subprocess.Popen(wait).pid, subprocess.Popen(wait, start_new_session=True).pid, flush=True)
signal.pause()";
    let (mut going, pid) = Going::start(&sandbox, "m 1", script);
    let line = going.line();
    let (here, away) = line.split_once(' ').unwrap();
    let (here, away): (u32, u32) = (here.parse().unwrap(), away.parse().unwrap());
    let sleeper = portbook_host::children(here);
    going.send(Signal::TERM);
    assert_eq!(going.end().code(), Some(143));
    assert!(!is_alive(pid) && !is_alive(here) && is_alive(away));
    wait_until("what it started in turn is gone, too", || {
        !sleeper.iter().any(|pid| is_alive(*pid))
    });
    for pid in portbook_host::children(away).into_iter().chain([away]) {
        crate::going::send(pid, Signal::KILL);
    }
}

/// So it is in a container that is entered from outside, where a process's group and session have no number.
#[test]
fn a_process_group_that_was_begun_outside_of_the_namespace_is_no_hindrance() {
    let sandbox = Sandbox::new();
    let mut unshare = std::process::Command::new("unshare");
    unshare
        .args(["--pid", "--fork", "--mount-proc"])
        .arg(sandbox.command().get_program())
        .args(["run", "m", "1", "--", "sh", "-c"])
        .arg("trap 'echo heard; exit 7' USR1; echo ready; sleep 1000 & wait");
    sandbox.furnish(&mut unshare);
    let mut going = Going::of(unshare);
    assert_eq!(going.line(), "ready");
    for portbook in portbook_host::children(going.pid()) {
        crate::going::send(portbook, Signal::USR1);
    }
    assert_eq!(going.line(), "heard");
    assert_eq!(going.end().code(), Some(7));
}

#[test]
fn an_end_is_seen_even_if_the_caller_ignores_its_childrens_ends() {
    let sandbox = Sandbox::new();
    let mut python = std::process::Command::new("python3");
    let script = "import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], [sys.argv[1], 'run', 'm', '1', '--', 'sh', '-c', 'sleep 0.2; exit 7'])";
    python
        .args(["-c", script])
        .arg(sandbox.command().get_program());
    sandbox.furnish(&mut python);
    crate::kit::Run::of(python).ended(7);
}

#[test]
fn a_signal_that_was_ignored_stays_ignored() {
    let sandbox = Sandbox::new();
    let mut shell = std::process::Command::new("sh");
    let line = "trap '' HUP; \"$0\" run m 1 -- sh -c 'kill -HUP $$ $PPID; echo alive'";
    shell
        .args(["-c", line])
        .arg(sandbox.command().get_program());
    sandbox.furnish(&mut shell);
    assert_eq!(crate::kit::Run::of(shell).done().stdout, "alive\n");
}
