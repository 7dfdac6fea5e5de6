//! `check`: every kind of conflict, made for real.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::kit::{Listener, Run, Sandbox, each, free_stretch, keys, ranges};

/// Runs `check` and sees to the promises that hold for every conflict.
#[track_caller]
fn conflicts(sandbox: &Sandbox, status: i32) -> Value {
    let run = sandbox.run("check --json");
    let found = run.ended(status).json();
    for conflict in found.as_array().unwrap() {
        assert_eq!(keys(conflict), ["apps", "hint", "kind", "message", "port"]);
        for key in ["message", "hint"] {
            let text = conflict[key].as_str().unwrap();
            assert!(
                !text.is_empty() && !text.contains('\n') && !text.contains(". "),
                "{text}"
            );
        }
    }
    sandbox.run("check").ended(status);
    found
}

#[test]
fn a_clean_book_has_none() {
    let sandbox = Sandbox::new();
    assert_eq!(conflicts(&sandbox, 0), json!([]));
    sandbox.text("allocate openai_gpt-4 1-30");
    assert_eq!(conflicts(&sandbox, 0), json!([]));
    assert_snapshot!(sandbox.text("check"), @"no conflict in the space `default`");
}

/// The table without its keys, as another hand might rebuild it.
const WITHOUT_KEYS: &str = "DROP VIEW port_configurations; CREATE TABLE loose (space TEXT, port INTEGER, app_num INTEGER, identity TEXT, role TEXT);
    INSERT INTO loose SELECT * FROM ports; DROP TABLE ports; ALTER TABLE loose RENAME TO ports;";

#[test]
fn i1_a_port_that_two_apps_hold() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate one 1");
    sandbox.text("allocate two 1");
    sandbox.hand(&format!(
        "{WITHOUT_KEYS} UPDATE ports SET port = 5001 WHERE port = 5003"
    ));
    let found = conflicts(&sandbox, 1);
    let kinds = each(&found, "kind");
    assert!(kinds.contains(&&json!("duplicate-port")), "{found}");
    let duplicate = found
        .as_array()
        .unwrap()
        .iter()
        .find(|found| found["kind"] == "duplicate-port")
        .unwrap();
    assert_eq!(
        (&duplicate["port"], &duplicate["apps"]),
        (&json!(5001), &json!(["one/app1", "two/app1"]))
    );
}

#[test]
fn i7_rows_that_the_history_does_not_add_up_to() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate one 1");
    sandbox.hand("UPDATE ports SET port = 5555 WHERE port = 5001");
    let found = conflicts(&sandbox, 1);
    assert_eq!(each(&found, "kind"), ["book-damaged"; 4]);
    assert_snapshot!(sandbox.run("check").stdout, @r"
    book-damaged one/app1 lists port 5001, which is not its own
      put a backup back, or release the app and allocate its ports anew
    book-damaged port 5555 is the backend of one/app1, which does not list it
      put a backup back, or release the app and allocate its ports anew
    book-damaged one/app1 has 5001 as its backend by the book's history, but not by its rows
      put a backup back, or release the app and allocate its ports anew
    book-damaged one/app1 has 5555 as its backend by the book's rows, but not by its history
      put a backup back, or release the app and allocate its ports anew
    ");
}

#[test]
fn i10_rows_that_are_missing_or_belong_to_nobody() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate one 1-3");
    sandbox.hand("DELETE FROM ports WHERE port = 8003; DELETE FROM apps WHERE app_num = 3");
    let found = conflicts(&sandbox, 1);
    assert!(
        each(&found, "kind")
            .iter()
            .all(|kind| **kind == "book-damaged"),
        "{found}"
    );
    let messages = found.to_string();
    for said in ["8003", "5005", "not in the book"] {
        assert!(messages.contains(said), "{said}: {messages}");
    }
}

#[test]
fn the_pre_configured_ports_against_the_book() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate one 1");
    sandbox.text("allocate two 1");
    sandbox.write(
        "port_config.json",
        r#"[
        {"model": "one", "app_number": 1, "backend_port": 7001, "frontend_port": 8001},
        {"model": "absent", "app_number": 1, "backend_port": 5003, "frontend_port": 9001}
    ]"#,
    );
    let found = conflicts(&sandbox, 1);
    assert_eq!(
        each(&found, "kind"),
        ["pre-config-mismatch", "pre-config-mismatch"]
    );
    assert_eq!(each(&found, "port"), [5001, 5003]);
    assert_eq!(found[1]["apps"], json!(["two/app1", "absent/app1"]));
    assert_snapshot!(found[0]["message"].as_str().unwrap(), @"one/app1 has 5001 as its backend, and 7001 is promised to it");
    // Looking is no taking in.
    assert_eq!(sandbox.changes(), 2);
}

#[test]
fn a_port_that_no_browser_opens() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate one 1 --ports frontend=6000");
    let found = conflicts(&sandbox, 1);
    assert_eq!(
        (&found[0]["kind"], &found[0]["port"]),
        (&json!("browser-blocked"), &json!(6000))
    );
}

