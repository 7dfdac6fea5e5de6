//! What every request has at hand.

use std::sync::Arc;

use portbook::{Error, PortAllocationService};
use tokio::sync::{Semaphore, watch};

use crate::auth::{Caller, Tokens};
use crate::calls::Answers;
use crate::limits::Limits;
use crate::origin::Guard;
use crate::problem::Problem;

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
    ) -> Self {
        Self {
            service,
            tokens,
            guard,
            answers: Answers::default(),
            stopping,
            changes: Arc::new(Semaphore::new(limits.changes)),
            questions: Arc::new(Semaphore::new(limits.questions)),
            limits,
        }
    }

    /// The service on behalf of a caller.
    pub(crate) fn service_for(&self, caller: &Caller) -> PortAllocationService {
        self.service.on_behalf_of(caller.actor(None))
    }

    /// Has a change made: it waits in the writer's queue, on a thread of its own.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        self.on_a_thread(&self.changes, work).await
    }

    /// Has a question about the whole book answered, on a thread of its own.
    pub(crate) async fn question<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        self.on_a_thread(&self.questions, work).await
    }

    async fn on_a_thread<T: Send + 'static>(
        &self,
        room: &Arc<Semaphore>,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let Ok(permit) = room.clone().try_acquire_owned() else {
            return Err(Problem::overloaded(
                "too many callers wait for the book already",
            ));
        };
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
