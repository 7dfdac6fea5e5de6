//! The book's changes as they happen, for whoever follows them: also those that other processes commit.
//!
//! One task follows the book and tells all readers. It looks at the head, which is one row, a few
//! times a second while somebody follows, seldom while nobody does, and at once when this server has
//! committed something: a watch only wakes. A reader that is too slow is dropped, and comes back with the last revision that
//! it has seen.

use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::Event;
use portbook::model::{Revision, Space};
use portbook::{ChangeRecord, Error, PortAllocationService};
use tokio::sync::{Notify, broadcast, watch};
use tracing::warn;

/// How many changes a reader may be behind before it is dropped.
const MOST_BEHIND: usize = 1024;
/// How often the book is looked at for what others committed.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
/// The same while nobody follows: a reader that comes must not find the task far behind.
const BETWEEN_IDLE_LOOKS: Duration = Duration::from_secs(2);
/// How long a book is left alone that cannot be read.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// A change, written once for all readers.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) revision: Revision,
    space: Space,
    name: &'static str,
    text: Arc<str>,
}

impl Told {
    pub(crate) fn of(recorded: portbook::model::Recorded) -> Option<Self> {
        let (revision, space) = (recorded.revision, recorded.space.clone());
        let name = recorded.change.name();
        let text = serde_json::to_string(&ChangeRecord::of(recorded)).ok()?;
        Some(Self {
            revision,
            space,
            name,
            text: text.into(),
        })
    }

    /// Whether it happened in a space.
    pub(crate) fn is_of(&self, space: &Space) -> bool {
        self.space == *space
    }

    /// The change as the stream tells of it: its revision is the event's id.
    pub(crate) fn event(&self) -> Event {
        Event::default()
            .id(self.revision.to_string())
            .event(self.name)
            .data(&*self.text)
    }
}

/// What tells of changes.
#[derive(Debug)]
pub(crate) struct Events {
    told: broadcast::Sender<Told>,
    something: Arc<Notify>,
}

impl Events {
    /// Begins to follow the book, until `stopping` says `true`.
    pub(crate) fn of(service: PortAllocationService, stopping: watch::Receiver<bool>) -> Self {
        let (told, _) = broadcast::channel(MOST_BEHIND);
        let something = Arc::new(Notify::new());
        // A book that cannot be read now is followed from where it is once it can.
        let revision = service.head().ok().map(|head| head.revision);
        let follower = Follower {
            service,
            told: told.clone(),
            something: something.clone(),
            revision,
        };
        tokio::spawn(follower.follow(stopping));
        Self { told, something }
    }

    /// What happens from now on. Whoever has it reads the book once more afterwards, so that nothing
    /// falls between: the task never is ahead of the book.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Told> {
        self.told.subscribe()
    }

    /// Says that this server has just committed something.
    pub(crate) fn wake(&self) {
        if self.told.receiver_count() > 0 {
            self.something.notify_one();
        }
    }
}

struct Follower {
    service: PortAllocationService,
    told: broadcast::Sender<Told>,
    something: Arc<Notify>,
    /// The last revision that was told.
    revision: Option<Revision>,
}

impl Follower {
    async fn follow(mut self, mut stopping: watch::Receiver<bool>) {
        loop {
            let pause = match self.told.receiver_count() {
                0 => BETWEEN_IDLE_LOOKS,
                _ => BETWEEN_LOOKS,
            };
            let wait = tokio::time::timeout(pause, self.something.notified());
            tokio::select! {
                _ = wait => {}
                _ = stopping.wait_for(|stops| *stops) => return,
            }
            if let Err(error) = self.look().await {
                warn!(%error, "the book's changes cannot be followed at the moment");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }

    async fn look(&mut self) -> Result<(), Error> {
        let service = self.service.clone();
        let known = self.revision;
        let news = tokio::task::spawn_blocking(move || -> Result<_, Error> {
            let head = service.head()?.revision;
            match known {
                Some(known) if head > known => Ok((head, service.changes_since(known)?)),
                // A book that went back is followed from where it is now.
                _ => Ok((head, Vec::new())),
            }
        });
        let (head, changes) = match news.await {
            Ok(news) => news?,
            Err(_) => return Ok(()),
        };
        self.revision = Some(changes.last().map_or(head, |last| last.revision));
        for told in changes.into_iter().filter_map(Told::of) {
            // Nobody follows any more: then nobody misses it.
            let _ = self.told.send(told);
        }
        Ok(())
    }
}
