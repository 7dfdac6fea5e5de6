//! `validate`, and `check` with files: what apps' compose and `.env` files say, against the book.

use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::{Value, json};

use crate::kit::{Run, Sandbox, each, keys};

/// openai_gpt-4/app1 with 5001 and 8001, app2 with 5003 and 8003.
fn with_two_apps() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.run("allocate openai_gpt-4 1-2").done();
    sandbox
}

const COMPOSE: &str = "services:\n  backend:\n    ports: ['${BACKEND_PORT:-5000}:5000']\n  frontend:\n    ports: ['${FRONTEND_PORT:-8000}:80']\n";

#[track_caller]
fn findings(sandbox: &Sandbox, line: &str, status: i32) -> Vec<Value> {
    let run = sandbox.run(&format!("{line} --json"));
    match run.ended(status).json() {
        Value::Array(found) => found,
        other => panic!("{line} answers {other}"),
    }
}

#[track_caller]
fn kinds(found: &[Value]) -> Vec<&str> {
    found
        .iter()
        .map(|found| found["kind"].as_str().unwrap())
        .collect()
}

#[test]
fn an_app_whose_files_say_its_ports_has_no_conflict() {
    let sandbox = with_two_apps();
    sandbox.write("apps/openai_gpt-4/app1/compose.yaml", COMPOSE);
    sandbox.write(
        "apps/openai_gpt-4/app1/.env",
        "BACKEND_PORT=5001\nFRONTEND_PORT=8001\n",
    );
    let run = sandbox.run("validate apps");
    assert_eq!(
        run.done().stdout,
        "no conflict: 2 published ports in 1 compose project\n"
    );
    assert_eq!(sandbox.json("validate apps"), json!([]));
    sandbox.run("check apps").done();
}

#[test]
fn another_port_than_the_books_is_told_with_its_place_and_what_it_should_be() {
    let sandbox = with_two_apps();
    sandbox.write("apps/openai_gpt-4/app2/docker-compose.yml", COMPOSE);
    sandbox.write(
        "apps/openai_gpt-4/app2/.env",
        "# ports\nBACKEND_PORT=\"5001\"\n",
    );
    let found = findings(&sandbox, "validate apps", 1);
    assert_eq!(kinds(&found), ["compose-mismatch", "compose-mismatch"]);
    let backend = &found[0];
    let places = [
        "apps", "column", "file", "hint", "kind", "line", "message", "port",
    ];
    assert_eq!(keys(backend), places);
    assert_eq!(backend["file"], "apps/openai_gpt-4/app2/.env");
    assert_eq!(
        (&backend["line"], &backend["column"]),
        (&json!(2), &json!(15))
    );
    assert_eq!(backend["port"], 5001);
    assert_eq!(
        backend["apps"],
        json!(["openai_gpt-4/app2", "openai_gpt-4/app1"])
    );
    assert_eq!(
        backend["hint"],
        "write 5003, the backend of openai_gpt-4/app2"
    );
    // The frontend's is the default, which stands in the compose file.
    let frontend = &found[1];
    assert_eq!(
        frontend["file"],
        "apps/openai_gpt-4/app2/docker-compose.yml"
    );
    assert_eq!(
        (&frontend["line"], &frontend["column"]),
        (&json!(5), &json!(31))
    );
    assert_eq!(frontend["port"], 8000);
    assert_eq!(
        frontend["message"],
        "the service `frontend` publishes 8000, where 8003 is the frontend of openai_gpt-4/app2"
    );
    let text = sandbox.run("validate apps");
    let first = "apps/openai_gpt-4/app2/.env:2:15: compose-mismatch ";
    assert!(text.ended(1).stdout.starts_with(first), "{}", text.stdout);
    // The check of the book has them, too.
    assert_eq!(findings(&sandbox, "check apps", 1), found);
}

#[test]
fn a_files_app_is_known_by_its_directory_or_its_project() {
    let sandbox = with_two_apps();
    let own = "services: {a: {ports: ['5003:1']}}\n";
    for name in [
        "here/openai_gpt-4/app2/web/compose.yaml",
        "there/openai_gpt-4-app2/compose.yaml",
    ] {
        sandbox.write(name, own);
        let directory = name.rsplit_once('/').unwrap().0;
        sandbox.run(&format!("validate {directory}")).done();
    }
    sandbox.write(
        "named/compose.yaml",
        format!("name: openai_gpt-4-app2\n{own}"),
    );
    sandbox.run("validate named").done();
    // From within the directory, and by a file in it.
    let mut within = sandbox.command();
    within
        .args(["validate", "."])
        .current_dir(sandbox.path("here/openai_gpt-4/app2"));
    Run::of(within).done();
    sandbox
        .run("validate here/openai_gpt-4/app2/web/compose.yaml")
        .done();
    // What scaffold made, wherever it is.
    sandbox.write(
        "template/compose.yaml",
        "services: {a: {ports: ['{{backend_port}}:1']}}\n",
    );
    sandbox.run("scaffold template made openai_gpt-4 2").done();
    sandbox.run("validate made").done();
}

