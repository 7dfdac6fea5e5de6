//! Bad input: exit status 2, one sentence, and nothing changes.

use std::io::Write;

use insta::assert_snapshot;

use crate::kit::Sandbox;

/// Runs each command line; its words are those given.
#[track_caller]
fn refused(sandbox: &Sandbox, words: &[&str], said: &[&str]) {
    sandbox.run_words(words).failed_saying(2, said);
    let error = sandbox.run_words(words.iter().chain(&["--json"])).error(2);
    let message = error["message"].as_str().unwrap();
    assert!(!message.is_empty() && !message.ends_with(':'), "{message}");
}

#[test]
fn a_model_that_is_none() {
    let sandbox = Sandbox::new();
    let too_long = "x".repeat(201);
    for (model, said) in [
        ("", "empty"),
        (too_long.as_str(), "201 characters"),
        ("a\tb", "control character"),
        ("a\nb", "control character"),
        ("a\u{7f}b", "control character"),
        (" a", "space"),
        ("a ", "space"),
        (".", "directory"),
        ("..", "directory"),
    ] {
        for command in ["allocate", "get", "release", "renew", "resolve"] {
            refused(&sandbox, &[command, model, "1"], &[said]);
        }
    }
    assert!(
        !sandbox.book().exists(),
        "a call that was wrong made a book"
    );
}

#[test]
fn an_app_number_that_is_none() {
    let sandbox = Sandbox::new();
    for number in [
        "0",
        "-1",
        "x",
        "2147483648",
        "99999999999999999999",
        "1.5",
        "",
        " ",
        "１",
    ] {
        for command in ["allocate", "get", "release", "renew", "resolve"] {
            refused(&sandbox, &[command, "m", number], &[number.trim()]);
        }
    }
    assert!(!sandbox.book().exists());
}

#[test]
fn app_numbers_that_are_none() {
    let sandbox = Sandbox::new();
    for (apps, said) in [
        ("9-3", "backwards"),
        ("1-", ""),
        ("-3", ""),
        ("1,,2", ""),
        ("1,", ""),
        ("0-3", "`0`"),
        ("1-x", "`x`"),
        ("1--3", ""),
        ("1-2-3", ""),
        ("1-2147483647", ""),
    ] {
        refused(&sandbox, &["allocate", "m", apps], &[said]);
        refused(&sandbox, &["release", "m", apps], &[said]);
    }
    assert!(!sandbox.book().exists());
}

#[test]
fn an_app_that_is_named_twice_is_one() {
    let sandbox = Sandbox::new();
    let answer = sandbox.json("allocate m 1,1-3,2");
    assert_eq!(answer.as_array().unwrap().len(), 3);
    assert_eq!(sandbox.changes(), 3);
}

#[test]
fn a_port_that_is_none() {
    let sandbox = Sandbox::new();
    for (pin, said) in [
        ("backend=0", "`0`"),
        ("backend=70000", "`70000`"),
        ("backend=80a", "`80a`"),
        ("backend=-1", "`-1`"),
        ("backend=", ""),
        ("backend", "ROLE=PORT"),
        ("=80", ""),
        ("backend=80,", "ROLE=PORT"),
    ] {
        refused(&sandbox, &["allocate", "m", "1", "--ports", pin], &[said]);
    }
    for ports in ["0-5", "5-70000", "80a-90", "9-3", "", "-"] {
        refused(&sandbox, &["pool", "add", "p", ports, "m"], &[]);
    }
    assert!(!sandbox.book().exists());
}

#[test]
fn a_role_a_space_a_pool_a_time_that_are_none() {
    let sandbox = Sandbox::new();
    for roles in ["", "a b", "backend,", "ünïcode", "a/b"] {
        refused(&sandbox, &["allocate", "m", "1", "--roles", roles], &[]);
    }
    for ttl in [
        "-1h",
        "",
        "1",
        "h",
        "1y",
        "1h -1m",
        "999999999d",
        "0x1h",
        "1.5h",
    ] {
        refused(&sandbox, &["allocate", "m", "1", "--ttl", ttl], &["--ttl"]);
        refused(&sandbox, &["renew", "m", "1", "--ttl", ttl], &["--ttl"]);
    }
    for space in ["", "a\nb"] {
        refused(
            &sandbox,
            &["allocate", "m", "1", "--space", space],
            &["--space"],
        );
    }
    refused(&sandbox, &["pool", "add", "", "1-2", "m"], &[]);
    refused(&sandbox, &["pool", "add", "p", "1-2", ""], &[]);
    assert!(!sandbox.book().exists());
    // A lease of no length is only found out by the planner.
    refused(&sandbox, &["allocate", "m", "1", "--ttl", "0s"], &["lease"]);
    assert_eq!(sandbox.changes(), 0);
}

