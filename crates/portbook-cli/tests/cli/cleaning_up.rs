//! `cleanup`: apps that are gone give their ports back, and no others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use insta::assert_snapshot;
use portbook::model::{AppDirectory, AppKey, Note, ProcessIdentity, Run as AppRun};
use portbook::{Configuration, Environment, Flags, PortAllocationService};
use serde_json::{Value, json};

use crate::kit::{Listener, Run, Sandbox, each, free_stretch, keys, ranges};

impl Sandbox {
    /// The first `count` apps of the model `m`, with their directories but for the last `gone` ones.
    fn apps(&self, count: u32, gone: u32) {
        self.text(&format!("allocate m 1-{count}"));
        for number in 1..=count - gone {
            fs::create_dir_all(self.path(&format!("apps/m/app{number}"))).unwrap();
        }
    }

    fn held(&self) -> Vec<i64> {
        let list = self.json("list");
        each(&list, "app_num")
            .into_iter()
            .map(|number| number.as_i64().unwrap())
            .collect()
    }

    /// Lets the book's clock, which never runs backwards, go ahead.
    fn pass(&self, days: u32) {
        let millis = u64::from(days) * 86_400_000;
        self.hand(&format!(
            "UPDATE changes SET at = max(at, cast(strftime('%s', 'now') AS INTEGER) * 1000) + {millis}
             WHERE revision = (SELECT max(revision) FROM changes)"
        ));
    }

    fn remember(&self, app: &AppKey, note: Note) {
        let flags = Flags {
            store: Some(format!("sqlite:{}", self.book().display())),
            no_host_check: true,
            ..Flags::default()
        };
        let environment = Environment::new(self.work(), [("HOME", self.root())]);
        let configuration = Configuration::load(&flags, &environment).unwrap();
        let service = PortAllocationService::open(&configuration).unwrap();
        assert_eq!(service.note(vec![(app.clone(), note)]).unwrap(), 1);
    }
}

fn app(number: u32) -> AppKey {
    AppKey::new("m".parse().unwrap(), number.to_string().parse().unwrap())
}

fn lives_in(path: &Path) -> Note {
    Note::Directory(AppDirectory {
        path: path.display().to_string(),
        template: None,
        branch: None,
    })
}

fn ran(process: ProcessIdentity, release_on_exit: bool) -> Note {
    Note::Run(AppRun {
        process,
        release_on_exit,
    })
}

/// A process that was before the machine's last start.
fn long_ended() -> ProcessIdentity {
    ProcessIdentity {
        pid: 4242,
        start_time: 1,
        boot: "an earlier one".to_owned(),
    }
}

fn states(cleanup: &Value) -> Vec<(i64, &str)> {
    let orphans = cleanup["orphans"].as_array().unwrap().iter();
    orphans
        .map(|orphan| {
            (
                orphan["app_num"].as_i64().unwrap(),
                orphan["state"].as_str().unwrap(),
            )
        })
        .collect()
}

#[test]
fn it_shows_what_it_would_do_and_does_it_on_request() {
    let sandbox = Sandbox::new();
    sandbox.apps(6, 1);
    let before = sandbox.changes();
    let look = sandbox.run("cleanup --apps-dir apps --grace 0");
    let words: Vec<&str> = look.done().stdout.split_whitespace().collect();
    assert_snapshot!(sandbox.cleaned(&words.join(" ")), @"APP PORTS WHY MISSING SINCE DUE m/app6 5011, 8011 [ROOT]/work/apps/m/app6 is gone [TIME] [TIME] due");
    assert_snapshot!(look.stderr, @"note: 1 app would be released, 0 apps once the grace is over; --yes does it");
    for looking in ["", "--dry-run"] {
        let plan = sandbox.json(&format!("cleanup --apps-dir apps --grace 0 {looking}"));
        assert_eq!(keys(&plan), ["applied", "orphans", "untold"]);
        assert_eq!(plan["applied"], false);
        assert_eq!(states(&plan), [(6, "due")]);
        assert_eq!(sandbox.changes(), before, "looking is no doing");
    }
    let done = sandbox.json("cleanup --apps-dir apps --grace 0 --yes");
    assert_eq!(done["applied"], true);
    assert_eq!(states(&done), [(6, "released")]);
    assert_eq!(
        keys(&done["orphans"][0]),
        [
            "app_num",
            "directory",
            "due",
            "model",
            "ports",
            "since",
            "state",
            "why"
        ]
    );
    assert_eq!(sandbox.held(), [1, 2, 3, 4, 5]);
    let last = sandbox.json("history --last 1");
    assert_eq!(
        (&last[0]["change"], &last[0]["cause"]),
        (&json!("released"), &json!("directory-gone"))
    );
    let again = sandbox.run("cleanup --apps-dir apps --grace 0 --yes");
    assert_eq!(
        again.done().stdout,
        "no app is gone in the space `default`\n"
    );
    // It comes back to the ports that it had.
    sandbox.text("allocate other 1 --ports backend=6001,frontend=9001");
    assert_eq!(sandbox.pair("allocate m 6"), (5011, 8011));
}