#[test]
fn a_port_of_the_ephemeral_range_is_a_warning_only() {
    let sandbox = Sandbox::new();
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let first = range.split_whitespace().next().unwrap();
    sandbox.text(&format!("allocate one 1 --ports backend={first}"));
    let found = conflicts(&sandbox, 0);
    assert_eq!(each(&found, "kind"), ["ephemeral-range"]);
    assert!(
        found[0]["hint"]
            .as_str()
            .unwrap()
            .contains("portbook doctor")
    );
}

#[test]
fn a_stranger_on_an_allocated_port_is_named_with_pid_and_directory() {
    let sandbox = Sandbox::looking_at_host();
    let port = free_stretch(4);
    sandbox.write("portbook.toml", ranges(port, 2));
    sandbox.text("allocate openai_gpt-4 1");
    assert_eq!(conflicts(&sandbox, 0), json!([]));
    let stranger = sandbox.path("somewhere");
    fs::create_dir(&stranger).unwrap();
    let listener = Listener::start(port, &stranger);
    let found = conflicts(&sandbox, 1);
    assert_eq!(each(&found, "kind"), ["host-in-use"]);
    assert_eq!(
        (&found[0]["port"], &found[0]["apps"]),
        (&json!(port), &json!(["openai_gpt-4/app1"]))
    );
    let message = found[0]["message"].as_str().unwrap();
    for said in [
        "python",
        &format!("pid {}", listener.pid()),
        stranger.to_str().unwrap(),
    ] {
        assert!(message.contains(said), "{said}: {message}");
    }
    // Known to be unusable, as long as the stranger is there and somebody looks.
    assert_eq!(sandbox.json("list")[0]["is_available"], false);
    assert_eq!(
        sandbox.json("list --no-host-check")[0]["is_available"],
        true
    );
    assert_eq!(
        sandbox.run("check --no-host-check --json").done().json(),
        json!([])
    );
    let mut unchecked = sandbox.command();
    unchecked
        .env("PORTBOOK_HOST_CHECK", "false")
        .args(["check", "--host"]);
    Run::of(unchecked).ended(1);
    drop(listener);
    assert_eq!(conflicts(&sandbox, 0), json!([]));
    assert_eq!(sandbox.json("list")[0]["is_available"], true);
}

/// One process that has ports in every way, then ends its connection.
const HOLDERS: &str = r"
import socket, sys
at = [int(port) for port in sys.argv[1:]]
def tcp(family, address, port, listens=True):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    if listens: s.listen()
    return s
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(('127.0.0.1', at[2]))
kept = [tcp(socket.AF_INET, '0.0.0.0', at[0]), tcp(socket.AF_INET, '127.0.0.2', at[1]), udp]
if socket.has_ipv6:
    kept += [tcp(socket.AF_INET6, '::', at[3]), tcp(socket.AF_INET6, '::1', at[4])]
listener = tcp(socket.AF_INET, '127.0.0.1', at[5])
client = socket.create_connection(('127.0.0.1', at[5]))
server, _ = listener.accept()
listener.close()
print('holding', flush=True)
sys.stdin.readline()
server.close(); client.close()
print('closed', flush=True)
sys.stdin.readline()
";

/// The sockets themselves, on every kind of address, are held against the list of holders in
/// portbook-host: this is that `check` tells of them.
#[test]
fn every_kind_of_holder_is_told_and_no_wait_after_a_connection() {
    let port = free_stretch(14);
    let sandbox = Sandbox::looking_at_host();
    sandbox.write("portbook.toml", ranges(port, 7));
    sandbox.text("allocate openai_gpt-4 1-7");
    let at: Vec<u16> = (0..6).map(|app| port + 2 * app).collect();
    let mut holders = Command::new("python3")
        .args(["-c", HOLDERS])
        .args(at.iter().map(ToString::to_string))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = holders.stdin.take().unwrap();
    let mut said = BufReader::new(holders.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "holding");

    let found = conflicts(&sandbox, 1);
    assert_eq!(each(&found, "port"), at.iter().collect::<Vec<_>>());
    for conflict in found.as_array().unwrap() {
        assert_eq!(conflict["kind"], "host-in-use");
        let message = conflict["message"].as_str().unwrap();
        assert!(
            message.contains(&format!("pid {}", holders.id())),
            "{message}"
        );
    }
    let connection = found[5]["message"].as_str().unwrap();
    assert!(
        connection.contains("local end of a connection"),
        "{connection}"
    );

    // Who closes first waits, and is nobody.
    stdin.write_all(b"close\n").unwrap();
    assert_eq!(said.next().unwrap().unwrap(), "closed");
    let found = conflicts(&sandbox, 1);
    assert_eq!(each(&found, "port"), at[..5].iter().collect::<Vec<_>>());
    drop(stdin);
    assert!(holders.wait().unwrap().success());
}

