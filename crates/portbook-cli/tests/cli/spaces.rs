//! Port spaces of several hosts in one book.

use std::net::TcpListener;

use crate::kit::{Sandbox, free_stretch, ranges};

/// This host's name as a space.
fn own_space() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    name.trim().to_lowercase()
}

#[test]
fn auto_is_this_hosts_name_wherever_it_is_said() {
    let sandbox = Sandbox::new();
    let space = |line: &str| sandbox.json(line)["space"].as_str().unwrap().to_owned();
    assert_eq!(space("allocate m 1 --space auto"), own_space());
    assert_eq!(space("allocate m 2"), "default");
    sandbox.write("auto.toml", "space = \"auto\"\n");
    assert_eq!(space("get m 1 --config auto.toml"), own_space());
    let mut command = sandbox.command();
    command
        .args(["get", "m", "1", "--json"])
        .env("PORTBOOK_SPACE", "auto");
    let run = crate::kit::Run::of(command);
    assert_eq!(run.json()["space"], own_space());
    // Another host's space can be named all the same.
    assert_eq!(
        space("allocate m 1 --space beta --config auto.toml"),
        "beta"
    );
}

#[test]
fn every_space_is_listed_together() {
    let sandbox = Sandbox::new();
    let none = sandbox.run("list --all-spaces");
    assert_eq!(
        (none.done().stdout.as_str(), none.stderr.as_str()),
        ("", "note: nothing is allocated in any space\n")
    );
    for line in [
        "allocate m 2 --space beta",
        "allocate m 1 --space beta",
        "allocate m 1 --space alpha",
        "allocate a 9",
    ] {
        sandbox.text(line);
    }
    let listed = sandbox.json("list --all-spaces");
    let rows: Vec<String> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {} {}", row["model"], row["app_num"], row["space"]).replace('"', ""))
        .collect();
    assert_eq!(rows, ["a 9 default", "m 1 alpha", "m 1 beta", "m 2 beta"]);
    let table = sandbox.text("list --all-spaces m");
    assert!(table.starts_with("MODEL  APP  SPACE"), "{table}");
    assert_eq!(table.lines().count(), 4, "{table}");
    let csv = sandbox.text("list --all-spaces --csv");
    assert_eq!(csv.lines().count(), 5, "{csv}");
    assert_eq!(sandbox.json("list").as_array().unwrap().len(), 1);
}

#[test]
fn the_ports_of_this_host_are_no_matter_of_another_hosts_space() {
    let base = free_stretch(8);
    let sandbox = Sandbox::looking_at_host();
    let settings = ranges(base, 2);
    sandbox.write("portbook.toml", format!("space = \"auto\"\n{settings}"));
    let _server = TcpListener::bind(("127.0.0.1", base)).unwrap();
    let backend = |line: &str| sandbox.json(line)["backend"].as_u64().unwrap();
    assert_eq!(backend("allocate m 1 --space beta"), u64::from(base));
    assert_ne!(backend("allocate m 1"), u64::from(base));
    sandbox.run("check --host --space beta").done();
    // Where spaces are not hosts, one line may be that of many, and each looks at its own ports.
    sandbox.write("portbook.toml", settings);
    assert_ne!(backend("allocate m 1 --space gamma"), u64::from(base));
    sandbox.run("check --host --space beta").ended(1);
}
