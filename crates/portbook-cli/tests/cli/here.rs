//! `--here`: an app for each checkout of a project.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::kit::{Run, Sandbox};

/// A project under git's care in the folder `project`, with nothing in it yet.
fn project() -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    let project = sandbox.path("project");
    std::fs::create_dir(&project).unwrap();
    git(&sandbox, &project, "init --quiet --initial-branch main");
    git(
        &sandbox,
        &project,
        "-c user.name=tester -c user.email=tester@example.org commit --quiet --allow-empty --message begin",
    );
    (sandbox, project)
}

#[track_caller]
fn git(sandbox: &Sandbox, directory: &Path, line: &str) {
    let mut git = Command::new("git");
    git.args(line.split_whitespace());
    sandbox.furnish(&mut git);
    git.current_dir(directory);
    Run::of(git).done();
}

fn at(sandbox: &Sandbox, directory: &Path, line: &str) -> Run {
    let mut command = sandbox.command();
    command.args(line.split_whitespace()).current_dir(directory);
    Run::of(command)
}

#[track_caller]
fn app(sandbox: &Sandbox, directory: &Path, line: &str) -> (String, Value) {
    let answer = at(sandbox, directory, &format!("{line} --json"))
        .done()
        .json();
    let name = format!(
        "{} {}",
        answer["model"].as_str().unwrap(),
        answer["app_num"]
    );
    (name, answer["ports"].clone())
}

#[test]
fn each_worktree_is_an_app_of_its_own_and_stays_the_same_one() {
    let (sandbox, project) = project();
    let first = app(&sandbox, &project, "allocate --here");
    assert_eq!(first.0, "project 1");
    git(&sandbox, &project, "worktree add --quiet ../other -b other");
    let other = sandbox.path("other");
    let second = app(&sandbox, &other, "allocate --here");
    assert_eq!(second.0, "project 2");
    assert_ne!(first.1, second.1);

    let below = other.join("below/it");
    std::fs::create_dir_all(&below).unwrap();
    assert_eq!(app(&sandbox, &below, "get --here"), second);
    assert_eq!(app(&sandbox, &project, "allocate --here"), first);
    git(&sandbox, &project, "switch --quiet --create elsewhere");
    assert_eq!(
        app(&sandbox, &project, "allocate --here"),
        first,
        "another branch"
    );
}

#[test]
fn a_worktree_that_was_made_anew_is_known_by_its_branch() {
    let (sandbox, project) = project();
    git(&sandbox, &project, "worktree add --quiet ../old -b feature");
    app(&sandbox, &project, "allocate --here");
    let before = app(&sandbox, &sandbox.path("old"), "allocate --here");
    git(&sandbox, &project, "worktree remove ../old");
    git(&sandbox, &project, "worktree add --quiet ../new feature");
    let new = sandbox.path("new");
    assert_eq!(app(&sandbox, &new, "get --here"), before);
    assert_eq!(app(&sandbox, &new, "allocate --here"), before);
    git(&sandbox, &project, "worktree add --quiet ../old -b further");
    let further = app(&sandbox, &sandbox.path("old"), "allocate --here");
    assert_eq!(
        further.0, "project 3",
        "the directory is another checkout's now"
    );
}

#[test]
fn a_folder_without_git_is_a_checkout_too_and_names_are_shared_without_harm() {
    let sandbox = Sandbox::new();
    let folders = [sandbox.path("a/shop"), sandbox.path("b/shop")];
    let apps = folders.each_ref().map(|folder| {
        std::fs::create_dir_all(folder).unwrap();
        app(&sandbox, folder, "allocate --here").0
    });
    assert_eq!(apps, ["shop 1", "shop 2"]);
}

#[test]
fn a_checkout_that_asks_many_times_at_once_is_one_app() {
    let (sandbox, project) = project();
    let ask = || app(&sandbox, &project, "allocate --here");
    let answers = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        asking
            .into_iter()
            .map(|asking| asking.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(answers.iter().all(|answer| answer.0 == "project 1"));
    assert_eq!(sandbox.json("list").as_array().unwrap().len(), 1);
}

#[test]
fn every_command_for_one_app_takes_it() {
    let (sandbox, project) = project();
    let ran = at(&sandbox, &project, "run --here -- printenv PORT");
    assert_eq!(ran.done().stdout, "5001\n");
    let env = at(&sandbox, &project, "env --here");
    assert!(env.done().stdout.contains("PROJECT_NAME=project_app1\n"));
    at(&sandbox, &project, "env --here --write .env").done();
    at(&sandbox, &project, "release --here").done();
    let gone = at(&sandbox, &project, "get --here");
    gone.failed_saying(1, &["project has no ports", "portbook allocate --here"]);
}

#[test]
fn a_name_and_here_exclude_each_other_and_half_a_name_is_none() {
    let sandbox = Sandbox::new();
    for line in [
        "get m 1 --here",
        "get m",
        "get",
        "allocate m",
        "run m -- true",
    ] {
        sandbox.run(line).failed(2);
    }
}

#[test]
fn where_git_refuses_its_reason_is_told() {
    let sandbox = Sandbox::new();
    sandbox.write(".git", "gitdir: /nowhere/at/all\n");
    sandbox
        .run("allocate --here")
        .failed_saying(5, &["cannot be told", "/nowhere/at/all", "MODEL APP"]);
}