#[test]
fn the_sentence_names_the_argument_and_what_is_due() {
    let sandbox = Sandbox::new();
    let said: Vec<String> = [
        "allocate m 0",
        "allocate m 9-3",
        "allocate .. 1",
        "allocate m 1 --ttl -1h",
        "allocate m 1 --ports backend=80a",
        "pool add p 9-3 m",
        "allocate m 1 --color red",
        "allocate m 1 --roles nope",
        "alocate m 1",
        "allocate m",
        "get m",
    ]
    .iter()
    .map(|line| sandbox.run(line).failed(2).to_owned())
    .collect();
    assert_snapshot!(said.join("\n"));
}

#[test]
fn a_call_that_is_none() {
    let sandbox = Sandbox::new();
    refused(&sandbox, &[], &["no command", "portbook --help"]);
    refused(&sandbox, &["pool"], &["portbook pool --help"]);
    refused(&sandbox, &["frobnicate"], &["frobnicate"]);
    refused(&sandbox, &["alocate", "m", "1"], &["alocate", "'allocate'"]);
    refused(&sandbox, &["allocate"], &["MODEL", "APPS"]);
    refused(&sandbox, &["allocate", "m"], &["APPS"]);
    refused(&sandbox, &["allocate", "m", "1", "2"], &["'2'"]);
    refused(
        &sandbox,
        &["allocate", "m", "1", "--colour", "never"],
        &["--colour", "--color"],
    );
    refused(
        &sandbox,
        &["allocate", "m", "1", "--format", "xml"],
        &["xml", "table", "json", "env"],
    );
    refused(
        &sandbox,
        &["list", "--color", "sometimes"],
        &["sometimes", "auto"],
    );
    refused(
        &sandbox,
        &["list", "--quiet", "--verbose"],
        &["--quiet", "--verbose"],
    );
    refused(&sandbox, &["completions", "tcsh"], &["tcsh", "bash"]);
    refused(
        &sandbox,
        &["check", "--host", "--no-host-check"],
        &["--host"],
    );
    assert!(!sandbox.book().exists());
}

#[test]
fn a_store_that_is_none() {
    let sandbox = Sandbox::new();
    for (store, said) in [
        ("", "--store"),
        ("sqlite:", "sqlite:PATH"),
        ("postgres://localhost/x?colour=red", "colour"),
        ("http://localhost/x", "http://host:7678"),
        ("etcd://localhost:2379/x?colour=red", "colour"),
        ("mysql:x", "mysql"),
    ] {
        refused(&sandbox, &["allocate", "m", "1", "--store", store], &[said]);
    }
}

#[test]
fn an_argument_that_is_no_text() {
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::new();
    let bytes = std::ffi::OsStr::from_bytes(b"m\xff");
    sandbox
        .run_words(["allocate".as_ref(), bytes, "1".as_ref()])
        .failed(2);
    assert!(!sandbox.book().exists());
}

fn utf16(text: &str) -> Vec<u8> {
    let units = text.encode_utf16().flat_map(u16::to_le_bytes);
    [0xFF, 0xFE].into_iter().chain(units).collect()
}

#[test]
fn a_file_of_apps_that_is_none() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate one 1");
    let before = sandbox.history();
    let entry = r#"{"model": "m", "app_num": 1, "backend_port": 7001, "frontend_port": 9001}"#;
    let files: [(&str, Vec<u8>, &str); 12] = [
        (
            "truncated",
            format!("[\n{entry},\n{{\"model\": \"m").into(),
            "line 3",
        ),
        (
            "bom",
            format!("\u{feff}[{entry}]").into(),
            "byte order mark",
        ),
        ("utf16", utf16(&format!("[{entry}]")), "UTF-16"),
        ("object", entry.into(), "array"),
        ("empty", Vec::new(), "empty"),
        ("number", "5".into(), "array"),
        ("latin1", b"[\n\"\xe4\"]".to_vec(), "line 2"),
        ("syntax", format!("[\n{entry}\n{entry}]").into(), "line 3"),
        ("trailing", format!("[{entry}]\n]").into(), "line 2"),
        ("prose", "what is this?".into(), "neither"),
        ("nested", "[".repeat(5000).into(), "nested"),
        ("csv", "model,app_num\nm,1\n".into(), "backend_port"),
    ];
    for (name, content, said) in &files {
        let path = sandbox.write(name, content);
        refused(&sandbox, &["import", path.to_str().unwrap()], &[name, said]);
        // The same as a file of pre-configured ports: nothing is allocated by it either.
        refused(
            &sandbox,
            &[
                "allocate",
                "two",
                "1",
                "--port-config",
                path.to_str().unwrap(),
            ],
            &[said],
        );
    }
    refused(&sandbox, &["import", "nowhere.json"], &["nowhere.json"]);
    refused(&sandbox, &["import", "."], &["."]);
    assert_eq!(sandbox.history(), before);
}

