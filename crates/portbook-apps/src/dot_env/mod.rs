//! `.env` files, as Compose reads them.
//!
//! The rules are those of Compose's documentation ("Syntax for environment files in Docker Compose"), and
//! where that is silent, what Compose does.

mod update;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::interpolation::{Origin, Uninterpolated, Variable, interpolate, shortened};
use crate::written::{BYTE_ORDER_MARK, Place, SourceFile, Text};

pub use update::{Absent, Updated, update};

/// The most bytes that the values of a file may have together, each taken for every line that sets it.
const MOST_BYTES: usize = 16 << 20;

/// The lines of a file that set variables, in their order.
#[derive(Debug)]
pub struct DotEnv {
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    /// How many bytes the values have together.
    bytes: usize,
}

/// A variable that a file sets.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Where the name is written.
    pub name_place: Place,
    /// Its value, without quotes, its own variables replaced.
    pub value: Text,
    /// Where the value is written, with its quotes; after the name where there is only the name, whose
    /// value the environment gives.
    pub value_place: Place,
    /// How it is quoted.
    pub quotes: Quotes,
}

/// How a value is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    /// Not at all: up to the end of the line or ` #`.
    None,
    /// `'...'`: as it stands, over several lines too.
    Single,
    /// `"..."`: with escapes and variables.
    Double,
}

impl Quotes {
    fn mark(self) -> Option<u8> {
        match self {
            Quotes::None => None,
            Quotes::Single => Some(b'\''),
            Quotes::Double => Some(b'"'),
        }
    }
}

/// Why a file cannot be read as an `.env` file: Compose refuses it whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A name with something in it that names do not have.
    #[error("`{0}` cannot be part of a variable's name")]
    NotInAName(char),
    /// A name of several words.
    #[error("`{0}` has a blank in it, which no variable's name has")]
    BlankInName(String),
    /// A quote without its counterpart.
    #[error("the quotation mark has no counterpart")]
    OpenQuote,
    /// Values that grow by each other's values.
    #[error("the values up to here have more than {} MiB", MOST_BYTES >> 20)]
    TooMuch,
    /// The value's own variables.
    #[error(transparent)]
    Variables(#[from] Uninterpolated),
}

impl DotEnv {
    /// Reads a file. `outer` knows the variables that the file cannot change, and that its values may
    /// use: the environment's.
    ///
    /// ```
    /// use std::path::Path;
    /// use std::sync::Arc;
    /// use portbook_apps::dot_env::DotEnv;
    /// use portbook_apps::written::SourceFile;
    ///
    /// let file = SourceFile::new(Path::new(".env"), "export BACKEND_PORT=5001 # ours\n");
    /// let read = DotEnv::read(&Arc::new(file), &|_| None)?;
    /// let port = read.get("BACKEND_PORT").unwrap();
    /// assert_eq!(port.value.as_str(), "5001");
    /// assert_eq!((port.value_place.line, port.value_place.column), (1, 21));
    /// # Ok::<(), portbook_apps::dot_env::Problem>(())
    /// ```
    pub fn read(
        file: &Arc<SourceFile>,
        outer: &dyn Fn(&str) -> Option<Variable>,
    ) -> Result<Self, Problem> {
        let reader = Reader::new(file);
        let mut read = Self {
            entries: Vec::new(),
            by_name: HashMap::new(),
            bytes: 0,
        };
        let mut at = reader.start;
        while let Some(statement) = reader.statement_from(at) {
            at = read.take(&reader, statement, outer)?;
        }
        Ok(read)
    }

