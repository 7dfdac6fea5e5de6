//! Which ports are apps', for whoever gives out others.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use portbook_model::{Port, Revision, Space, SpaceBook, Timestamp};
use portbook_store::Reading;

use crate::Error;

/// The ports that apps hold or are promised, followed from the book's changes, so that a question
/// costs a look at the book's revision and no more.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    known: Mutex<BTreeMap<Space, (Revision, SpaceBook)>>,
}

impl Claims {
    /// Whether an app holds `port` or is promised it, by the book as it is now.
    pub(crate) fn contains(
        &self,
        reading: &mut dyn Reading,
        space: &Space,
        port: Port,
    ) -> Result<bool, Error> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let former = known.remove(space);
        let (revision, book) = current(reading, space, former)?;
        let is_claimed = book.taken.contains(port) || book.promises.to(port).is_some();
        known.insert(space.clone(), (revision, book));
        Ok(is_claimed)
    }
}

fn current(
    reading: &mut dyn Reading,
    space: &Space,
    former: Option<(Revision, SpaceBook)>,
) -> Result<(Revision, SpaceBook), Error> {
    let head = reading.head()?;
    let book = match former {
        Some((revision, mut book)) if revision <= head.revision => {
            if revision < head.revision {
                for recorded in reading.changes_since(revision)? {
                    if recorded.space == *space {
                        book.apply(&recorded.change, recorded.at);
                    }
                }
                book.forget_loaded();
            }
            book
        }
        _ => reading.space(space, Timestamp::from_millis(i64::MAX))?,
    };
    Ok((head.revision, book))
}
