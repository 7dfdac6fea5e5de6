//! The exit status, and commands that cannot be run.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::kit::Sandbox;

#[test]
fn the_status_is_the_commands() {
    let sandbox = Sandbox::new();
    for (script, status) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("exit 255", 255),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ] {
        sandbox
            .run_words(["run", "m", "1", "--", "sh", "-c", script])
            .ended(status);
    }
}

#[test]
fn a_command_that_is_not_there_is_127_and_one_that_cannot_be_executed_126() {
    let sandbox = Sandbox::new();
    let script = |name: &str, text: &str, mode: u32| {
        let path = sandbox.write(name, text);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    script("plain.sh", "exit 0\n", 0o644);
    script("odd.sh", "#!/no/such/interpreter\n", 0o755);
    script("without-a-first-line.sh", "exit 3\n", 0o755);
    let run = |command: &str| sandbox.run(&format!("run m 1 -- {command}"));
    run("no-such-command").failed_saying(127, &["`no-such-command`"]);
    run("./no-such-file").failed_saying(127, &["`./no-such-file`"]);
    run("./plain.sh").failed_saying(126, &["`./plain.sh`", "chmod"]);
    run(".").failed_saying(126, &["directory"]);
    run("./odd.sh").failed_saying(126, &["interpreter"]);
    // Shells execute such a file, and so does execvp(3).
    run("./without-a-first-line.sh").ended(3);
    let error = sandbox.run("run m 1 --json -- no-such-command").error(127);
    assert_eq!(error["code"], "command-not-found");
}

#[test]
fn nothing_is_run_without_ports() {
    let sandbox = Sandbox::configured("[ranges.backend]\nbase = 5001\nmax = 5001\n");
    sandbox.text("allocate m 1");
    let run = sandbox.run("run m 2 -- touch ran");
    run.failed_saying(3, &["no eligible port"]);
    assert!(!sandbox.path("ran").exists());
    sandbox.run("run m 1").failed(2);
    sandbox.run("run m 1 touch ran").failed(2);
    assert!(!sandbox.path("ran").exists());
}