#[test]
fn what_is_missed_is_noted_and_released_after_the_grace() {
    let sandbox = Sandbox::new();
    sandbox.apps(10, 2);
    let cleanup = "cleanup --apps-dir apps --yes";
    let first = sandbox.json(cleanup);
    assert_eq!(states(&first), [(9, "waiting"), (10, "waiting")]);
    assert_eq!(sandbox.held().len(), 10);
    // One of them is back: it is no more missing, and begins anew if it goes again.
    fs::create_dir(sandbox.path("apps/m/app9")).unwrap();
    sandbox.pass(4);
    let second = sandbox.json(cleanup);
    assert_eq!(states(&second), [(10, "waiting")]);
    let since = second["orphans"][0]["since"].clone();
    fs::remove_dir(sandbox.path("apps/m/app9")).unwrap();
    sandbox.pass(4);
    let third = sandbox.json(cleanup);
    assert_eq!(states(&third), [(9, "waiting"), (10, "released")]);
    assert_eq!(third["orphans"][1]["since"], since, "the first look counts");
    assert_eq!(sandbox.held(), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    // Another grace is another matter.
    assert_eq!(
        states(&sandbox.json("cleanup --apps-dir apps --grace 6d")),
        [(9, "waiting")]
    );
    assert_eq!(
        states(&sandbox.json("cleanup --apps-dir apps --grace 0")),
        [(9, "due")]
    );
    // Everything of one call is one commit.
    let history = sandbox.history();
    let commits = each(&history, "commit");
    assert_eq!(commits[commits.len() - 1], commits[commits.len() - 2]);
}

#[test]
fn an_apps_directory_that_is_not_to_be_trusted_releases_nothing() {
    let sandbox = Sandbox::new();
    sandbox.apps(3, 3);
    let before = sandbox.changes();
    let cleanup = "cleanup --apps-dir apps --grace 0 --max-share 100% --yes";
    sandbox
        .run(cleanup)
        .failed_saying(2, &["the apps directory apps is missing"]);
    fs::create_dir(sandbox.path("apps")).unwrap();
    sandbox
        .run(cleanup)
        .failed_saying(2, &["holds no folder", "not mounted"]);
    fs::create_dir(sandbox.path("apps/lost+found")).unwrap();
    sandbox.run(cleanup).failed_saying(2, &["holds no folder"]);
    sandbox.write("file", "");
    sandbox
        .run("cleanup --apps-dir file --yes")
        .failed_saying(2, &["file is not a folder"]);
    assert_eq!(
        sandbox.run(&format!("{cleanup} --json")).error(2)["code"],
        "bad-apps-directory"
    );
    assert_eq!(sandbox.changes(), before);
}

#[test]
fn what_may_not_be_looked_at_is_not_gone() {
    let sandbox = Sandbox::new();
    sandbox.apps(6, 1);
    sandbox.open_to_all();
    let line = "cleanup --apps-dir apps --grace 0 --yes";
    let set_mode = |path: &str, mode| {
        let path = sandbox.path(path);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for mode in [0o000, 0o311, 0o644] {
        set_mode("apps", mode);
        sandbox
            .run_as_nobody(line)
            .failed_saying(2, &["apps cannot be read", "ermission denied"]);
    }
    set_mode("apps", 0o755);
    // The model's folder may be there and not be looked into: then nothing is known of its apps.
    set_mode("apps/m", 0o600);
    let looked = sandbox.run_as_nobody(&format!("{line} --json"));
    let looked = looked.done().json();
    assert_eq!(states(&looked), []);
    assert_eq!(looked["untold"].as_array().unwrap().len(), 6);
    set_mode("apps/m", 0o755);
    let looked = sandbox.run_as_nobody(&format!("{line} --json"));
    assert_eq!(states(&looked.done().json()), [(6, "released")]);
}

#[test]
fn no_more_than_the_largest_share_goes_at_once() {
    let sandbox = Sandbox::new();
    sandbox.apps(10, 3);
    let cleanup = "cleanup --apps-dir apps --grace 0";
    for line in [cleanup.to_owned(), format!("{cleanup} --yes")] {
        sandbox
            .run(&line)
            .failed_saying(1, &["3 of 10 apps", "more than 20%", "--max-share"]);
    }
    assert_eq!(
        sandbox.run(&format!("{cleanup} --json")).error(1)["code"],
        "too-many-orphans"
    );
    assert_eq!(sandbox.held().len(), 10);
    // What only waits does not go.
    sandbox.run("cleanup --apps-dir apps --yes").done();
    sandbox
        .run(&format!("{cleanup} --max-share 29% --yes"))
        .failed(1);
    sandbox
        .run(&format!("{cleanup} --max-share 30% --yes"))
        .done();
    assert_eq!(sandbox.held().len(), 7);
    for bad in ["101%", "-1%", "half"] {
        sandbox
            .run(&format!("cleanup --max-share {bad}"))
            .failed_saying(2, &["--max-share", "is not a share"]);
    }
    sandbox
        .run("cleanup --grace -1d")
        .failed_saying(2, &["--grace"]);
}

#[test]
fn an_unmounted_volume_is_no_orphan_for_the_book_either() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate m 1-5");
    let volume = sandbox.path("volume");
    for number in 1..=5 {
        let directory = volume.join(format!("m/app{number}"));
        fs::create_dir_all(&directory).unwrap();
        sandbox.remember(&app(number), lives_in(&directory));
    }
    fs::create_dir_all(volume.join("other/app1")).unwrap();
    let cleanup = "cleanup --grace 0 --max-share 100%";
    assert_eq!(states(&sandbox.json(cleanup)), []);
    fs::remove_dir(volume.join("m/app5")).unwrap();
    assert_eq!(states(&sandbox.json(cleanup)), [(5, "due")]);
    let away = sandbox.path("away");
    fs::rename(&volume, &away).unwrap();
    for mount_point_stays in [false, true] {
        if mount_point_stays {
            fs::create_dir(&volume).unwrap();
        }
        let plan = sandbox.json(cleanup);
        assert_eq!(states(&plan), []);
        assert_eq!(plan["untold"].as_array().unwrap().len(), 5);
    }
    let run = sandbox.run(&format!("{cleanup} --yes"));
    assert!(
        run.done().stderr.contains("m/app1 is left alone"),
        "{}",
        run.stderr
    );
    assert_eq!(sandbox.held().len(), 5);
    // A model's last app takes the model's folder with it.
    fs::remove_dir(&volume).unwrap();
    fs::rename(&away, &volume).unwrap();
    fs::remove_dir_all(volume.join("m")).unwrap();
    assert_eq!(states(&sandbox.json(cleanup)).len(), 5);
}

#[test]
fn an_app_that_lives_elsewhere_is_no_orphan_of_the_apps_directory() {
    let sandbox = Sandbox::new();
    sandbox.apps(5, 1);
    let elsewhere = sandbox.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    sandbox.remember(&app(5), lives_in(&elsewhere));
    let cleanup = "cleanup --apps-dir apps --grace 0";
    assert_eq!(states(&sandbox.json(cleanup)), []);
    fs::remove_dir(&elsewhere).unwrap();
    assert_eq!(states(&sandbox.json(cleanup)), [(5, "due")]);
}

#[test]
fn a_lease_that_ended_and_a_run_that_ended_are_gone() {
    let sandbox = Sandbox::new();
    sandbox.apps(10, 0);
    sandbox.text("allocate m 11 --ttl 1ms");
    sandbox.remember(&app(1), ran(long_ended(), true));
    // Somebody ran this one, but it was not made for that.
    sandbox.remember(&app(2), ran(long_ended(), false));
    // Its run goes on: this very test.
    let ours = ProcessIdentity {
        pid: std::process::id(),
        start_time: portbook_host::process_start_time(std::process::id()).unwrap(),
        boot: portbook_host::boot_id().unwrap(),
    };
    sandbox.remember(&app(3), ran(ours, true));
    sandbox.text("allocate leased 1 --ttl 50ms");
    std::thread::sleep(std::time::Duration::from_millis(60));
    let plan = sandbox.json("cleanup");
    assert_eq!(each(&plan["orphans"], "why"), ["lease-ended", "run-ended"]);
    assert_eq!(each(&plan["orphans"], "state"), ["due", "waiting"]);
    let done = sandbox.json("cleanup --grace 0 --yes");
    assert_eq!(each(&done["orphans"], "state"), ["released", "released"]);
    let causes = sandbox.json("history --last 2");
    assert_eq!(each(&causes, "cause"), ["lease-ended", "run-ended"]);
    assert!(!sandbox.held().contains(&1));
}

#[test]
fn a_check_warns_of_a_directory_that_is_gone() {
    let sandbox = Sandbox::looking_at_host();
    let port = free_stretch(8);
    sandbox.write("portbook.toml", ranges(port, 4));
    sandbox.text("allocate m 1-2");
    let home = sandbox.path("home");
    fs::create_dir(&home).unwrap();
    sandbox.remember(&app(1), lives_in(&home));
    assert_eq!(sandbox.json("check"), json!([]));
    let listener = Listener::start(port, &home);
    fs::remove_dir(&home).unwrap();
    assert_eq!(sandbox.json("check"), json!([]), "it runs");
    drop(listener);
    for line in ["check", "check --host"] {
        let found = sandbox.json(line);
        assert_eq!(each(&found, "kind"), ["orphan"], "{line}");
        let message = found[0]["message"].as_str().unwrap();
        assert!(
            message.ends_with("the directory of m/app1, is gone"),
            "{message}"
        );
    }
    assert_eq!(sandbox.json("check --no-host-check"), json!([]));
}

#[test]
fn an_engine_that_is_silent_may_have_the_apps_container() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate m 1");
    sandbox.remember(&app(1), ran(long_ended(), true));
    let mut command = sandbox.command();
    command
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .args(["cleanup", "--grace", "0", "--max-share", "100%", "--yes"]);
    let run = Run::of(command);
    assert_eq!(run.done().stdout, "no app is gone in the space `default`\n");
    assert!(
        run.stderr
            .contains("m/app1 is left alone: no container engine answers"),
        "{}",
        run.stderr
    );
    sandbox.text("cleanup --grace 0 --max-share 100% --yes");
    assert_eq!(sandbox.held(), [0; 0]);
}

