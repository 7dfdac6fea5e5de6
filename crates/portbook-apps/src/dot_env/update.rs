//! Bringing single values of an `.env` file up to date; every other byte stays what it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{DotEnv, Entry, Problem, Quotes};
use crate::interpolation::{Origin, Variable};
use crate::written::{BYTE_ORDER_MARK, SourceFile, Text};

/// What becomes of a variable that the file does not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// It gets a line at the end.
    Add,
    /// It gets a line with `export` at the end.
    AddExported,
    /// It stays absent.
    Leave,
}

/// A file's new bytes, and what is new in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updated {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// The variables that had another value, or none, by name.
    pub changed: Vec<String>,
}

/// Sets variables to plain values: letters, digits, `_`, `-` and `.`, which every reader of such files
/// takes alike.
///
/// Of a line that sets one of them only the value is replaced: its `export`, quotes, blanks, comment and
/// end stay. Where several lines set one, all of them get its value, since readers differ in which
/// counts. New lines end as the file's first line does.
///
/// ```
/// use std::path::Path;
/// use std::sync::Arc;
/// use portbook_apps::dot_env::{Absent, update};
/// use portbook_apps::written::SourceFile;
///
/// let file = SourceFile::new(Path::new(".env"), "export BACKEND_PORT='5000' # ours\nDEBUG=1\n");
/// let values = [("BACKEND_PORT".to_owned(), "5007".to_owned())].into();
/// let updated = update(&Arc::new(file), &values, Absent::Add)?;
/// assert_eq!(updated.bytes, b"export BACKEND_PORT='5007' # ours\nDEBUG=1\n");
/// # Ok::<(), portbook_apps::dot_env::Problem>(())
/// ```
pub fn update(
    file: &Arc<SourceFile>,
    values: &BTreeMap<String, String>,
    absent: Absent,
) -> Result<Updated, Problem> {
    // What the environment gives is no matter here, but `${NAME:?}` wants it to give something.
    let given = |_: &str| {
        Some(Variable {
            value: Text::unplaced("given"),
            origin: Origin::Environment,
        })
    };
    let read = DotEnv::read(file, &|_| None).or_else(|_| DotEnv::read(file, &given))?;
    let old = file.bytes();
    let mut bytes = Vec::with_capacity(old.len() + 256);
    let mut changed = Vec::new();
    let mut copied = 0;
    for entry in read.entries() {
        let Some(value) = values.get(&entry.name) else {
            continue;
        };
        if entry.value.as_str() == value && !takes_from_outside(entry) {
            continue;
        }
        let place = &entry.value_place.bytes;
        bytes.extend_from_slice(&old[copied..place.start]);
        bytes.extend_from_slice(rewritten(entry, value).as_bytes());
        copied = place.end;
        if !changed.contains(&entry.name) {
            changed.push(entry.name.clone());
        }
    }
    bytes.extend_from_slice(&old[copied..]);
    if absent != Absent::Leave {
        for (name, value) in values.iter().filter(|(name, _)| read.get(name).is_none()) {
            add_line(&mut bytes, line_end(old), absent, name, value);
            changed.push(name.clone());
        }
    }
    changed.sort();
    Ok(Updated { bytes, changed })
}

/// A name without `=`, to which the environment gives the value.
fn takes_from_outside(entry: &Entry) -> bool {
    entry.value_place.bytes.start == entry.name_place.bytes.end
}

fn rewritten(entry: &Entry, value: &str) -> String {
    match entry.quotes {
        Quotes::None if takes_from_outside(entry) => format!("={value}"),
        Quotes::None => value.to_owned(),
        Quotes::Single => format!("'{value}'"),
        Quotes::Double => format!("\"{value}\""),
    }
}

fn line_end(text: &[u8]) -> &'static str {
    match memchr::memchr(b'\n', text) {
        Some(end) if text[..end].ends_with(b"\r") => "\r\n",
        _ => "\n",
    }
}

