//! Texts that remember where they are written: byte for byte, through quotes and variables.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustix::fs::OFlags;

/// The most bytes of a compose or `.env` file: some hundred times the largest that people write.
pub const LARGEST_TEXT: u64 = 8 << 20;

/// Why a file gives no text.
#[derive(Debug, thiserror::Error)]
pub enum NoText {
    /// The system does not give it.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is a folder, a pipe or a device.
    #[error("it is no regular file")]
    NotAFile,
    /// It is too large.
    #[error("it is larger than {} MiB", LARGEST_TEXT >> 20)]
    TooLarge,
}

/// A file's path and bytes.
#[derive(Debug)]
pub struct SourceFile {
    path: Arc<Path>,
    bytes: Vec<u8>,
    /// Where each line begins: asked for only where a place is told.
    lines: OnceLock<Vec<usize>>,
}

impl SourceFile {
    /// Reads a file. A pipe or a device is never waited for.
    pub fn read(path: &Path) -> Result<Self, NoText> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(NoText::NotAFile);
        }
        if metadata.len() > LARGEST_TEXT {
            return Err(NoText::TooLarge);
        }
        let bytes = read_at_most(file, metadata.len())?;
        Ok(Self::new(path, bytes))
    }

    /// A file whose bytes are known already.
    pub fn new(path: &Path, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            bytes: bytes.into(),
            lines: OnceLock::new(),
        }
    }

    /// The path by which it was read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where these bytes of it are.
    pub fn place(&self, bytes: Range<usize>) -> Place {
        let lines = self.lines.get_or_init(|| {
            let ends = memchr::memchr_iter(b'\n', &self.bytes);
            std::iter::once(0).chain(ends.map(|end| end + 1)).collect()
        });
        let line = lines.partition_point(|start| *start <= bytes.start).max(1);
        let start = lines.get(line - 1).copied().unwrap_or_default();
        let before = self.bytes.get(start..bytes.start).unwrap_or_default();
        Place {
            file: Arc::clone(&self.path),
            line,
            column: characters(before.strip_prefix(BYTE_ORDER_MARK).unwrap_or(before)) + 1,
            bytes,
        }
    }
}

/// The mark that some editors put before UTF-8.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a file that should have so many bytes: one question to the system where it has.
fn read_at_most(mut file: File, expected: u64) -> Result<Vec<u8>, NoText> {
    let expected = usize::try_from(expected).unwrap_or_default();
    let mut bytes = vec![0; expected + 1];
    let length = match file.read(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
        length => length?,
    };
    bytes.truncate(length);
    // What is no file on a disk may say that it has nothing, or give it bit by bit.
    if length != expected || expected == 0 {
        file.take(LARGEST_TEXT + 1).read_to_end(&mut bytes)?;
    }
    if bytes.len() as u64 > LARGEST_TEXT {
        return Err(NoText::TooLarge);
    }
    Ok(bytes)
}

/// How many characters UTF-8 has; of other bytes, how many bytes.
fn characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.chars().count(),
        Err(_) => bytes.len(),
    }
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file, by the path by which it was read.
    pub file: Arc<Path>,
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters from 1.
    pub column: usize,
    /// Which bytes of the file.
    pub bytes: Range<usize>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// A text together with the places that its parts were copied from.
#[derive(Debug, Clone, Default)]
pub struct Text {
    text: String,
    runs: Vec<Run>,
}

/// A part of a text, up to where the next one begins.
#[derive(Debug, Clone)]
struct Run {
    /// Where in the text it begins.
    start: usize,
    /// The file and the byte that it was copied from; `None` where it is not to be found in any file as
    /// it stands here.
    source: Option<(Arc<SourceFile>, usize)>,
}

impl Text {
    /// A text that is in no file, or not literally.
    pub fn unplaced(text: impl Into<String>) -> Self {
        let mut whole = Self::default();
        whole.push(&text.into(), None);
        whole
    }

    /// A text that the file has, byte for byte, from `start` on.
    pub fn copied(text: &str, file: &Arc<SourceFile>, start: usize) -> Self {
        let mut whole = Self::default();
        whole.push(text, Some((Arc::clone(file), start)));
        whole
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The place from which a part of the text was copied as one piece, if there is one.
    pub fn place(&self, part: Range<usize>) -> Option<Place> {
        let next = self.runs.partition_point(|run| run.start <= part.start);
        let run = self.runs.get(next.checked_sub(1)?)?;
        let end = self.runs.get(next).map_or(self.text.len(), |run| run.start);
        if part.end > end {
            return None;
        }
        let (file, start) = run.source.as_ref()?;
        let from = start + (part.start - run.start);
        Some(file.place(from..from + part.len()))
    }

    fn push(&mut self, text: &str, source: Option<(Arc<SourceFile>, usize)>) {
        if !text.is_empty() {
            self.runs.push(Run {
                start: self.text.len(),
                source,
            });
            self.text.push_str(text);
        }
    }

    /// Appends a part of another text, places and all.
    pub(crate) fn push_part(&mut self, other: &Text, part: Range<usize>) {
        let first = other.runs.partition_point(|run| run.start <= part.start);
        for index in first.saturating_sub(1)..other.runs.len() {
            let run = &other.runs[index];
            if run.start >= part.end {
                break;
            }
            let end = other
                .runs
                .get(index + 1)
                .map_or(other.text.len(), |run| run.start);
            let (from, to) = (run.start.max(part.start), end.min(part.end));
            let Some(text) = other.text.get(from..to) else {
                break;
            };
            let source = run
                .source
                .as_ref()
                .map(|(file, start)| (Arc::clone(file), start + (from - run.start)));
            self.push(text, source);
        }
    }

    pub(crate) fn push_text(&mut self, other: &Text) {
        self.push_part(other, 0..other.text.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let file = SourceFile::new(Path::new("f"), "a\nä: 80\r\n\u{1f600}x");
        let place = |bytes: Range<usize>| {
            let place = file.place(bytes);
            (place.line, place.column)
        };
        assert_eq!(place(0..1), (1, 1));
        assert_eq!(place(6..8), (2, 4));
        assert_eq!(place(14..15), (3, 2));
        let marked = SourceFile::new(Path::new("f"), "\u{feff}80");
        assert_eq!(marked.place(3..5).column, 1);
    }

    #[test]
    fn a_part_of_a_text_is_found_where_it_was_copied_from() {
        let file = Arc::new(SourceFile::new(Path::new("f"), "PORT=5001\n"));
        let mut text = Text::unplaced("127.0.0.1:");
        text.push_text(&Text::copied("5001", &file, 5));
        text.push_text(&Text::unplaced(":80"));
        assert_eq!(text.as_str(), "127.0.0.1:5001:80");
        assert_eq!(text.place(10..14).unwrap().bytes, 5..9);
        assert_eq!(text.place(11..13).unwrap().bytes, 6..8);
        assert!(text.place(10..15).is_none());
        assert!(text.place(0..4).is_none());
    }
}