#[test]
fn a_cleanup_that_is_killed_did_all_or_nothing() {
    const APPS: u32 = 40;
    let sandbox = Sandbox::new();
    let (mut nothing, mut all) = (0, 0);
    let mut whole = std::time::Duration::from_millis(40);
    for round in 0..12_u32 {
        sandbox.apps(APPS, 4);
        for number in APPS - 3..=APPS {
            let _ = fs::remove_dir(sandbox.path(&format!("apps/m/app{number}")));
        }
        // Two are due and two are noted, in one commit.
        sandbox.remember(&app(APPS), ran(long_ended(), round % 2 == 0));
        sandbox.remember(&app(APPS - 1), Note::Missing);
        sandbox.remember(&app(APPS), Note::Missing);
        sandbox.pass(8);
        let before = sandbox.changes();
        let mut command = sandbox.command();
        command.args(["cleanup", "--apps-dir", "apps", "--yes"]);
        command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let begun = std::time::Instant::now();
        let mut child = command.spawn().unwrap();
        std::thread::sleep(whole.mul_f64(f64::from(round * 5 % 12) / 12.0));
        let has_ended = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        child.wait().unwrap();
        if has_ended {
            whole = whole.min(begun.elapsed());
        }
        match sandbox.changes() - before {
            0 => nothing += 1,
            4 => all += 1,
            other => panic!("{other} of 4 changes"),
        }
        sandbox.run("cleanup --apps-dir apps --yes").done();
        assert_eq!(sandbox.held().len(), APPS as usize - 2);
        sandbox.text(&format!("release m 1-{APPS}"));
    }
    println!("killed {nothing} times before the commit, {all} times after it");
}

#[test]
fn an_app_that_listens_is_no_orphan_though_its_directory_is_gone() {
    let sandbox = Sandbox::looking_at_host();
    let port = free_stretch(20);
    sandbox.write("portbook.toml", ranges(port, 10));
    sandbox.apps(10, 0);
    let own = sandbox.path("apps/m/app1");
    let listener = Listener::start(port, &own);
    // A stranger's listener does not keep an app whose directory is gone.
    let stranger = Listener::start(port + 2, sandbox.root());
    fs::remove_dir(&own).unwrap();
    fs::remove_dir(sandbox.path("apps/m/app2")).unwrap();
    let cleanup = "cleanup --apps-dir apps --grace 0";
    assert_eq!(states(&sandbox.json(cleanup)), [(2, "due")]);
    drop(listener);
    assert_eq!(states(&sandbox.json(cleanup)), [(1, "due"), (2, "due")]);
    drop(stranger);
}