/// Runs `check` with these words where `DOCKER_HOST` names this engine.
fn asking(sandbox: &Sandbox, engine: &str, words: &str) -> Run {
    let mut command = sandbox.command();
    command.env("DOCKER_HOST", engine).arg("check");
    command.args(words.split_whitespace());
    Run::of(command)
}

#[test]
fn without_an_engine_docker_is_a_clear_sentence_and_nothing_else_asks_for_one() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate one 1");
    let absent = format!("unix://{}/engine.sock", sandbox.root().display());
    asking(&sandbox, &absent, "--docker")
        .failed_saying(5, &["no container engine answers", &absent]);
    let error = asking(&sandbox, &absent, "--docker --json").error(5);
    assert_eq!(error["code"], "engine-unreachable");
    assert!(error["hint"].as_str().unwrap().contains("DOCKER_HOST"));
    asking(&sandbox, "ssh://build", "--docker").failed_saying(2, &["DOCKER_HOST", "ssh://"]);
    let mut validate = sandbox.command();
    validate
        .env("DOCKER_HOST", &absent)
        .args(["validate", "--docker"]);
    Run::of(validate).failed_saying(5, &["no container engine answers", &absent]);
    for words in ["", "--states", "--states --json", "--json"] {
        asking(&sandbox, &absent, words).done();
    }
}

#[test]
fn the_states_tell_who_is_there() {
    let sandbox = Sandbox::looking_at_host();
    let port = free_stretch(8);
    sandbox.write("portbook.toml", ranges(port, 4));
    sandbox.text("allocate x-ai/grok-4 1-3");
    let own = sandbox.path("apps/x-ai_grok-4/app1/backend");
    fs::create_dir_all(&own).unwrap();
    let listener = Listener::start(port, &own);
    let _stranger = Listener::start(port + 3, &own);
    let run = sandbox.run("check --states --json");
    let apps = run.ended(1).json();
    assert_eq!(each(&apps, "state"), ["confirmed", "foreign", "reserved"]);
    assert_eq!(
        keys(&apps[0]),
        ["app_num", "drifts", "model", "ports", "state"]
    );
    let [backend, frontend] = apps[0]["ports"].as_array().unwrap().as_slice() else {
        panic!("{apps}");
    };
    assert_eq!(each(&apps[0]["ports"], "state"), ["confirmed", "reserved"]);
    assert_eq!(backend["holders"][0]["whose"], "own");
    assert_eq!(backend["holders"][0]["process"]["pid"], listener.pid());
    assert_eq!(frontend["holders"], json!([]));
    assert_eq!(apps[1]["ports"][1]["holders"][0]["whose"], "stranger");
    let text = sandbox.run("check --states").ended(1).stdout.clone();
    for said in [
        "confirmed",
        "foreign",
        "reserved",
        "nobody",
        own.to_str().unwrap(),
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn an_app_whose_file_says_another_port_is_drifting() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate x-ai/grok-4 1-2");
    let compose = "services:\n  web:\n    image: nginx\n    ports: [\"5001:80\"]\n";
    for app in ["app1", "app2"] {
        sandbox.write(&format!("apps/x-ai_grok-4/{app}/compose.yaml"), compose);
    }
    let run = sandbox.run("check --states apps --json");
    let apps = run.ended(1).json();
    assert_eq!(each(&apps, "state"), ["reserved", "drifting"]);
    let drift = &apps[1]["drifts"][0];
    assert_eq!(drift["file"], "apps/x-ai_grok-4/app2/compose.yaml");
    assert_eq!((&drift["line"], &drift["port"]), (&json!(4), &json!(5001)));
    let text = sandbox.run("check --states apps").ended(1).stdout.clone();
    assert!(text.contains("drifting"), "{text}");
    // Without the files there is nothing to be seen.
    let apps = sandbox.json("check --states");
    assert_eq!(each(&apps, "state"), ["reserved", "reserved"]);
}

#[test]
fn i4_an_apps_own_process_is_no_conflict() {
    let sandbox = Sandbox::looking_at_host();
    let port = free_stretch(4);
    sandbox.write("portbook.toml", ranges(port, 2));
    sandbox.text("allocate x-ai/grok-4 1-2");
    let own = sandbox.path("apps/x-ai_grok-4/app1/backend");
    fs::create_dir_all(&own).unwrap();
    let listener = Listener::start(port, &own);
    assert_eq!(conflicts(&sandbox, 0), json!([]));
    assert_eq!(sandbox.json("list")[0]["is_available"], true);
    // It keeps its ports, too: a running app is asked nothing.
    assert_eq!(sandbox.pair("allocate x-ai/grok-4 1").0, u64::from(port));
    drop(listener);
    // The neighbour's process on its port is one.
    let _neighbour = Listener::start(port + 2, &own);
    assert_eq!(each(&conflicts(&sandbox, 1), "port"), [port + 2]);
}
