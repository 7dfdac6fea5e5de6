//! Copying one file, filled in if it is a text.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use rustix::io::Errno;

use super::fill::{fill, fill_beginning, is_binary};
use super::source::Content;
use super::{Placeholders, TemplateError};

/// What is read at once of a file, and what of it is looked at to tell a text.
const CHUNK: usize = 128 * 1024;
/// A default that is longer than this is none, in a file that is not read at once.
const LONGEST_DEFAULT: usize = 1024 * 1024;
/// What is copied of a file that is no text before somebody may stop it.
const PIECE: u64 = 16 * 1024 * 1024;

/// Copies files one after the other, without holding more than a little of any.
pub(super) struct Copier<'a> {
    values: &'a Placeholders,
    held: Vec<u8>,
    filled: Vec<u8>,
}

/// Which side it failed on.
pub(super) enum CopyError {
    Reading(io::Error),
    Writing(io::Error),
    Stopped(TemplateError),
}

/// Whether to go on, asked now and then.
pub(super) type GoOn<'a> = dyn FnMut() -> Result<(), TemplateError> + 'a;

impl<'a> Copier<'a> {
    pub(super) fn new(values: &'a Placeholders) -> Self {
        Self {
            values,
            held: Vec::with_capacity(CHUNK),
            filled: Vec::new(),
        }
    }

    pub(super) fn copy(
        &mut self,
        from: &Content,
        to: &File,
        go_on: &mut GoOn<'_>,
    ) -> Result<(), CopyError> {
        match from {
            Content::Shipped(bytes) => self.write_whole(bytes, to),
            Content::File(file) => self.copy_file(file, to, go_on),
        }
    }

    fn write_whole(&self, bytes: &[u8], mut to: &File) -> Result<(), CopyError> {
        let written = match is_binary(bytes) {
            true => to.write_all(bytes),
            false => to.write_all(&fill(bytes, self.values)),
        };
        written.map_err(CopyError::Writing)
    }

    fn copy_file(
        &mut self,
        from: &File,
        mut to: &File,
        go_on: &mut GoOn<'_>,
    ) -> Result<(), CopyError> {
        self.held.clear();
        if self.read_chunk(from)? < CHUNK {
            return self.write_whole(&self.held, to);
        }
        // A hole is read as NULs.
        if is_binary(&self.held) || has_hole(from) {
            return copy_bytes(from, to, go_on);
        }
        loop {
            self.filled.clear();
            let told = fill_beginning(&self.held, self.values, LONGEST_DEFAULT, &mut self.filled);
            to.write_all(&self.filled).map_err(CopyError::Writing)?;
            self.held.drain(..told);
            go_on().map_err(CopyError::Stopped)?;
            if self.read_chunk(from)? < CHUNK {
                let rest = fill(&self.held, self.values);
                return to.write_all(&rest).map_err(CopyError::Writing);
            }
        }
    }

    /// Reads a chunk more; it is shorter only at the file's end.
    fn read_chunk(&mut self, from: &File) -> Result<usize, CopyError> {
        from.take(CHUNK as u64)
            .read_to_end(&mut self.held)
            .map_err(CopyError::Reading)
    }
}

fn has_hole(file: &File) -> bool {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let hole = rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(0));
    // Back to where the reading goes on.
    let back = rustix::fs::seek(file, rustix::fs::SeekFrom::Start(CHUNK as u64));
    back.is_ok() && hole.is_ok_and(|hole| hole < length)
}

/// Copies a file as it is, its holes as holes.
fn copy_bytes(from: &File, to: &File, go_on: &mut GoOn<'_>) -> Result<(), CopyError> {
    let metadata = from.metadata().map_err(CopyError::Reading)?;
    let mut at = 0;
    while let Some((start, end)) = data_from(from, at, metadata.len())? {
        at = start;
        while at < end {
            let piece = PIECE.min(end - at);
            (&*from)
                .seek(SeekFrom::Start(at))
                .map_err(CopyError::Reading)?;
            (&*to)
                .seek(SeekFrom::Start(at))
                .map_err(CopyError::Writing)?;
            let copied = io::copy(&mut from.take(piece), &mut &*to).map_err(CopyError::Writing)?;
            if copied == 0 {
                // Somebody made it shorter meanwhile.
                return to.set_len(at).map_err(CopyError::Writing);
            }
            at += copied;
            go_on().map_err(CopyError::Stopped)?;
        }
    }
    to.set_len(metadata.len()).map_err(CopyError::Writing)
}

/// The next stretch that is no hole. A file system that knows no holes has none.
fn data_from(file: &File, at: u64, length: u64) -> Result<Option<(u64, u64)>, CopyError> {
    if at >= length {
        return Ok(None);
    }
    let start = match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        Err(_) => return Ok(Some((at, length))),
    };
    let end = rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(start));
    Ok(Some((start, end.unwrap_or(length).min(length))))
}