#[test]
fn a_hundred_megabytes_of_nesting() {
    let sandbox = Sandbox::new();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all("[".repeat(100 << 20).as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    refused(&sandbox, &["import", path], &[path]);
}

#[test]
fn a_configuration_that_is_none() {
    for (text, said) in [
        (
            "reuse_dely = '1h'\n",
            &[
                "unknown key `reuse_dely`",
                "`reuse_delay`",
                "portbook.toml:1:1",
            ][..],
        ),
        (
            "\n[ranges.backend]\nbse = 1\n",
            &["ranges.backend.bse", "`base`", ":3:1"],
        ),
        (
            "[ranges.backend]\nbase = 5001\nstep = 0\n",
            &["step", ":3:"],
        ),
        (
            "[ranges.backend]\nbase = 5001\nstep = -2\n",
            &["step", "-2"],
        ),
        (
            "[ranges.backend]\nbase = 6000\nmax = 5999\n",
            &["6000", "5999", ":2:"],
        ),
        ("[ranges.backend]\nbase = 0\n", &["`0`", ":2:"]),
        ("[ranges.backend]\nbase = 70000\n", &["70000"]),
        (
            "[ranges.backend]\nbase = '5001'\n",
            &["ranges.backend.base"],
        ),
        ("[ranges.db]\nstep = 2\n", &["base", "db"]),
        (
            "[ranges.backend]\nbase = 5001\nmax = 5001\n[ranges.frontend]\nbase = 5001\nmax = 5001\n",
            &["backend", "frontend"],
        ),
        ("reuse_delay = '-1h'\n", &["-1h"]),
        ("reuse_delay = 5\n", &["reuse_delay", "whole number"]),
        ("host_check = 'yes'\n", &["host_check"]),
        ("block = ['9-3']\n", &["9-3"]),
        ("block = 5\n", &["block"]),
        ("roles = ['nope']\n", &["nope"]),
        ("space = ''\n", &["space"]),
        ("store = 5\n", &["store"]),
        ("store = 'x'\nstore = 'y'\n", &["portbook.toml:2"]),
        ("[ranges\n", &["portbook.toml:1"]),
        ("\u{feff}space = 'x'\n", &["byte order mark"]),
    ] {
        let sandbox = Sandbox::configured(text);
        refused(&sandbox, &["allocate", "m", "1"], said);
        refused(&sandbox, &["config"], said);
        assert!(!sandbox.book().exists(), "{text:?} made a book");
    }
    let sandbox = Sandbox::new();
    sandbox.write("portbook.toml", utf16("space = 'x'\n"));
    refused(&sandbox, &["allocate", "m", "1"], &["UTF-16"]);
    refused(
        &sandbox,
        &["allocate", "m", "1", "--config", "none.toml"],
        &["none.toml", "--config"],
    );
    refused(
        &sandbox,
        &["allocate", "m", "1", "--config", "."],
        &["directory"],
    );
}

#[test]
fn an_environment_that_is_none() {
    for (name, value) in [
        ("PORTBOOK_HOST_CHECK", "maybe"),
        ("PORTBOOK_REUSE_DELAY", "-1h"),
        ("PORTBOOK_SPACE", "a\nb"),
        ("PORTBOOK_CONFIG", "none.toml"),
        ("PORTBOOK_PORT_CONFIG", "none.json"),
        ("PORTBOOK_STORE", "nonsense:x"),
    ] {
        let sandbox = Sandbox::new();
        let mut command = sandbox.command();
        command.env(name, value).args(["allocate", "m", "1"]);
        let said = if name == "PORTBOOK_STORE" {
            "nonsense"
        } else {
            name
        };
        crate::kit::Run::of(command).failed_saying(2, &[said]);
        assert!(!sandbox.book().exists(), "{name}");
    }
}