    /// What sets a variable: the last line that does.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.by_name
            .get(name)
            .and_then(|index| self.entries.get(*index))
    }

    /// Every line that sets a variable.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// A variable's value, and that this file gives it.
    pub fn variable(&self, name: &str) -> Option<Variable> {
        self.get(name).map(|entry| Variable {
            value: entry.value.clone(),
            origin: Origin::File(entry.value_place.clone()),
        })
    }

    /// Reads the statement that begins here, and says where it ends.
    fn take(
        &mut self,
        reader: &Reader<'_>,
        start: usize,
        outer: &dyn Fn(&str) -> Option<Variable>,
    ) -> Result<usize, Problem> {
        let Name { name, place, next } = reader.name(start)?;
        let lookup = |name: &str| outer(name).or_else(|| self.variable(name));
        let Some(from) = next.value else {
            if let Some(inherited) = lookup(&name) {
                let end = place.bytes.end;
                self.push(Entry {
                    name,
                    value: inherited.value,
                    value_place: reader.file.place(end..end),
                    name_place: place,
                    quotes: Quotes::None,
                });
            }
            return Ok(next.end);
        };
        let raw = reader.value(from)?;
        let value = match raw.quotes {
            Quotes::Single => raw.text,
            Quotes::None | Quotes::Double => {
                let filled = interpolate(&raw.text, &lookup);
                filled
                    .map_err(|fault| reader.problem(raw.bytes.clone(), fault.into()))?
                    .text
            }
        };
        self.bytes += value.as_str().len();
        if self.bytes > MOST_BYTES {
            return Err(reader.problem(raw.bytes, Fault::TooMuch));
        }
        self.push(Entry {
            name,
            name_place: place,
            value,
            value_place: reader.file.place(raw.bytes),
            quotes: raw.quotes,
        });
        Ok(raw.end)
    }

    fn push(&mut self, entry: Entry) {
        self.by_name.insert(entry.name.clone(), self.entries.len());
        self.entries.push(entry);
    }
}

struct Reader<'f> {
    file: &'f Arc<SourceFile>,
    /// The file's text. A byte that is not UTF-8 is a `?`, so that places stay what they are.
    text: std::borrow::Cow<'f, str>,
    start: usize,
}

struct Name {
    name: String,
    place: Place,
    next: AfterName,
}

struct AfterName {
    /// Where the value begins, if there is an equals sign.
    value: Option<usize>,
    /// Where the statement ends, if there is none.
    end: usize,
}

struct RawValue {
    text: Text,
    /// The value with its quotes.
    bytes: Range<usize>,
    quotes: Quotes,
    /// Where the next statement may begin.
    end: usize,
}

