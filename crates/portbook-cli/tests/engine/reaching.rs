//! Where the engine is found, and what is said where it refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::kit::{Engine, Kind};

/// Without DOCKER_HOST the user's own sockets are looked at, too.
#[test]
fn podmans_own_socket_is_found_without_being_named() {
    let engine = Engine::start(Kind::Podman);
    let desk = engine.desk();
    desk.done("allocate openai_gpt-4 1");
    engine.runs("--name rival --publish 5001:80");
    let mut check = desk.portbook("check --docker --json");
    check
        .env_remove("DOCKER_HOST")
        .env("XDG_RUNTIME_DIR", engine.runtime_folder());
    let output = check.output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let message = found[0]["message"].as_str().unwrap();
    assert!(message.contains("the container rival"), "{message}");
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
