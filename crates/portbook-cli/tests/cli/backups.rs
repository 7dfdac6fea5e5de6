//! `store backup`, `restore` and `accept`: a book in a portable file, and what becomes of those who saw more.

use std::fs;
use std::path::Path;

use crate::kit::Sandbox;

/// The book is these commands' own file: what a server does about a restored book is told in `service`.
fn sandbox() -> Sandbox {
    Sandbox::without_server("the book's file is taken away")
}

/// Puts the book away, as somebody would whose disk died: what lies beside it stays.
fn lose_book(sandbox: &Sandbox) {
    for suffix in ["", "-wal", "-shm"] {
        let mut path = sandbox.book().into_os_string();
        path.push(suffix);
        let _ = fs::remove_file(Path::new(&path));
    }
}

/// A file's content as one that SQLite opens.
fn put_book(sandbox: &Sandbox, content: &[u8]) {
    lose_book(sandbox);
    fs::write(sandbox.book(), content).unwrap();
}

#[test]
fn a_book_that_is_not_there_is_neither_whole_nor_copied() {
    let sandbox = sandbox();
    let absent = sandbox.path("absent.db");
    let place = |path: &Path| format!("sqlite:{}", path.display());
    let copy = sandbox.path("copy.db");
    for line in [
        format!("store verify --store {}", place(&absent)),
        format!("store copy --from {} --to {}", place(&absent), place(&copy)),
    ] {
        sandbox
            .run(&line)
            .failed_saying(4, &["absent.db", "no such file"]);
    }
    assert!(!absent.exists() && !copy.exists());
}

#[test]
fn a_book_comes_back_from_a_backup_with_its_history() {
    let sandbox = sandbox();
    sandbox.text("allocate openai/gpt-4 1-3");
    sandbox.text("release openai/gpt-4 2");
    sandbox.text("allocate m 1 --space elsewhere --ttl 2h");
    sandbox.text("pool add gpus 20000-20009 openai_*");
    let answers = |sandbox: &Sandbox| {
        [
            "list",
            "list --space elsewhere",
            "history",
            "pool list",
            "stats",
        ]
        .map(|line| sandbox.json(line))
    };
    let before = answers(&sandbox);
    let backup = sandbox.json("store backup book.portbook");
    assert_eq!(
        (&backup["revision"], &backup["changes"]),
        (&6.into(), &6.into())
    );
    lose_book(&sandbox);
    let restored = sandbox.json("store restore book.portbook");
    assert_eq!(restored["revision"], 6);
    assert_eq!(answers(&sandbox), before);
    sandbox.run("store verify").done();
    // Nobody saw more than the backup holds: there is nothing to accept.
    sandbox.text("allocate m 2");
}

#[test]
fn only_an_empty_place_is_restored_to_and_no_file_is_overwritten() {
    let sandbox = sandbox();
    sandbox.text("allocate m 1");
    sandbox.text("store backup one.portbook");
    sandbox
        .run("store backup one.portbook")
        .failed_saying(5, &["one.portbook", "there is a file already"]);
    // What is there already is a part of the backup: that goes on.
    sandbox.text("store restore one.portbook");
    sandbox.text("allocate m 2");
    let before = sandbox.history();
    sandbox
        .run("store restore one.portbook")
        .failed_saying(1, &["2 changes of its own"]);
    assert_eq!(sandbox.history(), before);
}

#[test]
fn a_file_that_is_not_as_it_was_made_changes_nothing() {
    let sandbox = sandbox();
    sandbox.text("allocate m 1-2");
    sandbox.text("store backup good");
    lose_book(&sandbox);
    let good = fs::read_to_string(sandbox.path("good")).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let cases: [(&str, String, &str); 8] = [
        ("empty", String::new(), "no backup"),
        ("foreign", "PK\u{3}\u{4} an archive".to_owned(), "no backup"),
        ("database", "SQLite format 3\0".to_owned(), "no backup"),
        ("torn", good[..good.len() - 3].to_owned(), "breaks off"),
        ("early", good[..30].to_owned(), "breaks off"),
        (
            "short",
            format!("{}\n{}\n", lines[0], lines[1]),
            "breaks off",
        ),
        ("altered", good.replace("8001", "8003"), "has changed"),
        (
            "newer",
            good.replacen("backup\":1", "backup\":2", 1),
            "newer",
        ),
    ];
    for (name, content, said) in cases {
        sandbox.write(name, content);
        let run = sandbox.run(&format!("store restore {name}"));
        run.failed_saying(2, &[name, said]);
        assert!(!sandbox.book().exists(), "{name}");
    }
    sandbox
        .run("store restore nowhere")
        .failed_saying(2, &["nowhere"]);
    sandbox.text("store restore good");
    assert_eq!(sandbox.json("list").as_array().unwrap().len(), 2);
}

#[test]
fn a_restored_book_that_lacks_what_was_seen_waits_until_somebody_accepts_it() {
    let sandbox = sandbox();
    sandbox.text("allocate m 1");
    sandbox.text("store backup early");
    sandbox.text("allocate m 2");
    lose_book(&sandbox);
    sandbox.text("store restore early");
    for _ in 0..2 {
        let error = sandbox.run("allocate m 3 --json").error(4);
        assert_eq!(error["code"], "book-went-back");
        assert!(error["hint"].as_str().unwrap().contains("store accept"));
    }
    // Reading goes on.
    sandbox.text("get m 1");
    assert_eq!(sandbox.json("store accept")["revision"], 2);
    sandbox.text("allocate m 3");
    let history = sandbox.history();
    assert_eq!(history[1]["change"], "accepted");
    sandbox.run("store verify").done();
}

#[test]
fn an_old_copy_of_the_file_is_noticed_even_after_it_was_written_to() {
    let sandbox = sandbox();
    sandbox.text("allocate m 1");
    let old = fs::read(sandbox.book()).unwrap();
    sandbox.text("allocate m 2");
    put_book(&sandbox, &old);
    sandbox
        .run("allocate m 3")
        .failed_saying(4, &["went back from revision 2", "to 1"]);
    // Somebody elsewhere, who saw nothing, writes to the copy, and it comes back at the same revision.
    let elsewhere = self::sandbox();
    fs::create_dir_all(elsewhere.book().parent().unwrap()).unwrap();
    put_book(&elsewhere, &old);
    elsewhere.text("allocate other 1");
    put_book(&sandbox, &fs::read(elsewhere.book()).unwrap());
    sandbox
        .run("allocate m 3")
        .failed_saying(4, &["another change than the 2"]);
    sandbox.text("store accept");
    sandbox.text("allocate m 3");
    // A second time is a second time.
    put_book(&sandbox, &old);
    sandbox.run("allocate m 3").failed_saying(4, &["went back"]);
}

#[test]
fn a_book_that_was_removed_and_made_anew_is_a_new_beginning() {
    let sandbox = sandbox();
    sandbox.text("allocate m 1-2");
    lose_book(&sandbox);
    sandbox.text("allocate m 7");
    assert_eq!(sandbox.changes(), 1);
}

#[test]
fn a_book_that_contradicts_itself_is_not_backed_up() {
    let sandbox = sandbox();
    sandbox.text("allocate m 1");
    sandbox.hand("DELETE FROM ports WHERE port = 5001");
    sandbox
        .run("store backup file")
        .failed_saying(4, &["not whole"]);
    assert!(!sandbox.path("file").exists());
    sandbox
        .run("store backup file --store sqlite:none.db")
        .failed(4);
    assert!(!sandbox.path("none.db").exists());
}
