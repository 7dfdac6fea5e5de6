//! What this test binary does when a test starts it anew, as another process.

use std::path::Path;
use std::process::{Child, Command};

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::kit::Desk;

const SCENE: &str = "PORTBOOK_SCENE";
const ROOT: &str = "PORTBOOK_SCENE_ROOT";
const PART: &str = "PORTBOOK_SCENE_PART";

/// Another process that plays a scene at this desk; `part` is what it is told besides.
pub(crate) fn process(desk: &Desk, scene: &str, part: &str) -> Command {
    let mut command = desk.program(std::env::current_exe().unwrap());
    command
        .args(["--exact", "scene::plays_what_it_is_told", "--nocapture"])
        .env(SCENE, scene)
        .env(ROOT, desk.root())
        .env(PART, part);
    command
}

pub(crate) fn start(desk: &Desk, scene: &str, part: &str) -> Child {
    let mut command = process(desk, scene, part);
    // Nobody reads what a killed process said.
    command.stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::null());
    command.spawn().unwrap()
}

/// Does nothing when nobody told it to.
#[test]
fn plays_what_it_is_told() {
    let Ok(scene) = std::env::var(SCENE) else {
        return;
    };
    // Whatever becomes of the test, its thread's end is the end of this process.
    set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    let desk = Desk::at(Path::new(&std::env::var_os(ROOT).unwrap()));
    let part = std::env::var(PART).unwrap();
    match scene.as_str() {
        "clerk" => crate::killed_at_random::clerk(&desk, &part),
        "twenty" => crate::disk_errors::twenty(&desk, &part),
        "small-disk" => crate::full_disk::in_namespace(&desk, &part),
        "read-only-disk" => crate::read_only::in_namespace(&desk),
        "holder" => crate::hanging_holder::hold(&desk),
        other => panic!("no scene {other}"),
    }
}
