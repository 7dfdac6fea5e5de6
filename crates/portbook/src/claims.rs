//! Which ports are apps', for whoever gives out others.

use portbook_model::{Port, Revision, SpaceBook, Timestamp};

use crate::{Error, PortAllocationService};

/// The ports of a space that apps hold or are promised, followed from the book's changes, so that a
/// question costs a look at the book's revision and no more.
#[derive(Debug, Default)]
pub struct ClaimedPorts {
    known: Option<(Revision, SpaceBook)>,
}

impl ClaimedPorts {
    /// Nothing that was read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether an app holds `port` or is promised it, by the book as it is now.
    pub fn contains(&mut self, port: Port, service: &PortAllocationService) -> Result<bool, Error> {
        let book = self.current(service)?;
        Ok(book.taken.contains(port) || book.promises.to(port).is_some())
    }

    fn current(&mut self, service: &PortAllocationService) -> Result<&SpaceBook, Error> {
        let mut reading = service.reading()?;
        let head = reading.head()?;
        let book = match self.known.take() {
            Some((revision, mut book)) if revision <= head.revision => {
                if revision < head.revision {
                    for recorded in reading.changes_since(revision)? {
                        if recorded.space == *service.space() {
                            book.apply(&recorded.change, recorded.at);
                        }
                    }
                    book.forget_loaded();
                }
                book
            }
            _ => reading.space(service.space(), Timestamp::from_millis(i64::MAX))?,
        };
        Ok(&self.known.insert((head.revision, book)).1)
    }
}
