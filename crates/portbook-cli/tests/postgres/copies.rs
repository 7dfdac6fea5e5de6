//! `store copy`: a book moves between stores with its history.

use portbook_postgres::testing::Server;

use crate::backups::goes_and_comes_back;
use crate::kit::Desk;

fn told(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap()
}

#[test]
fn a_book_moves_to_a_database_and_back_with_its_history() {
    let database = Desk::new();
    let home = database.path("home.db");
    let file = database.by(format!("sqlite:{home}"));
    file.done("allocate m 1-20");
    file.done("release m 3");
    file.done("pool add gpus 20000-20009 openai_*");
    file.done("allocate openai_gpt-4 1 --ttl 3h");
    file.done("allocate elsewhere 1 --space there");
    let copied = file.json(&format!(
        "store copy --from sqlite:{home} --to {}",
        database.store
    ));
    assert_eq!(
        (&copied["changes"], &copied["apps"]),
        (&told("24"), &told("21"))
    );
    for line in [
        "list",
        "history",
        "history --space there",
        "stats",
        "pool list",
    ] {
        assert_eq!(database.json(line), file.json(line), "{line}");
    }
    database.done("allocate m 3");
    let back = format!("sqlite:{}", database.path("back.db"));
    database.done(&format!("store copy --from {} --to {back}", database.store));
    let returned = database.by(back);
    assert_eq!(returned.json("history"), database.json("history"));
    returned.holds(&[database.json("get m 3")]);
}

#[test]
fn a_copy_that_broke_off_goes_on_and_another_books_place_is_refused() {
    let target = Desk::new();
    let source = target.by(format!("sqlite:{}", target.path("source.db")));
    source.done("allocate m 1-5");
    let copy = format!("store copy --from {} --to {}", source.store, target.store);
    source.done(&copy);
    source.done("allocate m 6");
    let resumed = source.json(&copy);
    assert_eq!(
        (&resumed["changes"], &resumed["resumed_after"]),
        (&told("6"), &told("5"))
    );
    target.done("allocate stranger 1");
    let refused = source.run(&copy);
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(
        refused.stderr.contains("7 changes of its own"),
        "{refused:?}"
    );
    assert_eq!(source.json("list").as_array().unwrap().len(), 6);
}

#[test]
fn a_database_that_lost_what_was_seen_in_it_waits_until_somebody_accepts_it() {
    goes_and_comes_back(&Desk::new(), |desk| {
        let (_, schema) = desk.store.rsplit_once("%3D").unwrap();
        let again = format!("DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema}");
        Server::shared().sql(&again);
    });
}
