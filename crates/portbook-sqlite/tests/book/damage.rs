//! Rows that no portbook writes.

use portbook_model::{Change, Needs, ReleaseCause, Revision, Space, Timestamp};
use portbook_sqlite::SqliteStore;
use portbook_store::{Filter, HistoryFilter, Store, StoreError};

use crate::support::{Folder, allocated, app, commit, ports};

/// Reads everything that there is to read, and returns the first refusal.
fn read_all(folder: &Folder) -> Result<(), StoreError> {
    let store = folder.open();
    let mut reading = store.read()?;
    let space = Space::default();
    reading.head()?;
    reading.changes_since(Revision(0))?;
    let mut book = reading.space(&space, Timestamp::from_millis(i64::MIN))?;
    let needs = Needs {
        apps: [app(1), app(2)].into(),
        every_owner: true,
        ..Needs::default()
    };
    reading.load(&space, &needs, &mut book)?;
    reading.allocations(&Filter::default())?;
    reading.lapsed(Timestamp::from_millis(i64::MAX))?;
    reading.history(&HistoryFilter::default())?;
    reading.spaces()?;
    Ok(())
}

#[test]
fn a_row_that_makes_no_sense_is_named_and_never_a_panic() {
    let wrongs = [
        ("DELETE FROM book", "a row is missing"),
        (
            "UPDATE changes SET revision = -1",
            "its revision is below 0",
        ),
        ("UPDATE changes SET at = 'today'", "column"),
        ("UPDATE apps SET identity = 'other'", "a row of ports"),
        ("UPDATE apps SET app_num = 0", "a row of ports"),
        ("UPDATE apps SET app_num = 'one'", "a row of ports"),
        ("UPDATE models SET spelling = ''", "m/app1"),
        ("UPDATE models SET spelling = x'ff00'", "m/app1"),
        ("UPDATE models SET spelling = 'other'", "m/app1"),
        ("DELETE FROM models", "not among the models"),
        ("UPDATE apps SET source = 'magic'", "m/app1"),
        ("UPDATE apps SET created_at = 'today'", "m/app1"),
        ("UPDATE apps SET released_at = 'today'", "m/app1"),
        ("UPDATE apps SET expires_at = 1", "m/app1"),
        (
            "UPDATE apps SET space = 'NO'; UPDATE ports SET space = 'NO'",
            "the name of a space",
        ),
        (
            "UPDATE ports SET port = 0 WHERE role = 'backend'",
            "a row of ports",
        ),
        (
            "UPDATE ports SET port = 65536 WHERE role = 'backend'",
            "a row of ports",
        ),
        (
            "UPDATE ports SET port = 'http' WHERE role = 'backend'",
            "a row of ports",
        ),
        (
            "UPDATE ports SET role = 'NO' WHERE role = 'backend'",
            "a row of ports",
        ),
        ("UPDATE ports SET identity = 'n'", "has none"),
        (
            "INSERT INTO ports VALUES ('default', 9, 99, 'n', 'x')",
            "not there",
        ),
        ("DELETE FROM ports", "has none"),
        (
            "INSERT INTO rests VALUES ('default', 7, 1, '', 1)",
            "a row of rests",
        ),
        (
            "INSERT INTO pools VALUES ('default', 'p', 9, 8, 'm')",
            "a row of pools",
        ),
        (
            "INSERT INTO promise_files VALUES ('default', 'f', 'd', '{')",
            "a row of promise_files",
        ),
        ("UPDATE changes SET payload = '{}'", "the change 1"),
        ("UPDATE changes SET commit_id = 'short'", "the change 1"),
        ("DROP TABLE pools", "no such table: pools"),
    ];
    for (wrong, named) in wrongs {
        let folder = Folder::with_a_book();
        read_all(&folder).unwrap();
        let hand = folder.by_hand();
        hand.execute_batch(&format!("PRAGMA ignore_check_constraints = ON; {wrong}"))
            .unwrap();
        drop(hand);
        let error = read_all(&folder).expect_err(wrong);
        assert!(
            matches!(error, StoreError::Damaged { .. }),
            "{wrong}: {error:?}"
        );
        let text = error.to_string();
        assert!(
            text.contains(named) && text.contains("ports.db"),
            "{wrong}: {text}"
        );
        let audited = folder.open().read().unwrap().audit(&Space::default());
        audited.expect(wrong);
    }
}

