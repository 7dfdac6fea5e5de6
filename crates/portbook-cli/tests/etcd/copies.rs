//! `store copy`, and commits of any size.

use std::fmt::Write as _;

use portbook_etcd::testing::Cluster;

use crate::backups::goes_and_comes_back;
use crate::kit::Desk;

#[test]
fn a_book_moves_to_a_cluster_and_back_with_its_history() {
    let cluster = Desk::new();
    let home = cluster.path("home.db");
    let file = cluster.by(format!("sqlite:{home}"));
    file.done("allocate m 1-20");
    file.done("release m 3");
    file.done("pool add gpus 20000-20009 openai_*");
    file.done("allocate openai_gpt-4 1 --ttl 3h");
    file.done("allocate elsewhere 1 --space there");
    let copied = file.json(&format!(
        "store copy --from sqlite:{home} --to {}",
        cluster.store
    ));
    assert_eq!(
        (&copied["changes"], &copied["apps"]),
        (&24.into(), &21.into())
    );
    for line in [
        "list",
        "history",
        "history --space there",
        "stats",
        "pool list",
    ] {
        assert_eq!(cluster.json(line), file.json(line), "{line}");
    }
    cluster.done("allocate m 3");
    let back = format!("sqlite:{}", cluster.path("back.db"));
    cluster.done(&format!("store copy --from {} --to {back}", cluster.store));
    let returned = cluster.by(back);
    assert_eq!(returned.json("history"), cluster.json("history"));
    returned.holds(&[cluster.json("get m 3")]);
}

#[test]
fn an_import_of_more_than_one_transaction_takes_is_all_or_nothing() {
    const APPS: u32 = 9000;
    let desk = Desk::new();
    let mut rows = String::from("[");
    for app in 1..=APPS {
        let (backend, frontend) = (10_000 + 2 * app, 10_001 + 2 * app);
        let model = format!("model-with-a-long-name-{}", app % 100);
        write!(
            rows,
            r#"{{"model":"{model}","app_number":{app},"backend_port":{backend},"frontend_port":{frontend}}},"#
        )
        .unwrap();
    }
    rows.pop();
    rows.push(']');
    std::fs::write(desk.path("all.json"), &rows).unwrap();
    // Somebody has a port of the last ones.
    desk.done("allocate other 1 --ports backend=28000");
    let refused = desk.run("import all.json");
    assert_ne!(refused.status, 0, "{refused:?}");
    assert_eq!(desk.json("list").as_array().unwrap().len(), 1);
    desk.done("release other 1");
    desk.done("import all.json");
    assert_eq!(desk.json("list").as_array().unwrap().len(), APPS as usize);
    desk.holds(&[desk.json("get model-with-a-long-name-7 4507")]);
    let back = format!("sqlite:{}", desk.path("back.db"));
    desk.done(&format!("store copy --from {} --to {back}", desk.store));
    let cluster = Desk::new();
    desk.done(&format!("store copy --from {back} --to {}", cluster.store));
    assert_eq!(cluster.json("list"), desk.json("list"));
}

#[test]
fn a_cluster_that_lost_what_was_seen_in_it_waits_until_somebody_accepts_it() {
    goes_and_comes_back(&Desk::new(), |desk| {
        let prefix = desk.store.splitn(4, '/').last().unwrap();
        Cluster::shared().told(&["del", "--prefix", &format!("{prefix}/")]);
    });
}
