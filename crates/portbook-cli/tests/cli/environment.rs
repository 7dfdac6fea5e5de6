//! `portbook env`: what an app is told of itself.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::kit::{Run, Sandbox, keys};

const THREE_ROLES: &str = "roles = [\"backend\", \"frontend\", \"web-socket.2\"]\n\
                           [ranges.\"web-socket.2\"]\nbase = 15001\n";

#[test]
fn every_port_and_both_names_are_lines_of_their_own() {
    let sandbox = Sandbox::configured(THREE_ROLES);
    sandbox.text("allocate x-ai/grok-4.1 2");
    let lines = "BACKEND_PORT=5001\n\
                 COMPOSE_PROJECT_NAME=x-ai_grok-4-1-app2\n\
                 FRONTEND_PORT=8001\n\
                 PROJECT_NAME=x-ai_grok-4-1_app2\n\
                 WEB_SOCKET_2_PORT=15001\n";
    assert_eq!(sandbox.text("env x-ai/grok-4.1 2"), lines);
    let exported: String = lines
        .lines()
        .map(|line| format!("export {line}\n"))
        .collect();
    assert_eq!(sandbox.text("env x-ai/grok-4.1 2 --export"), exported);
    let object = sandbox.json("env x-ai/grok-4.1 2");
    assert_eq!(keys(&object).len(), 5);
    assert_eq!(object["BACKEND_PORT"], "5001");

    // `allocate --format env` has the same names for the same ports.
    let allocated = sandbox.text("allocate x-ai/grok-4.1 2 --format env");
    let ports: Vec<&str> = lines
        .lines()
        .filter(|line| line.contains("_PORT="))
        .collect();
    assert_eq!(allocated.lines().collect::<Vec<_>>(), ports);
}

#[test]
fn shells_and_env_files_read_the_same() {
    let sandbox = Sandbox::configured(THREE_ROLES);
    sandbox.text("allocate m 1");
    sandbox.write("env", sandbox.text("env m 1"));
    sandbox.write("exported", sandbox.text("env m 1 --export"));
    for shell in ["sh", "bash"] {
        for (file, before) in [("env", "set -a; "), ("exported", "")] {
            let script = format!("set -eu; {before}. ./{file}; exec env");
            let mut command = Command::new(shell);
            sandbox.furnish(&mut command);
            command.args(["-c", &script]);
            let run = Run::of(command);
            let heard = &run.done().stdout;
            for line in sandbox.text("env m 1").lines() {
                assert!(
                    heard.lines().any(|heard| heard == line),
                    "{shell} {file}: {line}"
                );
            }
        }
    }
}

#[test]
fn an_app_without_ports_has_no_variables() {
    let sandbox = Sandbox::new();
    for line in ["env m 1", "env m 1 --write .env"] {
        sandbox
            .run(line)
            .failed_saying(1, &["m/app1 has no ports", "portbook allocate m 1"]);
    }
    assert_eq!(sandbox.changes(), 0);
    assert!(!sandbox.path(".env").exists());
}

#[test]
fn two_roles_of_one_variable_are_told() {
    let sandbox = Sandbox::configured(
        "roles = [\"backend\", \"frontend\", \"a-b\", \"a_b\"]\n\
         [ranges.a-b]\nbase = 15001\n[ranges.a_b]\nbase = 16001\n",
    );
    sandbox
        .run("allocate m 1")
        .failed_saying(2, &["`a-b`", "`a_b`", "one variable"]);
    // An app that had both before that was refused keeps them.
    let exported = r#"[{"model":"m","app_num":1,"backend_port":5001,"frontend_port":8001,
        "ports":{"backend":5001,"frontend":8001,"a-b":15001,"a_b":16001},
        "is_available":true,"space":"default","created_at":"2026-01-01T00:00:00Z"}]"#;
    sandbox.write("exported.json", exported);
    sandbox.text("import exported.json");
    sandbox.text("allocate m 1");
    sandbox
        .run("env m 1")
        .failed_saying(2, &["`a-b`", "`a_b`", "A_B_PORT"]);
}

