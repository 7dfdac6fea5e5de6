//! A book that a portbook server keeps: each question is one request to it.
//!
//! A request that may change the book has a name, under which the server keeps its answer for a while.
//! An answer that got lost is asked for again by that name: whether the change happened is looked up,
//! never guessed.

mod address;
mod unix;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use portbook_apps::export::PortConfiguration;
use portbook_model::{
    Actor, AllocationRequest, AppKey, AppNumber, Ask, Grant, Head, Holder, Model, ModelPattern,
    Outcome, Policy, Pool, PoolName, Port, PromiseFile, Recorded, Refusal, Revision, Space,
};
use serde::de::DeserializeOwned;
use ureq::http::{Response, StatusCode, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body};

pub(crate) use address::ServerAddress;
use unix::UnixConnector;

use crate::Error;
use crate::check::Conflict;
use crate::configuration::ServerAccess;
use crate::desk::{Answers, Desk, Held, HistoryOf, HostLook, Scope, Seen};
use crate::records::PolicyRecord;
use crate::repair::RepairIntent;
use crate::rules::Rules;
use crate::truths::LiveContainers;
use crate::usage::{PortLine, Stats};
use crate::watching::{Waits, Watcher};
use crate::wire::{self, Call, Request, Told};
use crate::writer::new_commit_id;

/// How long a connection may take to come about.
const TO_CONNECT: Duration = Duration::from_secs(5);
/// How often an answer is asked for that may have got lost.
const TRIES: u32 = 3;
/// What a server that is being started anew may need.
const BETWEEN_TRIES: Duration = Duration::from_millis(200);
/// The largest answer that is read: a book's history over many years.
const LARGEST_ANSWER: u64 = 1 << 30;

/// A server's desk, seen from here.
pub(crate) struct RemoteDesk {
    agent: Agent,
    address: ServerAddress,
    access: ServerAccess,
}

/// An answer as it came, and whether the server had given it before.
struct Answered {
    body: Vec<u8>,
    again: bool,
}

/// Why there is no answer.
enum Lost {
    /// Nothing was sent, or nobody was there to take it.
    Unsent(String),
    /// It was sent; whether it was carried out is unknown.
    Sent(String),
    /// It was answered, and that is it.
    Answered(Error),
}

