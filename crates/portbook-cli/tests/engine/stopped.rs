//! Containers that do not run: they want their ports back, and the engine's list does not say so.

use crate::kit::{Engine, KINDS, Kind};

#[test]
fn a_container_that_does_not_run_wants_its_ports_until_it_is_removed() {
    for kind in KINDS {
        let engine = Engine::start(kind);
        stopped_created_never_started_and_removed(&engine);
        engine.removes_all();
        of_the_app_itself(&engine);
    }
}

fn stopped_created_never_started_and_removed(engine: &Engine) {
    let desk = engine.desk();
    desk.done("allocate openai_gpt-4 1-4");
    engine.runs("--name ended --publish 5001:80");
    // Its port is taken, so that it stays behind.
    engine.fails_to_run("--name late --publish 5001:80");
    engine.does("kill ended");
    engine.creates("--name fresh --publish 127.0.0.1:8003:80");
    let found = desk.conflicts();
    assert_eq!(found.len(), 3, "{found:?}");
    found[0].says(
        "docker-mismatch",
        &[
            "port 5001, the backend of openai_gpt-4/app1, is wanted by",
            "ended",
            "exited",
        ],
    );
    found[1].says(
        "docker-mismatch",
        &["port 5001", "is wanted by", "late", "created"],
    );
    found[2].says(
        "docker-mismatch",
        &[
            "port 8003, the frontend of openai_gpt-4/app2",
            "fresh",
            "created",
        ],
    );
    assert_eq!(
        desk.states(),
        ["foreign", "foreign", "reserved", "reserved"]
    );

    if engine.kind.is_docker() {
        // Which of them it takes is seen when it starts: app 4's frontend is among them.
        engine.creates("--name choice --publish 8007-8009:80");
        let found = desk.conflicts();
        found[3].says(
            "docker-mismatch",
            &[
                "port 8007, the frontend of openai_gpt-4/app4",
                "may be taken by",
                "choice",
            ],
        );
        engine.does("rm choice");
    }

    for container in ["ended", "late", "fresh"] {
        engine.does(&format!("rm {container}"));
    }
    assert_eq!(desk.conflicts().len(), 0);
    assert_eq!(desk.states(), ["reserved"; 4]);
}

fn of_the_app_itself(engine: &Engine) {
    let desk = engine.desk();
    desk.done("allocate openai_gpt-4 1");
    engine
        .runs("--name own --publish 5001:80 --label com.docker.compose.project=openai_gpt-4-app1");
    // Where there are no control groups of its own, podman cannot.
    if engine.kind != Kind::RootlessPodman {
        engine.does("pause own");
        assert_eq!(desk.states(), ["confirmed"]);
        engine.does("unpause own");
    }
    engine.does("kill own");
    // It does not answer, and nothing is wrong.
    assert_eq!(desk.conflicts().len(), 0);
    assert_eq!(desk.states(), ["reserved"]);
    let apps = desk.answer(0, "check --docker --states");
    let holder = &apps[0]["ports"][0]["holders"][0];
    assert_eq!(holder["whose"], "own", "{apps}");
    assert_eq!(holder["is_there"], false, "{apps}");
    assert_eq!(holder["container"]["name"], "own", "{apps}");
    engine.does("start own");
    assert_eq!(desk.states(), ["confirmed"]);
}
