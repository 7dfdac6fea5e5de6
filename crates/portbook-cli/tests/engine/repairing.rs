//! Repair asks the engine: an app whose container runs stays where it is, and a stranger's container is no
//! app.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

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

/// A server asks the engine of its own machine.
#[test]
fn a_server_knows_that_an_app_runs_in_a_container() {
    let engine = Engine::start(Kind::Docker);
    let desk = engine.desk();
    // No browser opens 6667: that has to move.
    desk.done("allocate openai_gpt-4 1 --ports backend=6667");
    engine.runs("--name one --label com.docker.compose.project=openai_gpt-4-app1");
    let socket = desk.folder("api").join("sock");
    let line = format!("serve --listen unix:{}", socket.display());
    let mut serving = desk.portbook(&line).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut answers = BufReader::new(serving.stdout.take().unwrap());
    answers.read_line(&mut said).unwrap();
    let repair = repair_by_rest(&socket);
    engine.does("kill one");
    let moved = repair_by_rest(&socket);
    serving.kill().unwrap();
    serving.wait().unwrap();

    assert!(said.starts_with("listening at"), "{said}");
    assert_eq!(repair["moves"], json!([]), "{repair}");
    let why = repair["left"][0]["why"].as_str().unwrap();
    assert!(why.contains("the app runs"), "{repair}");
    assert_eq!(moved["moves"][0]["from"], 6667, "{moved}");
}

/// The answer to `POST /api/v1/repair`, applied.
fn repair_by_rest(socket: &Path) -> Value {
    let mut stream = UnixStream::connect(socket).unwrap();
    let body = r#"{"apply":true}"#;
    write!(
        stream,
        "POST /api/v1/repair HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
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
