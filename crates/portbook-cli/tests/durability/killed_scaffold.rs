//! `portbook scaffold`, killed or failing at each call that changes the disk: the app is there whole or
//! not at all, and its ports are nobody's loss.

use std::fs;
use std::path::Path;

use crate::kit::{Desk, Done};
use crate::traced;

const SCAFFOLD: &str = "scaffold template apps/one new 1 --json";

/// A template, and a book that is there already, so that most of the calls are the copy's own.
fn desk() -> Desk {
    let desk = Desk::new();
    let folder = desk.root().join("template/deep");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(".env.example"), "PORT={{backend_port}}").unwrap();
    fs::write(folder.join("binary"), b"\0{{backend_port}}").unwrap();
    fs::write(desk.root().join("template/run"), "{{frontend_port}}").unwrap();
    desk.run("allocate old 1").ok();
    desk
}

/// The app's three files, or none; anything else is half of it.
#[track_caller]
fn is_there(dest: &Path, ended: &Done) -> bool {
    let read = |name: &str| fs::read(dest.join(name)).ok();
    let files = ["deep/.env", "deep/binary", "run"].map(read);
    if files.iter().all(Option::is_none) {
        let is_empty = fs::read_dir(dest).map_or(true, |mut files| files.next().is_none());
        assert!(is_empty, "folders without files after {ended:#?}");
        return false;
    }
    let whole = ["PORT=5003", "\0{{backend_port}}", "8003"];
    let whole = whole.map(|content| Some(content.as_bytes().to_vec()));
    assert_eq!(files, whole, "after {ended:#?}");
    true
}

fn beside(dest: &Path) -> Vec<std::ffi::OsString> {
    let Ok(entries) = fs::read_dir(dest.parent().unwrap()) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name());
    names.filter(|name| name != "one").collect()
}

#[test]
fn killed_at_each_call_the_app_is_there_or_not_and_the_next_run_makes_it() {
    let mut kills = 0;
    let mut left = [0, 0];
    for (call, count) in traced::calls(&desk(), SCAFFOLD) {
        for nth in 1..=count {
            let desk = desk();
            let dest = desk.root().join("apps/one");
            let kill = format!("{call}:signal=KILL:when={nth}");
            let ended = traced::portbook(&desk, std::slice::from_ref(&kill), SCAFFOLD);
            kills += usize::from(ended.signal == Some(9));
            let was_there = is_there(&dest, &ended);
            left[usize::from(was_there)] += 1;

            let force = if was_there { " --force" } else { "" };
            let again = desk.json(&format!("scaffold template apps/one new 1{force}"));
            assert_eq!(again["backend"], 5003, "a port leaked after {ended:#?}");
            assert!(is_there(&dest, &ended));
            assert_eq!(beside(&dest), [""; 0], "after {ended:#?}");
            assert_eq!(desk.json("list").as_array().unwrap().len(), 2);
        }
    }
    println!("{kills} kills, left {left:?}");
    assert!(
        kills >= 20 && left[0] > 0 && left[1] > 0,
        "{kills} kills, left {left:?}"
    );
}

#[test]
fn failing_at_each_call_of_the_copy_nothing_is_left_and_the_ports_are_free() {
    for folder_is_there in [false, true] {
        let prepare = || {
            let desk = desk();
            if folder_is_there {
                fs::create_dir_all(desk.root().join("apps/one")).unwrap();
            }
            desk
        };
        let calls = traced::calls(&prepare(), SCAFFOLD);
        let mut failures = 0;
        for call in ["mkdir", "fchmod", "renameat2"] {
            for nth in 1..=*calls.get(call).unwrap_or(&0) {
                let desk = prepare();
                let dest = desk.root().join("apps/one");
                let fault = format!("{call}:error=ENOSPC:when={nth}");
                let ended = traced::portbook(&desk, std::slice::from_ref(&fault), SCAFFOLD);
                if ended.code == Some(0) {
                    assert!(is_there(&dest, &ended));
                    continue;
                }
                failures += 1;
                assert!(!is_there(&dest, &ended));
                assert_eq!(dest.exists(), folder_is_there, "{ended:#?}");
                assert_eq!(beside(&dest), [""; 0], "{ended:#?}");
                assert_eq!(desk.json("list").as_array().unwrap().len(), 1, "{ended:#?}");
                assert!(ended.stderr.contains("No space left"), "{ended:#?}");
            }
        }
        assert!(failures >= 5, "only {failures} failures");
    }
}
