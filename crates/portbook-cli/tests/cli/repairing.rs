//! `repair`: conflicts of every kind, made by hand, are planned, resolved, and gone from `check`.

use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::kit::{Listener, Sandbox, each, free_stretch, keys, ranges};

/// The table without its keys, as another hand might rebuild it.
const WITHOUT_KEYS: &str = "DROP VIEW port_configurations; CREATE TABLE loose (space TEXT, port INTEGER, app_num INTEGER, identity TEXT, role TEXT);
    INSERT INTO loose SELECT * FROM ports; DROP TABLE ports; ALTER TABLE loose RENAME TO ports;";

/// Which ports move where, each as `app role from to`.
fn moves(repair: &Value) -> Vec<String> {
    let steps = repair["moves"].as_array().unwrap().iter();
    steps
        .map(|step| {
            let text = |key: &str| step[key].as_str().unwrap().to_owned();
            format!(
                "{}/app{} {} {} {}",
                text("model"),
                step["app_num"],
                text("role"),
                step["from"],
                step["to"]
            )
        })
        .collect()
}

/// Plans, repairs, and sees that it was done as planned, in one commit, and that all is well then.
#[track_caller]
fn repaired(sandbox: &Sandbox, expected: &[&str]) {
    let before = sandbox.changes();
    let plan = sandbox.json("repair");
    assert_eq!(keys(&plan), ["applied", "files", "left", "moves", "notes"]);
    assert_eq!(plan["applied"], false);
    assert_eq!(moves(&plan), expected);
    assert_eq!(plan, sandbox.json("repair --dry-run"));
    assert_eq!(sandbox.changes(), before, "a plan is no deed");
    let done = sandbox.json("repair --yes");
    assert_eq!(done["applied"], true);
    assert_eq!(done["moves"], plan["moves"]);
    let history = sandbox.history();
    let new = &history.as_array().unwrap()[before..];
    assert!(
        new.iter()
            .all(|change| change["commit"] == new[0]["commit"])
    );
    assert_eq!(sandbox.run("check --json").done().json(), json!([]));
    let again = sandbox.run("repair --yes");
    assert_eq!(
        again.done().stdout,
        "nothing to repair in the space `default`\n"
    );
    assert_eq!(sandbox.changes(), before + new.len());
}

#[test]
fn a_book_in_order_has_nothing_to_repair() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate m 1-3");
    repaired(&sandbox, &[]);
}

#[test]
fn of_two_claimants_the_older_keeps_its_port() {
    let sandbox =
        Sandbox::without_server("what a hand frees in the file is unseen by a server that runs");
    sandbox.text("allocate older 1");
    sandbox.text("allocate a_younger 1");
    sandbox.hand(&format!(
        "{WITHOUT_KEYS} UPDATE ports SET port = 5001 WHERE port = 5003;
         UPDATE apps SET created_at = created_at + 1000 WHERE identity = 'a_younger'"
    ));
    let found = sandbox.run("check --json").ended(1).json();
    assert!(each(&found, "kind").contains(&&json!("duplicate-port")));
    // That the table has lost its keys is nothing that a move could mend.
    let plan = sandbox.run("repair");
    let words: Vec<&str> = plan.ended(1).stdout.split_whitespace().collect();
    let (told, left) = words.split_at(19);
    assert_snapshot!(told.join(" "), @"APP ROLE FROM TO WHY a_younger/app1 backend 5001 5003 older/app1 has it as its backend and had it first");
    assert_eq!(left[..2], ["left", "book-damaged"]);
    let done = sandbox.run("repair --yes --json").ended(1).json();
    assert_eq!(moves(&done), ["a_younger/app1 backend 5001 5003"]);
    assert_eq!(sandbox.pair("get older 1"), (5001, 8001));
    assert_eq!(sandbox.pair("get a_younger 1"), (5003, 8003));
    let moved = &sandbox.json("history --last 1")[0];
    assert_eq!(moved["change"], "moved");
    assert_eq!(moved["from"], json!({"backend": 5001}));
    assert!(moved["why"].as_str().unwrap().contains("had it first"));
    let found = sandbox.run("check --json").ended(1).json();
    for message in each(&found, "message") {
        let message = message.as_str().unwrap();
        let is_shape = ["the table ports", "the view port_configurations"];
        assert!(
            is_shape.iter().any(|shape| message.starts_with(shape)),
            "{message}"
        );
    }
}

#[test]
fn promises_that_came_later_are_kept() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate one 1");
    sandbox.text("allocate two 1");
    sandbox.write(
        "port_config.json",
        r#"[
        {"model": "one", "app_number": 1, "backend_port": 5003, "frontend_port": 8001},
        {"model": "absent", "app_number": 1, "backend_port": 5005, "frontend_port": 8003}
    ]"#,
    );
    // One app goes where another is, which has to leave; nobody is sent to what is promised.
    repaired(
        &sandbox,
        &[
            "one/app1 backend 5001 5003",
            "two/app1 backend 5003 5007",
            "two/app1 frontend 8003 8005",
        ],
    );
    assert_eq!(sandbox.pair("allocate absent 1"), (5005, 8003));
}

#[test]
fn a_pool_that_came_later_is_left_by_others() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate one 1-2");
    sandbox.text("allocate openai_x 1");
    sandbox.text("pool add gpus 5001-5004 openai_*");
    repaired(
        &sandbox,
        &["one/app1 backend 5001 5007", "one/app2 backend 5003 5009"],
    );
}

