//! What the command finds in its environment.

use crate::kit::Sandbox;

fn variables(sandbox: &Sandbox, line: &str) -> Vec<String> {
    let names = "BACKEND_PORT FRONTEND_PORT WEB_SOCKET_PORT PORT PROJECT_NAME COMPOSE_PROJECT_NAME";
    let script = names
        .replace(' ', "\n")
        .lines()
        .fold(String::new(), |script, name| {
            script + &format!("echo ${name}\n")
        });
    let mut words: Vec<&str> = line.split_whitespace().collect();
    words.extend(["--", "sh", "-c", &script]);
    let run = sandbox.run_words(words);
    run.done().stdout.lines().map(str::to_owned).collect()
}

#[test]
fn the_ports_and_names_are_there_and_port_is_the_backends() {
    let sandbox = Sandbox::new();
    assert_eq!(
        variables(&sandbox, "run x-ai/grok-4 7"),
        [
            "5001",
            "8001",
            "",
            "5001",
            "x-ai_grok-4_app7",
            "x-ai_grok-4-app7"
        ]
    );
    assert_eq!(sandbox.pair("get x-ai/grok-4 7"), (5001, 8001));
}

#[test]
fn port_is_the_roles_and_the_role_is_allocated() {
    let sandbox = Sandbox::configured("[ranges.web-socket]\nbase = 15001\n");
    assert_eq!(variables(&sandbox, "run m 1 --role frontend")[3], "8001");
    let with_role = variables(&sandbox, "run m 1 --role web-socket");
    assert_eq!(with_role[2..4], ["15001", "15001"]);
    assert_eq!(
        variables(&sandbox, "run m 2 --roles web-socket")[2..4],
        ["15003", "5003"]
    );
    sandbox
        .run("run m 1 --role db -- true")
        .failed_saying(2, &["the role `db` is unknown"]);
}

#[test]
fn what_allocate_would_give_is_what_run_gives() {
    let sandbox = Sandbox::new();
    sandbox.text("pool add gpus 20000-20999 openai_*");
    assert_eq!(variables(&sandbox, "run openai_gpt-4 1")[0], "20000");
    sandbox.write(
        "port_config.json",
        r#"[{"model": "m", "app_number": 1, "backend_port": 7001, "frontend_port": 9001}]"#,
    );
    assert_eq!(variables(&sandbox, "run m 1")[..2], ["7001", "9001"]);
}

#[test]
fn the_callers_variables_stay_but_those_about_sockets() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command();
    command
        .args([
            "run",
            "m",
            "1",
            "--",
            "sh",
            "-c",
            "echo $KEPT$LISTEN_FDS$LISTEN_PID $PORT",
        ])
        .envs([
            ("KEPT", "kept"),
            ("PORT", "3000"),
            ("LISTEN_FDS", "1"),
            ("LISTEN_PID", "1"),
        ]);
    let run = crate::kit::Run::of(command);
    assert_eq!(run.done().stdout, "kept 5001\n");
}
