//! `portbook scaffold`: a template becomes an app, whole or not at all.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::kit::{Sandbox, each, free_stretch, python, ranges};

/// Nothing of a scaffold is there: no app, nothing beside the template, no ports.
#[track_caller]
fn nothing_is_left(sandbox: &Sandbox) {
    assert_eq!(sandbox.json("list"), json!([]));
    let names = fs::read_dir(sandbox.work()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name());
    let names: Vec<_> = names.filter(|name| name != "portbook.toml").collect();
    assert_eq!(names, ["template"]);
}

#[test]
fn an_app_is_made_with_its_ports_and_remembered() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "template/web/.env.example",
        "PORT={{backend_port|5000}}\r\n",
    );
    sandbox.write(
        "template/app.py",
        "listen({{FRONTEND_PORT}}) # {{project_name}}",
    );
    let made = sandbox.json("scaffold template apps/one openai/gpt-4.1 7");
    let directory = sandbox.path("apps/one");
    for (key, value) in [
        ("model", json!("openai/gpt-4.1")),
        ("app_num", json!(7)),
        ("ports", json!({"backend": 5001, "frontend": 8001})),
        ("created", json!(true)),
        ("directory", json!(directory)),
        ("template", json!(sandbox.path("template"))),
        ("project_name", json!("openai_gpt-4-1_app7")),
        ("compose_project_name", json!("openai_gpt-4-1-app7")),
        ("files", json!(2)),
        ("kept", json!([])),
    ] {
        assert_eq!(made[key], value, "{key}");
    }
    let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
    assert_eq!(read("web/.env"), "PORT=5001\r\n");
    assert_eq!(read("app.py"), "listen(8001) # openai_gpt-4-1_app7");
    let history = sandbox.history();
    assert_eq!(each(&history, "change"), ["allocated", "noted"]);
    assert_eq!(history[1]["notes"]["directory"]["path"], json!(directory));

    // An app that has ports keeps them, and moves where it was last made.
    let again = sandbox.text("scaffold template apps/two openai/gpt-4.1 7");
    assert!(
        again.contains("2 files in") && again.contains("5001"),
        "{again}"
    );
    assert_eq!(sandbox.pair("get openai/gpt-4.1 7"), (5001, 8001));
}

#[test]
fn a_destination_that_holds_files_is_refused_unless_forced() {
    let sandbox = Sandbox::new();
    sandbox.write("template/.env.example", "PORT={{backend_port}}");
    sandbox.write("dest/.env", "PORT=1 # by hand");
    let refused = sandbox.run("scaffold template dest m 1");
    refused.failed_saying(2, &["dest holds files already", "--force"]);
    assert_eq!(sandbox.json("list"), json!([]));
    sandbox.write("file", "");
    sandbox
        .run("scaffold template file m 1 --force")
        .failed_saying(2, &["is there and is not a folder"]);

    let made = sandbox.json("scaffold template dest m 1 --force");
    assert_eq!(
        made["kept"],
        json!([sandbox.path("dest/.env.portbook-old")])
    );
    let read = |name| fs::read_to_string(sandbox.path(name)).unwrap();
    assert_eq!(read("dest/.env"), "PORT=5001");
    assert_eq!(read("dest/.env.portbook-old"), "PORT=1 # by hand");
    let again = sandbox.json("scaffold template dest m 1 --force");
    assert_eq!(
        (&again["kept"], &again["created"]),
        (&json!([]), &json!(false))
    );
}

