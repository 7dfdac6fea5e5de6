//! Where the engine is found, and what is said where it refuses.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::{fs, io, thread};

use serde_json::Value;

use crate::kit::{Engine, Kind};

/// Without DOCKER_HOST the user's own sockets are looked at, too, and one of them is enough.
#[test]
fn podmans_own_socket_is_found_without_being_named() {
    let engine = Engine::start(Kind::Podman);
    let desk = engine.desk();
    desk.done("allocate openai_gpt-4 1");
    engine.runs("--name rival --publish 5001:80");
    // Docker was here and has ended.
    let abandoned = engine.runtime_folder().join("docker.sock");
    drop(UnixListener::bind(&abandoned).unwrap());
    let mut check = desk.portbook("check --docker --json");
    check
        .env_remove("DOCKER_HOST")
        .env("XDG_RUNTIME_DIR", engine.runtime_folder());
    let output = check.output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let message = found[0]["message"].as_str().unwrap();
    assert!(message.contains("the container rival"), "{message}");
    let notes = String::from_utf8(output.stderr).unwrap();
    let is_told =
        |line: &str| line.starts_with("note: ") && line.contains(abandoned.to_str().unwrap());
    assert!(notes.lines().any(is_told), "{notes}");
}

/// As through a forwarded port. What listens there is the engine's own network, not this machine's.
#[test]
fn an_engine_is_asked_over_tcp() {
    let engine = Engine::start(Kind::Docker);
    let desk = engine.desk();
    desk.done("allocate openai_gpt-4 1");
    engine.creates("--name rival --publish 5001:80");
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let socket = engine.socket();
    thread::spawn(move || {
        for line in listener.incoming().map_while(Result::ok) {
            let engine = UnixStream::connect(&socket).unwrap();
            let (mut asks, mut hears) = (line.try_clone().unwrap(), engine.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut asks, &mut hears));
            let (mut answers, mut line) = (engine, line);
            thread::spawn(move || io::copy(&mut answers, &mut line));
        }
    });
    let mut check = Command::new(assert_cmd::cargo::cargo_bin!("portbook"));
    let within = desk.portbook("");
    let variables = within.get_envs();
    check
        .args(["check", "--docker", "--json", "--no-host-check"])
        .env_clear()
        .envs(variables.filter_map(|(name, value)| Some((name, value?))))
        .env("DOCKER_HOST", &address);
    let output = check.output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(found[0]["kind"], "docker-mismatch", "{found}");
    let message = found[0]["message"].as_str().unwrap();
    assert!(message.contains("the container rival"), "{message}");
}

/// Both sides have to trust the other, by the files that Docker's own command takes.
#[test]
fn an_engine_is_asked_by_tls() {
    let engine = Engine::start(Kind::DockerByTls);
    let desk = engine.desk();
    desk.done("allocate openai_gpt-4 1");
    engine.creates("--name rival --publish 5001:80");
    let check = |host: &str, whose: &str| {
        let mut check = desk.portbook("check --docker --json");
        check
            .env("DOCKER_HOST", host)
            .env("DOCKER_TLS_VERIFY", "1")
            .env("DOCKER_CERT_PATH", engine.certificates(whose));
        let output = check.output().unwrap();
        let text = match output.stdout.is_empty() {
            true => &output.stderr,
            false => &output.stdout,
        };
        let said: Value = serde_json::from_slice(text).unwrap();
        (output.status.code(), said)
    };
    let (status, found) = check("tcp://127.0.0.1:2376", "keys");
    assert_eq!(status, Some(1), "{found}");
    let message = found[0]["message"].as_str().unwrap();
    assert!(message.contains("the container rival"), "{message}");

    // The engine does not know who asks; what answers is not who it should be; no files at all.
    for (host, whose, code) in [
        ("tcp://127.0.0.1:2376", "stranger", "engine-refused"),
        ("tcp://localhost:2376", "keys", "engine-refused"),
        ("tcp://127.0.0.1:2376", "nowhere", "engine"),
    ] {
        let (status, said) = check(host, whose);
        assert!(status > Some(1), "{said}");
        let told = said["error"]["code"].as_str().unwrap();
        assert!(told.starts_with(code), "{host}, {whose}: {said}");
        let hint = said["error"]["hint"].as_str().unwrap();
        assert!(hint.contains("DOCKER_CERT_PATH"), "{said}");
    }
}

/// Docker's socket is root's and its group's.
#[test]
fn a_user_whom_docker_refuses_is_told_so() {
    const NOBODY: &str = "65534";
    let engine = Engine::start(Kind::Docker);
    // Where another user may come, and nowhere else.
    let public = tempfile::tempdir().unwrap();
    fs::set_permissions(public.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = public.path().join("portbook");
    fs::copy(assert_cmd::cargo::cargo_bin!("portbook"), &program).unwrap();
    let socket = public.path().join("docker.sock");
    fs::hard_link(engine.socket(), &socket).unwrap();
    let mut check = engine.within("setpriv".as_ref());
    check
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
        .arg(&program)
        .args(["check", "--docker", "--json"])
        .env("XDG_DATA_HOME", public.path().join("data"))
        .env("XDG_CONFIG_HOME", public.path())
        .env("HOME", public.path())
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .current_dir(public.path());
    let output = check.output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(said["error"]["code"], "engine-refused", "{said}");
    let hint = said["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("group `docker`"), "{said}");
}
