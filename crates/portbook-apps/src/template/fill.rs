//! Filling a text in.
//!
//! A scanner of our own, since every template engine takes more for its own than it should: here
//! `{{name}}` and `{{name|default}}` are replaced where the name is known, and every other byte stays
//! what it is, in whatever encoding.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use super::Placeholders;

const OPENING: &[u8] = b"{{";
const CLOSING: &[u8] = b"}}";
/// What is read at once.
const CHUNK: usize = 64 * 1024;
/// A default that is longer than this in a file too large to be held is no default.
const LONGEST_DEFAULT: usize = 1024 * 1024;
/// Where a file is looked at to tell text from other things.
const SAMPLE: usize = 8 * 1024;

/// Whether a file that begins so is no text: it has a NUL. Text in any encoding that keeps ASCII is
/// text.
pub fn is_binary(start: &[u8]) -> bool {
    start[..start.len().min(SAMPLE)].contains(&0)
}

/// The text with its placeholders filled in.
///
/// ```
/// use portbook_apps::template::{Placeholders, fill};
///
/// let values = Placeholders::of_values([("backend_port".to_owned(), "5007".to_owned())]);
/// let filled = fill(b"${BACKEND_PORT:-{{backend_port|5000}}} {{ other }}", &values);
/// assert_eq!(&*filled, b"${BACKEND_PORT:-5007} {{ other }}");
/// ```
pub fn fill<'a>(text: &'a [u8], values: &Placeholders) -> Cow<'a, [u8]> {
    let mut filled = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = find(&text[at..], OPENING) {
        at += found;
        match placeholder(&text[at..], values) {
            Found::Value { length, value } => {
                filled.extend_from_slice(&text[copied..at]);
                filled.extend_from_slice(value.as_bytes());
                at += length;
                copied = at;
            }
            Found::Nothing | Found::Unfinished => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    filled.extend_from_slice(&text[copied..]);
    Cow::Owned(filled)
}

/// Copies `from` to `to`, filled in if it is a text, without holding more than a little of it.
pub(super) fn copy(
    from: &mut dyn Read,
    to: &mut dyn Write,
    values: &Placeholders,
) -> io::Result<()> {
    let mut held = Vec::with_capacity(2 * CHUNK);
    let mut is_text = None;
    loop {
        let is_last = io::copy(&mut from.take(CHUNK as u64), &mut held)? == 0;
        if !*is_text.get_or_insert_with(|| !is_binary(&held)) {
            to.write_all(&held)?;
            io::copy(from, to)?;
            return Ok(());
        }
        let whole = if is_last {
            held.len()
        } else {
            held.len() - unfinished(&held, values)
        };
        to.write_all(&fill(&held[..whole], values))?;
        held.drain(..whole);
        if is_last {
            return Ok(());
        }
    }
}

/// How many of the last bytes may be the beginning of a placeholder that goes on.
fn unfinished(text: &[u8], values: &Placeholders) -> usize {
    let mut at = 0;
    while let Some(found) = find(&text[at..], OPENING) {
        at += found;
        match placeholder(&text[at..], values) {
            Found::Value { length, .. } => at += length,
            Found::Unfinished if text.len() - at <= LONGEST_DEFAULT => return text.len() - at,
            Found::Nothing | Found::Unfinished => at += 1,
        }
    }
    usize::from(text[at..].ends_with(b"{"))
}

/// What stands at an opening.
enum Found<'a> {
    Value {
        length: usize,
        value: &'a str,
    },
    Nothing,
    /// The text ends before it can be told.
    Unfinished,
}

fn placeholder<'a>(text: &[u8], values: &'a Placeholders) -> Found<'a> {
    let inside = &text[OPENING.len()..];
    let Some(end) = inside.iter().position(|byte| matches!(byte, b'|' | b'}')) else {
        return match values.has_name_that_begins(inside) {
            true => Found::Unfinished,
            false => Found::Nothing,
        };
    };
    let Some(value) = values.value(&inside[..end]) else {
        return Found::Nothing;
    };
    let mut rest = &inside[end..];
    if let Some(default) = rest.strip_prefix(b"|") {
        let Some(length) = default.iter().position(|byte| *byte == b'}') else {
            return Found::Unfinished;
        };
        if length == 0 {
            return Found::Nothing;
        }
        rest = &default[length..];
    }
    if rest.starts_with(CLOSING) {
        Found::Value {
            length: text.len() - rest.len() + CLOSING.len(),
            value,
        }
    } else if rest.len() < CLOSING.len() {
        Found::Unfinished
    } else {
        Found::Nothing
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Placeholders {
        let value = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let named = [
            ("backend_port", "5007"),
            ("model", "x-ai/grok-4"),
            ("db_port", "15003"),
        ];
        Placeholders::of_values(named.map(value))
    }

    #[test]
    fn known_names_are_filled_in_and_nothing_else() {
        let long = format!("{{{{backend_port|{}}}}}", "d".repeat(5000));
        for (text, expected) in [
            ("{{backend_port}}", "5007"),
            ("{{BACKEND_PORT}}", "5007"),
            ("{{backend_port|5000}}", "5007"),
            (
                "${BACKEND_PORT:-{{backend_port|5000}}}",
                "${BACKEND_PORT:-5007}",
            ),
            ("{{{backend_port}}}", "{5007}"),
            ("{{ {{backend_port}} }}", "{{ 5007 }}"),
            ("{{backend_port}}{{db_port}}", "500715003"),
            ("{{model|a {b| c}}", "x-ai/grok-4"),
            (&long, "5007"),
            ("{{Backend_port}}", "{{Backend_port}}"),
            ("{{ backend_port }}", "{{ backend_port }}"),
            ("{{backend_port|}}", "{{backend_port|}}"),
            ("{{backend_port|a}b}}", "{{backend_port|a}b}}"),
            ("{{backend_port}", "{{backend_port}"),
            ("{{backend_port", "{{backend_port"),
            ("{{backend_ports}}", "{{backend_ports}}"),
            ("style={{color: 'red'}}", "style={{color: 'red'}}"),
            ("{{}}{{|}}{{", "{{}}{{|}}{{"),
        ] {
            let filled = fill(text.as_bytes(), &values()).into_owned();
            assert_eq!(String::from_utf8(filled).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_placeholder_across_two_reads_is_filled_in() {
        for offset in 0..40 {
            let mut text = vec![b'.'; CHUNK - offset];
            text.extend_from_slice(b"{{{backend_port|5000}}} {{model|grok}} {{nothing}}");
            let mut copied = Vec::new();
            copy(&mut text.as_slice(), &mut copied, &values()).unwrap();
            assert_eq!(
                copied,
                fill(&text, &values()).into_owned(),
                "offset {offset}"
            );
        }
    }

    #[test]
    fn binary_files_stay_as_they_are() {
        let binary = b"\x7fELF\0{{backend_port}}";
        let mut copied = Vec::new();
        copy(&mut binary.as_slice(), &mut copied, &values()).unwrap();
        assert_eq!(copied, binary);
        assert!(!is_binary(b"caf\xe9 {{backend_port}}"), "Latin-1 is text");
    }
}
