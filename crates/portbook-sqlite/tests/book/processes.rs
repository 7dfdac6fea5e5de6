//! Several processes, and systems that fail: full, read-only, out of order.
//!
//! The test program starts itself again for each of them: [`as_another_process`] is what runs there.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use portbook_model::{
    AllocationRequest, AppKey, AppNumber, Ask, CommitId, Model, Policy, Revision, Space, Timestamp,
};
use portbook_sqlite::SqliteStore;
use portbook_store::contract::commit_plan;
use portbook_store::{CommitError, Store, StoreError};

use crate::support::{
    Folder, PATIENCE, allocated, batch, commit, held, open, open_existing, revision,
};

const ROLE: &str = "PORTBOOK_TEST_ROLE";
const BOOK: &str = "PORTBOOK_TEST_BOOK";
const WORDS: &str = "PORTBOOK_TEST_WORDS";

/// A process to come.
pub(crate) struct Child {
    command: Command,
}

/// A process that runs, and is killed when the test is done with it.
pub(crate) struct Running {
    child: std::process::Child,
}

impl Child {
    /// A process that plays a role of [`as_another_process`].
    pub(crate) fn new(role: &str, book: &Path, words: &str) -> Self {
        Self::below(Command::new(test_program()), role, book, words)
    }

    /// The same, where `command` is another program that runs what its last arguments name.
    fn below(mut command: Command, role: &str, book: &Path, words: &str) -> Self {
        command
            .args(["--exact", "processes::as_another_process", "--nocapture"])
            .env(ROLE, role)
            .env(BOOK, book)
            .env(WORDS, words);
        Self { command }
    }

    /// The same in a mount namespace of its own, where a small file system lies at `folder`; `None`
    /// where this system does not let its users make one.
    fn on_a_disk_of_its_own(role: &str, folder: &Path) -> Option<Self> {
        let unshare = || {
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
            command.arg("mount -t tmpfs -o size=1m none \"$0\" && exec \"$@\"");
            command.arg(folder);
            command
        };
        let possible = unshare().arg("true").output();
        if !possible.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: no namespaces here");
            return None;
        }
        let mut command = unshare();
        command.arg(test_program());
        Some(Self::below(command, role, &folder.join("ports.db"), ""))
    }

    pub(crate) fn spawn(mut self) -> Running {
        let command = &mut self.command;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Running {
            child: command.spawn().unwrap(),
        }
    }
}

fn test_program() -> PathBuf {
    std::env::current_exe().unwrap()
}

impl Running {
    pub(crate) fn succeeds(mut self) {
        let mut said = String::new();
        let mut output = self.child.stdout.take().unwrap();
        output.read_to_string(&mut said).unwrap();
        let status: ExitStatus = self.child.wait().unwrap();
        assert!(status.success(), "{said}");
    }

