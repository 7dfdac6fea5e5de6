//! `portbook serve --install`: the units that it writes are ones that systemd takes, and what is there
//! already stays.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::kit::Sandbox;

/// What systemd itself has against units.
#[track_caller]
fn verify(units: &Path, options: &[&str], home: &Path) {
    let mut files: Vec<_> = fs::read_dir(units)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 2, "{files:?}");
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .args(options)
        .args(&files)
        .env("XDG_RUNTIME_DIR", home)
        .env("HOME", home)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && said.is_empty(), "{said}");
}

const EVERYTHING: &str = "--listen 127.0.0.1:7678 --listen [::1]:7678 --listen unix:/run/portbook.sock --portserver @portserver \
     --token-file tokens --tls-cert c%20d.pem --tls-key k.pem --allow-host portbook.example --log-format json \
     --max-connections 100 --no-host-check --space lab --store sqlite:b.db --config c.toml";

#[test]
fn systemd_takes_the_units_of_the_machine_and_of_a_user() {
    let sandbox = Sandbox::new();
    for options in ["", EVERYTHING] {
        for user in [false, true] {
            let root = sandbox.path(&format!("root-{user}-{}", options.len()));
            let user_flag = if user { "--user" } else { "" };
            let line = format!("serve {options} --install={} {user_flag}", root.display());
            sandbox.run(&line).done();
            let units = root.join(if user {
                "etc/systemd/user"
            } else {
                "etc/systemd/system"
            });
            let manager: &[&str] = if user { &["--user"] } else { &[] };
            verify(&units, manager, sandbox.root());
        }
    }
}

#[test]
fn the_units_serve_as_the_command_line_says() {
    let sandbox = Sandbox::new();
    let root = sandbox.path("root");
    sandbox
        .run(&format!("serve {EVERYTHING} --install={}", root.display()))
        .done();
    let unit = |name: &str| fs::read_to_string(root.join("etc/systemd/system").join(name)).unwrap();
    let work = sandbox.work();
    let work = work.display();
    let service = unit("portbook.service");
    let command = service
        .lines()
        .find(|line| line.starts_with("ExecStart="))
        .unwrap();
    let arguments = format!(
        " serve --store sqlite:{work}/b.db --space lab --config {work}/c.toml --token-file {work}/tokens \
         --tls-cert {work}/c%%20d.pem --tls-key {work}/k.pem --allow-host portbook.example \
         --portserver-ports 15000-24999 --max-connections 100 --log-format json --no-host-check"
    );
    assert!(command.ends_with(&arguments), "{command}");
    let socket = unit("portbook.socket");
    for line in [
        "ListenStream=127.0.0.1:7678",
        "ListenStream=[::1]:7678",
        "ListenStream=/run/portbook.sock",
        "SocketMode=0660",
    ] {
        assert!(
            socket.lines().any(|found| found == line),
            "{line}: {socket}"
        );
    }
    let portserver = unit("portbook-portserver.socket");
    for line in ["ListenStream=@portserver", "FileDescriptorName=portserver"] {
        assert!(
            portserver.lines().any(|found| found == line),
            "{portserver}"
        );
    }
    let user = fs::read_to_string(root.join("etc/sysusers.d/portbook.conf")).unwrap();
    assert!(user.contains("\nu portbook "), "{user}");
}

#[test]
fn it_says_what_it_wrote_and_what_to_run_next_and_enables_nothing() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("serve --install --user");
    let said = run.done().stdout.clone();
    let units = sandbox.root().join("config/systemd/user");
    for line in [
        format!("wrote {}/portbook.service: ", units.display()),
        format!("wrote {}/portbook.socket: ", units.display()),
        "  systemctl --user daemon-reload\n".to_owned(),
        "  systemctl --user enable --now portbook.socket\n".to_owned(),
    ] {
        assert!(said.contains(&line), "{line}: {said}");
    }
    let enabled = fs::read_dir(&units).unwrap().count();
    assert_eq!(enabled, 2, "no links to them");
    assert!(!sandbox.book().exists(), "the book is not opened for that");
}

#[test]
fn what_is_there_and_differs_stays_unless_that_is_forced() {
    let sandbox = Sandbox::new();
    sandbox.run("serve --install --user").done();
    let again = sandbox.text("serve --install --user");
    assert!(again.starts_with("kept "), "{again}");
    let units = sandbox.root().join("config/systemd/user");
    let service = units.join("portbook.service");
    fs::write(&service, "mine").unwrap();
    fs::remove_file(units.join("portbook.socket")).unwrap();
    let refused = sandbox.run("serve --install --user");
    assert_eq!(refused.status, 2);
    assert!(
        refused.stderr.contains(&service.display().to_string())
            && refused.stderr.contains("--force"),
        "{}",
        refused.stderr
    );
    assert_eq!(fs::read_to_string(&service).unwrap(), "mine");
    assert!(!units.join("portbook.socket").exists(), "all or nothing");
    let forced = sandbox.text("serve --install --user --force");
    assert!(
        forced.starts_with(&format!("replaced {}", service.display())),
        "{forced}"
    );
}

#[test]
fn printing_shows_every_file_and_writes_none() {
    let sandbox = Sandbox::new();
    let shown = sandbox.text("serve --install --print --portserver @portserver");
    for path in [
        "# /etc/systemd/system/portbook.service\n",
        "# /etc/systemd/system/portbook.socket\n",
        "# /etc/systemd/system/portbook-portserver.socket\n",
        "# /etc/sysusers.d/portbook.conf\n",
    ] {
        assert!(shown.contains(path), "{path}: {shown}");
    }
    sandbox.run("serve --install --user --print").done();
    assert!(!sandbox.root().join("config").exists());
    let told = sandbox.json("serve --install --user --print");
    let text = told["files"][0]["text"].as_str().unwrap();
    assert!(text.contains("\nExecStart="), "{told}");
}

#[test]
fn the_service_is_enabled_when_that_is_asked_for() {
    let sandbox = Sandbox::new();
    // A `systemctl` that writes down how it is called.
    let calls = sandbox.path("calls");
    let stand_in = sandbox.write(
        "bin/systemctl",
        format!("#!/bin/sh\necho \"$@\" >> {}\n", calls.display()),
    );
    fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let folder = stand_in.parent().unwrap().display();
    let mut command = sandbox.command();
    command.env("PATH", format!("{folder}:{path}")).args([
        "serve",
        "--install",
        "--user",
        "--enable",
    ]);
    assert!(command.output().unwrap().status.success());
    assert_eq!(
        fs::read_to_string(calls).unwrap(),
        "--user daemon-reload\n--user enable --now portbook.socket\n"
    );
}

#[test]
fn what_no_unit_can_do_is_refused() {
    let sandbox = Sandbox::new();
    for (options, reason) in [
        ("--listen 0.0.0.0:7678", "--token-file"),
        ("--listen 127.0.0.1:0", "another port each time"),
        ("--listen localhost:7678", "127.0.0.1:7678"),
        ("--listen unix:/run/portbook/api", "/run/portbook.sock"),
        ("--store postgres://a:secret@h/b", "PORTBOOK_STORE"),
        ("--store http://127.0.0.1:1", "server"),
    ] {
        let refused = sandbox.run(&format!("serve --install --print {options}"));
        assert_eq!(refused.status, 2, "{options}");
        assert!(refused.stderr.contains(reason), "{}", refused.stderr);
        assert!(!refused.stderr.contains("secret"), "{}", refused.stderr);
    }
    assert_eq!(sandbox.run("serve --user").status, 2);
}