#[test]
fn an_audit_shows_rows_that_the_keys_should_have_refused() {
    let folder = Folder::with_a_book();
    commit(&folder.open(), vec![allocated(2)]).unwrap();
    let hand = folder.by_hand();
    // A copy of the table without its keys, as a hand-made repair might leave it.
    hand.execute_batch(
        "CREATE TABLE loose AS SELECT * FROM ports;
         DROP TABLE ports;
         CREATE TABLE ports AS SELECT * FROM loose;
         INSERT INTO ports VALUES
             ('default', 5001, 2, 'm', 'third'),
             ('default', 70000, 2, 'm', 'fourth'),
             ('default', 6000, 77, 'm', 'backend'),
             ('default', 'http', 1, 'm', 'fifth');
         UPDATE models SET spelling = 'n';",
    )
    .unwrap();
    drop(hand);
    let audit = folder
        .open()
        .read()
        .unwrap()
        .audit(&Space::default())
        .unwrap();
    let of = |port: i64| -> Vec<Option<String>> {
        let claims = audit.claims.iter().filter(|claim| claim.port == port);
        claims.map(|claim| claim.app.clone()).collect()
    };
    let name = |name: &str| Some(name.to_owned());
    assert_eq!(of(5001), [name("n/app1"), name("n/app2")]);
    assert_eq!(of(70000), [name("n/app2")]);
    assert_eq!(of(6000), [None]);
    assert_eq!(audit.apps, ["n/app1", "n/app2"]);
    let damage = audit.damage.join("\n");
    for told in [
        "`http`",
        "n/app2 has the identity `m`",
        "70000 is the fourth of n/app2, which does not list it",
        "the table ports is not as portbook makes it",
    ] {
        assert!(damage.contains(told), "{told}: {damage}");
    }
}

#[test]
fn an_audit_goes_on_where_a_table_is_gone() {
    let folder = Folder::with_a_book();
    folder.by_hand().execute_batch("DROP TABLE ports").unwrap();
    let audit = folder
        .open()
        .read()
        .unwrap()
        .audit(&Space::default())
        .unwrap();
    assert_eq!(audit.apps, ["m/app1"]);
    assert_eq!(audit.claims, []);
    assert!(
        audit.damage.iter().any(|line| line.contains("ports")),
        "{audit:?}"
    );
}

/// An app whose list is wrong holds what it holds, and can give it back. (A list that lacks a port is
/// for the audit to tell.)
#[test]
fn i10_the_rows_of_ports_outvote_what_an_app_lists() {
    for list in ["[]", "all", "[5003,8001]", "[8001,5001,9,10]"] {
        let folder = Folder::with_a_book();
        let wrong = format!("UPDATE apps SET ports = '{list}'");
        folder.by_hand().execute_batch(&wrong).unwrap();
        let store = folder.open();
        let held = |store: &SqliteStore| {
            let mut reading = store.read().unwrap();
            let record = reading.app(&Space::default(), &app(1)).unwrap();
            record.and_then(|record| Some(record.held()?.ports.clone()))
        };
        assert_eq!(held(&store), Some(ports(1)), "{list}");
        let released = Change::Released {
            app: app(1),
            ports: ports(1),
            cause: ReleaseCause::Asked,
        };
        commit(&store, vec![released]).unwrap();
        assert_eq!(held(&store), None);
    }
}

#[test]
fn an_audit_compares_what_the_apps_list_with_the_rows_of_their_ports() {
    let cases = [
        (
            "DELETE FROM ports WHERE port = 5001",
            "m/app1 lists port 5001, which is not its own",
        ),
        (
            "UPDATE ports SET app_num = 2 WHERE port = 5001",
            "m/app1 lists port 5001, which is not its own",
        ),
        (
            "INSERT INTO ports VALUES ('default', 9, 1, 'm', 'db')",
            "port 9 is the db of m/app1, which does not list it",
        ),
        (
            "UPDATE apps SET released_at = 1",
            "port 5001 is the backend of m/app1, which gave its ports back",
        ),
        (
            "UPDATE apps SET ports = 'all'",
            "m/app1 lists its ports as `all`",
        ),
    ];
    for (wrong, told) in cases {
        assert_audit_tells(wrong, told);
    }
}

#[test]
fn an_audit_tells_what_is_missing_or_other_than_portbook_makes_it() {
    let cases = [
        (
            "DROP VIEW port_configurations",
            "the view port_configurations is missing",
        ),
        (
            "DROP INDEX rests_by_time",
            "the index rests_by_time is missing",
        ),
        ("DROP TABLE pools", "the table pools is missing"),
        (
            "DROP INDEX apps_by_end; CREATE INDEX apps_by_end ON apps (source)",
            "the index apps_by_end is not as portbook makes it",
        ),
        (
            "CREATE TRIGGER t AFTER INSERT ON ports BEGIN DELETE FROM ports; END",
            "the trigger t changes",
        ),
    ];
    for (wrong, told) in cases {
        assert_audit_tells(wrong, told);
    }
}

fn assert_audit_tells(wrong: &str, told: &str) {
    let folder = Folder::with_a_book();
    folder.by_hand().execute_batch(wrong).unwrap();
    let audit = folder
        .open()
        .read()
        .unwrap()
        .audit(&Space::default())
        .unwrap();
    let damage = audit.damage.join("\n");
    assert!(damage.contains(told), "{wrong}: {damage}");
}