impl<'f> Reader<'f> {
    fn new(file: &'f Arc<SourceFile>) -> Self {
        let bytes = file.bytes();
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => {
                let kept = |byte: &u8| {
                    if byte.is_ascii() {
                        char::from(*byte)
                    } else {
                        '?'
                    }
                };
                bytes.iter().map(kept).collect::<String>().into()
            }
        };
        let start = match bytes.starts_with(BYTE_ORDER_MARK) {
            true => BYTE_ORDER_MARK.len(),
            false => 0,
        };
        Self { file, text, start }
    }

    fn problem(&self, bytes: Range<usize>, fault: Fault) -> Problem {
        Problem {
            place: self.file.place(bytes),
            fault,
        }
    }

    fn rest(&self, from: usize) -> &str {
        self.text.get(from..).unwrap_or_default()
    }

    /// The end of the line that this place is in.
    fn end_of_line(&self, from: usize) -> usize {
        let rest = self.rest(from).as_bytes();
        memchr::memchr(b'\n', rest).map_or(self.text.len(), |found| from + found)
    }

    /// Where the next statement begins: after blanks, empty lines and comments.
    fn statement_from(&self, from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            let rest = self.rest(at);
            let trimmed = rest.trim_start();
            at += rest.len() - trimmed.len();
            match trimmed.as_bytes().first() {
                None => return None,
                Some(b'#') => at = self.end_of_line(at),
                Some(_) => return Some(at),
            }
        }
    }

    fn name(&self, start: usize) -> Result<Name, Problem> {
        let mut start = start;
        if let Some(rest) = self.rest(start).strip_prefix("export") {
            let trimmed = rest.trim_start();
            if trimmed.len() < rest.len() {
                start = self.text.len() - trimmed.len();
            }
        }
        let rest = self.rest(start);
        let mut end = rest.len();
        let mut has_value = false;
        for (at, c) in rest.char_indices() {
            match c {
                '=' | ':' | '\n' => {
                    (end, has_value) = (at, c != '\n');
                    break;
                }
                '_' | '.' | '-' | '[' | ']' => {}
                c if is_blank(c) || c.is_alphanumeric() => {}
                c => {
                    let at = start + at;
                    return Err(self.problem(at..at + c.len_utf8(), Fault::NotInAName(c)));
                }
            }
        }
        let name = rest.get(..end).unwrap_or_default().trim_end();
        let bytes = start..start + name.len();
        if name.contains(is_blank) {
            return Err(self.problem(bytes, Fault::BlankInName(shortened(name))));
        }
        let after = (start + end + 1).min(self.text.len());
        let value = has_value.then(|| {
            let rest = self.rest(after);
            after + (rest.len() - rest.trim_start_matches(is_blank).len())
        });
        Ok(Name {
            name: name.to_owned(),
            place: self.file.place(bytes),
            next: AfterName { value, end: after },
        })
    }

    fn value(&self, start: usize) -> Result<RawValue, Problem> {
        match self.rest(start).as_bytes().first() {
            Some(b'\'') => self.quoted(start, Quotes::Single),
            Some(b'"') => self.quoted(start, Quotes::Double),
            _ => Ok(self.unquoted(start)),
        }
    }

    fn unquoted(&self, start: usize) -> RawValue {
        let end = self.end_of_line(start);
        let line = self.text.get(start..end).unwrap_or_default();
        let value = line.split(" #").next().unwrap_or(line).trim_end();
        RawValue {
            text: Text::copied(value, self.file, start),
            bytes: start..start + value.len(),
            quotes: Quotes::None,
            end,
        }
    }

    fn quoted(&self, start: usize, quotes: Quotes) -> Result<RawValue, Problem> {
        let mark = quotes.mark();
        let inside = start + 1;
        let mut is_escaped = false;
        for (at, byte) in self.rest(inside).bytes().enumerate() {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                byte if Some(byte) == mark => {
                    let raw = self.text.get(inside..inside + at).unwrap_or_default();
                    return Ok(RawValue {
                        text: self.unescaped(raw, inside, quotes),
                        bytes: start..inside + at + 1,
                        quotes,
                        end: inside + at + 1,
                    });
                }
                _ => {}
            }
        }
        Err(self.problem(start..inside, Fault::OpenQuote))
    }

    fn unescaped(&self, raw: &str, start: usize, quotes: Quotes) -> Text {
        if !raw.contains('\\') {
            return Text::copied(raw, self.file, start);
        }
        Text::unplaced(match quotes {
            Quotes::Double => escapes_expanded(raw),
            _ => raw.replace("\\'", "'"),
        })
    }
}

/// A blank that ends no line.
fn is_blank(c: char) -> bool {
    matches!(
        c,
        '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}'
    )
}

/// The escapes between double quotes. An escaped dollar becomes the two that stand for one.
fn escapes_expanded(raw: &str) -> String {
    let mut expanded = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        expanded.push_str(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + 1..).unwrap_or_default();
        let Some(c) = rest.chars().next() else {
            expanded.push('\\');
            break;
        };
        let mut length = c.len_utf8();
        match c {
            'a' => expanded.push('\u{7}'),
            'b' => expanded.push('\u{8}'),
            'f' => expanded.push('\u{c}'),
            'n' => expanded.push('\n'),
            'r' => expanded.push('\r'),
            't' => expanded.push('\t'),
            'v' => expanded.push('\u{b}'),
            '"' | '\\' => expanded.push(c),
            '$' => expanded.push_str("$$"),
            '0' if octal(rest).is_some() => {
                expanded.extend(octal(rest));
                length = 4;
            }
            c => expanded.extend(['\\', c]),
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    expanded.push_str(rest);
    expanded
}

/// The character of `0` and three octal digits.
fn octal(rest: &str) -> Option<char> {
    let digits = rest.get(1..4)?;
    let is_octal = digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let value = u8::from_str_radix(digits, 8).ok().filter(|_| is_octal)?;
    Some(char::from(value))
}

#[cfg(test)]
mod tests;
