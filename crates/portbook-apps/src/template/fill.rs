//! Filling a text in.
//!
//! A scanner of our own, since every template engine takes more for its own than it should: here
//! `{{name}}` and `{{name|default}}` are replaced where the name is known, and every other byte stays
//! what it is, in whatever encoding.

use std::borrow::Cow;

use memchr::memchr;
use memchr::memmem::Finder;

use super::Placeholders;

const OPENING: &[u8] = b"{{";

/// Whether a file of which this is the beginning, or all, is no text: if it has a NUL, or if it is not
/// UTF-8 and has control characters that no text has in any encoding.
///
/// ```
/// use portbook_apps::template::is_binary;
///
/// assert!(is_binary(b"\x7fELF\x02\x01\x00"));
/// assert!(is_binary(b"\x89PNG\r\n\x1a\n"));
/// assert!(!is_binary(b"caf\xe9\r\n"), "Latin-1");
/// ```
pub fn is_binary(start: &[u8]) -> bool {
    // Bell to carriage return, and escape, are in texts for terminals and printers.
    let unwritten = |byte: &u8| matches!(byte, 1..=6 | 14..=26 | 28..=31);
    let is_utf8 = match std::str::from_utf8(start) {
        Ok(_) => true,
        // The last character may go on beyond what was looked at.
        Err(error) => error.error_len().is_none(),
    };
    memchr(0, start).is_some() || (!is_utf8 && start.iter().any(unwritten))
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
    let mut scan = Scan::of(text, values, End::Here);
    let copied = scan.fill_into(&mut filled);
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    filled.extend_from_slice(&text[copied..]);
    Cow::Owned(filled)
}

/// Fills in as much of the beginning of a text as can be told without what follows, appends it to
/// `filled`, and says how much of the text that was. No more than `patience` bytes are left.
pub(super) fn fill_beginning(
    text: &[u8],
    values: &Placeholders,
    patience: usize,
    filled: &mut Vec<u8>,
) -> usize {
    let mut scan = Scan::of(text, values, End::Beyond { patience });
    let copied = scan.fill_into(filled);
    let told = scan.undecided.unwrap_or(text.len());
    filled.extend_from_slice(&text[copied..told]);
    told
}

/// Where a text ends.
#[derive(Clone, Copy)]
enum End {
    /// With its last byte.
    Here,
    /// Somewhere behind. What may be a placeholder that goes on there is left undecided, unless it
    /// would be longer than this.
    Beyond { patience: usize },
}

/// A walk through a text from placeholder to placeholder. It looks at no byte more than a few times,
/// whatever the text: braces without end must not take time without end.
struct Scan<'a> {
    text: &'a [u8],
    values: &'a Placeholders,
    end: End,
    opening: Finder<'static>,
    at: usize,
    /// The first `}` that is not before `at`, as far as it is known.
    closing: Closing,
    /// Where something begins that cannot be told.
    undecided: Option<usize>,
}

#[derive(Clone, Copy)]
enum Closing {
    Unknown,
    At(usize),
    Nowhere,
}

/// What stands at an opening.
enum Found<'a> {
    Value {
        end: usize,
        value: &'a str,
    },
    Nothing,
    /// The text ends before it can be told.
    Unfinished,
}

impl<'a> Scan<'a> {
    fn of(text: &'a [u8], values: &'a Placeholders, end: End) -> Self {
        Self {
            text,
            values,
            end,
            opening: Finder::new(OPENING),
            at: 0,
            closing: Closing::Unknown,
            undecided: None,
        }
    }

    /// Appends the text up to the end of its last placeholder, filled in, and says where that is.
    fn fill_into(&mut self, filled: &mut Vec<u8>) -> usize {
        let mut copied = 0;
        while let Some((start, value)) = self.next_placeholder() {
            filled.extend_from_slice(&self.text[copied..start]);
            filled.extend_from_slice(value.as_bytes());
            copied = self.at;
        }
        copied
    }

