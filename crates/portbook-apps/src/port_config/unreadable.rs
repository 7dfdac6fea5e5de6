//! Why a file gives no listing at all.

/// The most bytes that a file may have: 64 MiB, some ten times what a full port space takes.
///
/// Whoever reads the file stops there too, and passes one byte more on, so that the answer is
/// [`Unreadable::TooLarge`].
pub const LARGEST_FILE: u64 = 64 << 20;

/// The file cannot be read as a list of apps with their ports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// There is nothing in it.
    #[error("the file is empty: a list without entries is written `[]`")]
    Empty,
    /// It is too large to be such a list.
    #[error("the file is larger than {} MiB, which no list of ports is", LARGEST_FILE >> 20)]
    TooLarge,
    /// It begins with the mark that some editors put before UTF-8.
    #[error("the file begins with a byte order mark: save it as UTF-8 without one")]
    ByteOrderMark,
    /// It is UTF-16.
    #[error("the file is UTF-16: save it as UTF-8")]
    Utf16,
    /// It is no text, or in another encoding.
    #[error("the file is not UTF-8 from byte {offset} on, in line {line}: save it as UTF-8")]
    NotUtf8 {
        /// How many bytes come before.
        offset: usize,
        /// The line, from 1.
        line: usize,
    },
    /// The JSON ends too early.
    #[error("the JSON ends too early, at line {line}, column {column}: the file is cut short")]
    Truncated {
        /// The line, from 1.
        line: usize,
        /// The column, in characters from 1.
        column: usize,
    },
    /// It is not JSON.
    #[error("the JSON is broken at line {line}, column {column}: {message}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column, in characters from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// It is an object where a list is due.
    #[error(
        "the file holds one JSON object where an array of objects is due: put `[` and `]` around the entries"
    )]
    Object,
    /// It is JSON, but neither list nor object.
    #[error("the file holds nothing but {0} where a JSON array of objects is due")]
    NotAnArray(&'static str),
    /// Its values lie within one another deeper than any listing's.
    #[error(
        "the JSON is nested more than {} levels deep at line {line}, which no list of ports is",
        super::json::DEEPEST
    )]
    TooDeep {
        /// The line, from 1.
        line: usize,
    },
    /// It has more entries than can be meant.
    #[error(
        "the file has more than {} entries, which no list of ports has",
        super::json::MOST_ENTRIES
    )]
    TooMany,
    /// It is CSV, but lacks columns.
    #[error("the CSV has no column {}: its first row names `{}`", list(.missing), super::listing::CSV_HEADER)]
    MissingColumns {
        /// The columns that it lacks.
        missing: Vec<&'static str>,
    },
    /// It is CSV in which two columns have one name.
    #[error("the CSV has the column `{0}` twice: leave one of them out")]
    ColumnTwice(&'static str),
    /// It is CSV in which a quoted field has no end.
    #[error(
        "the CSV has a quotation mark without its counterpart, in the row that begins at line {line}: a `\"` in a field is written `\"\"`"
    )]
    OpenQuote {
        /// The line, from 1.
        line: usize,
    },
    /// It is an SQLite database, to be read in another way.
    #[error("the file is an SQLite database, not a list of ports")]
    Sqlite,
    /// It is something else.
    #[error(
        "the file is neither a JSON array nor CSV with a first row `{}`",
        super::listing::CSV_HEADER
    )]
    Unknown,
}

fn list(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