#[test]
fn a_template_that_is_not_safe_is_refused_whole() {
    type Trap = fn(&Path);
    let traps: [(&str, Trap); 8] = [
        ("leads out of it", |folder| {
            symlink("/etc/passwd", folder.join("a")).unwrap()
        }),
        ("leads out of it", |folder| {
            symlink("../../..", folder.join("a")).unwrap()
        }),
        ("leads out of it", |folder| {
            symlink("../gone", folder.join("a")).unwrap()
        }),
        ("leads out of it", |folder| {
            // By its text it stays inside.
            symlink(".", folder.join("deep/up")).unwrap();
            symlink("deep/up/../../..", folder.join("a")).unwrap();
        }),
        ("a pipe", |folder| {
            let status = Command::new("mkfifo").arg(folder.join("a")).status();
            assert!(status.unwrap().success());
        }),
        ("a socket", |folder| {
            drop(UnixListener::bind(folder.join("a")).unwrap())
        }),
        ("both .env and .env.example", |folder| {
            fs::write(folder.join("deep/.env"), "").unwrap();
            fs::write(folder.join("deep/.env.example"), "").unwrap();
        }),
        ("File name too long", |folder| {
            // Longer than any path may be, made step by step.
            let script = "import os, sys\n\
                          os.chdir(sys.argv[1])\n\
                          for _ in range(40):\n    os.mkdir('d' * 200)\n    os.chdir('d' * 200)";
            python(script, &[folder.to_str().unwrap()]);
        }),
    ];
    for (sentence, trap) in traps {
        let sandbox = Sandbox::new();
        sandbox.write("template/deep/file", "{{backend_port}}");
        trap(&sandbox.path("template"));
        let refused = sandbox.run("scaffold template dest m 1");
        refused.failed_saying(2, &[sentence]);
        nothing_is_left(&sandbox);
    }
}

#[test]
fn links_that_stay_inside_are_copied_however_they_turn() {
    let sandbox = Sandbox::new();
    sandbox.write("template/deep/file", "{{backend_port}}");
    for (link, target) in [
        ("loop", "loop"),
        ("self", "."),
        ("deep/up", ".."),
        ("a", "deep/up/deep/file"),
    ] {
        symlink(target, sandbox.path("template").join(link)).unwrap();
    }
    sandbox.text("scaffold template dest m 1");
    assert_eq!(
        fs::read_link(sandbox.path("dest/loop")).unwrap(),
        Path::new("loop")
    );
    assert_eq!(fs::read_to_string(sandbox.path("dest/a")).unwrap(), "5001");
}

#[test]
fn a_failure_while_writing_gives_the_ports_back() {
    let sandbox = Sandbox::new();
    // A path that can be read here and is too long there.
    let deep = vec!["d".repeat(200); 15].join("/");
    sandbox.write(&format!("template/{deep}/file"), "");
    let far = vec!["e".repeat(200); 8].join("/");
    let run = sandbox.run(&format!("scaffold template {far} m 1 --json"));
    assert_eq!(run.error(5)["code"], "not-written");
    nothing_is_left(&sandbox);
    assert_eq!(
        each(&sandbox.history(), "change"),
        ["allocated", "released"]
    );
    // An app that had its ports before keeps them.
    sandbox.text("allocate m 1");
    sandbox
        .run(&format!("scaffold template {far} m 1"))
        .failed(5);
    assert_eq!(sandbox.json("get m 1")["backend"], 5001);
}

#[test]
fn a_role_that_was_added_for_a_copy_that_failed_is_given_back() {
    let sandbox = Sandbox::configured("[ranges.db]\nbase = 15001\n[ranges.ws]\nbase = 16001\n");
    let deep = vec!["d".repeat(200); 15].join("/");
    sandbox.write(&format!("template/{deep}/file"), "");
    let far = vec!["e".repeat(200); 8].join("/");
    sandbox.text("allocate m 1 --roles ws");
    let before = sandbox.json("get m 1");
    sandbox
        .run(&format!("scaffold template {far} m 1 --roles db,ws"))
        .failed(5);
    assert_eq!(sandbox.json("get m 1"), before);
    let other = sandbox.json("allocate n 1 --ports db=15001");
    assert_eq!(other["ports"]["db"], 15001);
    assert_eq!(sandbox.conflicts(), [] as [Value; 0]);
    let history = sandbox.text("history m 1");
    assert!(history.contains("from db=15001 to none"), "{history}");
    assert!(history.contains("given back"), "{history}");
}

