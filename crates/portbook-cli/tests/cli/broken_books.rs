//! A book that cannot be reached, read or trusted: exit status 4, one sentence, nothing lost.

use std::fs;

use crate::kit::Sandbox;

/// Every command says the same of a book, and leaves the file as it is.
#[track_caller]
fn refused(sandbox: &Sandbox, said: &[&str]) {
    let before = fs::read(sandbox.book()).ok();
    for line in [
        "allocate m 1",
        "get m 1",
        "list",
        "release m 1",
        "check",
        "stats",
        "history",
        "export",
    ] {
        sandbox.run(line).failed_saying(4, said);
    }
    let error = sandbox.run("allocate m 1 --json").error(4);
    assert!(error["code"].as_str().unwrap().contains("book"), "{error}");
    assert_eq!(
        fs::read(sandbox.book()).ok(),
        before,
        "the file was changed"
    );
}

fn with_file(content: &[u8]) -> Sandbox {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.book().parent().unwrap()).unwrap();
    fs::write(sandbox.book(), content).unwrap();
    sandbox
}

#[test]
fn i12_an_empty_file_is_no_new_book() {
    refused(&with_file(b""), &["not a portbook book", "empty"]);
}

#[test]
fn i12_a_foreign_file_is_left_alone() {
    refused(
        &with_file(b"dear diary, today I opened port 5001"),
        &["not a portbook book"],
    );
}

#[test]
fn i12_a_foreign_database_is_left_alone() {
    let sandbox = with_file(b"");
    fs::remove_file(sandbox.book()).unwrap();
    sandbox.hand("CREATE TABLE recipes (id INTEGER PRIMARY KEY)");
    refused(&sandbox, &["not a portbook book"]);
}

#[test]
fn i12_a_newer_schema_is_left_to_the_newer_program() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate m 1");
    let schema: i64 = rusqlite::Connection::open(sandbox.book())
        .and_then(|book| book.query_row("PRAGMA user_version", [], |row| row.get(0)))
        .unwrap();
    sandbox.hand("PRAGMA user_version = 99");
    refused(&sandbox, &["schema 99", "newer portbook"]);
    sandbox.hand(&format!("PRAGMA user_version = {schema}"));
    assert_eq!(sandbox.pair("get m 1"), (5001, 8001));
}

#[test]
fn i12_a_torn_file_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate m 1-50");
    let whole = fs::read(sandbox.book()).unwrap();
    for suffix in ["-wal", "-shm"] {
        let mut name = sandbox.book().into_os_string();
        name.push(suffix);
        let _ = fs::remove_file(name);
    }
    fs::write(sandbox.book(), &whole[..whole.len().min(1000)]).unwrap();
    sandbox.run("allocate m 1").failed(4);
    fs::write(sandbox.book(), &whole[..100]).unwrap();
    sandbox.run("list").failed(4);
}

#[test]
fn a_directory_is_no_book() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.book()).unwrap();
    sandbox
        .run("allocate m 1")
        .failed_saying(4, &["portbook.db"]);
    sandbox.run("list").failed(4);
}

#[test]
fn a_place_below_a_file_is_none() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "");
    sandbox
        .run("allocate m 1 --store sqlite:file/portbook.db")
        .failed_saying(4, &["file/portbook.db"]);
    sandbox
        .run("list --store sqlite:file/portbook.db")
        .failed_saying(4, &["file is not a directory"]);
    sandbox
        .run("allocate m 1 --store sqlite:/proc/portbook/portbook.db")
        .failed(4);
    sandbox.run("list --store sqlite:/dev/null").failed(4);
    let long = "x".repeat(5000);
    sandbox
        .run(&format!("list --store sqlite:{long}"))
        .failed(4);
}

#[test]
fn work_goes_on_when_the_cause_is_gone() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate m 1");
    let away = sandbox.path("away");
    let book = sandbox.book();
    let folder = book.parent().unwrap();
    fs::rename(folder, &away).unwrap();
    fs::write(folder, "in the way").unwrap();
    sandbox.run("allocate m 2").failed(4);
    fs::remove_file(folder).unwrap();
    fs::rename(&away, folder).unwrap();
    assert_eq!(sandbox.pair("allocate m 2"), (5003, 8003));
}

#[test]
fn doctor_says_which_book_is_unfit() {
    let sandbox = with_file(b"");
    let run = sandbox.run("doctor");
    run.ended(1);
    assert!(run.stdout.contains("FAIL book"), "{}", run.stdout);
}