    /// Goes on behind the next placeholder, and gives its beginning and value.
    fn next_placeholder(&mut self) -> Option<(usize, &'a str)> {
        while let Some(distance) = self.opening.find(&self.text[self.at..]) {
            let start = self.at + distance;
            self.at = start + 1;
            match self.placeholder(start) {
                Found::Value { end, value } => {
                    self.at = end;
                    return Some((start, value));
                }
                Found::Unfinished if self.waits_for_more(start) => {
                    self.undecided = Some(start);
                    return None;
                }
                Found::Nothing | Found::Unfinished => {}
            }
        }
        let last = self.text.len().saturating_sub(1);
        if self.at <= last && self.text.ends_with(b"{") && self.waits_for_more(last) {
            self.undecided = Some(last);
        }
        None
    }

    fn waits_for_more(&self, start: usize) -> bool {
        match self.end {
            End::Here => false,
            End::Beyond { patience } => self.text.len() - start <= patience,
        }
    }

    fn placeholder(&mut self, start: usize) -> Found<'a> {
        let name = start + OPENING.len();
        let inside = &self.text[name..];
        let within = &inside[..inside.len().min(self.values.longest_name() + 1)];
        let Some(length) = within.iter().position(|byte| matches!(byte, b'|' | b'}')) else {
            return match within.len() == inside.len() && self.values.has_name_that_begins(inside) {
                true => Found::Unfinished,
                false => Found::Nothing,
            };
        };
        let Some(value) = self.values.value(&inside[..length]) else {
            return Found::Nothing;
        };
        let mut closing = name + length;
        if self.text[closing] == b'|' {
            let default = closing + 1;
            match self.closing_from(default) {
                None => return Found::Unfinished,
                Some(empty) if empty == default => return Found::Nothing,
                Some(found) => closing = found,
            }
        }
        match self.text.get(closing + 1) {
            Some(b'}') => Found::Value {
                end: closing + 2,
                value,
            },
            Some(_) => Found::Nothing,
            None => Found::Unfinished,
        }
    }

    /// The first `}` at `from` or behind it; `from` never goes back.
    fn closing_from(&mut self, from: usize) -> Option<usize> {
        let is_known = match self.closing {
            Closing::At(known) => known >= from,
            Closing::Nowhere => true,
            Closing::Unknown => false,
        };
        if !is_known {
            self.closing = match memchr(b'}', &self.text[from..]) {
                Some(distance) => Closing::At(from + distance),
                None => Closing::Nowhere,
            };
        }
        match self.closing {
            Closing::At(known) => Some(known),
            Closing::Nowhere | Closing::Unknown => None,
        }
    }
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
    fn what_cannot_be_told_yet_is_left_for_later() {
        for (text, told) in [
            ("a {{backend_port}} b", 20),
            ("a {{backend_p", 2),
            ("a {{backend_port|50", 2),
            ("a {{backend_port|50}", 2),
            ("a {{", 2),
            ("a {", 2),
            ("a {{nothing", 11),
            ("a {{backend_ports", 17),
        ] {
            let mut filled = Vec::new();
            let done = fill_beginning(text.as_bytes(), &values(), 100, &mut filled);
            assert_eq!(done, told, "{text}");
            let impatient = fill_beginning(text.as_bytes(), &values(), 0, &mut filled);
            assert_eq!(impatient, text.len(), "{text}");
        }
    }

    #[test]
    fn no_text_takes_long() {
        for piece in ["{", "{{backend_port|", "{{backend_port|}", "{{backend_port"] {
            let text = piece.repeat(4_000_000 / piece.len());
            let started = std::time::Instant::now();
            assert_eq!(&*fill(text.as_bytes(), &values()), text.as_bytes());
            // A scan that goes back for each brace would take hours.
            assert!(started.elapsed().as_secs() < 60, "{piece}");
        }
    }
}
