//! The book of documentation is true: every command in it is run, every link leads somewhere.
//!
//! A page is followed from its first block to its last, as a reader would, in a home of its own and
//! on a machine whose ports nobody else uses (a network namespace). In a fence's line:
//!
//! - `console`: lines after `$ ` are commands, those after `> ` go on with them, the others are what is
//!   shown: `[..]` stands for anything in a line, a line `...` for any lines;
//! - `console,stays`: one command that is still running when the next ones are given;
//! - `console,needs=NAME`: not run, because of what [`NEEDS`] says;
//! - `LANGUAGE,file=NAME`: what the reader puts into a file.
//!
//! `PORTBOOK_BOOK=update cargo test -p portbook-cli
//! --test book` writes what the commands show now into the pages: read the difference before keeping it.

#![allow(
    clippy::unwrap_used,
    reason = "what a helper of a test cannot have fails the test"
)]

mod following;
mod links;
mod page;
mod pattern;
mod session;

use std::path::{Path, PathBuf};

use following::follow;
use page::{Page, Step};

/// Why a block is not run, by the name that its fence gives.
const NEEDS: &[(&str, &str)] = &[
    (
        "engine",
        "starts containers; the image of the server is tried by `scripts/check-image`, what is asked of engines by the \
         target `engine` of the tests",
    ),
    (
        "framework",
        "runs a server of a framework; the target `run` of the tests does it with real ones",
    ),
    ("systemd", "changes services of the machine that it runs on"),
    ("packages", "installs on the machine that it runs on"),
    (
        "database",
        "asks a database server or a cluster on other machines",
    ),
];

/// The blocks that are not run, page by page. A new one belongs here, and has to be worth it.
const NOT_RUN: &[(&str, &str)] = &[
    ("guides/agents.md", "framework"),
    ("guides/ci.md", "framework"),
    ("guides/compose.md", "engine"),
    ("guides/compose.md", "engine"),
    ("guides/fleet.md", "database"),
    ("guides/fleet.md", "database"),
    ("guides/team-server.md", "systemd"),
    ("guides/team-server.md", "engine"),
    ("tutorial.md", "packages"),
];

/// The folder of the pages.
fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/book/src")
}

/// Every page, by its path below the folder, in alphabetical order.
fn pages() -> Vec<String> {
    fn gather(folder: &Path, below: &Path, pages: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                gather(&path, below, pages);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let name = path.strip_prefix(below).unwrap().to_str().unwrap();
                pages.push(name.to_owned());
            }
        }
    }
    let mut pages = Vec::new();
    gather(&source(), &source(), &mut pages);
    pages.sort();
    pages
}

/// A test for each page that has commands.
macro_rules! followed {
    ($($test:ident: $page:literal,)*) => {
        $(#[test] fn $test() { follow($page); })*

        #[test]
        fn every_page_with_commands_is_followed() {
            let followed = [$($page),*];
            for name in pages() {
                let steps = Page::read(&name).steps;
                assert!(
                    steps.is_empty() || followed.contains(&name.as_str()),
                    "add {name} to the pages that are followed"
                );
            }
        }
    };
}

followed! {
    introduction: "introduction.md",
    tutorial: "tutorial.md",
    moving_from_the_old_service: "guides/old-service.md",
    compose: "guides/compose.md",
    continuous_integration: "guides/ci.md",
    agents_and_worktrees: "guides/agents.md",
    a_team_server: "guides/team-server.md",
    a_fleet: "guides/fleet.md",
    upgrading_and_going_back: "guides/upgrading.md",
    configuration: "reference/configuration.md",
    json: "reference/json.md",
    rest: "reference/rest.md",
    exit_statuses: "reference/exit-statuses.md",
    how_a_port_is_chosen: "explanation/choosing.md",
    what_is_promised: "explanation/promises.md",
    why_ports_clash: "explanation/clashes.md",
}

#[test]
fn what_is_not_run_is_known_and_has_its_reason() {
    let mut left = Vec::new();
    for name in pages() {
        for step in Page::read(&name).steps {
            if let Step::NotRun { needs } = step {
                assert!(
                    NEEDS.iter().any(|(known, _)| *known == needs),
                    "{name}: no reason is known for `needs={needs}`"
                );
                left.push((name.clone(), needs));
            }
        }
    }
    let known: Vec<(String, String)> = NOT_RUN
        .iter()
        .map(|(page, needs)| ((*page).to_owned(), (*needs).to_owned()))
        .collect();
    assert_eq!(left, known, "the list NOT_RUN says otherwise");
}

#[test]
fn the_page_about_rest_has_every_route() {
    let page = std::fs::read_to_string(source().join("reference/rest.md")).unwrap();
    for path in portbook_server::openapi_document().paths.paths.keys() {
        assert!(page.contains(path.as_str()), "{path} is missing");
    }
}
