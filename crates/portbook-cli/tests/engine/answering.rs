//! Containers that run: whose they are, whatever holds the port for them.

use std::process::Command;

use crate::kit::{Desk, Engine, KINDS, Kind, succeed};

#[test]
fn a_running_container_is_its_apps_or_a_strangers_whoever_holds_the_port() {
    for kind in KINDS {
        let engine = Engine::start(kind);
        by_project_folder_or_not_at_all(&engine);
        engine.removes_all();
        on_the_hosts_network(&engine);
        engine.removes_all();
        on_another_containers_network(&engine);
        engine.removes_all();
        at_ports_of_the_engines_choice(&engine);
        engine.removes_all();
        the_process_alone_says_nothing(&engine);
    }
}

fn by_project_folder_or_not_at_all(engine: &Engine) {
    let desk = engine.desk();
    desk.done("allocate openai_gpt-4 1-4");
    assert_eq!(desk.states(), ["reserved"; 4]);

    // As Compose labels them: app 1 by its project, app 2 by its folder alone.
    engine.runs("--name one --publish 5001:80 --publish 127.0.0.1:8001:81 --label com.docker.compose.project=openai_gpt-4-app1");
    let folder = desk.folder("apps/openai_gpt-4/app2");
    engine.runs(&format!(
        "--name two --publish 5003:80 --label com.docker.compose.project=app2 --label com.docker.compose.project.working_dir={}",
        folder.display()
    ));
    assert_eq!(desk.conflicts().len(), 0, "{:?}", desk.conflicts());
    assert_eq!(
        desk.states(),
        ["confirmed", "confirmed", "reserved", "reserved"]
    );

    // A stranger at app 3's backend, UDP at that.
    engine.runs("--name stranger --publish 5005:53/udp");
    // App 1's second container where app 4 is to be, and where nobody is.
    engine.runs("--name astray --publish 8007:80 --publish 9999:81 --label com.docker.compose.project=openai_gpt-4-app1");
    let found = desk.conflicts();
    assert_eq!(found.len(), 3, "{found:?}");
    found[0].says(
        "docker-mismatch",
        &[
            "backend of openai_gpt-4/app3",
            "is published by the container stranger",
            "portbook-test",
            "running",
        ],
    );
    assert_eq!(
        (found[0].port, found[0].apps.as_slice()),
        (5005, &["openai_gpt-4/app3".to_owned()][..])
    );
    found[1].says(
        "docker-mismatch",
        &[
            "frontend of openai_gpt-4/app4",
            "astray",
            "project openai_gpt-4-app1",
            "of openai_gpt-4/app1",
        ],
    );
    assert_eq!(found[1].apps, ["openai_gpt-4/app1", "openai_gpt-4/app4"]);
    found[2].says(
        "docker-mismatch",
        &["astray", "publishes port 9999", "not allocated"],
    );
    assert_eq!(
        desk.states(),
        ["drifting", "confirmed", "foreign", "foreign"]
    );
}

/// Such a container publishes nothing: what it listens on is found on the host, and the process tells
/// the container.
fn on_the_hosts_network(engine: &Engine) {
    let desk = engine.desk();
    desk.done("allocate openai_gpt-4 1-2");
    engine.listens_on_host_network("beside", 5001);
    if engine.kind.is_docker() {
        // Docker passes over such a wish, and keeps it in its notes.
        engine.creates("--name discarded --network host --publish 5003:80");
    }
    let found = desk.conflicts();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].says(
        "host-in-use",
        &[
            "port 5001 of openai_gpt-4/app1",
            "pid ",
            "the container beside",
        ],
    );
    assert_eq!(desk.states(), ["foreign", "reserved"]);
}

/// As in a pod, or behind a sidecar: the other one publishes, and it is the app all the same.
fn on_another_containers_network(engine: &Engine) {
    let desk = engine.desk();
    desk.done("allocate openai_gpt-4 1-2");
    engine.runs("--name gate --publish 5001:80 --publish 5003:81");
    engine.runs("--name behind --network container:gate --label com.docker.compose.project=openai_gpt-4-app1");
    let found = desk.conflicts();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].says(
        "docker-mismatch",
        &[
            "backend of openai_gpt-4/app2",
            "the container gate",
            "of openai_gpt-4/app1",
        ],
    );
    let apps = desk.answer(1, "check --docker --states");
    assert_eq!(apps[0]["ports"][0]["state"], "confirmed", "{apps}");
}

fn at_ports_of_the_engines_choice(engine: &Engine) {
    let desk = engine.desk();
    // podman settles such a port when it makes the container, and knows no choice among several.
    engine.runs("--name random --publish 80");
    let port = engine.does("port random 80");
    let port = port.lines().next().unwrap().rsplit_once(':').unwrap().1;
    desk.done(&format!(
        "allocate openai_gpt-4 1 --no-host-check --ports backend={port}"
    ));
    if engine.kind.is_docker() {
        engine.runs("--name choice --publish 8000-8004:80");
        let port = engine.does("port choice 80");
        let port = port.lines().next().unwrap().rsplit_once(':').unwrap().1;
        desk.done(&format!(
            "allocate openai_gpt-4 2 --no-host-check --ports frontend={port}"
        ));
        assert_eq!(desk.states(), ["foreign", "foreign"]);
    }
    let output = desk.portbook("check --docker").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("the container random"), "{text}");
    assert!(text.contains(&format!("port {port}")), "{text}");
}

/// Without a word with the engine it is not known whose the port is: no conflict, and no
/// confirmation.
fn the_process_alone_says_nothing(engine: &Engine) {
    let desk = engine.desk();
    desk.done("allocate openai_gpt-4 1-2");
    engine.runs("--name any --publish 5001:80");
    assert_eq!(desk.answer(0, "check"), serde_json::json!([]));
    let apps = desk.answer(0, "check --states");
    assert_eq!(apps[0]["state"], "unclear");
    let process = &apps[0]["ports"][0]["holders"][0]["process"];
    let name = match engine.kind {
        Kind::Docker | Kind::DockerByTls => "docker-proxy",
        Kind::DockerWithoutProxy => "dockerd",
        Kind::Podman => "conmon",
        Kind::RootlessPodman => "rootlessport",
    };
    assert_eq!(process["name"], name, "{apps}");
    // Allocation sees it as it sees any listener.
    desk.done("release openai_gpt-4 1");
    let given = desk.answer(0, "allocate other 1");
    assert_eq!(given["backend"], 5005, "{given}");
}

/// What listens inside a container is in another network: neither a conflict nor in the way.
#[test]
fn what_listens_in_another_network_is_none_of_ours() {
    let engine = Engine::start(Kind::Docker);
    let desk: Desk<'_> = engine.desk();
    engine.does("run --detach --name inside portbook-test /bin/busybox httpd -f -p 5001");
    let pid = engine.does("inspect --format {{.State.Pid}} inside");
    let listens = || {
        let mut list = Command::new("nsenter");
        list.arg(format!("--net=/proc/{}/ns/net", pid.trim()));
        list.args(["cat", "/proc/net/tcp", "/proc/net/tcp6"]);
        succeed(list).contains(":1389 ")
    };
    while !listens() {
        std::thread::yield_now();
    }
    assert_eq!(desk.answer(0, "allocate openai_gpt-4 1")["backend"], 5001);
    assert_eq!(desk.conflicts().len(), 0);
    assert_eq!(desk.states(), ["reserved"]);
}
