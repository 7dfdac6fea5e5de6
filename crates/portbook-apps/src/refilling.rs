//! Filling a file in anew that was edited since: merged line by line.
//!
//! Three texts: what the file was when it was made (the old filling), what it would be now (the new
//! one), and what it is. A value has no line end in it, so both fillings have the same lines, and only
//! those with a port that moved differ. Such a line is put in its new form where the file still has
//! the old one; where it was edited, its digits alone are changed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use portbook_model::Port;
use similar::{Algorithm, DiffOp, capture_diff_slices};

/// A file once it is filled in anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refilled {
    /// What it is to be.
    pub text: Vec<u8>,
    /// Lines of the file, from 1, that a person has to look at: a port stands there that is one of the
    /// app's before and after, so that nobody can tell which is meant.
    pub unclear: Vec<usize>,
}

/// Brings `edited` from the old filling to the new one. `moved` says which port became which.
///
/// Doing it again changes nothing more.
pub fn refill(old: &[u8], new: &[u8], edited: &[u8], moved: &BTreeMap<Port, Port>) -> Refilled {
    if edited == old || edited == new {
        let text = new.to_vec();
        let unclear = Vec::new();
        return Refilled { text, unclear };
    }
    let (old, new, current) = (lines(old), lines(new), lines(edited));
    let mut merged: Vec<Vec<u8>> = current.iter().map(|line| line.to_vec()).collect();
    let mut unclear = BTreeSet::new();
    // Lines are held against each other as they were before the move, so that a file that was done
    // already is taken apart just as before.
    let before = moves_back(moved);
    let as_before = |lines: &[&[u8]]| -> Vec<Vec<u8>> {
        let lines = lines.iter();
        lines
            .map(|line| with_digits_changed(line, &before))
            .collect()
    };
    for op in capture_diff_slices(Algorithm::Myers, &as_before(&old), &as_before(&current)) {
        let after = op.new_range();
        for (offset, index) in op.old_range().enumerate() {
            let (Some(from), Some(to)) = (old.get(index), new.get(index)) else {
                continue;
            };
            if from == to {
                continue;
            }
            match op {
                DiffOp::Equal { .. } => merged[after.start + offset] = to.to_vec(),
                _ => {
                    let is_done = |line: &usize| new[op.old_range()].contains(&current[*line]);
                    for edited in after.clone().filter(|line| !is_done(line)) {
                        match digits_changed(&merged[edited], from, moved) {
                            Some(line) => merged[edited] = line,
                            None => {
                                unclear.insert(edited + 1);
                            }
                        }
                    }
                }
            }
        }
    }
    Refilled {
        text: merged.concat(),
        unclear: unclear.into_iter().collect(),
    }
}

/// What the moves were made from; nothing where a port was one of the app's before and after.
fn moves_back(moved: &BTreeMap<Port, Port>) -> BTreeMap<Port, Port> {
    let told = moved
        .iter()
        .filter(|(from, to)| !moved.contains_key(to) && !moved.values().any(|to| to == *from));
    told.map(|(from, to)| (*to, *from)).collect()
}

/// An edited line with the ports of the line that it was made of as they are now; `None` where one of
/// them was the app's before and after.
fn digits_changed(edited: &[u8], made_of: &[u8], moved: &BTreeMap<Port, Port>) -> Option<Vec<u8>> {
    let mut moves = BTreeMap::new();
    for (_, port) in numbers(made_of) {
        if let Some(to) = moved.get(&port) {
            moves.insert(port, *to);
        }
    }
    let stands = numbers(edited).any(|(_, port)| {
        let is_unclear = |to: &Port| *to == port || moved.contains_key(to);
        moves.contains_key(&port) && moved.values().any(is_unclear)
    });
    (!stands).then(|| with_digits_changed(edited, &moves))
}

/// The text with each number that is one of these ports become the other.
fn with_digits_changed(text: &[u8], moves: &BTreeMap<Port, Port>) -> Vec<u8> {
    let mut changed = Vec::with_capacity(text.len());
    let mut copied = 0;
    for (place, port) in numbers(text) {
        if let Some(to) = moves.get(&port) {
            changed.extend_from_slice(&text[copied..place.start]);
            changed.extend_from_slice(to.to_string().as_bytes());
            copied = place.end;
        }
    }
    changed.extend_from_slice(&text[copied..]);
    changed
}