#[test]
fn what_belongs_to_no_app_is_told() {
    let sandbox = with_two_apps();
    sandbox.write(
        "grafana/compose.yaml",
        "services: {g: {ports: ['5001:3000', '3000:3000']}}\n",
    );
    let found = findings(&sandbox, "validate grafana", 1);
    assert_eq!(kinds(&found), ["compose-mismatch", "compose-unallocated"]);
    assert_eq!(found[0]["apps"], json!(["openai_gpt-4/app1"]));
    let hint = found[0]["hint"].as_str().unwrap();
    assert!(hint.contains("openai_gpt-4/app1"), "{hint}");
    // A directory made for an app that holds nothing.
    sandbox.write(
        "apps/m/app7/compose.yaml",
        "services: {a: {ports: ['5099:1']}}\n",
    );
    let found = findings(&sandbox, "validate apps", 1);
    assert_eq!(
        found[0]["hint"],
        "m/app7 holds no ports: `portbook allocate m 7`"
    );
    assert_eq!(found[0]["apps"], json!(["m/app7"]));
}

#[test]
fn what_the_configuration_keeps_out_of_apps_hands_is_the_strangers() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "grafana/compose.yaml",
        "services: {g: {ports: ['3000:3000']}}\n",
    );
    let found = findings(&sandbox, "validate grafana", 1);
    assert_eq!(kinds(&found), ["compose-unallocated"]);
    sandbox.write("portbook.toml", "block = [3000]\n");
    sandbox.run("validate grafana").done();
}

#[test]
fn what_no_browser_opens_is_told() {
    let sandbox = Sandbox::new();
    sandbox.run("allocate m 1 --ports backend=6665").done();
    let compose = "services: {backend: {ports: ['6665:1', '6667:6667/udp']}}\n";
    sandbox.write("m/app1/compose.yaml", compose);
    let found = findings(&sandbox, "validate m", 1);
    assert_eq!(kinds(&found), ["browser-blocked", "compose-unallocated"]);
    assert_eq!(found[0]["port"], 6665);
}

#[test]
fn what_two_files_claim_is_told_where_the_later_one_does() {
    let sandbox = Sandbox::configured("block = [5432]\n");
    let compose = "services:\n  db:\n    container_name: db\n    ports: ['127.0.0.1:5432:5432']\n";
    sandbox.write("tree/a/compose.yaml", compose);
    sandbox.write("tree/b/compose.yaml", compose);
    sandbox.write(
        "tree/c/compose.yaml",
        compose
            .replace("127.0.0.1", "127.0.0.2")
            .replace(" db\n", " other\n"),
    );
    sandbox.write(
        "tree/d/compose.yaml",
        "services: {db: {ports: ['5432:5432/udp']}}\n",
    );
    let found = findings(&sandbox, "validate tree", 1);
    assert_eq!(
        kinds(&found),
        ["duplicate-container-name", "duplicate-port"]
    );
    assert!(
        each(&json!(found), "file")
            .iter()
            .all(|file| **file == "tree/b/compose.yaml")
    );
    let message = found[1]["message"].as_str().unwrap();
    assert!(
        message.ends_with("as `db` does at tree/a/compose.yaml:4:24"),
        "{message}"
    );
    // A wildcard address takes the port at every address.
    sandbox.write(
        "tree/e/compose.yaml",
        "services: {db: {ports: ['5432:5432']}}\n",
    );
    assert_eq!(findings(&sandbox, "validate tree", 1).len(), 3);
}

/// Whoever stands in one app's directory and names another's means the other's. A project without a name
/// of its own has its directory's, also where that is where one stands.
#[test]
fn a_path_is_understood_from_where_one_stands() {
    let sandbox = with_two_apps();
    for (app, backend) in [("app1", 5001), ("app2", 5003)] {
        let folder = format!("apps/openai_gpt-4/{app}");
        sandbox.write(
            &format!("{folder}/compose.yaml"),
            format!("services:\n  backend:\n    ports: ['{backend}:5000']\n"),
        );
        sandbox.write(
            &format!("{folder}/.env"),
            format!("BACKEND_PORT={backend}\n"),
        );
    }
    for line in [
        "validate .",
        "validate compose.yaml",
        "validate ./compose.yaml .env",
        "validate ../app1",
        "validate ..",
        "validate ../app1/compose.yaml",
        "validate ../app1/.env",
        "check ../../openai_gpt-4/app1 .",
    ] {
        let mut command = sandbox.command();
        command
            .current_dir(sandbox.path("apps/openai_gpt-4/app2"))
            .args(line.split(' '));
        Run::of(command).done();
    }
}

