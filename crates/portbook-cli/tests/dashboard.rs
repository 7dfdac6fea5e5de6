//! The dashboard in a real browser, served by the real command.
//!
//! What is tested stands in `crates/portbook-server/tests/browser`, one file a subject, in the language
//! of the page. `scripts/test` installs what they need.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "this is a test")]

use std::path::Path;
use std::process::Command;

fn run(file: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../portbook-server/tests/browser");
    assert!(
        folder.join("node_modules/playwright-core").exists(),
        "the browser's driver is missing: run `npm ci` in {}",
        folder.display()
    );
    let output = Command::new("node")
        .args(["--test", "--test-reporter=spec", file])
        .current_dir(&folder)
        .env("PORTBOOK", env!("CARGO_BIN_EXE_portbook"))
        .output()
        .expect("node is installed");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_map_shows_and_says_what_each_port_is() {
    run("map.test.mjs");
}

#[test]
fn the_table_of_14_000_apps_is_searched_and_sorted_by_a_screenful() {
    run("apps.test.mjs");
}

#[test]
fn changes_are_seen_and_made() {
    run("changes.test.mjs");
}

#[test]
fn the_page_is_for_everybody_and_stays_at_home() {
    run("page.test.mjs");
}

#[test]
fn pages_from_elsewhere_are_refused() {
    run("elsewhere.test.mjs");
}