    /// Waits until the process has said `word` on a line, and returns what stands behind it.
    fn says(&mut self, word: &str) -> String {
        let mut output = BufReader::new(self.child.stdout.take().unwrap());
        let mut line = String::new();
        while output.read_line(&mut line).unwrap() > 0 {
            // The test harness has written the test's name before it, without ending the line.
            if let Some((_, rest)) = line.split_once(word) {
                let rest = rest.trim().to_owned();
                self.child.stdout = Some(output.into_inner());
                return rest;
            }
            line.clear();
        }
        panic!("the process ended without {word}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What another process does; nothing unless this is one.
#[test]
fn as_another_process() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let book = PathBuf::from(std::env::var_os(BOOK).unwrap());
    let words = std::env::var(WORDS).unwrap();
    match role.as_str() {
        "allocate" => {
            let (model, count) = words.split_once(' ').unwrap();
            let store = open(&book).unwrap();
            for number in 1..=count.parse().unwrap() {
                allocate(&store, model, number);
            }
        }
        "allocate-until-killed" => allocate_until_killed(&book),
        "keep-the-turn" => {
            let store = open(&book).unwrap();
            let _turn = store.turn(PATIENCE).unwrap();
            println!("has-the-turn {}", std::process::id());
            let _ = std::io::stdin().read(&mut [0]);
        }
        "fill-the-disk" => fill_the_disk(&book),
        "be-read-only" => be_read_only(&book),
        "write-too-large-files" => write_too_large_files(&book),
        other => panic!("no role {other}"),
    }
}

fn allocate(store: &SqliteStore, model: &str, number: u32) {
    let app = AppKey::new(Model::new(model).unwrap(), AppNumber::new(number).unwrap());
    let command = portbook_model::Command::new(
        Space::default(),
        Ask::Allocate(AllocationRequest::plain(vec![app])),
    );
    let now = Timestamp::from(std::time::SystemTime::now());
    let answers = commit_plan(store, &[command], &Policy::default(), now);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

fn allocate_until_killed(book: &Path) {
    let store = open(book).unwrap();
    println!("begun");
    let mut output = std::io::stdout().lock();
    for number in revision(&store).0 + 1.. {
        allocate(&store, "m", u32::try_from(number).unwrap());
        writeln!(output, "done {number}").unwrap();
        output.flush().unwrap();
    }
}

#[test]
fn what_was_answered_outlasts_a_killed_process() {
    let folder = Folder::empty();
    let mut answered = 0;
    for round in 0..8 {
        let mut running = Child::new("allocate-until-killed", &folder.book, "").spawn();
        running.says("begun");
        std::thread::sleep(Duration::from_millis(40 + 15 * round));
        let mut output = running.child.stdout.take().unwrap();
        running.child.kill().unwrap();
        let mut said = String::new();
        output.read_to_string(&mut said).unwrap();
        let complete = said.lines().filter_map(|line| line.split_once("done "));
        let last = complete
            .filter_map(|(_, number)| number.parse::<u64>().ok())
            .max();
        answered = answered.max(last.unwrap_or(0));
        let store = folder.open();
        let (known, apps) = (revision(&store).0, held(&store).len() as u64);
        assert_eq!(known, apps);
        // The last one may have been committed and not answered any more.
        assert!(
            answered <= known && known <= answered + round + 1,
            "{answered} {known}"
        );
    }
}

#[test]
fn who_waits_in_vain_is_told_who_has_the_turn() {
    let folder = Folder::with_a_book();
    let mut keeper = Child::new("keep-the-turn", &folder.book, "").spawn();
    let pid = keeper.says("has-the-turn");
    let store = folder.open();
    for patience in [Duration::ZERO, Duration::from_millis(200)] {
        let began = Instant::now();
        let busy = store.turn(patience).map(|_| ()).unwrap_err();
        assert!(began.elapsed() >= patience);
        assert!(matches!(busy, StoreError::Busy { .. }), "{busy}");
        assert!(
            busy.to_string().contains(&format!("process {pid}")),
            "{busy}"
        );
        assert_eq!(held(&store), ["m/app1"], "a reading had to wait");
    }
    // The kernel takes the turn back from who dies, and nobody who gave up waiting has it now.
    drop(keeper);
    commit(&store, vec![allocated(2)]).unwrap();
}

#[test]
fn many_processes_get_a_pair_each() {
    let folder = Folder::empty();
    let children: Vec<_> = (0..8)
        .map(|number| Child::new("allocate", &folder.book, &format!("m{number} 40")).spawn())
        .collect();
    children.into_iter().for_each(Running::succeeds);
    let store = folder.open();
    portbook_store::contract::agrees_with_its_changes(&store);
    assert_eq!(held(&store).len(), 320);
}

#[test]
fn on_a_full_disk_nothing_is_lost_and_work_goes_on_when_there_is_room() {
    let folder = Folder::empty();
    let disk = folder.book.parent().unwrap();
    if let Some(child) = Child::on_a_disk_of_its_own("fill-the-disk", disk) {
        child.spawn().succeeds();
    }
}

fn fill_the_disk(book: &Path) {
    let filler = book.with_file_name("filler");
    let fill = || {
        let mut file = std::fs::File::create(&filler).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    };
    let store = open(book).unwrap();
    let mut number = 0;
    let mut next = || {
        number += 1;
        commit(&store, vec![allocated(number)])
    };
    next().unwrap();
    fill();
    let full = (0..1000).find_map(|_| next().err());
    let full = full.expect("the disk was never full");
    assert!(
        matches!(full, CommitError::Failed(StoreError::Full { .. })),
        "{full:?}"
    );
    assert!(full.to_string().contains("ports.db"), "{full}");
    let known = revision(&store);
    assert_eq!(held(&store).len() as u64, known.0);
    std::fs::remove_file(&filler).unwrap();
    next().unwrap();
    assert_eq!(revision(&store), known.after(1));
    // A new book where there is no room for one leaves nothing that hinders the next.
    fill();
    let other = book.with_file_name("other.db");
    let full = open(&other).map(|_| ()).unwrap_err();
    assert!(matches!(full, StoreError::Full { .. }), "{full:?}");
    assert!(!other.exists());
    std::fs::remove_file(&filler).unwrap();
    open(&other).unwrap();
}

#[test]
fn a_book_on_a_read_only_disk_is_read_and_not_written() {
    let folder = Folder::empty();
    let disk = folder.book.parent().unwrap();
    if let Some(child) = Child::on_a_disk_of_its_own("be-read-only", disk) {
        child.spawn().succeeds();
    }
}

fn be_read_only(book: &Path) {
    let disk = book.parent().unwrap();
    let remount = |how: &str| {
        let mut command = Command::new("mount");
        command.args(["-o", how]).arg(disk);
        assert!(command.status().unwrap().success());
    };
    let refused = |store: &SqliteStore| {
        let refused = commit(store, vec![allocated(9)]).unwrap_err();
        assert!(
            matches!(refused, CommitError::Failed(StoreError::ReadOnly { .. })),
            "{refused:?}"
        );
        assert!(refused.to_string().contains("ports.db"), "{refused}");
    };
    let store = open(book).unwrap();
    commit(&store, vec![allocated(1)]).unwrap();
    // A book as a crash leaves it, its last changes in the journal.
    let crashed = disk.join("crashed");
    std::fs::create_dir(&crashed).unwrap();
    for name in ["ports.db", "ports.db-wal", "ports.db-shm", "ports.db.lock"] {
        std::fs::copy(book.with_file_name(name), crashed.join(name)).unwrap();
    }
    drop(store);
    remount("remount,ro");
    let after_crash = open_existing(&crashed.join("ports.db")).unwrap();
    assert_eq!(held(&after_crash), ["m/app1"]);
    refused(&after_crash);
    drop(after_crash);
    let store = open(book).unwrap();
    assert_eq!(held(&store), ["m/app1"]);
    refused(&store);
    let other = open(&disk.join("other.db")).map(|_| ()).unwrap_err();
    assert!(matches!(other, StoreError::ReadOnly { .. }), "{other:?}");
    // A store that was opened while nothing could be written can write when that changes.
    remount("remount,rw");
    commit(&store, vec![allocated(2)]).unwrap();
    drop(store);
    std::fs::remove_file(book.with_file_name("ports.db.lock")).unwrap();
    remount("remount,ro");
    let store = open_existing(book).unwrap();
    assert_eq!(held(&store), ["m/app1", "m/app2"]);
    refused(&store);
}

/// A commit that fails in its last step is one of which nobody knows: it is looked up, and what was
/// not found never comes back.
#[test]
fn after_a_commit_of_unknown_outcome_the_book_says_what_happened() {
    let folder = Folder::empty();
    let mut shell = Command::new("sh");
    // No file may get larger than 160 KiB, and a write that would make it so is an error, no signal.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 320; exec \"$0\" \"$@\""]);
    shell.arg(test_program());
    let child = Child::below(shell, "write-too-large-files", &folder.book, "");
    child.spawn().succeeds();
    let store = folder.open();
    portbook_store::contract::agrees_with_its_changes(&store);
    assert!(revision(&store).0 > 20);
}

fn write_too_large_files(book: &Path) {
    let store = open(book).unwrap();
    let mut unknown = 0;
    for number in 1..=60 {
        let seen = revision(&store);
        let planned = batch(u128::from(number), vec![allocated(number)]);
        let again = || store.turn(PATIENCE).unwrap().commit(seen, &planned);
        match again() {
            Ok(()) => continue,
            Err(CommitError::Unknown(reason)) => {
                assert!(reason.contains("ports.db"), "{reason}");
                unknown += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
        let name = CommitId(u128::from(number).to_be_bytes());
        if !store.find_commit(name, seen).unwrap() {
            again().unwrap();
        }
        assert_eq!(revision(&store), Revision(u64::from(number)));
    }
    assert!(unknown > 0, "no commit failed");
}
