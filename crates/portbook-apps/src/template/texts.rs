//! A template's texts, for those who fill them in again.

use std::io::Read;
use std::path::PathBuf;

use super::source::{Content, Source};
use super::survey::EntryKind;
use super::{Survey, TemplateError, is_binary};
use crate::written::LARGEST_TEXT;

/// A text of a template as it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateText {
    /// Where its copy is, from the destination.
    pub path: PathBuf,
    /// Its bytes, placeholders and all.
    pub content: Vec<u8>,
}

impl Survey {
    /// The template's texts, but for those that are larger than any file in which people write ports.
    pub fn texts(&self) -> Result<Vec<TemplateText>, TemplateError> {
        let source = Source::of(self)?;
        let mut texts = Vec::new();
        for listed in self.folders() {
            let folder = source.folder(listed)?;
            for entry in &listed.entries {
                if !matches!(entry.kind, EntryKind::File(_)) {
                    continue;
                }
                let content = match folder.open(entry)? {
                    Content::Shipped(content) => content.to_vec(),
                    Content::File(file) => {
                        let place = folder.place(entry);
                        let mut content = Vec::new();
                        file.take(LARGEST_TEXT + 1)
                            .read_to_end(&mut content)
                            .map_err(TemplateError::unreadable(&place))?;
                        content
                    }
                };
                if content.len() as u64 <= LARGEST_TEXT && !is_binary(&content) {
                    let path = listed.path.join(entry.becomes());
                    texts.push(TemplateText { path, content });
                }
            }
        }
        Ok(texts)
    }
}