impl RemoteDesk {
    pub(crate) fn new(address: ServerAddress, access: ServerAccess) -> Result<Self, Error> {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(TO_CONNECT))
            .user_agent(concat!("portbook/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &access.ca_file {
            let roots = certificates(path)?;
            let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots));
            config = config.tls_config(tls.build());
        }
        let config = config.build();
        let agent = match &address {
            ServerAddress::Unix(path) => {
                let connector = UnixConnector { path: path.clone() };
                Agent::with_parts(config, connector, DefaultResolver::default())
            }
            ServerAddress::Web(_) => Agent::with_parts(
                config,
                DefaultConnector::default(),
                DefaultResolver::default(),
            ),
        };
        Ok(Self {
            agent,
            address,
            access,
        })
    }

    fn ask<A: DeserializeOwned>(&self, scope: &Scope, call: Call) -> Result<A, Error> {
        let (answer, _) = self.ask_by_name(scope, call)?;
        Ok(answer)
    }

    /// The answer, and whether an earlier request of the same name may have been carried out unseen.
    fn ask_by_name<A: DeserializeOwned>(
        &self,
        scope: &Scope,
        call: Call,
    ) -> Result<(A, bool), Error> {
        let request = Request::new(scope, call);
        let is_change = request.is_change();
        let began = Instant::now();
        let body = serde_json::to_vec(&request).map_err(|error| self.nonsense(&error))?;
        let name = is_change.then(|| new_commit_id().to_string());
        let mut may_be_done = false;
        for attempt in 1.. {
            let left = self.access.patience.saturating_sub(began.elapsed());
            let (was_sent, reason) = match self.send(&body, name.as_deref(), left) {
                Ok(Answered { body, again }) => {
                    let answer = serde_json::from_slice(&body);
                    let answer = answer.map_err(|error| self.nonsense(&error))?;
                    return Ok((answer, may_be_done && !again));
                }
                Err(Lost::Answered(error)) => return Err(error),
                Err(Lost::Sent(reason)) => (true, reason),
                Err(Lost::Unsent(reason)) => (false, reason),
            };
            may_be_done |= was_sent && is_change;
            let next_try = began.elapsed() + BETWEEN_TRIES;
            let is_over = attempt == TRIES || next_try >= self.access.patience;
            let location = self.location();
            match may_be_done {
                true if is_over => return Err(Error::Unconfirmed { location, reason }),
                false if is_over || !was_sent => {
                    return Err(Error::ServerUnreachable { location, reason });
                }
                _ => std::thread::sleep(BETWEEN_TRIES),
            }
        }
        Err(Error::Internal("the tries have no end".to_owned()))
    }

    fn send(&self, body: &[u8], name: Option<&str>, left: Duration) -> Result<Answered, Lost> {
        let mut request = self
            .agent
            .post(self.address.url(wire::PATH))
            .config()
            .timeout_global(Some(left))
            .build()
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.access.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.reveal()));
        }
        if let Some(name) = name {
            request = request.header(wire::NAME_HEADER, name);
        }
        let response = request.send(body).map_err(|error| self.lost(&error))?;
        self.read(response)
    }

    fn read(&self, mut response: Response<Body>) -> Result<Answered, Lost> {
        let status = response.status();
        let again = response
            .headers()
            .get(wire::ANSWER_HEADER)
            .is_some_and(|answer| answer == "again");
        let body = response.body_mut().with_config().limit(LARGEST_ANSWER);
        let body = body.read_to_vec().map_err(|error| self.lost(&error))?;
        if status == StatusCode::OK {
            return Ok(Answered { body, again });
        }
        Err(Lost::Answered(
            match serde_json::from_slice::<Told>(&body) {
                Ok(told) => Error::Server(Box::new(told)),
                Err(_) => self.nonsense(&format!("it answers {status}")),
            },
        ))
    }

    fn nonsense(&self, reason: &dyn std::fmt::Display) -> Error {
        Error::NoServer {
            location: self.location(),
            reason: reason.to_string(),
        }
    }
    /// What kept an answer from coming. Only before a connection stands it is certain that nothing was
    /// asked.
    fn lost(&self, error: &ureq::Error) -> Lost {
        use std::io::ErrorKind;
        match error {
            ureq::Error::HostNotFound => Lost::Unsent("no such host is known".to_owned()),
            ureq::Error::ConnectionFailed => Lost::Unsent("it does not answer".to_owned()),
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                Lost::Unsent(format!("it did not answer for {} s", TO_CONNECT.as_secs()))
            }
            ureq::Error::Timeout(_) => Lost::Sent("it took too long to answer".to_owned()),
            ureq::Error::Protocol(error) => {
                Lost::Answered(self.nonsense(&format!("it does not speak HTTP ({error})")))
            }
            ureq::Error::Io(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionRefused
                        | ErrorKind::NotFound
                        | ErrorKind::PermissionDenied
                ) =>
            {
                Lost::Unsent(plain(error))
            }
            ureq::Error::Io(error) => Lost::Sent(plain(error)),
            other => Lost::Sent(other.to_string()),
        }
    }
}

/// For questions that are about the whole book.
fn of_nobody() -> Scope {
    Scope {
        space: Space::default(),
        by: Actor::default(),
        checks_host: false,
        is_of_this_host: false,
        waits: Waits::default(),
    }
}

/// An error's words without the number that Rust adds to them.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}

fn certificates(path: &std::path::Path) -> Result<Vec<Certificate<'static>>, Error> {
    let failed = |reason: String| Error::File {
        path: path.to_owned(),
        reason,
    };
    let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let found: Vec<_> = ureq::tls::parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(Ok(certificate)),
            Ok(_) => None,
            Err(error) => Some(Err(failed(error.to_string()))),
        })
        .collect::<Result<_, _>>()?;
    if found.is_empty() {
        return Err(failed("there is no certificate in it".to_owned()));
    }
    Ok(found)
}

/// Whether an answer to a repeated request may be about what the first one had done already.
fn may_be_of_a_repetition(answer: &Result<Outcome, Refusal>) -> bool {
    match answer {
        Ok(Outcome::Released(released)) => released.iter().any(|(_, ports)| ports.is_none()),
        Ok(Outcome::Reclaimed(_) | Outcome::GivenBack(_) | Outcome::Unpromised(false)) => true,
        Ok(_) => false,
        Err(refusal) => matches!(
            refusal,
            Refusal::NotHeldAsSupposed { .. } | Refusal::NoPool(_)
        ),
    }
}

impl Desk for RemoteDesk {
    fn location(&self) -> String {
        self.address.to_string()
    }

