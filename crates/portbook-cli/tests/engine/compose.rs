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
    assert_eq!(desk.states(), ["confirmed", "drifting"]);
    let found = desk.conflicts();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].says(
        "docker-mismatch",
        &["of openai_gpt-4/app2 publishes port 5005", "project app2"],
    );
}