fn add_line(bytes: &mut Vec<u8>, line_end: &str, absent: Absent, name: &str, value: &str) {
    let begins_a_line = bytes.is_empty() || *bytes == BYTE_ORDER_MARK || bytes.ends_with(b"\n");
    let before = if begins_a_line { "" } else { line_end };
    let export = match absent {
        Absent::AddExported => "export ",
        Absent::Add | Absent::Leave => "",
    };
    bytes.extend_from_slice(format!("{before}{export}{name}={value}{line_end}").as_bytes());
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn values() -> BTreeMap<String, String> {
        [("BACKEND_PORT", "5007"), ("PROJECT_NAME", "m_app1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    fn updated(text: impl Into<Vec<u8>>, absent: Absent) -> Updated {
        let file = SourceFile::new(Path::new(".env"), text);
        update(&Arc::new(file), &values(), absent).unwrap()
    }

    #[test]
    fn only_values_are_replaced() {
        for (old, new) in [
            ("BACKEND_PORT=5000", "BACKEND_PORT=5007"),
            ("BACKEND_PORT=", "BACKEND_PORT=5007"),
            (
                "BACKEND_PORT = 5000 # ours\r\nA=1\r\n",
                "BACKEND_PORT = 5007 # ours\r\nA=1\r\n",
            ),
            (
                "export BACKEND_PORT=\"5000\"\n",
                "export BACKEND_PORT=\"5007\"\n",
            ),
            (
                "BACKEND_PORT='5000'#x\n\n#BACKEND_PORT=1\n",
                "BACKEND_PORT='5007'#x\n\n#BACKEND_PORT=1\n",
            ),
            ("BACKEND_PORT: 5000\n", "BACKEND_PORT: 5007\n"),
            (
                "BACKEND_PORT=1\nBACKEND_PORT\nA=1",
                "BACKEND_PORT=5007\nBACKEND_PORT=5007\nA=1",
            ),
            (
                "BACKEND_PORT=1\nBACKEND_PORT=2\n",
                "BACKEND_PORT=5007\nBACKEND_PORT=5007\n",
            ),
            (
                "BACKEND_PORT=${P:?}\nP=${Q:?no}",
                "BACKEND_PORT=5007\nP=${Q:?no}",
            ),
            (
                "KEY=\"\nBACKEND_PORT=1\n\"\nBACKEND_PORT=2",
                "KEY=\"\nBACKEND_PORT=1\n\"\nBACKEND_PORT=5007",
            ),
            (
                "\u{feff}BACKEND_PORT=1\nMY_BACKEND_PORT=1",
                "\u{feff}BACKEND_PORT=5007\nMY_BACKEND_PORT=1",
            ),
        ] {
            let updated = updated(old, Absent::Leave);
            assert_eq!(String::from_utf8(updated.bytes).unwrap(), new);
            assert_eq!(updated.changed, ["BACKEND_PORT"]);
        }
        let latin = updated(b"A=caf\xe9\nBACKEND_PORT=1\nB=\xff".to_vec(), Absent::Leave);
        assert_eq!(latin.bytes, b"A=caf\xe9\nBACKEND_PORT=5007\nB=\xff");
    }

    #[test]
    fn what_has_its_value_is_left_as_it_is_written() {
        for text in [
            "BACKEND_PORT=\"5007\"",
            "P=5007\nBACKEND_PORT=${P}\n",
            "",
            "A=1",
        ] {
            let updated = updated(text, Absent::Leave);
            assert_eq!(
                (updated.bytes.as_slice(), updated.changed.len()),
                (text.as_bytes(), 0)
            );
        }
    }

    #[test]
    fn absent_variables_get_a_line_each() {
        for (old, absent, new) in [
            ("", Absent::Add, "BACKEND_PORT=5007\nPROJECT_NAME=m_app1\n"),
            (
                "A=1",
                Absent::Add,
                "A=1\nBACKEND_PORT=5007\nPROJECT_NAME=m_app1\n",
            ),
            (
                "A=1\r\nB=2",
                Absent::AddExported,
                "A=1\r\nB=2\r\nexport BACKEND_PORT=5007\r\nexport PROJECT_NAME=m_app1\r\n",
            ),
            (
                "PROJECT_NAME=m_app1",
                Absent::Add,
                "PROJECT_NAME=m_app1\nBACKEND_PORT=5007\n",
            ),
        ] {
            let updated = updated(old, absent);
            assert_eq!(String::from_utf8(updated.bytes).unwrap(), new);
        }
    }

    #[test]
    fn a_file_that_compose_refuses_is_refused() {
        let file = SourceFile::new(Path::new(".env"), "A=1\nB=\"open\nBACKEND_PORT=1\n");
        let problem = update(&Arc::new(file), &values(), Absent::Add).unwrap_err();
        assert_eq!((problem.place.line, problem.place.column), (2, 3));
    }

    fn lines() -> impl Strategy<Value = Vec<String>> {
        let name = prop_oneof![
            Just("BACKEND_PORT".to_owned()),
            Just("PROJECT_NAME".to_owned()),
            "[A-Z_]{1,8}"
        ];
        let value = prop_oneof![
            "[a-z0-9]{0,6}",
            "'[^'\\\\]{0,8}'",
            "\"[^\"\\\\$]{0,8}\"",
            Just("${A:-5}".to_owned())
        ];
        let line = (prop::bool::ANY, name, " {0,2}", value, "( +#.{0,5})?\r?").prop_map(
            |(export, name, blanks, value, end)| {
                format!(
                    "{}{name}={blanks}{value}{end}",
                    if export { "export " } else { "" }
                )
            },
        );
        let line = prop_oneof![4 => line, 1 => "#.{0,9}", 1 => Just(String::new())];
        prop::collection::vec(line, 0..12)
    }

    proptest! {
        #[test]
        fn afterwards_the_file_says_the_values_and_else_what_it_said(lines in lines(), ends in prop::bool::ANY) {
            let text = lines.join("\n") + if ends { "\n" } else { "" };
            let read = |bytes: &[u8]| {
                let file = SourceFile::new(Path::new(".env"), bytes);
                DotEnv::read(&Arc::new(file), &|_| None)
            };
            let Ok(before) = read(text.as_bytes()) else { return Ok(()) };
            let once = updated(text.clone(), Absent::Add);
            let after = read(&once.bytes).unwrap();
            for entry in after.entries() {
                if let Some(value) = values().get(&entry.name) {
                    prop_assert_eq!(entry.value.as_str(), value);
                }
            }
            for name in values().keys() {
                prop_assert!(after.get(name).is_some());
            }
            let others = |read: &DotEnv| -> Vec<(String, usize)> {
                let entries = read.entries().iter();
                let others = entries.filter(|entry| !values().contains_key(&entry.name));
                others.map(|entry| (entry.name.clone(), entry.value_place.line)).collect()
            };
            // A value of several lines may have become one of one.
            prop_assert_eq!(others(&before).len(), others(&after).len());
            let twice = updated(once.bytes.clone(), Absent::Add);
            prop_assert_eq!((twice.bytes, twice.changed.len()), (once.bytes, 0));
        }
    }
}
