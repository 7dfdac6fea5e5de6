//! Rows that no portbook writes.

use portbook_model::{Needs, Revision, Space, Timestamp};
use portbook_store::{Filter, HistoryFilter, Store, StoreError};

use crate::support::{Folder, allocated, app, commit};

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
        ("UPDATE head SET revision = -1", "the head"),
        ("UPDATE head SET revision = 'x'", "revision"),
        ("DELETE FROM head", "a row is missing"),
        ("UPDATE apps SET identity = 'other'", "the row 1 of apps"),
        ("UPDATE apps SET app_num = 0", "a row of ports"),
        ("UPDATE apps SET app_num = 'one'", "a row of ports"),
        ("UPDATE apps SET model = ''", "the row 1 of apps"),
        ("UPDATE apps SET model = x'ff00'", "the row 1 of apps"),
        ("UPDATE apps SET state = 'lost'", "the row 1 of apps"),
        ("UPDATE apps SET state = 'former'", "the row 1 of apps"),
        ("UPDATE apps SET source = 'magic'", "the row 1 of apps"),
        ("UPDATE apps SET created_at = 'today'", "the row 1 of apps"),
        ("UPDATE apps SET expires_at = 1", "the row 1 of apps"),
        ("UPDATE apps SET space = 'NO'", "the name of a space"),
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
            "the row 1 of apps",
        ),
        ("UPDATE ports SET app_id = 99", "has none"),
        (
            "INSERT INTO ports VALUES ('default', 9, 99, 'x')",
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
             ('default', 5001, 2, 'third'),
             ('default', 70000, 2, 'fourth'),
             ('default', 6000, 77, 'backend'),
             ('default', 'http', 1, 'fifth');
         UPDATE apps SET identity = 'n' WHERE id = 2;",
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
    assert_eq!(of(5001), [name("m/app1"), name("m/app2")]);
    assert_eq!(of(70000), [name("m/app2")]);
    assert_eq!(of(6000), [None]);
    assert_eq!(audit.apps, ["m/app1", "m/app2"]);
    let damage = audit.damage.join("\n");
    assert!(
        damage.contains("`http`") && damage.contains("m/app2 has the identity `n`"),
        "{damage}"
    );
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
