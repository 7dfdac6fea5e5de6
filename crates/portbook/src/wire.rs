//! What a remote desk and a portbook server say to each other, for the two of them alone: programs use
//! the REST interface.
//!
//! A request is one method of the desk, its answer that method's answer as JSON. What is sent may
//! change with every version, so the version is part of the path.

use portbook_model::{
    Actor, AllocationRequest, AppKey, AppNumber, Ask, ModelPattern, Port, PromiseFile,
    ReleaseCause, Revision, Space,
};
use serde::{Deserialize, Serialize};

use crate::desk::{HistoryOf, HostLook, Scope};
use crate::error::Failure;
use crate::records::PolicyRecord;
use crate::truths::LiveContainers;
use crate::{Error, PortAllocationService};

/// Where a server takes such requests, by `POST`.
pub const PATH: &str = "/internal/v1/calls";
/// The header that names a request, so that its answer can be had again when it was lost.
pub const NAME_HEADER: &str = "idempotency-key";
/// The header of a server's answer that says whether the request was carried out for it (`first`) or
/// had been before (`again`).
pub const ANSWER_HEADER: &str = "portbook-answer";

/// What somebody has to be allowed for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// To look.
    Read,
    /// To get ports, give them back and renew leases.
    Write,
    /// To change what is not an app's own: imports, pools, promises, repairs and cleanups.
    Admin,
}

impl Right {
    /// The right's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Right::Read => "read",
            Right::Write => "write",
            Right::Admin => "admin",
        }
    }
}

/// One method of the desk with what it is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Call {
    Submit(Vec<Ask>),
    Preview(Vec<Ask>),
    Standing(AllocationRequest),
    Record(AppKey),
    Held {
        models: Option<ModelPattern>,
        number: Option<AppNumber>,
    },
    Configurations(Option<ModelPattern>),
    Conflicts {
        file: Option<PromiseFile>,
        host: HostLook,
    },
    RepairIntent {
        file: Option<PromiseFile>,
        containers: LiveContainers,
        moves_running: bool,
    },
    History(HistoryOf),
    Stats(Option<PromiseFile>),
    PortLine(Option<PromiseFile>),
    Policy,
    Pools,
    Spaces,
    Models,
    Holder(Port),
    IsClaimed(Port),
    AppsThatAnswer {
        containers: LiveContainers,
    },
    Head,
    ChangesSince(Revision),
}

/// A call with on whose behalf it is made.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    pub(crate) space: Space,
    pub(crate) by: String,
    pub(crate) checks_host: bool,
    pub(crate) call: Call,
}

impl Request {
    pub(crate) fn new(scope: &Scope, call: Call) -> Self {
        Self {
            space: scope.space.clone(),
            by: scope.by.to_string(),
            checks_host: scope.checks_host,
            call,
        }
    }

    /// Who the asking side says it is.
    pub fn claims_to_be(&self) -> &str {
        &self.by
    }

    /// What has to be allowed for it.
    pub fn right(&self) -> Right {
        match &self.call {
            Call::Submit(asks) => asks.iter().map(right_to).max().unwrap_or(Right::Read),
            _ => Right::Read,
        }
    }

    /// Whether it may change the book.
    pub fn is_change(&self) -> bool {
        matches!(self.call, Call::Submit(_))
    }

    /// Whether the answer grows with the book.
    pub fn reads_the_whole_book(&self) -> bool {
        match self.call {
            Call::Held { .. }
            | Call::Configurations(_)
            | Call::Conflicts { .. }
            | Call::RepairIntent { .. }
            | Call::History(_)
            | Call::Stats(_)
            | Call::PortLine(_)
            | Call::AppsThatAnswer { .. }
            | Call::ChangesSince(_) => true,
            Call::Submit(_)
            | Call::Preview(_)
            | Call::Standing(_)
            | Call::Record(_)
            | Call::Policy
            | Call::Pools
            | Call::Spaces
            | Call::Models
            | Call::Holder(_)
            | Call::IsClaimed(_)
            | Call::Head => false,
        }
    }

    /// Answers from a service, as JSON; the history is told that `by` asked.
    pub fn answer(self, service: &PortAllocationService, by: Actor) -> Result<Vec<u8>, Error> {
        let mut service = service.in_space(self.space).on_behalf_of(by);
        if !self.checks_host {
            service = service.without_host_check();
        }
        let (desk, scope) = service.desk_and_scope();
        match self.call {
            Call::Submit(asks) => json(&service.answer(asks)?),
            Call::Preview(asks) => json(&desk.preview(scope, asks)?),
            Call::Standing(request) => json(&desk.standing(scope, &request)?),
            Call::Record(app) => json(&desk.record(scope, &app)?),
            Call::Held { models, number } => json(&desk.held(scope, models, number)?),
            Call::Configurations(models) => json(&desk.configurations(scope, models)?),
            Call::Conflicts { file, host } => json(&desk.conflicts(scope, file, host)?),
            Call::RepairIntent {
                file,
                containers,
                moves_running,
            } => json(&desk.repair_intent(scope, file, &containers, moves_running)?),
            Call::History(of) => json(&desk.history(scope, &of)?),
            Call::Stats(file) => json(&desk.stats(scope, file)?),
            Call::PortLine(file) => json(&desk.port_line(scope, file)?),
            Call::Policy => json(&PolicyRecord::of(&*desk.policy()?)),
            Call::Pools => json(&desk.pools(scope)?),
            Call::Spaces => json(&desk.spaces()?),
            Call::Models => json(&desk.models(scope)?),
            Call::Holder(port) => json(&desk.holder(scope, port)?),
            Call::IsClaimed(port) => json(&desk.is_claimed(scope, port)?),
            Call::AppsThatAnswer { containers } => {
                json(&desk.apps_that_answer(scope, &containers)?)
            }
            Call::Head => json(&desk.head()?),
            Call::ChangesSince(after) => json(&desk.changes_since(after)?),
        }
    }
}

fn right_to(ask: &Ask) -> Right {
    match ask {
        Ask::Allocate(_)
        | Ask::BeginRun(_)
        | Ask::Release { .. }
        | Ask::GiveBack { .. }
        | Ask::Note { .. }
        | Ask::Renew { .. }
        | Ask::Expire
        | Ask::Promise { .. } => Right::Write,
        // Who may release apps may end what was its own run or attempt; what is gone, a cleanup says.
        Ask::Reclaim { orphans } => {
            let is_own = |cause| matches!(cause, ReleaseCause::Asked | ReleaseCause::RunEnded);
            match orphans.iter().all(|(_, cause)| is_own(*cause)) {
                true => Right::Write,
                false => Right::Admin,
            }
        }
        Ask::Move { .. }
        | Ask::Import { .. }
        | Ask::Unpromise { .. }
        | Ask::AddPool { .. }
        | Ask::RemovePool { .. }
        | Ask::Accept => Right::Admin,
    }
}

fn json(answer: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(answer).map_err(|error| Error::Internal(error.to_string()))
}

/// An error as one side tells the other of it: RFC 9457 with portbook's own members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The error's name for programs.
    pub code: String,
    /// What kind of failure it is.
    pub failure: Failure,
    /// What is wrong, as one sentence.
    #[serde(rename = "detail")]
    pub message: String,
    /// What to do about it.
    #[serde(default)]
    pub hint: Option<String>,
}
