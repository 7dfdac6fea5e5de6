//! `repair` and the apps' files: what says a port that its app has left is rewritten, byte for byte.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::{Sandbox, each, keys};

const ENV: &str = "# {{project_name}}\nBACKEND_PORT={{backend_port|5000}}\nFRONTEND_PORT={{frontend_port}}\nAPI=http://localhost:{{backend_port}}/api\n";
const COMPOSE: &str = "services:\n  api:\n    image: api\n    ports:\n      - \"${BACKEND_PORT:-{{backend_port|5000}}}:80\"\n  web:\n    image: web\n    ports: ['{{frontend_port}}:80'] # pages\n";
const CODE: &[u8] =
    b"const style = {{color: 'red'}};\r\nlisten({{backend_port}});\r\n// caf\xe9 {{ other }}";

/// A template as people write them, with what a filling must not touch.
fn template(sandbox: &Sandbox) {
    sandbox.write("template/.env.example", ENV);
    sandbox.write("template/docker-compose.yml", COMPOSE);
    sandbox.write("template/web/server.js", CODE);
    sandbox.write("template/web/logo.png", b"\x89PNG\0{{backend_port}}");
    sandbox.write("template/notes.txt", "5001 and 8001 stand here by chance\n");
    let start = sandbox.write(
        "template/start",
        "#!/bin/sh\nexec serve {{frontend_port}}\n",
    );
    fs::set_permissions(start, fs::Permissions::from_mode(0o755)).unwrap();
}

fn scaffolded(sandbox: &Sandbox) -> PathBuf {
    template(sandbox);
    sandbox.text("scaffold template apps/m/app1 m 1");
    sandbox.path("apps/m/app1")
}

/// The files of a folder and their bytes, kept ones aside.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if !path.to_str().unwrap().contains(".portbook-old") {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

fn ports_changed(text: &[u8], pairs: &[(&str, &str)]) -> Vec<u8> {
    // Latin-1 and binary files stay what they are: bytes are bytes.
    let mut text: String = text.iter().map(|byte| char::from(*byte)).collect();
    for (from, to) in pairs {
        text = text.replace(from, to);
    }
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect()
}

