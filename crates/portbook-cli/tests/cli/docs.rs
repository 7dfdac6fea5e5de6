//! What the program says of itself: help, version, completions, manual.

use std::process::Command;

use insta::assert_snapshot;

use crate::kit::{Run, Sandbox};

const COMMANDS: &[&str] = &[
    "allocate",
    "get",
    "resolve",
    "list",
    "stats",
    "map",
    "history",
    "check",
    "validate",
    "repair",
    "release",
    "renew",
    "cleanup",
    "import",
    "export",
    "pool",
    "pool list",
    "pool add",
    "pool remove",
    "env",
    "run",
    "scaffold",
    "serve",
    "store",
    "store init",
    "store copy",
    "store backup",
    "store restore",
    "store accept",
    "token",
    "config",
    "doctor",
    "man",
];

#[test]
fn the_help_of_the_program() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.text("--help"));
    // A short one for `-h`, and nothing but help on standard output.
    assert!(sandbox.text("-h").len() <= sandbox.text("--help").len());
    assert!(!sandbox.book().exists());
}

#[test]
fn the_help_of_every_command() {
    let sandbox = Sandbox::new();
    for command in COMMANDS {
        let help = sandbox.text(&format!("{command} --help"));
        assert_eq!(help, sandbox.text(&format!("help {command}")), "{command}");
        assert!(
            help.lines().all(|line| line.chars().count() <= 100),
            "{command} is too wide"
        );
        // What all commands have in common is shown once, with the program's own help.
        let own = help.split("Global options:").next().unwrap();
        assert_snapshot!(format!("help_{}", command.replace(' ', "_")), own);
    }
}

#[test]
fn the_version_and_how_it_was_built() {
    let sandbox = Sandbox::new();
    let version = format!("portbook {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(sandbox.text("-V"), format!("{version}\n"));
    let long = sandbox.text("--version");
    let mut lines = long.lines();
    assert_eq!(lines.next(), Some(version.as_str()));
    let built: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let said = |key| built.iter().find(|line| line.0 == key).map(|line| line.1);
    assert!(
        said("target").unwrap().contains(std::env::consts::ARCH),
        "{long}"
    );
    assert!(said("stores").unwrap().contains("postgres"), "{long}");
    assert!(said("features").unwrap().contains("serve"), "{long}");

    // In a checkout it names a commit; a package of the sources has none.
    let commit = said("commit").map_or("none", |commit| commit.split(' ').next().unwrap());
    let kind = Command::new("git")
        .args(["cat-file", "-t", commit])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let is_checkout = Command::new("git")
        .args(["rev-parse", "HEAD"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert_eq!(
        kind.stdout == b"commit\n",
        is_checkout.status.success(),
        "{long}"
    );
}

#[test]
fn completions_for_bash_complete() {
    let sandbox = Sandbox::new();
    let script = sandbox.write("portbook.bash", sandbox.text("completions bash"));
    let mut check = Command::new("bash");
    check.arg("-n").arg(&script);
    Run::of(check).done();
    // As bash calls it: the words, and which of them is being completed.
    let ask = "source \"$0\"; complete -p portbook >/dev/null || exit 9
        COMP_WORDS=(portbook al); COMP_CWORD=1; COMP_LINE='portbook al'; COMP_POINT=11
        _portbook portbook al portbook; echo \"${COMPREPLY[@]}\"
        COMP_WORDS=(portbook pool ''); COMP_CWORD=2
        _portbook portbook '' pool; echo \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", ask]).arg(&script);
    let answer = Run::of(bash);
    let lines: Vec<&str> = answer.done().stdout.lines().collect();
    assert_eq!(lines[0], "allocate");
    for word in ["list", "add", "remove"] {
        assert!(
            lines[1].split(' ').any(|offered| offered == word),
            "{word}: {}",
            lines[1]
        );
    }
}

#[test]
fn completions_for_every_shell() {
    let sandbox = Sandbox::new();
    for (shell, mark) in [
        ("bash", "complete -F _portbook"),
        ("zsh", "#compdef portbook"),
        ("fish", "complete -c portbook"),
        ("elvish", "portbook"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = sandbox.text(&format!("completions {shell}"));
        assert!(
            script.contains(mark) && script.contains("allocate"),
            "{shell}"
        );
    }
    for (shell, option) in [("zsh", "-n"), ("fish", "--no-execute")] {
        let script = sandbox.write(shell, sandbox.text(&format!("completions {shell}")));
        // Not every machine has every shell; one that is there must find nothing wrong.
        if let Ok(output) = Command::new(shell).arg(option).arg(&script).output() {
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}

#[test]
fn the_manual_is_free_of_faults() {
    let sandbox = Sandbox::new();
    let page = sandbox.text("man");
    for part in [".TH portbook 1", ".SH SYNOPSIS", "allocate"] {
        assert!(page.contains(part), "{part}");
    }
    sandbox.text("man --dir pages");
    let mut pages: Vec<_> = std::fs::read_dir(sandbox.path("pages"))
        .unwrap()
        .flatten()
        .map(|page| page.path())
        .collect();
    pages.sort();
    for name in ["portbook.1", "portbook-allocate.1", "portbook-pool-add.1"] {
        assert!(
            pages.contains(&sandbox.path("pages").join(name)),
            "{name}: {pages:?}"
        );
    }
    for page in pages {
        for (program, options) in [
            ("mandoc", &["-Tlint", "-Werror"][..]),
            ("man", &["--warnings", "-l"]),
        ] {
            let Ok(output) = Command::new(program)
                .args(options)
                .arg(&page)
                .env("MANWIDTH", "80")
                .output()
            else {
                continue;
            };
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let said = said
                + if program == "mandoc" {
                    std::str::from_utf8(&output.stdout).unwrap()
                } else {
                    ""
                };
            assert!(
                output.status.success() && !said.contains("warning"),
                "{program} {}: {said}",
                page.display()
            );
        }
    }
}
