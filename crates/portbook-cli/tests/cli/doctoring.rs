//! `doctor`: is this machine fit, and what to change.

use std::fs;

use crate::kit::{Sandbox, each, keys};

#[test]
fn it_tells_of_every_matter_and_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("doctor --json");
    let findings = run.done().json();
    assert_eq!(
        each(&findings, "matter"),
        [
            "file system",
            "book",
            "pre-configured",
            "network",
            "ephemeral range",
            "reserved ports",
            "IPv6",
            "clock",
            "open files",
        ]
    );
    for finding in findings.as_array().unwrap() {
        let keys = keys(finding);
        assert!(
            keys == ["health", "matter", "message"]
                || keys == ["health", "matter", "message", "remedy"]
        );
        assert!(
            ["fine", "warning"].contains(&finding["health"].as_str().unwrap()),
            "{finding}"
        );
        assert!(
            finding["health"] == "fine" || finding.get("remedy").is_some(),
            "{finding}"
        );
    }
    assert!(!sandbox.book().exists() && !sandbox.root().join("data").exists());
    let words = sandbox.text("doctor");
    assert!(words.contains("ok   book "), "{words}");
}

#[test]
fn ports_of_the_ephemeral_range_come_with_the_line_that_reserves_them() {
    let sandbox = Sandbox::new();
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let first: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
    sandbox.text(&format!(
        "allocate one 1 --ports backend={first},frontend={}",
        first + 2
    ));
    let report = sandbox.text("doctor");
    assert!(
        report.contains("sysctl -w net.ipv4.ip_local_reserved_ports="),
        "{report}"
    );
    assert!(report.contains("warn reserved ports"), "{report}");
    assert!(report.contains(&first.to_string()), "{report}");
}

#[test]
fn what_makes_the_machine_unfit_is_the_answer_no() {
    let sandbox = Sandbox::new();
    sandbox.write("port_config.json", "[{}]");
    let run = sandbox.run("doctor --json");
    let findings = run.ended(1).json();
    assert_eq!(findings[2]["health"], "unfit");
    let sandbox = Sandbox::configured("stor = 'x'\n");
    sandbox.run("doctor").failed(2);
}

#[test]
fn the_self_test_proves_the_promises_on_a_book_of_its_own() {
    let sandbox = Sandbox::looking_at_host();
    let run = sandbox.run("doctor --self-test --json");
    let findings = run.done().json();
    assert_eq!(
        each(&findings, "matter"),
        ["unique", "conflict-free", "persistent", "concurrent"]
    );
    assert!(
        each(&findings, "health")
            .iter()
            .all(|health| **health == "fine"),
        "{findings}"
    );
    assert!(!sandbox.book().exists());
    let left = fs::read_dir(sandbox.root())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name());
    let left: Vec<_> = left
        .filter(|name| name.to_string_lossy().contains("self-test"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
