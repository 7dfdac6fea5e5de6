//! Repair asks the engine: an app whose container runs stays where it is, and a stranger's container is no
//! app.

use crate::kit::{Engine, Kind};

/// Nothing of the app is seen at its ports, so only the engine knows that it runs.
#[test]
fn an_app_whose_container_runs_is_not_moved_unless_asked() {
    for kind in [Kind::Docker, Kind::Podman] {
        let engine = Engine::start(kind);
        let desk = engine.desk();
        // No browser opens 6667: that has to move.
        desk.done("allocate openai_gpt-4 1 --ports backend=6667");
        engine.runs("--name one --label com.docker.compose.project=openai_gpt-4-app1");
        for words in ["repair", "repair --docker", "repair --yes"] {
            let repair = desk.answer(1, words);
            assert_eq!(repair["moves"].as_array().unwrap().len(), 0, "{repair}");
            let why = repair["left"][0]["why"].as_str().unwrap();
            assert!(why.contains("the app runs"), "{kind:?}, {words}: {repair}");
        }
        let by_hand = desk.portbook("repair --move openai_gpt-4 1").output();
        let said = String::from_utf8(by_hand.unwrap().stderr).unwrap();
        assert!(said.contains("openai_gpt-4/app1 runs"), "{said}");

        let repair = desk.answer(0, "repair --include-running");
        assert_eq!(repair["moves"][0]["from"], 6667, "{repair}");
        engine.does("kill one");
        let repair = desk.answer(0, "repair --yes");
        assert_eq!(repair["moves"][0]["from"], 6667, "{repair}");
    }
}

/// The process that holds the port is the engine's, which alone says for whom.
#[test]
fn an_app_makes_way_for_a_strangers_container() {
    let engine = Engine::start(Kind::Docker);
    let desk = engine.desk();
    desk.done("allocate openai_gpt-4 1");
    engine.runs("--name stranger --publish 5001:80");
    let repair = desk.answer(0, "repair --docker --yes");
    assert_eq!(repair["moves"][0]["from"], 5001, "{repair}");
    assert_eq!(desk.conflicts().len(), 0);
}

/// By hand, too: what holds the port is no reason to leave the app there.
#[test]
fn an_app_is_moved_away_from_a_strangers_container_by_hand() {
    for kind in [Kind::Docker, Kind::Podman] {
        let engine = Engine::start(kind);
        let desk = engine.desk();
        desk.done("allocate openai_gpt-4 1-2");
        engine.runs("--name stranger --publish 5001:80");
        engine.runs(
            "--name own --publish 5003:80 --label com.docker.compose.project=openai_gpt-4-app2",
        );
        let repair = desk.answer(0, "repair --move openai_gpt-4 1 --ports backend=5007");
        assert_eq!(repair["moves"][0]["to"], 5007, "{kind:?}: {repair}");
        let own = desk.portbook("repair --move openai_gpt-4 2").output();
        let said = String::from_utf8(own.unwrap().stderr).unwrap();
        assert!(said.contains("openai_gpt-4/app2 runs"), "{kind:?}: {said}");
    }
}

#[test]
fn without_an_engine_repair_goes_on_and_with_docker_it_is_told() {
    let engine = Engine::start(Kind::Docker);
    let desk = engine.desk();
    desk.done("allocate openai_gpt-4 1 --ports backend=6667");
    let nowhere = "unix:///nowhere/docker.sock";
    let plain = desk.portbook("repair").env("DOCKER_HOST", nowhere).output();
    let plain = plain.unwrap();
    assert_eq!(plain.status.code(), Some(0), "{plain:?}");
    let said = String::from_utf8(plain.stderr).unwrap();
    assert!(
        said.contains("which apps run in its containers is not known"),
        "{said}"
    );
    let asked = desk
        .portbook("repair --docker")
        .env("DOCKER_HOST", nowhere)
        .output()
        .unwrap();
    assert_eq!(asked.status.code(), Some(5), "{asked:?}");
}
