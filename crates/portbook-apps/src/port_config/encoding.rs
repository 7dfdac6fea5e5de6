//! Bytes as text.

use super::Unreadable;

/// The text that the bytes write, or which encoding they are in instead.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Unreadable> {
    match bytes {
        [] => return Err(Unreadable::Empty),
        [0xEF, 0xBB, 0xBF, ..] => return Err(Unreadable::ByteOrderMark),
        // The second line is UTF-16 without a mark: the first character of a listing is ASCII.
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => return Err(Unreadable::Utf16),
        [0, 1..=127, ..] | [1..=127, 0, ..] => return Err(Unreadable::Utf16),
        _ => {}
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let offset = error.valid_up_to();
        let before = bytes.iter().take(offset);
        Unreadable::NotUtf8 {
            offset,
            line: 1 + before.filter(|byte| **byte == b'\n').count(),
        }
    })
}