/// The service's name says what one of its ports is for, and not what the others are.
#[test]
fn a_service_may_publish_further_ports_of_its_app() {
    let sandbox = with_two_apps();
    let compose = |ports: &str| format!("services:\n  backend:\n    ports: [{ports}]\n");
    let file = "apps/openai_gpt-4/app1/compose.yaml";
    sandbox.write(file, compose("'5001:80', '8001:81'"));
    assert_eq!(findings(&sandbox, "validate apps", 0), [] as [Value; 0]);
    // To write 5001 twice would be no remedy.
    sandbox.write(file, compose("'5001:80', '9443:81'"));
    let found = findings(&sandbox, "validate apps", 1);
    assert_eq!(kinds(&found), ["compose-unallocated"]);
    // Where nothing says it, its name does.
    sandbox.write(file, compose("'8001:80'"));
    let found = findings(&sandbox, "validate apps", 1);
    assert_eq!(kinds(&found), ["compose-mismatch"]);
    assert_eq!(found[0]["hint"], "write 5001");
}

/// Names of others end no line and move no cursor.
#[test]
fn a_name_with_control_characters_stays_on_its_line() {
    let sandbox = with_two_apps();
    let folder = "apps/openai_gpt-4/app1/new\nline\u{1b}[2J";
    let compose = "services:\n  \"a\\nb\":\n    ports: ['5003:80']\n";
    sandbox.write(&format!("{folder}/compose.yml"), compose);
    let run = sandbox.run_words(["validate", "apps", "--color", "always"]);
    let lines: Vec<&str> = run.ended(1).stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for part in [r"new\nline\u{1b}[2J/compose.yml:3", r"`a\nb`"] {
        assert!(lines[0].contains(part), "{part}: {lines:?}");
    }
    let gone = sandbox.run_words(["validate", "no\nsuch"]);
    gone.failed_saying(2, &[r"no\nsuch"]);
}

#[test]
fn what_several_paths_lead_to_is_no_conflict_with_itself() {
    let sandbox = with_two_apps();
    let folder = "apps/openai_gpt-4/app1";
    let main = "services:\n  backend:\n    container_name: b\n    ports: ['5001:5000']\n";
    sandbox.write(&format!("{folder}/docker-compose.yml"), main);
    let over = "services:\n  backend:\n    ports: !override ['5001:5000']\n";
    sandbox.write(&format!("{folder}/docker-compose.override.yml"), over);
    // The same services for another occasion: Compose starts the one or the other.
    sandbox.write(&format!("{folder}/docker-compose.prod.yml"), main);
    symlink("apps", sandbox.path("link")).unwrap();
    for paths in [
        "apps apps",
        ". apps link",
        "apps/../apps . apps/openai_gpt-4/app1",
        "F/docker-compose.yml F",
        "F/docker-compose.override.yml F/docker-compose.yml apps",
        "F/docker-compose.yml F/docker-compose.override.yml",
        "F/docker-compose.prod.yml F/docker-compose.yml",
        "F/docker-compose.yml F/docker-compose.override.yml F/docker-compose.prod.yml",
    ] {
        let line = format!("validate {}", paths.replace("F/", &format!("{folder}/")));
        let line = line.replace(" F", &format!(" {folder}"));
        assert_eq!(findings(&sandbox, &line, 0), [] as [Value; 0], "{line}");
    }
    // What is said twice is told once.
    sandbox.write(&format!("{folder}/.env"), "BACKEND_PORT=5003\n");
    let found = findings(&sandbox, &format!("validate apps {folder} link"), 1);
    assert_eq!(kinds(&found), ["compose-mismatch"]);
}

#[test]
fn services_of_different_profiles_may_share_a_port() {
    let sandbox = with_two_apps();
    let compose = "services:\n  a: {profiles: [one], ports: ['5001:1']}\n  b: {profiles: [two], ports: ['5001:1']}\n";
    sandbox.write("openai_gpt-4/app1/compose.yaml", compose);
    sandbox.run("validate openai_gpt-4").done();
    sandbox.write(
        "openai_gpt-4/app1/compose.yaml",
        compose.replace("[two]", "[two, one]"),
    );
    assert_eq!(
        kinds(&findings(&sandbox, "validate openai_gpt-4", 1)),
        ["duplicate-port"]
    );
}

