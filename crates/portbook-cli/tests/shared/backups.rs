//! `store backup` and `restore` of a book in a database, and what those do who saw more of it.

use crate::desk::Desk;

/// `lose` takes the book away, as if it had never been there.
pub(crate) fn goes_and_comes_back(desk: &Desk, lose: impl Fn(&Desk)) {
    desk.done("allocate m 1-20");
    desk.done("release m 3");
    desk.done("allocate elsewhere 1 --space there");
    let answers =
        |desk: &Desk| ["list", "history", "list --space there"].map(|line| desk.json(line));
    let before = answers(desk);
    let backup = desk.path("book.portbook");
    assert_eq!(desk.json(&format!("store backup {backup}"))["revision"], 22);
    // Into another kind of place, too.
    let file = desk.by(format!("sqlite:{}", desk.path("home.db")));
    file.done(&format!("store restore {backup}"));
    assert_eq!(answers(&file), before);

    desk.done("allocate m 21");
    lose(desk);
    desk.done("store init");
    let early = desk.run("allocate m 22");
    assert_eq!(early.status, 4, "the empty book was written to: {early:?}");
    desk.done(&format!("store restore {backup}"));
    assert_eq!(answers(desk), before);
    let refused = desk.run("allocate m 22");
    assert_eq!(refused.status, 4, "{refused:?}");
    assert!(refused.stderr.contains("change 23"), "{refused:?}");
    desk.done("get m 1");

    // Somebody else's state directory: they saw nothing, and make the change 23.
    let other = desk.by(desk.store.clone());
    other.done("allocate m 23");
    assert_eq!(desk.run("allocate m 22").status, 4);
    // They say for everybody that it goes on.
    other.done("store accept");
    desk.done("allocate m 22");
    desk.holds(&[desk.json("get m 23")]);
}
