//! Does what a page says, step by step.

use std::fs;
use std::time::{Duration, Instant};

use crate::page::{Command, Page, Step};
use crate::pattern::fits;
use crate::session::Session;
use crate::source;

/// Follows a page, and fails at the first command that shows something else; where that is wished,
/// writes what they show now into the page instead.
pub(crate) fn follow(name: &str) {
    let page = Page::read(name);
    let mut session = Session::start();
    if std::env::var("PORTBOOK_BOOK").is_ok_and(|wish| wish == "update") {
        update(page, &mut session);
        return;
    }
    go_through(&page, &mut session, |command, session| {
        let shown = page.shown(command);
        let said = if command.stays {
            assert!(!shown.is_empty(), "what tells that it runs is not shown");
            session.leave_running(&command.text, |said| fits_in_any_order(shown, said))
        } else {
            run(&page, command, session)
        };
        let as_shown = if command.stays {
            fits_in_any_order(shown, &said)
        } else {
            fits(shown, &lines(&said))
        };
        assert!(
            as_shown,
            "{name}:{}: {}\nsays\n{said}\nand the page shows\n{}\n\n`PORTBOOK_BOOK=update cargo test -p portbook-cli \
             --test book` writes what is said now into the pages",
            command.shown.start,
            command.text,
            shown.join("\n")
        );
    });
}

fn update(mut page: Page, session: &mut Session) {
    let mut changes: Vec<(Command, String)> = Vec::new();
    go_through(&page, session, |command, session| {
        let said = if command.stays {
            // Nothing tells when that is all.
            let start = Instant::now();
            session.leave_running(&command.text, |_| start.elapsed() > Duration::from_secs(3))
        } else {
            run(&page, command, session)
        };
        if !fits(page.shown(command), &lines(&said)) {
            changes.push((command.clone(), said));
        }
    });
    // From the last one on, so that the lines before keep their numbers.
    for (command, said) in changes.into_iter().rev() {
        page.lines
            .splice(command.shown, said.lines().map(str::to_owned));
    }
    fs::write(source().join(&page.name), page.lines.join("\n") + "\n").unwrap();
}

/// Does the steps of a page, and the commands among them by `give`.
fn go_through(page: &Page, session: &mut Session, mut give: impl FnMut(&Command, &mut Session)) {
    for step in &page.steps {
        match step {
            Step::NotRun { .. } => {}
            Step::File { name, content } => session.write(name, content),
            Step::Command(command) => give(command, session),
        }
    }
}

/// What a command says that ends. It ends well, unless the page asks for its status next.
fn run(page: &Page, command: &Command, session: &mut Session) -> String {
    let (status, said) = session.run(&command.text);
    let next = page.lines.get(command.shown.end);
    assert!(
        status == 0 || next.is_some_and(|line| line == "$ echo $?"),
        "{}:{}: {}\nends with {status}, which the page does not show by `$ echo $?`:\n{said}",
        page.name,
        command.shown.start,
        command.text
    );
    said
}

/// Whether a program that stays has said what is shown: its parts speak when they are ready.
fn fits_in_any_order(shown: &[String], said: &str) -> bool {
    let mut shown = shown.to_vec();
    let mut said = lines(said);
    shown.sort_unstable();
    said.sort_unstable();
    fits(&shown, &said)
}

fn lines(said: &str) -> Vec<&str> {
    said.lines().collect()
}