#[test]
fn a_file_keeps_everything_but_the_values() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate m 1");
    let old = "# ours\r\n\r\nexport BACKEND_PORT=\"1\" # keep me\r\nKEY='a\nBACKEND_PORT=2\n'\r\n\
               FRONTEND_PORT = 3\r\nBACKEND_PORT=4\r\nlast=caf\u{e9}";
    let real = sandbox.write("config/real.env", old);
    fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
    // Only root may give a file away; anybody else's stays theirs.
    let _ = chown(&real, Some(64_042), Some(64_043));
    let owner = |file: &Path| {
        let metadata = file.metadata().unwrap();
        (metadata.uid(), metadata.gid())
    };
    let owned_by = owner(&real);
    symlink("config/real.env", sandbox.path(".env")).unwrap();
    let answer = sandbox.text("env m 1 --write .env");
    assert_eq!(
        answer,
        "BACKEND_PORT, COMPOSE_PROJECT_NAME, FRONTEND_PORT, PROJECT_NAME written to .env\n"
    );
    let new = "# ours\r\n\r\nexport BACKEND_PORT=\"5001\" # keep me\r\nKEY='a\nBACKEND_PORT=2\n'\r\n\
               FRONTEND_PORT = 8001\r\nBACKEND_PORT=5001\r\nlast=caf\u{e9}\r\n\
               COMPOSE_PROJECT_NAME=m-app1\r\nPROJECT_NAME=m_app1\r\n";
    assert_eq!(fs::read_to_string(&real).unwrap(), new);
    assert!(
        sandbox
            .path(".env")
            .symlink_metadata()
            .unwrap()
            .is_symlink()
    );
    let metadata = real.metadata().unwrap();
    assert_eq!(metadata.mode() & 0o777, 0o600);
    assert_eq!(owner(&real), owned_by);

    // The second time there is nothing to write.
    let again = sandbox.json("env m 1 --write .env");
    assert_eq!(again, json!({"file": ".env", "changed": []}));
    assert_eq!(real.metadata().unwrap().ino(), metadata.ino());
}

#[test]
fn a_file_that_is_not_there_is_made() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate m 1");
    sandbox.text("env m 1 --write .env --export");
    let text = fs::read_to_string(sandbox.path(".env")).unwrap();
    assert_eq!(text, sandbox.text("env m 1 --export"));
    let run = sandbox.run("env m 1 --write gone/.env");
    run.failed_saying(5, &["gone/.env cannot be written"]);
    // The temporary file's name says nothing to anybody.
    assert!(!run.stderr.contains(".portbook-"), "{}", run.stderr);
    symlink("nowhere", sandbox.path("link")).unwrap();
    sandbox.run("env m 1 --write link").failed_saying(
        5,
        &["link cannot be written", "a link to what is not there"],
    );
}

#[test]
fn what_is_no_env_file_stays_as_it_is() {
    let sandbox = Sandbox::without_server("a client does not know where its server has the file");
    sandbox.text("allocate m 1");
    sandbox.write("broken", "A=1\nB=\"open\n");
    sandbox
        .run("env m 1 --write broken")
        .failed_saying(2, &["broken:2:3", "no counterpart"]);
    assert_eq!(
        fs::read_to_string(sandbox.path("broken")).unwrap(),
        "A=1\nB=\"open\n"
    );
    fs::create_dir(sandbox.path("folder")).unwrap();
    sandbox
        .run("env m 1 --write folder")
        .failed_saying(2, &["it is no regular file"]);
    let book = sandbox.book();
    let run = sandbox.run(&format!("env m 1 --write {}", book.display()));
    run.failed_saying(2, &["is a portbook book"]);
    assert_eq!(sandbox.pair("get m 1"), (5001, 8001));
}
