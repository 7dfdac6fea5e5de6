//! Which line of a text an offset lies in.

use std::cell::Cell;

/// Tells lines by offsets that lie near one another.
///
/// Counts from the last place asked for, so that reading a file from its beginning to its end counts
/// each line about once, without a table of them.
pub(super) struct Lines<'t> {
    text: &'t str,
    last: Cell<(usize, usize)>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self {
            text,
            last: Cell::new((0, 1)),
        }
    }

    /// The line, from 1, of the byte at `offset`.
    pub(super) fn at(&self, offset: usize) -> usize {
        let bytes = self.text.as_bytes();
        let offset = offset.min(bytes.len());
        let (from, line) = self.last.get();
        let breaks = |range: std::ops::Range<usize>| {
            let range = bytes.get(range).unwrap_or_default();
            range.iter().filter(|byte| **byte == b'\n').count()
        };
        let line = if offset >= from {
            line + breaks(from..offset)
        } else {
            line - breaks(offset..from)
        };
        self.last.set((offset, line));
        line
    }

    /// The line of a part of the text.
    pub(super) fn of_part(&self, part: &str) -> usize {
        self.at((part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_in_any_order() {
        let text = "a\nb\n\nc";
        let lines = Lines::of(text);
        for (offset, line) in [(5, 4), (0, 1), (1, 1), (2, 2), (4, 3), (3, 2), (99, 4)] {
            assert_eq!(lines.at(offset), line, "offset {offset}");
        }
        assert_eq!(lines.of_part(&text[2..3]), 2);
    }
}