fn names(repair: &Value, how: &str) -> Vec<String> {
    let files = repair["files"].as_array().unwrap().iter();
    let files = files.filter(|file| file["how"] == how);
    files
        .map(|file| {
            let path = Path::new(file["file"].as_str().unwrap());
            path.file_name().unwrap().to_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn what_a_template_made_is_filled_in_anew_and_the_old_files_are_kept() {
    let sandbox = Sandbox::new();
    let app = scaffolded(&sandbox);
    let before = contents(&app);
    let untouched = |name: &str| fs::metadata(app.join(name)).unwrap().ino();
    let (notes, logo) = (untouched("notes.txt"), untouched("web/logo.png"));
    let line = "repair --move m 1 --ports backend=6001";
    let plan = sandbox.json(line);
    assert_eq!(
        keys(&plan["files"][0]),
        [
            "app_num", "error", "file", "how", "kept", "lines", "model", "unclear"
        ]
    );
    assert_eq!(
        names(&plan, "refilled"),
        [".env", "docker-compose.yml", "server.js"]
    );
    assert_eq!(
        each(&plan["files"], "lines"),
        [&json!([2, 4]), &json!([5]), &json!([2])]
    );
    assert_eq!(contents(&app), before, "a plan is no deed");
    let done = sandbox.json(&format!("{line} --yes"));
    assert_eq!(each(&done["files"], "lines"), each(&plan["files"], "lines"));
    let expected: BTreeMap<_, _> = before
        .iter()
        .map(|(name, text)| {
            let is_chance = name.ends_with("notes.txt");
            let text = match is_chance {
                true => text.clone(),
                false => ports_changed(text, &[("5001", "6001")]),
            };
            (name.clone(), text)
        })
        .collect();
    assert_eq!(contents(&app), expected);
    for name in [".env", "docker-compose.yml", "web/server.js"] {
        let kept = app.join(format!("{name}.portbook-old"));
        assert_eq!(fs::read(kept).unwrap(), before[Path::new(name)], "{name}");
    }
    assert_eq!(
        (untouched("notes.txt"), untouched("web/logo.png")),
        (notes, logo)
    );
    // Exactly what a new app of the template would have.
    sandbox.text("release m 1");
    sandbox.text("allocate m 1 --ports backend=6001,frontend=8001");
    sandbox.text("scaffold template fresh m 1");
    assert_eq!(contents(&sandbox.path("fresh")), expected);
}

#[test]
fn the_frontend_follows_too_and_modes_stay() {
    let sandbox = Sandbox::new();
    let app = scaffolded(&sandbox);
    sandbox.text("repair --move m 1 --ports frontend=9001 --yes");
    assert_eq!(
        fs::read(app.join("start")).unwrap(),
        b"#!/bin/sh\nexec serve 9001\n"
    );
    assert_eq!(
        fs::metadata(app.join("start")).unwrap().mode() & 0o777,
        0o755
    );
    assert_eq!(sandbox.json("repair --yes")["files"], json!([]));
}

#[test]
fn edits_stay_and_the_ports_in_them_follow() {
    let sandbox = Sandbox::new();
    let app = scaffolded(&sandbox);
    let edit = |name: &str, from: &str, to: &str| {
        let text = fs::read_to_string(app.join(name)).unwrap();
        assert!(text.contains(from), "{text}");
        let edited = text.replace(from, to);
        fs::write(app.join(name), &edited).unwrap();
        edited
    };
    let env = edit(
        ".env",
        "API=http://localhost:5001/api\n",
        "SECRET=5001s3cret\r\nAPI=https://example.org:5001/v2 # ours\n",
    );
    let compose = edit(
        "docker-compose.yml",
        "    image: api\n",
        "    image: mine\n    environment: [ID=5001]\n",
    );
    let repair = sandbox.json("repair --move m 1 --ports backend=6001 --yes");
    assert_eq!(names(&repair, "merged"), [".env", "docker-compose.yml"]);
    let read = |name: &str| fs::read_to_string(app.join(name)).unwrap();
    let expected = env
        .replace("BACKEND_PORT=5001", "BACKEND_PORT=6001")
        .replace("org:5001/", "org:6001/");
    assert_eq!(read(".env"), expected);
    assert_eq!(
        read("docker-compose.yml"),
        compose.replace(":-5001}", ":-6001}")
    );
    assert_eq!(sandbox.json("repair --yes")["files"], json!([]));
}

#[test]
fn files_that_no_template_made_have_their_digits_changed() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate m 1");
    sandbox.text("allocate n 1");
    let env = "export BACKEND_PORT='5001' # ours\r\nFRONTEND_PORT=\"8001\"\nWEB=8001\nOTHER=5001\n";
    sandbox.write("apps/m/app1/.env", env);
    let compose = "services:\n  api: {image: a, ports: [\"127.0.0.1:5001:5001/tcp\", '15001:80']}\n  \
                   web:\n    image: b\n    ports:\n      - target: 8001\n        published: \"${WEB:-8001}\"\n      - ${UNSET:-8001}:81\n";
    sandbox.write("apps/m/app1/deploy/compose.yaml", compose);
    sandbox.write("apps/m/app1/deploy/.env", "WEB=8001\nX=1\n");
    sandbox.write("apps/m/app1/node_modules/x/.env", "BACKEND_PORT=5001\n");
    sandbox.write("apps/n/app1/.env", "BACKEND_PORT=5001\n");
    let line = "repair --move m 1 --ports backend=6001,frontend=9001 --yes";
    let repair = sandbox.json(&format!("{line} --apps-dir apps"));
    assert_eq!(names(&repair, "rewritten").len(), 3);
    let read = |name: &str| fs::read_to_string(sandbox.path(name)).unwrap();
    assert_eq!(
        read("apps/m/app1/.env"),
        "export BACKEND_PORT='6001' # ours\r\nFRONTEND_PORT=\"9001\"\nWEB=8001\nOTHER=5001\n"
    );
    assert_eq!(
        read("apps/m/app1/deploy/compose.yaml"),
        compose
            .replace("127.0.0.1:5001:", "127.0.0.1:6001:")
            .replace(":-8001}", ":-9001}")
    );
    assert_eq!(read("apps/m/app1/deploy/.env"), "WEB=9001\nX=1\n");
    assert_eq!(
        read("apps/m/app1/node_modules/x/.env"),
        "BACKEND_PORT=5001\n"
    );
    assert_eq!(
        read("apps/n/app1/.env"),
        "BACKEND_PORT=5001\n",
        "another app's"
    );
}

#[test]
fn a_port_that_is_the_apps_for_another_role_now_is_left_to_people() {
    let sandbox = Sandbox::new();
    let app = scaffolded(&sandbox);
    sandbox.write(
        "apps/m/app1/more/compose.yaml",
        "services:\n  x:\n    image: x\n    ports: ['5001:80']\n",
    );
    let swap = "repair --move m 1 --ports backend=8001,frontend=5001 --yes --json";
    let run = sandbox.run(swap);
    let repair = run.ended(1).json();
    // The template's own files are clear all the same: it knows which is which.
    let env = fs::read_to_string(app.join(".env")).unwrap();
    assert!(
        env.contains("BACKEND_PORT=8001\nFRONTEND_PORT=5001\n"),
        "{env}"
    );
    let unclear: Vec<&Value> = repair["files"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|file| file["unclear"] != json!([]))
        .collect();
    assert_eq!(unclear.len(), 1, "{repair}");
    assert!(
        unclear[0]["file"]
            .as_str()
            .unwrap()
            .ends_with("more/compose.yaml")
    );
    assert_eq!(
        (&unclear[0]["unclear"], &unclear[0]["lines"]),
        (&json!([4]), &json!([]))
    );
    let again = sandbox.run("repair");
    assert!(
        again.ended(1).stdout.contains("look at 4 yourself"),
        "{}",
        again.stdout
    );
}

#[test]
fn links_are_not_followed_out_and_a_template_that_is_gone_is_done_without() {
    let sandbox = Sandbox::new();
    let app = scaffolded(&sandbox);
    fs::remove_dir_all(sandbox.path("template")).unwrap();
    let shared = sandbox.write("shared.env", "BACKEND_PORT=5001\n");
    fs::create_dir(app.join("linked")).unwrap();
    symlink(&shared, app.join("linked/.env")).unwrap();
    symlink(sandbox.work(), app.join("around")).unwrap();
    let repair = sandbox.json("repair --move m 1 --ports backend=6001 --yes");
    assert_eq!(names(&repair, "rewritten"), [".env", "docker-compose.yml"]);
    let notes = repair["notes"].to_string();
    assert!(
        notes.contains("m/app1: ") && notes.contains("template"),
        "{notes}"
    );
    assert!(notes.contains("is not only m/app1"), "{notes}");
    assert_eq!(fs::read_to_string(shared).unwrap(), "BACKEND_PORT=5001\n");
    let env = fs::read_to_string(app.join(".env")).unwrap();
    assert!(
        env.contains("BACKEND_PORT=6001") && env.contains("localhost:5001"),
        "{env}"
    );
}

#[test]
fn who_was_moved_without_its_files_is_caught_up_with() {
    let sandbox = Sandbox::new();
    let app = scaffolded(&sandbox);
    let away = sandbox.path("away");
    fs::rename(&app, &away).unwrap();
    for (from, to) in [(5001, 6001), (6001, 6003)] {
        sandbox.text(&format!("repair --move m 1 --ports backend={to} --yes"));
        assert_eq!(sandbox.pair("get m 1").0, to, "{from}");
    }
    fs::rename(&away, &app).unwrap();
    let repair = sandbox.json("repair --yes");
    assert_eq!(repair["moves"], json!([]));
    assert_eq!(names(&repair, "refilled").len(), 3);
    let env = fs::read_to_string(app.join(".env")).unwrap();
    assert!(
        env.contains("BACKEND_PORT=6003\n") && !env.contains("5001"),
        "{env}"
    );
}

#[test]
fn a_repair_that_is_killed_is_finished_by_the_next() {
    const APPS: u32 = 6;
    const ROUNDS: u32 = 30;
    let sandbox = Sandbox::new();
    template(&sandbox);
    for number in 1..=APPS {
        sandbox.text(&format!("scaffold template apps/m/app{number} m {number}"));
        // Every other app is edited, so that both ways are gone.
        if number % 2 == 0 {
            let env = sandbox.path(&format!("apps/m/app{number}/.env"));
            let text = fs::read_to_string(&env).unwrap();
            fs::write(&env, format!("# mine\n{text}")).unwrap();
        }
    }
    let backend = |number: u32| sandbox.pair(&format!("get m {number}")).0;
    let mut seed = 7_u64;
    let mut whole = Duration::from_millis(60);
    let (mut early, mut half_way, mut late) = (0, 0, 0);
    for round in 0..ROUNDS {
        // A pool that comes later drives every app out of its port.
        let taken: Vec<u64> = (1..=APPS).map(backend).collect();
        let (first, last) = (taken.iter().min().unwrap(), taken.iter().max().unwrap());
        sandbox.text(&format!("pool add p{round} {first}-{last} nobody"));
        let mut command = sandbox.command();
        command
            .args(["repair", "--yes"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let begun = Instant::now();
        let mut child = command.spawn().unwrap();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(whole.mul_f64((seed >> 40) as f64 / f64::from(1 << 24)));
        let has_ended = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        child.wait().unwrap();
        if has_ended {
            whole = whole.min(begun.elapsed());
        }
        let is_done = |number: u32| {
            let env = fs::read_to_string(sandbox.path(&format!("apps/m/app{number}/.env")));
            let port = backend(number);
            env.unwrap().contains(&format!("BACKEND_PORT={port}\n"))
        };
        match backend(1) == taken[0] {
            true => early += 1,
            false if (1..=APPS).all(is_done) => late += 1,
            false => half_way += 1,
        }
        sandbox.run("repair --yes").done();
        sandbox.run("check").done();
        for number in 1..=APPS {
            let (backend, frontend) = sandbox.pair(&format!("get m {number}"));
            let app = sandbox.path(&format!("apps/m/app{number}"));
            let env = fs::read_to_string(app.join(".env")).unwrap();
            let expected = format!(
                "{}# m_app{number}\nBACKEND_PORT={backend}\nFRONTEND_PORT={frontend}\nAPI=http://localhost:{backend}/api\n",
                if number % 2 == 0 { "# mine\n" } else { "" }
            );
            assert_eq!(env, expected, "round {round}");
            let code = fs::read(app.join("web/server.js")).unwrap();
            let expected = ports_changed(CODE, &[("{{backend_port}}", &backend.to_string())]);
            assert_eq!(code, expected, "round {round}");
            let names = fs::read_dir(&app)
                .unwrap()
                .map(|entry| entry.unwrap().file_name());
            let names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
            let kept = names
                .iter()
                .filter(|name| name.starts_with(".env.portbook-old"));
            assert_eq!(
                kept.count(),
                round as usize + 1,
                "kept once a round: {names:?}"
            );
            let is_left_over = |name: &&String| name.contains(".portbook-new");
            assert_eq!(names.iter().find(is_left_over), None);
        }
    }
    println!(
        "killed {early} times before the commit, {half_way} amid the files, {late} after them"
    );
}

/// A typing mistake must not pass for "no file says an old port".
#[test]
fn where_files_cannot_be_looked_for_it_is_told() {
    let sandbox = Sandbox::new();
    // No browser opens 6667: that has to move.
    sandbox.text("allocate m 1 --ports backend=6667");
    let env = sandbox.write("apps/m/app1/.env", "BACKEND_PORT=6667\n");
    for words in ["repair --apps-dir appz", "repair --apps-dir appz --yes"] {
        let run = sandbox.run(words);
        run.failed_saying(
            2,
            &["the apps directory appz cannot be read", "for each model"],
        );
    }
    assert_eq!(sandbox.pair("get m 1").0, 6667);

    let notes = |repair: Value| -> Vec<String> {
        let notes = repair["notes"].as_array().unwrap().iter();
        notes
            .map(|note| note.as_str().unwrap().to_owned())
            .collect()
    };
    for words in ["repair", "repair --yes"] {
        let notes = notes(sandbox.json(words));
        assert_eq!(notes.len(), 1, "{words}: {notes:?}");
        let note = &notes[0];
        assert!(note.contains("no directory of m/app1 is known"), "{note}");
        assert!(note.contains("DIR/m/app1"), "{note}");
    }
    assert_eq!(fs::read_to_string(&env).unwrap(), "BACKEND_PORT=6667\n");
    // It has been told; whoever names the folder is served still.
    assert_eq!(notes(sandbox.json("repair")), [] as [String; 0]);
    let repair = sandbox.json("repair --apps-dir apps --yes");
    assert_eq!(notes(repair), [] as [String; 0]);
    assert_eq!(fs::read_to_string(&env).unwrap(), "BACKEND_PORT=5001\n");
}

#[test]
fn a_folder_that_may_not_be_read_is_told() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate m 1");
    sandbox.open_to_all();
    let closed = sandbox.path("apps/m/app1/closed");
    fs::create_dir_all(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let repair = sandbox.run_as_nobody("repair --move m 1 --apps-dir apps --json");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    let notes = repair.done().json()["notes"].clone();
    let note = notes[0].as_str().unwrap();
    assert!(note.contains("app1/closed cannot be read"), "{note}");
}

#[test]
fn a_port_that_was_never_the_apps_stays_and_is_told() {
    let sandbox = Sandbox::new();
    // No browser opens 6667: that has to move.
    sandbox.text("allocate m 1 --ports backend=6667");
    let said = "BACKEND_PORT=9999\nFRONTEND_PORT=8001\n";
    let file = sandbox.write("apps/m/app1/.env", said);
    let repair = sandbox.json("repair --apps-dir apps --yes");
    assert_eq!(fs::read_to_string(file).unwrap(), said);
    let notes = repair["notes"].as_array().unwrap();
    assert_eq!(notes.len(), 1, "{repair}");
    let note = notes[0].as_str().unwrap();
    for part in [
        ".env:1:14: BACKEND_PORT is 9999",
        "its backend is 5001",
        "env m 1 --write",
    ] {
        assert!(note.contains(part), "{note}");
    }
}

/// Digits of which some come from elsewhere are not replaced, and not passed over in silence.
#[test]
fn a_port_that_is_put_together_is_told() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate m 1");
    let said = "FRONTEND_PORT=\"80${X:-01}\"\n";
    let file = sandbox.write("apps/m/app1/.env", said);
    let repair = sandbox.json("repair --move m 1 --ports frontend=8005 --apps-dir apps --yes");
    assert_eq!(fs::read_to_string(file).unwrap(), said);
    let note = repair["notes"][0].as_str().unwrap();
    for part in [
        ".env:1:",
        "FRONTEND_PORT is put together to 8001",
        "write 8005",
    ] {
        assert!(note.contains(part), "{note}");
    }
}