/// The ports that stand in a text as words of their own, and where: not in `5001st`, `id_5001`, `05001`.
fn numbers(text: &[u8]) -> impl Iterator<Item = (Range<usize>, Port)> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].iter().position(is_word)?;
        let length = text[start..].iter().take_while(|byte| is_word(byte));
        at = start + length.count();
        Some(start..at)
    })
    .filter_map(|place| {
        let digits = std::str::from_utf8(&text[place.clone()]).ok()?;
        let port = digits.parse::<Port>().ok()?;
        (port.to_string() == digits).then_some((place, port))
    })
}

/// The lines, each with its end.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moved(listed: &[(u16, u16)]) -> BTreeMap<Port, Port> {
        let port = |number: u16| Port::new(number).unwrap();
        let pairs = listed.iter();
        pairs.map(|(from, to)| (port(*from), port(*to))).collect()
    }

    #[track_caller]
    fn check(old: &str, new: &str, edited: &str, expected: &str, listed: &[(u16, u16)]) {
        let refill = |edited: &[u8]| refill(old.as_bytes(), new.as_bytes(), edited, &moved(listed));
        let once = refill(edited.as_bytes());
        assert_eq!(String::from_utf8_lossy(&once.text), expected);
        assert_eq!(once.unclear, Vec::<usize>::new());
        assert_eq!(refill(&once.text), once, "again is no more");
    }

    const OLD: &str = "# app\nPORT=5001\nURL=http://localhost:5001/\nUI=8001\nend\n";
    const NEW: &str = "# app\nPORT=5007\nURL=http://localhost:5007/\nUI=8001\nend\n";
    const MOVED: &[(u16, u16)] = &[(5001, 5007)];

    #[test]
    fn an_unedited_file_is_filled_in_anew() {
        check(OLD, NEW, OLD, NEW, MOVED);
        check(OLD, NEW, NEW, NEW, MOVED);
    }

    #[test]
    fn what_was_edited_stays_and_the_ports_follow() {
        check(
            OLD,
            NEW,
            "# mine\r\nA=5001x\nPORT=5001\nURL=http://localhost:5001/\nUI=8001\nend",
            "# mine\r\nA=5001x\nPORT=5007\nURL=http://localhost:5007/\nUI=8001\nend",
            MOVED,
        );
    }

    #[test]
    fn a_line_that_was_edited_has_its_digits_changed_alone() {
        check(
            OLD,
            NEW,
            "# app\nPORT = 5001 # not 15001, 50010 or 5001s\nUI=8001\nend\n",
            "# app\nPORT = 5007 # not 15001, 50010 or 5001s\nUI=8001\nend\n",
            MOVED,
        );
    }

    #[test]
    fn a_line_that_was_taken_out_does_not_come_back() {
        check(OLD, NEW, "# app\nend\n", "# app\nend\n", MOVED);
    }

    #[test]
    fn ports_that_changed_places_are_told_apart_where_the_lines_stand() {
        let (old, new) = ("a 5001\nb 8001\nc\n", "a 8001\nb 5001\nc\n");
        let swap = &[(5001, 8001), (8001, 5001)];
        check(old, new, "a 5001\nb 8001\nd\n", "a 8001\nb 5001\nd\n", swap);
        let edited = b"a  5001\nb 8001\nc\n";
        let refilled = refill(old.as_bytes(), new.as_bytes(), edited, &moved(swap));
        assert_eq!(refilled.text, b"a  5001\nb 5001\nc\n");
        assert_eq!(
            refilled.unclear,
            [1],
            "whether it is done already cannot be told"
        );
    }

    proptest! {
        /// Whatever was edited: lines without a moved port are as they were, and again is no more.
        #[test]
        fn nothing_but_ports_that_moved_changes(
            edited in proptest::collection::vec(
                prop_oneof![Just("# app"), Just("PORT=5001"), Just("UI=8001"), Just("x 5001 y"), Just("PORT=5007"), Just("")],
                0..8,
            )
        ) {
            let edited = edited.join("\n");
            let again = |text: &[u8]| refill(OLD.as_bytes(), NEW.as_bytes(), text, &moved(MOVED));
            let once = again(edited.as_bytes());
            prop_assert_eq!(&again(&once.text).text, &once.text);
            let before: Vec<&str> = edited.split('\n').collect();
            let after = String::from_utf8(once.text).unwrap();
            let after: Vec<&str> = after.split('\n').collect();
            prop_assert_eq!(before.len(), after.len());
            for (before, after) in before.iter().zip(after) {
                prop_assert_eq!(before.replace("5001", "5007"), after.replace("5001", "5007"));
            }
        }
    }
}