#[test]
fn what_cannot_be_is_said_before_anything_is_done() {
    let sandbox = Sandbox::new();
    sandbox.write("template/file", "");
    for (line, sentence) in [
        ("scaffold nothing dest m 1", "there is no template nothing"),
        ("scaffold template/file dest m 1", "is not a folder"),
        (
            "scaffold template template/inside m 1",
            "lie in one another",
        ),
        ("scaffold template . m 1 --force", "lie in one another"),
        ("scaffold template gone/../dest m 1", "cannot be reached"),
        (
            "scaffold template dest m 1 --roles ghost",
            "the role `ghost` is unknown",
        ),
        ("scaffold template dest m 0", "app numbers run from 1"),
    ] {
        let run = sandbox.run(line);
        assert!(run.stderr.contains(sentence), "{line}: {}", run.stderr);
        assert_ne!(run.status, 0, "{line}");
        nothing_is_left(&sandbox);
    }
}

/// A template of many small files, which takes its time to copy.
fn large_template(sandbox: &Sandbox) {
    let first = sandbox.write("template/0/0", "{{backend_port}}");
    for folder in 0..60 {
        let folder = sandbox.path(&format!("template/{folder}"));
        fs::create_dir_all(&folder).unwrap();
        for file in 1..1000 {
            fs::hard_link(&first, folder.join(file.to_string())).unwrap();
        }
    }
}

/// What is being written for `dest`, besides what is there in the end.
fn staged(sandbox: &Sandbox) -> Option<PathBuf> {
    let entries = fs::read_dir(sandbox.work()).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    paths.find(|path| path.to_str().unwrap().contains("/.dest."))
}

