//! On a terminal: tables fit it, and it has colours.

use crate::kit::{Run, Sandbox};

/// Runs a command line on a terminal of so many columns and gives what was seen there.
#[track_caller]
fn on_terminal(sandbox: &Sandbox, columns: u16, line: &str, variables: &[(&str, &str)]) -> String {
    let script = r"
import fcntl, os, pty, struct, sys, termios
pid, terminal = pty.fork()
if pid == 0:
    # Wait until the terminal has its size.
    sys.stdin.readline()
    os.execvp(sys.argv[2], sys.argv[2:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', 24, int(sys.argv[1]), 0, 0))
attributes = termios.tcgetattr(terminal)
attributes[3] &= ~termios.ECHO
termios.tcsetattr(terminal, termios.TCSANOW, attributes)
os.write(terminal, b'go\n')
seen = b''
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        break
    if not piece:
        break
    seen += piece
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(status))
";
    let program = sandbox.command().get_program().to_owned();
    let mut python = std::process::Command::new("python3");
    python
        .args(["-c", script, &columns.to_string()])
        .arg(program)
        .args(line.split(' '));
    sandbox.furnish(&mut python);
    python
        .env("TERM", "xterm-256color")
        .envs(variables.iter().copied());
    Run::of(python).done().stdout.replace("\r\n", "\n")
}

/// The text as it is seen: without what colours it.
fn seen(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("\x1b[") {
        plain.push_str(&rest[..start]);
        let end = rest[start..].find('m').unwrap();
        rest = &rest[start + end + 1..];
    }
    plain + rest
}

fn full() -> Sandbox {
    let sandbox =
        Sandbox::configured("[ranges.db]\nbase = 15432\n[ranges.websocket]\nbase = 17001\n");
    sandbox.text("pool add gpus 20000-20999 openai_*");
    sandbox.text("allocate anthropic_claude-3.7-sonnet-with-a-long-name 1-3");
    sandbox.text("allocate x-ai_grok-4 1 --roles db,websocket --ttl 2h");
    sandbox.text("allocate openai_gpt-4 1-2");
    sandbox
}

#[test]
fn tables_fit_the_terminal() {
    let sandbox = full();
    let long = "allocate anthropic_claude-3.7-sonnet-with-a-long-name 1-3";
    let narrow = [
        "list",
        "stats",
        "history",
        "map",
        "config",
        "pool list",
        long,
        "--help",
    ];
    let lines = narrow.map(|line| (60, line));
    for (columns, line) in lines
        .into_iter()
        .chain([(80, "list"), (80, "map"), (100, "history")])
    {
        let text = on_terminal(&sandbox, columns, line, &[]);
        for written in seen(&text).lines() {
            let width = written.trim_end().chars().count();
            assert!(
                width <= usize::from(columns),
                "{line} at {columns}: {width}: {written}"
            );
        }
    }
}

#[test]
fn a_narrow_table_loses_nothing() {
    let sandbox = full();
    let list = seen(&on_terminal(&sandbox, 60, "list", &[]));
    for port in ["5001", "8005", "20000", "20003", "15438"] {
        assert!(list.contains(port), "{port}: {list}");
    }
}

#[test]
fn numbers_and_dates_stay_whole_where_models_are_broken() {
    let sandbox = full();
    let list = sandbox.cleaned(&seen(&on_terminal(&sandbox, 60, "list", &[])));
    let words: Vec<&str> = list.split_whitespace().collect();
    for word in [
        "MODEL",
        "BACKEND",
        "FRONTEND",
        "WEBSOCKET",
        "5003",
        "17007",
        "15438",
    ] {
        assert!(words.contains(&word), "{word}: {list}");
    }
    // Too narrow for anything is no reason to fail.
    for line in ["list", "history", "stats", "map", "config"] {
        on_terminal(&sandbox, 10, line, &[]);
    }
}

#[test]
fn a_pipe_gets_lines_of_any_width() {
    let sandbox = full();
    let list = sandbox.text("list");
    assert_eq!(list.lines().count(), 7, "{list}");
}

#[test]
fn a_terminal_has_colours_unless_they_are_unwanted() {
    let sandbox = full();
    assert!(on_terminal(&sandbox, 80, "list", &[]).contains("\x1b["));
    assert!(!on_terminal(&sandbox, 80, "list --color never", &[]).contains("\x1b["));
    assert!(!on_terminal(&sandbox, 80, "list", &[("NO_COLOR", "1")]).contains("\x1b["));
    assert!(!on_terminal(&sandbox, 80, "list", &[("TERM", "dumb")]).contains("\x1b["));
    assert!(
        on_terminal(&sandbox, 80, "list --color always", &[("NO_COLOR", "1")]).contains("\x1b[")
    );
}