#[test]
fn a_port_that_no_browser_opens_is_left_unless_a_file_promises_it() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate one 1 --ports frontend=6000");
    repaired(&sandbox, &["one/app1 frontend 6000 8001"]);
    sandbox.write(
        "port_config.json",
        r#"[{"model": "two", "app_number": 1, "backend_port": 6665, "frontend_port": 9001}]"#,
    );
    sandbox.text("allocate two 1");
    let before = sandbox.changes();
    for line in ["repair", "repair --yes"] {
        let run = sandbox.run(&format!("{line} --json"));
        let repair = run.ended(1).json();
        assert_eq!(moves(&repair), [""; 0]);
        assert_eq!(each(&repair["left"], "kind"), ["browser-blocked"]);
        assert_eq!(
            keys(&repair["left"][0]),
            ["apps", "hint", "kind", "message", "port", "why"]
        );
        assert!(
            sandbox
                .run(line)
                .ended(1)
                .stdout
                .contains("a file promises it the port"),
        );
    }
    assert_eq!(sandbox.changes(), before);
}

#[test]
fn a_stranger_is_made_room_for_and_what_runs_stays() {
    let sandbox = Sandbox::looking_at_host();
    let port = free_stretch(12);
    sandbox.write("portbook.toml", ranges(port, 6));
    sandbox.text("allocate m 1-2");
    let own = sandbox.path("apps/m/app2");
    fs::create_dir_all(&own).unwrap();
    let stranger = Listener::start(port, sandbox.root());
    let app = Listener::start(port + 2, &own);
    let frontend_of_app = Listener::start(port + 3, sandbox.root());
    let plan = sandbox.run("repair --json");
    let plan = plan.ended(1).json();
    let expected = format!("m/app1 backend {port} {}", port + 4);
    assert_eq!(moves(&plan), [expected.as_str()]);
    assert_eq!(each(&plan["left"], "port"), [port + 3]);
    assert!(
        plan["left"][0]["why"]
            .as_str()
            .unwrap()
            .contains("--include-running")
    );
    let with_running = sandbox.json("repair --include-running");
    assert_eq!(moves(&with_running).len(), 2);
    drop(frontend_of_app);
    repaired(&sandbox, &[&expected]);
    drop((stranger, app));
}

#[test]
fn an_app_is_moved_by_hand() {
    let sandbox = Sandbox::looking_at_host();
    let port = free_stretch(16);
    sandbox.write("portbook.toml", ranges(port, 6));
    sandbox.text("allocate m 1-2");
    let plan = sandbox.json("repair --move m 1");
    let [first, second] = [4, 5].map(|step| port + step);
    assert_eq!(
        moves(&plan),
        [
            format!("m/app1 backend {port} {first}"),
            format!("m/app1 frontend {} {second}", port + 1)
        ]
    );
    assert_eq!(sandbox.changes(), 2);
    let to = port + 13;
    sandbox.text(&format!("repair --move m 1 --ports backend={to} --yes"));
    assert_eq!(
        sandbox.pair("get m 1"),
        (u64::from(to), u64::from(port + 1))
    );
    // What cannot be had is said as for a pin.
    sandbox
        .run(&format!(
            "repair --move m 1 --ports backend={} --yes",
            port + 2
        ))
        .failed_saying(1, &["allocated to m/app2"]);
    sandbox
        .run("repair --move m 9 --yes")
        .failed_saying(1, &["m/app9 has no ports"]);
    sandbox
        .run("repair --move m 1 --ports db=7000 --yes")
        .failed_saying(2, &["m/app1 has no port as its db"]);
    sandbox
        .run(&format!("repair --move m 1 --ports backend={to}"))
        .failed_saying(2, &["nothing of m/app1 is to be moved"]);
    for bad in ["--move m", "--move m 0", "--ports backend=1"] {
        sandbox.run(&format!("repair {bad}")).failed(2);
    }
    let own = sandbox.path("apps/m/app1");
    fs::create_dir_all(&own).unwrap();
    let _app = Listener::start(to, &own);
    let line = "repair --move m 1 --yes";
    sandbox.run(line).failed_saying(1, &["m/app1 runs"]);
    sandbox.text(&format!("{line} --include-running"));
    assert_eq!(
        sandbox.pair("get m 1"),
        (u64::from(port), u64::from(second))
    );
}

#[test]
fn a_warning_moves_nothing_and_damage_is_left() {
    let sandbox = Sandbox::new();
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let first = range.split_whitespace().next().unwrap();
    sandbox.text(&format!("allocate one 1 --ports backend={first}"));
    assert_eq!(moves(&sandbox.json("repair --yes")), [""; 0]);
    sandbox.text("allocate two 1");
    sandbox.hand("UPDATE ports SET port = 5555 WHERE port = 5003");
    let repair = sandbox.run("repair --yes --json");
    let repair = repair.ended(1).json();
    assert_eq!(moves(&repair), [""; 0]);
    let kinds = each(&repair["left"], "kind");
    assert!(!kinds.is_empty() && kinds.iter().all(|kind| **kind == "book-damaged"));
}

#[test]
fn a_repair_for_which_there_is_no_room_does_nothing() {
    let sandbox = Sandbox::configured(&ranges(5001, 2));
    sandbox.text("allocate one 1-2");
    sandbox.text("pool add later 5001-5001 other");
    let before = sandbox.changes();
    for line in ["repair", "repair --yes"] {
        sandbox
            .run(line)
            .failed_saying(3, &["no eligible port is left for one/app1"]);
    }
    assert_eq!(sandbox.changes(), before);
}