/// Begins to scaffold the large template, and comes back when it is being written.
fn half_way(sandbox: &Sandbox) -> Child {
    let mut command = sandbox.command();
    command.args(["scaffold", "template", "dest", "m", "1"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    while staged(sandbox).is_none_or(|folder| !folder.join("3").exists()) {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it was too quick for this test"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

#[test]
fn ctrl_c_leaves_nothing() {
    let sandbox = Sandbox::new();
    large_template(&sandbox);
    let child = half_way(&sandbox);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert_eq!(
        said,
        "portbook: interrupted: nothing was written (run it again)\n"
    );
    nothing_is_left(&sandbox);
}

#[test]
fn a_kill_leaves_nothing_that_the_next_run_does_not_take_over() {
    let sandbox = Sandbox::new();
    large_template(&sandbox);
    let mut child = half_way(&sandbox);
    let left = staged(&sandbox).unwrap();
    // Somebody else's run for the same place does not take this one's work away.
    let other = sandbox.write("small/file", "{{backend_port}}");
    sandbox.text(&format!(
        "scaffold {} dest-2 m 2",
        other.parent().unwrap().display()
    ));
    assert!(left.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(left.exists() && !sandbox.path("dest").exists());
    let made = sandbox.json("scaffold small dest m 1");
    assert_eq!(
        (&made["created"], &made["backend"]),
        (&json!(false), &json!(5001))
    );
    assert_eq!(staged(&sandbox), None);
    assert_eq!(
        fs::read_to_string(sandbox.path("dest/file")).unwrap(),
        "5001"
    );
}

#[test]
fn two_at_once_for_one_place_do_not_mix() {
    let sandbox = Sandbox::new();
    for name in ["one", "two"] {
        for file in 0..300 {
            sandbox.write(&format!("{name}/{file}"), name);
        }
    }
    let start = |name: &str| {
        let mut command = sandbox.command();
        command.args(["scaffold", name, "dest", name, "1"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let runs = [start("one"), start("two")].map(|child| child.wait_with_output().unwrap());
    let done = runs.iter().filter(|run| run.status.success()).count();
    assert_eq!(
        done,
        1,
        "{:?}",
        runs.map(|run| String::from_utf8(run.stderr))
    );
    let winner = fs::read_to_string(sandbox.path("dest/0")).unwrap();
    for file in 0..300 {
        let file = fs::read_to_string(sandbox.path(&format!("dest/{file}"))).unwrap();
        assert_eq!(file, winner);
    }
    assert_eq!(staged(&sandbox), None);
    let list = sandbox.json("list");
    assert_eq!(
        each(&list, "model"),
        [&json!(winner)],
        "the loser's ports are free"
    );
}

#[test]
fn the_shipped_template_is_listed_and_a_folder_of_its_name_comes_first() {
    let sandbox = Sandbox::without_server("it looks whether there is a file");
    let list = sandbox.json("scaffold --list");
    assert_eq!(each(&list, "name"), ["python-web"]);
    assert!(sandbox.text("scaffold --list").contains("python-web"));
    assert!(!sandbox.book().exists());
    let made = sandbox.json("scaffold python-web shipped m 1");
    assert_eq!(made["template"], "portbook:python-web");
    let start = fs::metadata(sandbox.path("shipped/start")).unwrap();
    assert_eq!(start.permissions().mode() & 0o777, 0o755);
    sandbox.write("python-web/mine", "");
    let made = sandbox.json("scaffold python-web mine m 2");
    assert_eq!(
        (&made["template"], &made["files"]),
        (&json!(sandbox.path("python-web")), &json!(1))
    );
}

/// An app's own servers, until they are dropped.
struct Served(Child);

impl Served {
    fn start(sandbox: &Sandbox, program: &Path) -> Self {
        let mut command = Command::new("python3");
        sandbox.furnish(&mut command);
        // No port is said: the app knows them from its own files.
        command
            .arg("-B")
            .arg(program)
            .current_dir(program.parent().unwrap());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Served(command.spawn().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The answer to a request, as soon as there is one.
fn fetch(port: u64, request: &str) -> String {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        let port = u16::try_from(port).unwrap();
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            if stream.read_to_string(&mut answer).is_ok() && !answer.is_empty() {
                return answer;
            }
        }
        assert!(Instant::now() < patience, "nobody answers on port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn get(port: u64, path: &str) -> String {
    let answer = fetch(port, &format!("GET {path} HTTP/1.0\r\n\r\n"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{answer}");
    body.to_owned()
}

#[test]
fn two_apps_of_the_shipped_template_run_side_by_side() {
    let sandbox = Sandbox::looking_at_host();
    sandbox.write("portbook.toml", ranges(free_stretch(8), 4));
    let apps = [("openai/gpt-4.1", "1"), ("x-ai/grok-4", "1")];
    let apps = apps.map(|(model, number)| {
        let dest = format!("{}/app{number}", model.replace('/', "_"));
        let made = sandbox.json(&format!("scaffold python-web {dest} {model} {number}"));
        let programs = ["backend/main.py", "frontend/main.py"];
        let served =
            programs.map(|program| Served::start(&sandbox, &sandbox.path(&dest).join(program)));
        (made, served)
    });
    for (made, _served) in &apps {
        let port = |role: &str| made[role].as_u64().unwrap();
        let (backend, frontend) = (port("backend"), port("frontend"));
        let name = made["project_name"].as_str().unwrap();
        assert!(get(frontend, "/").contains(&format!("<h1>{name}</h1>")));
        // As the page does: it asks where the backend is, and asks that.
        let config: Value = serde_json::from_str(&get(frontend, "/config.json")).unwrap();
        assert_eq!(config["backend_port"], backend);
        let health: Value = serde_json::from_str(&get(backend, "/api/health")).unwrap();
        assert_eq!(health["app"], name);

        let note = json!({ "text": name }).to_string();
        let origin = format!("Origin: http://localhost:{frontend}");
        let length = note.len();
        let request = format!(
            "POST /api/notes HTTP/1.0\r\n{origin}\r\nContent-Length: {length}\r\n\r\n{note}"
        );
        let answer = fetch(backend, &request);
        let allowed = format!("Access-Control-Allow-Origin: http://localhost:{frontend}\r\n");
        assert!(
            answer.contains(" 201 ") && answer.contains(&allowed),
            "{answer}"
        );
    }
    for (made, _served) in &apps {
        let notes: Value =
            serde_json::from_str(&get(made["backend"].as_u64().unwrap(), "/api/notes")).unwrap();
        assert_eq!(
            each(&notes, "text"),
            [&made["project_name"]],
            "each has its own"
        );
    }
    // The apps' own servers are no conflict.
    sandbox.run("check").done();
    // Compose would publish just the ports that are the apps' own.
    sandbox.run("validate .").done();
}