    fn policy(&self) -> Result<Arc<Policy>, Error> {
        let told: PolicyRecord = self.ask(&of_nobody(), Call::Policy)?;
        let policy = Policy::try_from(told).map_err(|error| self.nonsense(&error))?;
        Ok(Arc::new(policy))
    }

    fn own_rules(&self) -> Option<&Rules> {
        None
    }

    /// The server counts by itself.
    fn watch(&self, _: Arc<dyn Watcher>) {}

    fn submit(&self, scope: &Scope, asks: Vec<Ask>) -> Result<Answers, Error> {
        let count = asks.len();
        let (answers, is_repetition): (Answers, bool) =
            self.ask_by_name(scope, Call::Submit(asks))?;
        if answers.len() != count {
            return Err(self.nonsense(&"it answers something else than it was asked"));
        }
        if is_repetition && answers.iter().any(may_be_of_a_repetition) {
            return Err(Error::Unconfirmed {
                location: self.location(),
                reason: "the connection broke, and the server does not know what it had answered"
                    .to_owned(),
            });
        }
        Ok(answers)
    }

    fn preview(&self, scope: &Scope, asks: Vec<Ask>) -> Result<Answers, Error> {
        self.ask(scope, Call::Preview(asks))
    }

    /// The server looks by itself before it queues.
    fn standing(&self, _: &Scope, _: &AllocationRequest) -> Result<Option<Vec<Grant>>, Error> {
        Ok(None)
    }

    fn record(&self, scope: &Scope, app: &AppKey) -> Result<Seen, Error> {
        self.ask(scope, Call::Record(app.clone()))
    }

    fn held(
        &self,
        scope: &Scope,
        models: Option<ModelPattern>,
        number: Option<AppNumber>,
    ) -> Result<Held, Error> {
        self.ask(scope, Call::Held { models, number })
    }

    fn configurations(
        &self,
        scope: &Scope,
        models: Option<ModelPattern>,
    ) -> Result<Vec<PortConfiguration>, Error> {
        self.ask(scope, Call::Configurations(models))
    }

    fn conflicts(
        &self,
        scope: &Scope,
        file: Option<PromiseFile>,
        host: HostLook,
    ) -> Result<Vec<Conflict>, Error> {
        let host = match scope.is_of_this_host {
            true => host,
            false => HostLook::Never,
        };
        self.ask(scope, Call::Conflicts { file, host })
    }

    fn repair_intent(
        &self,
        scope: &Scope,
        file: Option<PromiseFile>,
        containers: &LiveContainers,
        moves_running: bool,
    ) -> Result<RepairIntent, Error> {
        self.ask(
            scope,
            Call::RepairIntent {
                file,
                containers: containers.clone(),
                moves_running,
            },
        )
    }

    fn history(&self, scope: &Scope, of: &HistoryOf) -> Result<Vec<Recorded>, Error> {
        self.ask(scope, Call::History(of.clone()))
    }

    fn stats(&self, scope: &Scope, file: Option<PromiseFile>) -> Result<Stats, Error> {
        self.ask(scope, Call::Stats(file))
    }

    fn port_line(&self, scope: &Scope, file: Option<PromiseFile>) -> Result<PortLine, Error> {
        self.ask(scope, Call::PortLine(file))
    }

    fn pools(&self, scope: &Scope) -> Result<BTreeMap<PoolName, Pool>, Error> {
        self.ask(scope, Call::Pools)
    }

    fn spaces(&self) -> Result<Vec<Space>, Error> {
        self.ask(&of_nobody(), Call::Spaces)
    }

    fn models(&self, scope: &Scope) -> Result<Vec<Model>, Error> {
        self.ask(scope, Call::Models)
    }

    fn holder(&self, scope: &Scope, port: Port) -> Result<Option<Holder>, Error> {
        self.ask(scope, Call::Holder(port))
    }

    fn is_claimed(&self, scope: &Scope, port: Port) -> Result<bool, Error> {
        self.ask(scope, Call::IsClaimed(port))
    }

    fn apps_that_answer(
        &self,
        scope: &Scope,
        containers: &LiveContainers,
    ) -> Result<BTreeSet<AppKey>, Error> {
        let containers = containers.clone();
        self.ask(scope, Call::AppsThatAnswer { containers })
    }

    fn head(&self) -> Result<Head, Error> {
        self.ask(&of_nobody(), Call::Head)
    }

    fn changes_since(&self, after: Revision) -> Result<Vec<Recorded>, Error> {
        self.ask(&of_nobody(), Call::ChangesSince(after))
    }
}
