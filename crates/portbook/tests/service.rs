//! Promises of the service that need one process to live through something.

// A test that cannot go on has failed.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use portbook::model::{AllocationRequest, AppKey, AppNumber, Model, Span};
use portbook::{Configuration, Environment, Error, Flags, PortAllocationService};
use tempfile::TempDir;

struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Desk(tempfile::tempdir().unwrap())
    }

    fn book(&self) -> PathBuf {
        self.0.path().join("portbook.db")
    }

    fn service(&self) -> PortAllocationService {
        let flags = Flags {
            store: Some(format!("sqlite:{}", self.book().display())),
            no_host_check: true,
            ..Flags::default()
        };
        let environment = Environment::new(self.0.path(), [("HOME", self.0.path())]);
        let configuration = Configuration::load(&flags, &environment).unwrap();
        PortAllocationService::open(&configuration).unwrap()
    }

    fn by_another_hand(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.book()).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

fn app(model: &str, number: u32) -> AppKey {
    AppKey::new(Model::new(model).unwrap(), AppNumber::new(number).unwrap())
}

fn leased(model: &str, millis: u64) -> AllocationRequest {
    AllocationRequest {
        ttl: Some(Span::from_millis(millis)),
        ..AllocationRequest::plain(vec![app(model, 1)])
    }
}

fn copy(from: &Path, to: &Path) {
    let aside = to.with_extension("aside");
    fs::copy(from, &aside).unwrap();
    fs::rename(aside, to).unwrap();
}

#[test]
fn i5_a_book_that_went_back_is_noticed_after_a_failed_call_too() {
    let desk = Desk::new();
    desk.service().get_or_allocate_ports("m", 1).unwrap();
    let backup = desk.0.path().join("backup.db");
    fs::copy(desk.book(), &backup).unwrap();
    let service = desk.service();
    service.get_or_allocate_ports("m", 2).unwrap();
    service.get_or_allocate_ports("m", 3).unwrap();

    let broken = desk.write("broken.db", "this is no book");
    copy(&broken, &desk.book());
    service.get_or_allocate_ports("m", 4).unwrap_err();
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(desk.0.path().join(format!("portbook.db{suffix}")));
    }
    copy(&backup, &desk.book());
    let error = service.get_or_allocate_ports("z", 9).unwrap_err();
    assert_eq!(error.code(), "book-went-back", "{error}");
}

#[test]
fn i5_an_import_is_not_refused_for_a_lease_that_has_ended() {
    let desk = Desk::new();
    let service = desk.service();
    service.allocate(&leased("m", 1)).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    let file = desk.write(
        "apps.json",
        r#"[{"model":"n","app_num":1,"backend_port":5001,"frontend_port":8001}]"#,
    );
    assert_eq!(service.import(&file).unwrap().imported, 1);
}

#[test]
fn i11_a_clock_that_was_put_back_does_not_bring_a_lease_back_to_life() {
    let desk = Desk::new();
    let service = desk.service();
    service.allocate(&leased("m", 60_000)).unwrap();
    service.get(&app("m", 1)).unwrap();
    desk.by_another_hand("UPDATE changes SET at = at + 86400000");
    assert!(matches!(
        service.get(&app("m", 1)),
        Err(Error::Lapsed { .. })
    ));
    assert!(service.allocations(None).unwrap().is_empty());
}

#[test]
fn i10_check_finds_what_another_hand_did_to_the_rows() {
    let cases = [
        (
            "PRAGMA ignore_check_constraints = 1; UPDATE ports SET port = 70000 WHERE port = 5001",
            "70000",
        ),
        ("UPDATE apps SET source = 'weird'", "weird"),
        (
            "DELETE FROM changes WHERE revision = 2",
            "not by its history",
        ),
        (
            "DROP VIEW port_configurations",
            "port_configurations is missing",
        ),
        (
            "DELETE FROM changes WHERE revision = 1",
            "records 1 changes",
        ),
        ("UPDATE ports SET port = 5055 WHERE port = 5001", "5055"),
    ];
    for (sql, told) in cases {
        let desk = Desk::new();
        desk.service().get_or_allocate_ports("m", 1).unwrap();
        desk.service().get_or_allocate_ports("m", 2).unwrap();
        desk.by_another_hand(sql);
        let conflicts = desk.service().check(false).unwrap();
        assert!(
            conflicts
                .iter()
                .any(|conflict| conflict.message.contains(told)),
            "{sql}: {conflicts:#?}"
        );
    }
}

#[test]
fn importing_again_changes_nothing_though_an_app_got_a_further_role() {
    let desk = Desk::new();
    desk.write("portbook.toml", "[ranges.ws]\nbase = 15001\n");
    let file = desk.write(
        "apps.json",
        r#"[{"model":"a","app_number":1,"backend_port":5101,"frontend_port":8101}]"#,
    );
    let service = desk.service();
    service.import(&file).unwrap();
    let mut request = AllocationRequest::plain(vec![app("a", 1)]);
    request.roles.insert("ws".parse().unwrap());
    service.allocate(&request).unwrap();
    let report = service.import(&file).unwrap();
    assert_eq!((report.imported, report.unchanged), (0, 1));
}