#[test]
fn a_dot_env_file_is_compared_whether_or_not_a_compose_file_reads_it() {
    let sandbox = with_two_apps();
    let lines = "BACKEND_PORT=8001\nFRONTEND_PORT=http\nPROJECT_NAME=openai_gpt-4_app1\nCOMPOSE_PROJECT_NAME=mine\nOTHER_PORT=1\n";
    sandbox.write("openai_gpt-4/app1/.env", lines);
    let found = findings(&sandbox, "validate openai_gpt-4", 1);
    assert_eq!(
        each(&json!(found), "line"),
        [&json!(1), &json!(2), &json!(4)]
    );
    let message = found[0]["message"].as_str().unwrap();
    assert!(
        message.contains("the frontend of openai_gpt-4/app1, where 5001 is its backend"),
        "{message}"
    );
    assert_eq!(
        found[1]["message"],
        "FRONTEND_PORT is `http`, which is no port"
    );
    assert_eq!(found[2]["apps"], json!(["openai_gpt-4/app1"]));
    // `portbook env` writes what `validate` wants.
    sandbox
        .run("env openai_gpt-4 1 --write openai_gpt-4/app1/.env")
        .done();
    sandbox.run("validate openai_gpt-4/app1/.env").done();
}

#[test]
fn a_variable_without_a_value_is_no_port_of_the_app() {
    let sandbox = with_two_apps();
    sandbox.write(
        "openai_gpt-4/app1/compose.yaml",
        "services: {api: {ports: ['${BACKEND_PORT}:1']}}\n",
    );
    let found = findings(&sandbox, "validate openai_gpt-4", 1);
    let message = found[0]["message"].as_str().unwrap();
    assert!(
        message.contains("BACKEND_PORT has no value, where 5001 is"),
        "{message}"
    );
    // The environment gives it one, as it would to Compose.
    let mut command = sandbox.command();
    command
        .args(["validate", "openai_gpt-4"])
        .env("BACKEND_PORT", "5001");
    Run::of(command).done();
    let mut command = sandbox.command();
    command
        .args(["validate", "openai_gpt-4"])
        .env("BACKEND_PORT", "5003");
    let run = Run::of(command);
    let told = &run.ended(1).stdout;
    assert!(
        told.contains("which BACKEND_PORT says in the environment"),
        "{told}"
    );
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_compared() {
    let sandbox = with_two_apps();
    sandbox.write(
        "apps/a/compose.yaml",
        "services: {a: {ports: ['5001:1']}}\n",
    );
    sandbox.write("apps/b/compose.yaml", "services:\n  b: [\n");
    let run = sandbox.run("validate apps");
    assert!(
        run.ended(2)
            .stdout
            .starts_with("apps/a/compose.yaml:1:25: compose-mismatch")
    );
    assert!(
        run.stderr.starts_with("portbook: apps/b/compose.yaml:"),
        "{}",
        run.stderr
    );
    assert_eq!(run.stderr.lines().count(), 1);

    let run = sandbox.run("validate apps nowhere --json");
    assert_eq!(run.ended(2).json().as_array().unwrap().len(), 1);
    let error: Value = serde_json::from_str(&run.stderr).unwrap();
    assert_eq!(error["error"]["code"], "unreadable-file");
    let problems = &error["error"]["problems"];
    assert_eq!(each(problems, "file"), ["apps/b/compose.yaml", "nowhere"]);
    sandbox.run("check nowhere").ended(2);
    sandbox.run("validate").failed_saying(2, &["PATH"]);
}

/// As Docker Compose 2 has it: a name in a variable is taken as it is or not at all, one in a file is changed.
#[test]
fn a_name_that_compose_refuses_is_told() {
    let sandbox = with_two_apps();
    let compose = "services: {a: {ports: ['5001:1']}}\n";
    sandbox.write("apps/a/compose.yaml", compose);
    for name in ["Shop", "-shop", "shop.1", "my shop", "_shop"] {
        sandbox.write("apps/a/.env", format!("COMPOSE_PROJECT_NAME='{name}'\n"));
        let told = sandbox.run("validate apps").ended(2).stderr.clone();
        assert!(told.starts_with("portbook: apps/a/.env:1:22: "), "{told}");
        assert!(told.contains(&format!("`{name}`")), "{told}");
    }
    for name in ["shop_1", "1shop", ""] {
        sandbox.write("apps/a/.env", format!("COMPOSE_PROJECT_NAME='{name}'\n"));
        sandbox.run("validate apps").ended(1);
    }
    sandbox.write("apps/a/.env", "");
    sandbox.write("apps/a/compose.yaml", format!("name: -My.Shop\n{compose}"));
    sandbox.run("validate apps").ended(1);
    sandbox.write("nameless/---/compose.yaml", compose);
    let told = sandbox.run("validate nameless").ended(2).stderr.clone();
    assert!(told.contains("the project has no name"), "{told}");
}

#[test]
fn a_tree_is_searched_without_what_is_others() {
    let sandbox = Sandbox::new();
    let bad = "services: {a: {ports: ['1:1']}}\n";
    for name in ["node_modules", ".git", "vendor", "a/b/.venv"] {
        sandbox.write(&format!("tree/{name}/compose.yaml"), bad);
    }
    sandbox.write("outside/compose.yaml", bad);
    symlink(sandbox.path("outside"), sandbox.path("tree/link")).unwrap();
    symlink(sandbox.path("tree"), sandbox.path("tree/a/loop")).unwrap();
    let run = sandbox.run("validate tree");
    assert_eq!(
        run.done().stdout,
        "no conflict: 0 published ports in 0 compose projects\n"
    );
    // A part of a project is not one of its own.
    sandbox.run("allocate m 1").done();
    sandbox.write("m/app1/compose.yaml", "include: [part/compose.yaml]\n");
    sandbox.write(
        "m/app1/part/compose.yaml",
        "services: {a: {ports: ['5001:1']}}\n",
    );
    let told = sandbox.text("validate m");
    assert_eq!(told, "no conflict: 1 published port in 1 compose project\n");
}

#[test]
fn no_file_makes_it_hang_or_crash() {
    let sandbox = Sandbox::new();
    let pipe = sandbox
        .write("pipe/.keep", "")
        .with_file_name("compose.yaml");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    sandbox
        .run("validate pipe")
        .failed_saying(2, &["no regular file"]);
    sandbox.write("deep/compose.yaml", "[".repeat(200_000));
    sandbox.run("validate deep").failed(2);
    sandbox.write(
        "blocks/compose.yaml",
        (0..5000)
            .map(|n| " ".repeat(n) + "a:\n")
            .collect::<String>(),
    );
    sandbox.run("validate blocks").failed(2);
    sandbox.write("huge/compose.yaml", vec![b'#'; 9 << 20]);
    sandbox
        .run("validate huge")
        .failed_saying(2, &["larger than 8 MiB"]);
    let chain: String = (0..3000)
        .map(|n| format!("  s{n}: {{extends: s{}}}\n", n + 1))
        .collect();
    sandbox.write(
        "chain/compose.yaml",
        format!("services:\n{chain}  s3000: {{ports: ['1:1']}}\n"),
    );
    sandbox.run("validate chain").ended(2);
    let wide = "services: {a: {ports: ['1-65535:1-65535']}}\n";
    for n in 0..20 {
        sandbox.write(&format!("wide/{n}/compose.yaml"), wide);
    }
    sandbox.run("validate wide").ended(1);
    sandbox.write("self/compose.yaml", "a: &a {<<: *a}\nservices: *a\n");
    sandbox.run("validate self").ended(2);
}

#[test]
fn hundreds_of_apps_in_one_go() {
    let sandbox = Sandbox::new();
    let mut wrong = 0;
    for model in ["a", "b", "c", "d"] {
        sandbox.run(&format!("allocate {model} 1-60")).done();
        for app in 1..=60 {
            let ports = sandbox.pair(&format!("get {model} {app}"));
            let (backend, frontend) = if app % 20 == 0 {
                wrong += 1;
                (ports.0, 9)
            } else {
                ports
            };
            let folder = format!("apps/{model}/app{app}");
            sandbox.write(&format!("{folder}/docker-compose.yml"), COMPOSE);
            let env = format!("BACKEND_PORT={backend}\nFRONTEND_PORT={frontend}\n");
            sandbox.write(&format!("{folder}/.env"), env);
            sandbox.write(&format!("{folder}/frontend/src/main.js"), "");
        }
    }
    let found = findings(&sandbox, "validate apps", 1);
    let told = found
        .iter()
        .filter(|found| found["kind"] == "compose-mismatch");
    assert_eq!(told.count(), wrong);
    let files: Vec<&str> = found
        .iter()
        .map(|found| found["file"].as_str().unwrap())
        .collect();
    assert!(files.is_sorted(), "{files:?}");
}
