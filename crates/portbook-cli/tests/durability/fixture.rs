//! Books of each schema that ever was, as they were written then: every later version opens them.
//!
//! `cargo test -p portbook-cli --test durability fixture -- --ignored` writes the one of this version's
//! schema where it is missing. One that is there is never written again.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::Desk;
use crate::ledger::ports_of;

const CONFIGURATION: &str = "
[ranges.db]
base = 15001
";

/// The changes of each book, in order.
const CHANGES: [(&str, &str); 15] = [
    ("promised", "promised/model/app3"),
    ("allocated", "openai_gpt-4/app1"),
    ("allocated", "openai_gpt-4/app2"),
    ("allocated", "x-ai/grok-4/app1"),
    ("extended", "x-ai/grok-4/app1"),
    ("pool-added", "gpus"),
    ("allocated", "pooled/app1"),
    ("allocated", "pinned/app1"),
    ("released", "openai_gpt-4/app2"),
    ("allocated", "leased/app1"),
    ("renewed", "leased/app1"),
    ("allocated", "brief/app1"),
    ("released", "brief/app1"),
    ("allocated", "promised/model/app3"),
    ("unpromised", ""),
];

fn fixture(schema: i64) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!(
        "../portbook-sqlite/tests/fixtures/book-of-schema-{schema}.db"
    ))
}

fn schema_of(book: &Path) -> i64 {
    let book = rusqlite::Connection::open(book).unwrap();
    book.query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap()
}

#[test]
#[ignore = "writes the fixture of this version's schema"]
fn write_the_fixture() {
    let desk = Desk::new();
    desk.configure(CONFIGURATION);
    let promises = json!([
        { "model": "promised/model", "app_number": 3, "backend_port": 6001, "frontend_port": 9001 },
        { "model": "openai_gpt-4", "app_number": 9, "backend_port": 6003, "frontend_port": 9003 },
    ]);
    fs::write(desk.root().join("port_config.json"), promises.to_string()).unwrap();
    let as_alice = |words: &str| {
        let output = desk.portbook(words).env("USER", "alice").output().unwrap();
        crate::kit::Done::of(words, output).ok();
    };
    as_alice("allocate openai_gpt-4 1-2");
    as_alice("allocate x-ai/grok-4 1");
    as_alice("allocate x-ai/grok-4 1 --roles db");
    as_alice("pool add gpus 20000-20999 pooled*");
    as_alice("allocate pooled 1");
    as_alice("allocate pinned 1 --ports backend=7777,frontend=9999");
    as_alice("release openai_gpt-4 2");
    as_alice("allocate leased 1 --ttl 36500d");
    as_alice("renew leased 1 --ttl 36400d");
    as_alice("allocate brief 1 --ttl 1ms");
    thread::sleep(Duration::from_millis(20));
    // Reclaims what ended, too.
    as_alice("allocate promised/model 3");
    as_alice("import --forget port_config.json");
    as_alice("allocate other 1 --space elsewhere");
    assert!(!desk.beside("-wal").exists());
    let schema = schema_of(&desk.book());
    let fixture = fixture(schema);
    assert!(
        !fixture.exists(),
        "the book of schema {schema} is kept as it is"
    );
    fs::create_dir_all(fixture.parent().unwrap()).unwrap();
    fs::copy(desk.book(), &fixture).unwrap();
    let length = fs::metadata(&fixture).unwrap().len();
    assert!(length < 100 * 1024, "{length} bytes");
}

#[test]
fn a_book_of_the_first_schema_opens() {
    opens_and_is_written_to(&fixture(1), 1);
}

#[test]
fn a_book_of_the_second_schema_opens() {
    opens_and_is_written_to(&fixture(2), 2);
}

#[test]
fn every_schema_has_its_book() {
    let desk = Desk::new();
    desk.run("allocate model 1").ok();
    for schema in 1..=schema_of(&desk.book()) {
        assert!(
            fixture(schema).exists(),
            "no book of schema {schema} is kept"
        );
    }
}

fn opens_and_is_written_to(fixture: &Path, schema: i64) {
    let desk = Desk::new();
    desk.put_book(&fs::read(fixture).unwrap());
    assert_eq!(schema_of(&desk.book()), schema);
    let history = desk.json("history");
    let history = history.as_array().unwrap();
    let told: Vec<(String, String)> = history
        .iter()
        .map(|change| {
            let app = match (change["model"].as_str(), change["app_num"].as_u64()) {
                (Some(model), Some(number)) => format!("{model}/app{number}"),
                _ => change["pool"]["name"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            };
            (change["change"].as_str().unwrap().to_owned(), app)
        })
        .collect();
    for (kind, what) in CHANGES {
        let is_it = |(told_kind, told_what): &(String, String)| {
            told_kind == kind && (told_what == what || told_what.is_empty())
        };
        assert!(
            told.iter().any(is_it),
            "{kind} {what} is missing: {told:#?}"
        );
    }
    assert_eq!(told.len(), CHANGES.len(), "{told:#?}");
    assert!(
        history
            .iter()
            .all(|change| change["by"].as_str().unwrap().starts_with("alice"))
    );

    let ports = |words: &str| ports_of(&desk.json(words));
    let pair = |backend: u64, frontend: u64| {
        ports_of(&json!({ "ports": { "backend": backend, "frontend": frontend } }))
    };
    assert_eq!(ports("get openai_gpt-4 1"), pair(5001, 8001));
    assert_eq!(ports("get pinned 1"), pair(7777, 9999));
    assert_eq!(ports("get promised/model 3"), pair(6001, 9001));
    assert_eq!(ports("get pooled 1"), pair(20000, 20001));
    let grok = ports("get x-ai/grok-4 1");
    assert_eq!(grok["db"], 15001);
    let listed = desk.json("list");
    let models: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|app| app["model"].as_str().unwrap())
        .collect();
    assert_eq!(
        models,
        [
            "leased",
            "openai_gpt-4",
            "pinned",
            "pooled",
            "promised/model",
            "x-ai/grok-4"
        ]
    );
    assert_eq!(
        desk.json("list --space elsewhere")
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(desk.json("check"), Value::Array(Vec::new()));

    // And it is written to: whoever is new gets the lowest that is free.
    // Its former ones are somebody else's by now.
    assert_eq!(ports("allocate openai_gpt-4 2"), pair(5007, 8007));
    desk.run("renew leased 1").ok();
    desk.run("release x-ai/grok-4 1").ok();
    assert_eq!(ports("allocate fresh 1"), pair(5005, 8005));
    assert_eq!(desk.json("check"), Value::Array(Vec::new()));
    let after = desk.json("history");
    assert_eq!(after.as_array().unwrap().len(), CHANGES.len() + 4);
}
