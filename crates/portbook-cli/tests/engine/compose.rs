//! What Compose itself starts: docker-compose, as Debian has it.

use std::fs;
use std::process::Command;

use crate::kit::{Engine, Kind, succeed};

/// Its own labels, of a project in the app's folder that has the name that portbook gives it.
#[test]
fn what_compose_starts_in_an_apps_folder_is_the_app() {
    let engine = Engine::start(Kind::Docker);
    let desk = engine.desk();
    desk.done("allocate openai_gpt-4 1-2");
    let starts = |app: &str, name: &str, port: u16| {
        let folder = desk.folder(&format!("apps/openai_gpt-4/{app}"));
        fs::write(
            folder.join("docker-compose.yml"),
            "version: \"3.8\"\nservices:\n  backend:\n    image: portbook-test\n    network_mode: bridge\n    \
             command: /bin/busybox sleep 3600\n    ports: [\"${BACKEND_PORT}:80\"]\n",
        )
        .unwrap();
        fs::write(folder.join(".env"), format!("{name}BACKEND_PORT={port}\n")).unwrap();
        let mut compose = Command::new("docker-compose");
        compose
            .args(["up", "--detach"])
            .env("DOCKER_HOST", engine.address())
            .current_dir(&folder);
        succeed(compose);
    };
    starts("app1", "COMPOSE_PROJECT_NAME=openai_gpt-4-app1\n", 5001);
    // Without a name of its own it is called `app2`, as every model's second app would be: its folder
    // tells whose it is.
    starts("app2", "", 5005);
    let contradiction: &[&str] = &["of openai_gpt-4/app2 publishes port 5005", "project app2"];
    assert_eq!(desk.states(), ["confirmed", "drifting"]);
    let found = desk.conflicts();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].says("docker-mismatch", contradiction);

    // The file that made it so is found, too, and the line in it.
    for command in ["validate --docker apps", "check --docker apps"] {
        let found = desk.answer(1, command);
        let kinds: Vec<&str> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|conflict| conflict["kind"].as_str().unwrap())
            .collect();
        assert!(kinds.contains(&"docker-mismatch"), "{command}: {found}");
        let mismatch = found.as_array().unwrap().iter();
        let mut mismatch = mismatch.filter(|conflict| conflict["kind"] == "compose-mismatch");
        let mismatch = mismatch.next().unwrap();
        assert_eq!(mismatch["file"], "apps/openai_gpt-4/app2/.env", "{found}");
        assert_eq!(
            (&mismatch["line"], &mismatch["column"]),
            (&1.into(), &14.into())
        );
    }
    let apps = desk.answer(1, "check --docker --states apps");
    assert_eq!(apps[1]["drifts"].as_array().unwrap().len(), 2, "{apps}");
    // Of containers alone, where no path is named.
    let found = desk.answer(1, "validate --docker");
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
    engine.removes_all();
    let said = desk.done("validate --docker apps/openai_gpt-4/app1");
    assert!(said.contains("0 containers"), "{said}");
}
