//! `config`: flag over environment over file over default, and where each value comes from.

use serde_json::Value;

use crate::kit::{Run, Sandbox, each, keys};

/// The value and origin of a key.
#[track_caller]
fn setting(run: &Run, key: &str) -> (String, String) {
    let settings = run.done().json();
    let found = settings
        .as_array()
        .unwrap()
        .iter()
        .find(|setting| setting["key"] == key);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let found = found.unwrap_or_else(|| panic!("no key {key}"));
    assert_eq!(keys(found), ["key", "origin", "value"]);
    (text(&found["value"]), text(&found["origin"]))
}

#[test]
fn each_layer_goes_before_the_next() {
    let sandbox = Sandbox::new();
    let space = |variable: Option<&str>, flags: &[&str]| {
        let mut command = sandbox.command();
        command.args(["config", "--json"]).args(flags);
        if let Some(value) = variable {
            command.env("PORTBOOK_SPACE", value);
        }
        setting(&Run::of(command), "space")
    };
    assert_eq!(space(None, &[]), ("default".into(), "default".into()));
    sandbox.write("portbook.toml", "# mine\nspace = 'of-file'\n");
    let (value, origin) = space(None, &[]);
    assert_eq!(value, "of-file");
    assert!(origin.ends_with("portbook.toml:2"), "{origin}");
    assert_eq!(
        space(Some("of-variable"), &[]),
        ("of-variable".into(), "PORTBOOK_SPACE".into())
    );
    assert_eq!(
        space(Some("of-variable"), &["--space", "of-flag"]),
        ("of-flag".into(), "--space".into())
    );
    // Set to nothing is not set.
    assert_eq!(space(Some(""), &[]).0, "of-file");
}

#[test]
fn the_files_are_looked_for_in_the_order_of_the_contract() {
    let sandbox = Sandbox::new();
    let file = |name: &str, space: &str| sandbox.write(name, format!("space = '{space}'\n"));
    let space = |flags: &str| setting(&sandbox.run(&format!("config --json {flags}")), "space").0;
    file("../config/portbook/config.toml", "of-home");
    assert_eq!(space(""), "of-home");
    file("portbook.toml", "of-folder");
    assert_eq!(space(""), "of-folder");
    file("variable.toml", "of-variable");
    let mut command = sandbox.command();
    command
        .env("PORTBOOK_CONFIG", "variable.toml")
        .args(["config", "--json"]);
    assert_eq!(setting(&Run::of(command), "space").0, "of-variable");
    file("flag.toml", "of-flag");
    assert_eq!(space("--config flag.toml"), "of-flag");
}

#[test]
fn the_book_is_where_it_was_named() {
    let sandbox = Sandbox::without_server("it is about where the file is");
    assert!(
        setting(&sandbox.run("config --json"), "store")
            .0
            .ends_with("data/portbook/portbook.db")
    );
    sandbox.text("allocate one 1 --store sqlite:mine/book.db");
    assert!(sandbox.path("mine/book.db").is_file());
    assert!(!sandbox.book().exists());
    let mut command = sandbox.command();
    command
        .env("PORTBOOK_STORE", "mine/book.db")
        .args(["get", "one", "1"]);
    Run::of(command).done();
    sandbox.write("portbook.toml", "store = 'sqlite:mine/book.db'\n");
    sandbox.text("get one 1");
}

#[test]
fn without_a_home_the_place_has_to_be_named() {
    let sandbox = Sandbox::without_server("it is about where the file is");
    let mut command = sandbox.command();
    command
        .env_remove("HOME")
        .env_remove("XDG_DATA_HOME")
        .env_remove("XDG_CONFIG_HOME")
        .arg("list");
    Run::of(command).failed_saying(2, &["--store"]);
}

#[test]
fn every_key_is_shown_and_so_is_the_host_checks_flag() {
    let sandbox = Sandbox::without_server("it looks whether there is a file");
    let config = sandbox.json("config --no-host-check");
    assert_eq!(
        each(&config, "key"),
        [
            "config",
            "store",
            "space",
            "port_config",
            "host_check",
            "reuse_delay",
            "block",
            "roles",
            "ranges.backend.base",
            "ranges.backend.step",
            "ranges.backend.max",
            "ranges.frontend.base",
            "ranges.frontend.step",
            "ranges.frontend.max",
        ]
    );
    let run = sandbox.run("config --no-host-check --json");
    assert_eq!(
        setting(&run, "host_check"),
        ("false".into(), "--no-host-check".into())
    );
    assert!(
        !sandbox.book().exists(),
        "showing the configuration made a book"
    );
}

#[test]
fn the_example_is_a_configuration_of_defaults() {
    let sandbox = Sandbox::new();
    let defaults = sandbox.json("config");
    let values = |config: &Value| -> Vec<Value> {
        each(config, "value")[1..]
            .iter()
            .map(|value| (*value).clone())
            .collect()
    };
    sandbox.write("portbook.toml", sandbox.text("config --example"));
    assert_eq!(values(&sandbox.json("config")), values(&defaults));
}

#[test]
fn verbose_says_what_is_used() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("allocate one 1 --verbose --space lab");
    assert!(
        run.done().stderr.contains("space = lab (--space)"),
        "{}",
        run.stderr
    );
    assert!(run.stdout.contains("5001"));
}
