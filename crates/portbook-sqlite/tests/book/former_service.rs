//! The service that portbook replaces: its databases, and programs that read them.

use std::path::Path;

use portbook_model::{Change, Lease, Port, ReleaseCause, Role, Span, Timestamp};
use portbook_sqlite::legacy::{LegacyError, LegacyRow};
use portbook_sqlite::read_legacy;
use rusqlite::Connection;

use crate::support::{Folder, allocated, app, commit, ports};

#[test]
fn programs_for_the_former_service_read_what_is_held() {
    let folder = Folder::with_a_book();
    let store = folder.open();
    let extended = Change::Extended {
        app: app(2),
        ports: [(Role::new("db").unwrap(), Port::new(7000).unwrap())].into(),
    };
    let renewed = Change::Renewed {
        app: app(2),
        lease: Lease {
            expires_at: Timestamp::from_millis(1_800_000_000_000),
            ttl: Span::from_millis(1000),
        },
    };
    let released = Change::Released {
        app: app(1),
        ports: ports(1),
        cause: ReleaseCause::Asked,
    };
    commit(&store, vec![allocated(2), extended, renewed, released]).unwrap();
    drop(store);
    let book = folder.by_hand();
    let row: (String, i64, i64, i64, bool, String, String, String) = book
        .query_row(
            "SELECT model, app_num, frontend_port, backend_port, is_available, metadata_json, created_at, updated_at
             FROM port_configurations",
            [],
            |row| row.try_into(),
        )
        .unwrap();
    let metadata = r#"{"source":"dynamic","ports":{"backend":5003,"db":7000,"frontend":8003}}"#;
    let time = "2023-11-14 22:13:20.123000";
    assert_eq!(
        row,
        (
            "m".into(),
            2,
            8003,
            5003,
            true,
            metadata.into(),
            time.into(),
            time.into()
        )
    );
    let rows = "SELECT count(*) FROM port_configurations";
    assert_eq!(book.query_row(rows, [], |row| row.get(0)), Ok(1));
}

fn old_database(path: &Path, statements: &str) {
    Connection::open(path)
        .unwrap()
        .execute_batch(statements)
        .unwrap();
}

const OLD_TABLE: &str = "
    CREATE TABLE port_configurations (
        id INTEGER PRIMARY KEY, model VARCHAR(200) NOT NULL, app_num INTEGER NOT NULL,
        frontend_port INTEGER UNIQUE, backend_port INTEGER UNIQUE, is_available BOOLEAN,
        metadata_json TEXT, created_at DATETIME, updated_at DATETIME
    );
    INSERT INTO port_configurations VALUES
        (3, 'x-ai_grok-4', 2, 8003, 5003, 1, '{}', '2025-05-01 10:00:00.250000', NULL),
        (1, 'openai_gpt-4', 1, 8001, 5001, 1, NULL, NULL, NULL),
        (7, 'odd', 'one', NULL, 'http', 0, '', 'yesterday', '');";

fn row(row: i64, texts: [&str; 4], created_at: Option<i64>) -> LegacyRow {
    let [model, app_num, backend, frontend] = texts.map(str::to_owned);
    LegacyRow {
        row,
        model,
        app_num,
        backend,
        frontend,
        created_at: created_at.map(Timestamp::from_millis),
    }
}

#[test]
fn an_old_database_is_read_as_it_lies_and_left_so() {
    let expected = [
        row(1, ["openai_gpt-4", "1", "5001", "8001"], None),
        row(
            3,
            ["x-ai_grok-4", "2", "5003", "8003"],
            Some(1_746_093_600_250),
        ),
        row(7, ["odd", "one", "http", ""], None),
    ];
    for mode in ["DELETE", "WAL"] {
        let folder = Folder::empty();
        old_database(
            &folder.book,
            &format!("PRAGMA journal_mode = {mode}; {OLD_TABLE}"),
        );
        let before = std::fs::read(&folder.book).unwrap();
        assert_eq!(read_legacy(&folder.book).unwrap(), expected, "{mode}");
        assert_eq!(std::fs::read(&folder.book).unwrap(), before, "{mode}");
    }
    // While the old service runs, in a journal that is not in the file yet.
    let folder = Folder::empty();
    let running = folder.by_hand();
    running
        .execute_batch(&format!("PRAGMA journal_mode = WAL; {OLD_TABLE}"))
        .unwrap();
    assert_eq!(read_legacy(&folder.book).unwrap(), expected);
}

#[test]
fn a_database_without_times_or_row_numbers_is_read_too() {
    let folder = Folder::empty();
    old_database(
        &folder.book,
        "CREATE TABLE port_configurations (Model, App_Num, Backend_Port, Frontend_Port, PRIMARY KEY (Model, App_Num)) WITHOUT ROWID;
         INSERT INTO port_configurations VALUES ('b', 2, 5003.0, '8003'), ('a', '1', '5001', 8001)",
    );
    let expected = [
        row(1, ["a", "1", "5001", "8001"], None),
        row(2, ["b", "2", "5003", "8003"], None),
    ];
    assert_eq!(read_legacy(&folder.book).unwrap(), expected);
}

#[test]
fn what_is_no_old_database_is_told_apart() {
    let path = |folder: &Folder| folder.book.display().to_string();
    let refusal = |folder: &Folder| read_legacy(&folder.book).unwrap_err();

    let folder = Folder::empty();
    assert!(matches!(refusal(&folder), LegacyError::Unreachable { .. }));
    std::fs::write(&folder.book, vec![7; 5000]).unwrap();
    assert_eq!(
        refusal(&folder),
        LegacyError::NotSqlite {
            path: path(&folder)
        }
    );

    let folder = Folder::with_a_book();
    assert_eq!(
        refusal(&folder),
        LegacyError::OwnBook {
            path: path(&folder)
        }
    );

    let folder = Folder::empty();
    old_database(&folder.book, "CREATE TABLE other (x)");
    assert_eq!(
        refusal(&folder),
        LegacyError::NoTable {
            path: path(&folder)
        }
    );
    // SQLite takes an empty file for an empty database.
    std::fs::write(&folder.book, "").unwrap();
    assert_eq!(
        refusal(&folder),
        LegacyError::NoTable {
            path: path(&folder)
        }
    );

    let folder = Folder::empty();
    old_database(
        &folder.book,
        "CREATE TABLE port_configurations (model, app_num, frontend_port)",
    );
    let column = "backend_port";
    assert_eq!(
        refusal(&folder),
        LegacyError::NoColumn {
            path: path(&folder),
            column
        }
    );
    assert!(
        refusal(&folder)
            .to_string()
            .contains("has no column backend_port")
    );
}
