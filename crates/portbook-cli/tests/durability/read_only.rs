//! A book that may be read and not written, on a disk mounted so, or by its permissions.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::full_disk::on_small_disk;
use crate::kit::Desk;
use crate::ledger::{Ledger, ports_of};

fn remount(desk: &Desk, how: &str) {
    let status = Command::new("mount")
        .args(["-o", &format!("remount,{how}")])
        .arg(desk.root().join("data"))
        .status();
    assert!(
        status.unwrap().success(),
        "the disk cannot be mounted {how}"
    );
}

pub(crate) fn in_namespace(desk: &Desk) {
    let held = desk.json("allocate old 1");
    for _ in 0..2 {
        remount(desk, "ro");
        for words in ["get old 1", "allocate old 1"] {
            assert_eq!(ports_of(&desk.json(words)), ports_of(&held));
        }
        assert_eq!(Ledger::of(desk).held.len(), 1);
        for words in ["allocate new 1", "release old 1"] {
            let sentence = desk.run(words).fails(4);
            assert!(sentence.contains("cannot be written"), "{sentence}");
        }
        let service = desk.service();
        service.get_or_allocate_ports("old", 1).unwrap();
        let error = service.get_or_allocate_ports("new", 1).unwrap_err();
        assert_eq!(error.code(), "book-read-only", "{error}");
        remount(desk, "rw");
        // The same service goes on, and so does everybody.
        service.get_or_allocate_ports("new", 1).unwrap();
        assert!(service.release_ports("new", 1).unwrap());
        drop(service);
    }
    desk.run("allocate new 2").ok();
    assert_eq!(Ledger::of(desk).held.len(), 2);

    // Nothing there yet, and nothing can be made.
    fs::remove_dir_all(desk.book().parent().unwrap()).unwrap();
    remount(desk, "ro");
    let sentence = desk.run("allocate new 1").fails(4);
    assert!(sentence.contains("cannot be written"), "{sentence}");
    remount(desk, "rw");
    desk.run("allocate new 1").ok();
}

#[test]
fn invariant_3_a_disk_mounted_read_only_can_be_read_and_is_written_again_later() {
    on_small_disk(&Desk::new(), "read-only-disk", "");
}

/// Permissions don't bind root, so that the command has to be somebody else.
#[test]
fn invariant_3_a_book_without_permission_to_write_is_one_sentence_and_nothing_changes() {
    let desk = Desk::new();
    let held = desk.json("allocate old 1");
    let folder = desk.book().parent().unwrap().to_owned();
    let open = |path: &std::path::Path, mode| {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap()
    };
    open(desk.root(), 0o755);
    open(&desk.root().join("data"), 0o755);
    // The command has to be where somebody else can run it. Copied by another process: a file that a
    // test's thread is writing cannot be run while a child of another thread still has it open.
    let copy = desk.root().join("portbook");
    let copied = desk
        .program("cp")
        .arg(crate::kit::portbook_binary())
        .arg(&copy)
        .status();
    assert!(copied.unwrap().success());
    let as_nobody = |words: &str| {
        let mut command = desk.program("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&copy);
        command.args(crate::kit::words_of(words));
        let output = command.output().expect("this test needs setpriv");
        assert!(
            !String::from_utf8_lossy(&output.stderr).contains("setpriv:"),
            "this test has to become another user: run it as root\n{output:?}"
        );
        crate::kit::Done::of(words, output)
    };
    for (folder_mode, book_mode) in [(0o755, 0o644), (0o755, 0o600), (0o700, 0o644)] {
        open(&folder, folder_mode);
        open(&desk.book(), book_mode);
        let _ = fs::set_permissions(desk.beside(".lock"), Permissions::from_mode(book_mode));
        let got = as_nobody("get old 1 --json");
        if folder_mode == 0o755 && book_mode == 0o644 {
            assert_eq!(ports_of(&got.json()), ports_of(&held));
        } else {
            let (_, message) = got.complaint();
            assert!(message.to_lowercase().contains("permission"), "{message}");
        }
        let refused = as_nobody("allocate new 1 --json");
        assert_eq!(refused.code, Some(4), "{refused:#?}");
        refused.complaint();
    }
    open(&folder, 0o700);
    open(&desk.book(), 0o600);
    assert_eq!(Ledger::of(&desk).history.len(), 1);
    desk.run("allocate new 1").ok();
}
