//! What every request has at hand.

use std::io;
use std::sync::Arc;

use portbook::{Error, PortAllocationService};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::auth::{Caller, Tokens};
use crate::calls::Answers;
use crate::events::Events;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::origin::Guard;
use crate::portserver::Tally;
use crate::problem::Problem;
use crate::scribe::{Pieces, Scribe};

/// The server's parts, shared by all requests.
pub(crate) struct App {
    pub(crate) service: PortAllocationService,
    pub(crate) limits: Limits,
    pub(crate) tokens: Option<Tokens>,
    pub(crate) guard: Guard,
    /// The answers to changes that were named, in case that they get lost.
    pub(crate) answers: Answers,
    /// Says `true` once the server is to stop.
    pub(crate) stopping: watch::Receiver<bool>,
    pub(crate) events: Events,
    pub(crate) metrics: Arc<Metrics>,
    /// Room for those who follow the events.
    pub(crate) streams: Arc<Semaphore>,
    scribe: Scribe,
    changes: Arc<Semaphore>,
    questions: Arc<Semaphore>,
}

impl App {
    pub(crate) fn new(
        service: PortAllocationService,
        limits: Limits,
        tokens: Option<Tokens>,
        guard: Guard,
        stopping: watch::Receiver<bool>,
        portserver: Option<Arc<Tally>>,
    ) -> io::Result<Self> {
        Ok(Self {
            events: Events::of(service.clone(), stopping.clone()),
            metrics: Arc::new(Metrics::of(&service, portserver)),
            streams: Arc::new(Semaphore::new(limits.streams)),
            service,
            tokens,
            guard,
            answers: Answers::default(),
            stopping,
            scribe: Scribe::begin()?,
            changes: Arc::new(Semaphore::new(limits.changes)),
            questions: Arc::new(Semaphore::new(limits.questions)),
            limits,
        })
    }

    /// The service on behalf of a caller.
    pub(crate) fn service_for(&self, caller: &Caller) -> PortAllocationService {
        self.service.on_behalf_of(caller.actor(None))
    }

    /// Has a change made: it waits in the writer's queue, on a thread of its own. Where the caller goes
    /// before its turn has come, nothing is planned for it.
    pub(crate) async fn change_for<T: Send + 'static>(
        &self,
        service: PortAllocationService,
        work: impl FnOnce(&PortAllocationService) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let waits = Arc::new(());
        let service = service.as_long_as(&waits);
        self.change(move || work(&service)).await
    }

    /// Has a change made that is made whoever waits for it.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let done = self.on_a_thread(&self.changes, work).await;
        self.events.wake();
        done
    }

    /// Has a question answered, on a thread of its own.
    pub(crate) async fn question<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        self.on_a_thread(&self.questions, work).await
    }

    /// Has an answer about the whole book written, in its turn. What `write` returns comes beside it.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&mut Pieces) -> Result<T, Error> + Send + 'static,
    ) -> Result<(T, Pieces), Problem> {
        let permit = room_in(&self.questions)?;
        self.scribe.write(permit, write).await
    }

    async fn on_a_thread<T: Send + 'static>(
        &self,
        room: &Arc<Semaphore>,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = room_in(room)?;
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        match done.await {
            Ok(result) => Ok(result?),
            Err(_) => Err(Problem::internal("answering broke off")),
        }
    }
}

fn room_in(room: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    let permit = room.clone().try_acquire_owned();
    permit.map_err(|_| Problem::overloaded("too many callers wait for the book already"))
}
