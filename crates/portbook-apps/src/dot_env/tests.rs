use std::path::Path;

use super::*;

fn read(text: &[u8]) -> Result<DotEnv, Problem> {
    let outer = |name: &str| {
        (name == "OUTER").then(|| Variable {
            value: Text::unplaced("outside"),
            origin: Origin::Environment,
        })
    };
    DotEnv::read(&Arc::new(SourceFile::new(Path::new(".env"), text)), &outer)
}

fn value(text: &str, name: &str) -> String {
    let read = read(text.as_bytes()).unwrap();
    read.get(name).unwrap().value.as_str().to_owned()
}

#[test]
fn values_are_what_compose_makes_of_them() {
    for (text, expected) in [
        ("A=5001", "5001"),
        ("A = 5001 ", "5001"),
        ("A: 5001", "5001"),
        ("export A=5001", "5001"),
        ("export\tA=5001", "5001"),
        ("A=5001 # a comment", "5001"),
        ("A=50#01", "50#01"),
        ("A=#no comment", "#no comment"),
        ("A='5001' # a comment", "5001"),
        ("A=\"5001\"", "5001"),
        ("A='$B'", "$B"),
        ("B=1\nA=$B$OUTER", "1outside"),
        ("OUTER=inside\nA=$OUTER", "outside"),
        (
            "A=\"a\\tb\\n\\\\ \\$B \\\"x\\\" \\0101 \\q\"",
            "a\tb\n\\ $B \"x\" A \\q",
        ),
        ("A='it\\'s \\n'", "it's \\n"),
        ("A=\"two\nlines\"", "two\nlines"),
        ("A=\nB=2", ""),
        ("A=1\r\nB=2\r\n", "1"),
        ("\u{feff}A=1", "1"),
        ("A=1\nA=2", "2"),
        ("# A=1\n\n  A=2", "2"),
        ("A=${B:-5001}", "5001"),
        ("A=\"x\"B=1", "x"),
        ("A.b-c[0]=1\nA=2", "2"),
    ] {
        assert_eq!(value(text, "A"), expected, "{text:?}");
    }
}

#[test]
fn a_name_alone_has_its_value_from_outside() {
    assert_eq!(value("OUTER\nA=1", "OUTER"), "outside");
    assert!(read(b"A\nB=1").unwrap().get("A").is_none());
    assert_eq!(read(b"A\nB=1").unwrap().entries().len(), 1);
}

#[test]
fn every_value_knows_its_line_and_column() {
    let read = read(b"A=1\r\n  export PORT=\"5001\" # x\nB=${PORT}").unwrap();
    let port = read.get("PORT").unwrap();
    let place = &port.value_place;
    assert_eq!(
        (place.line, place.column, place.bytes.clone()),
        (2, 15, 19..25)
    );
    assert_eq!(port.value.place(0..4).unwrap().bytes, 20..24);
    assert_eq!(port.name_place.bytes, 14..18);
    // What a value takes over from another line is found there.
    let taken_over = read.get("B").unwrap().value.place(0..4).unwrap();
    assert_eq!((taken_over.line, taken_over.bytes), (2, 20..24));
}

#[test]
fn what_compose_refuses_is_told_with_its_place() {
    for (text, line, column, message) in [
        ("A=1\nB$=2", 2, 2, "`$` cannot be part of a variable's name"),
        (
            "\nA B=2",
            2,
            1,
            "`A B` has a blank in it, which no variable's name has",
        ),
        ("A=\"1\n", 1, 3, "the quotation mark has no counterpart"),
        (
            "A=${",
            1,
            3,
            "`${` is no variable: write `${NAME}`, or `$$` for a dollar",
        ),
    ] {
        let problem = read(text.as_bytes()).unwrap_err();
        assert_eq!(problem.to_string(), message, "{text}");
        assert_eq!(
            (problem.place.line, problem.place.column),
            (line, column),
            "{text}"
        );
    }
}

#[test]
fn bytes_that_are_no_text_change_no_place() {
    let read = read(b"# caf\xe9\nA=5001\nB=\xff").unwrap();
    assert_eq!(read.get("A").unwrap().value_place.bytes, 9..13);
    assert_eq!(read.get("B").unwrap().value.as_str(), "?");
}
