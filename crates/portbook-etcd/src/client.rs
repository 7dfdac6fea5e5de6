//! Asking a cluster, member after member, until one answers or the time is up.
//!
//! etcd's JSON gateway is spoken over HTTP. Each question is one request, so nothing has to be driven
//! between them, and connections are kept for the next one.

use std::io::{BufRead, BufReader};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use crate::address::{Address, Tls};
use crate::error::Failure;
use crate::keys::Keys;
use crate::wire::{
    Compare, DeleteRequest, ErrorAnswer, KeyValue, LeaseAnswer, Operation, OperationAnswer,
    PutRequest, RangeRequest, Streamed, TokenAnswer, Transaction, TransactionAnswer, WatchAnswer,
};

/// How long a cluster may be without a leader, or out of reach.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How long one member may take to answer: an election takes a second or two.
const TO_ANSWER: Duration = Duration::from_secs(4);
const TO_CONNECT: Duration = Duration::from_secs(2);
/// How long to wait when every member was asked in vain.
const PAUSE: Duration = Duration::from_millis(100);
/// The largest answer that is read.
const LARGEST_ANSWER: u64 = 1 << 30;

/// gRPC's codes.
const INVALID_ARGUMENT: i32 = 3;
const RESOURCE_EXHAUSTED: i32 = 8;
const OUT_OF_RANGE: i32 = 11;
const UNAVAILABLE: i32 = 14;
const UNAUTHENTICATED: i32 = 16;
const PERMISSION_DENIED: i32 = 7;

/// A key with what lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) created: i64,
    pub(crate) changed: i64,
}

/// What is to be read.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) keys: Keys,
    /// At most so many; 0: all.
    pub(crate) limit: usize,
    pub(crate) only_keys: bool,
    pub(crate) order: Order,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    ByKey,
    LastKeyFirst,
    ByCreation,
}

impl Question {
    pub(crate) fn all(keys: Keys) -> Self {
        Self {
            keys,
            limit: 0,
            only_keys: false,
            order: Order::ByKey,
        }
    }
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) rows: Vec<Row>,
    /// Whether the limit left some out.
    pub(crate) more: bool,
}

/// On what a change depends.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    /// The key was last written at this revision of etcd's.
    Unchanged(String, i64),
    /// The key was made at this revision of etcd's, and is there since.
    MadeAt(String, i64),
    /// The key is there.
    There(String),
    /// There is none of these keys.
    Absent(Keys),
}

#[derive(Debug, Clone)]
pub(crate) enum Write {
    Put(String, String),
    /// Gone with its lease.
    PutLeased(String, String, i64),
    Delete(Keys),
}

/// What a conditional change came to.
#[derive(Debug)]
pub(crate) struct Changed {
    /// etcd's revision then.
    pub(crate) revision: i64,
    pub(crate) succeeded: bool,
    /// What was asked for in case that it would not succeed.
    pub(crate) found: Vec<Found>,
}

/// Whether a request may be sent once more when its answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Freely,
    OnlyUnsent,
}

/// Why one member did not answer.
enum Silence {
    Unsent(String),
    Sent(String),
    /// The two do not trust each other, and asking again does not help.
    Distrusted(String),
    Said(ErrorAnswer),
}

pub(crate) struct Client {
    agent: Agent,
    address: Address,
    /// The member that answered last.
    member: AtomicUsize,
    token: Mutex<Option<String>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.address)
    }
}

impl Client {
    pub(crate) fn new(address: Address) -> Result<Self, Failure> {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(TO_CONNECT))
            .user_agent(concat!("portbook/", env!("CARGO_PKG_VERSION")));
        if let Some(tls) = &address.tls {
            config = config.tls_config(secured(tls).map_err(Failure::Refused)?);
        }
        Ok(Self {
            agent: config.build().into(),
            address,
            member: AtomicUsize::new(0),
            token: Mutex::default(),
        })
    }

    /// Reads at one revision of etcd's, which is told: the newest, or an earlier one.
    pub(crate) fn ask(
        &self,
        questions: &[Question],
        at: Option<i64>,
    ) -> Result<(i64, Vec<Found>), Failure> {
        // What a revision says is the same everywhere: any member that has come so far may tell.
        let mut success = self.ranges(questions, at, at.is_some());
        loop {
            let transaction = Transaction {
                compare: Vec::new(),
                success,
                failure: Vec::new(),
            };
            let asked =
                self.call::<TransactionAnswer>("kv/txn", &transaction, Repeat::Freely, PATIENCE);
            match asked {
                Ok(answer) => {
                    return Ok((answer.header.revision, self.found(answer.responses)?));
                }
                Err(Failure::Refused(reason)) if reason.contains("future revision") => {
                    success = self.ranges(questions, at, false);
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Changes what `writes` say if every condition holds, and reads otherwise. With its answer lost, it
    /// is [`Failure::Unknown`].
    pub(crate) fn change(
        &self,
        conditions: &[Condition],
        writes: &[Write],
        otherwise: &[Question],
    ) -> Result<Changed, Failure> {
        self.transact(conditions, writes, otherwise, Repeat::OnlyUnsent, PATIENCE)
    }

    /// The same for what may be done twice: it is sent until an answer comes.
    pub(crate) fn change_surely(
        &self,
        conditions: &[Condition],
        writes: &[Write],
        otherwise: &[Question],
    ) -> Result<Changed, Failure> {
        self.transact(conditions, writes, otherwise, Repeat::Freely, PATIENCE)
    }

    /// Removes a key if there is time for it: it is known to go by itself.
    pub(crate) fn try_to_delete(&self, key: &str) {
        let writes = [Write::Delete(Keys::one(key))];
        let _ = self.transact(&[], &writes, &[], Repeat::OnlyUnsent, TO_CONNECT);
    }

    fn transact(
        &self,
        conditions: &[Condition],
        writes: &[Write],
        otherwise: &[Question],
        repeat: Repeat,
        patience: Duration,
    ) -> Result<Changed, Failure> {
        let transaction = Transaction {
            compare: conditions
                .iter()
                .map(|condition| self.compare(condition))
                .collect(),
            success: writes.iter().map(|write| self.write(write)).collect(),
            failure: self.ranges(otherwise, None, false),
        };
        let answer: TransactionAnswer = self.call("kv/txn", &transaction, repeat, patience)?;
        let found = match answer.succeeded {
            true => Vec::new(),
            false => self.found(answer.responses)?,
        };
        Ok(Changed {
            revision: answer.header.revision,
            succeeded: answer.succeeded,
            found,
        })
    }

    /// A lease for so long, or longer where etcd grants none so short.
    pub(crate) fn grant(&self, length: Duration) -> Result<i64, Failure> {
        let wanted = serde_json::json!({ "TTL": length.as_secs().to_string() });
        let lease: LeaseAnswer = self.call("lease/grant", &wanted, Repeat::Freely, PATIENCE)?;
        Ok(lease.id)
    }

    /// Whether the lease was still there, and runs anew.
    pub(crate) fn keep_alive(&self, lease: i64) -> Result<bool, Failure> {
        let wanted = serde_json::json!({ "ID": lease.to_string() });
        let kept: Streamed<LeaseAnswer> =
            self.call("lease/keepalive", &wanted, Repeat::Freely, PATIENCE)?;
        Ok(kept.result.ttl > 0)
    }

    /// Waits until something happens to the key after revision `since` of etcd's, at most for so long.
    /// That it returns says nothing: it only wakes.
    pub(crate) fn wait_for(&self, key: &str, since: i64, patience: Duration) {
        let wanted = serde_json::json!({ "create_request": {
            "key": self.encoded(key),
            "start_revision": (since + 1).to_string(),
        }});
        let began = Instant::now();
        let member = self.member.load(Ordering::Relaxed);
        if self.watch(member, &wanted, patience).is_none() {
            // Nobody to watch with: look again a little later.
            std::thread::sleep(PAUSE.min(patience.saturating_sub(began.elapsed())));
        }
    }

    fn watch(&self, member: usize, wanted: &serde_json::Value, patience: Duration) -> Option<()> {
        let mut request = self.agent.post(self.url(member, "watch"));
        if let Some(token) = self.token() {
            request = request.header("Authorization", token);
        }
        let request = request.config().timeout_global(Some(patience)).build();
        let answer = request.send(serde_json::to_vec(wanted).ok()?).ok()?;
        if !answer.status().is_success() {
            return None;
        }
        for line in BufReader::new(answer.into_body().into_reader()).lines() {
            let told: Streamed<WatchAnswer> = serde_json::from_str(&line.ok()?).ok()?;
            if told.result.canceled {
                return None;
            }
            if !told.result.events.is_empty() {
                break;
            }
        }
        Some(())
    }

    fn call<A: DeserializeOwned>(
        &self,
        what: &str,
        request: &impl Serialize,
        repeat: Repeat,
        patience: Duration,
    ) -> Result<A, Failure> {
        let deadline = Instant::now() + patience;
        let body = serde_json::to_vec(request)
            .map_err(|error| Failure::Refused(format!("it cannot be asked that: {error}")))?;
        self.authenticate_first(deadline)?;
        let mut signed_in = false;
        for tries in 1.. {
            let member = self.member.load(Ordering::Relaxed);
            let silence = match self.send(member, what, &body, deadline) {
                Ok(answer) => {
                    return serde_json::from_slice(&answer).map_err(|error| {
                        Failure::Refused(format!("its answer makes no sense: {error}"))
                    });
                }
                Err(silence) => silence,
            };
            let (may_be_done, reason) = match silence {
                Silence::Unsent(reason) => (false, reason),
                Silence::Sent(reason) => (true, reason),
                Silence::Distrusted(reason)
                    if repeat == Repeat::Freely && tries >= self.address.members.len() =>
                {
                    return Err(Failure::Forbidden(reason));
                }
                Silence::Distrusted(reason) => (true, reason),
                Silence::Said(said) if said.is_about_the_token() && !signed_in => {
                    self.authenticate(deadline)?;
                    signed_in = true;
                    continue;
                }
                // It may have handed the request on before it lost its leader.
                Silence::Said(said) if said.code == UNAVAILABLE => (true, said.message),
                Silence::Said(said) if said.message.contains("too many requests") => {
                    (false, said.message)
                }
                Silence::Said(said) => return Err(said.failure()),
            };
            if may_be_done && repeat == Repeat::OnlyUnsent {
                self.turn_to_another(member);
                return Err(Failure::Unknown(reason));
            }
            if Instant::now() + PAUSE >= deadline {
                return Err(Failure::Unreachable(format!(
                    "no member answered within {} s, the last one: {reason}",
                    patience.as_secs()
                )));
            }
            self.turn_to_another(member);
            if tries % self.address.members.len() == 0 {
                std::thread::sleep(PAUSE);
            }
        }
        Err(Failure::Unreachable("the tries have no end".to_owned()))
    }

    fn send(
        &self,
        member: usize,
        what: &str,
        body: &[u8],
        deadline: Instant,
    ) -> Result<Vec<u8>, Silence> {
        let patience = deadline.saturating_duration_since(Instant::now());
        let mut request = self.agent.post(self.url(member, what));
        if let Some(token) = self.token() {
            request = request.header("Authorization", token);
        }
        let request = request
            .config()
            .timeout_global(Some(patience.clamp(PAUSE, TO_ANSWER)))
            .build();
        let answer = request.send(body).map_err(|error| silence(&error))?;
        let is_fine = answer.status().is_success();
        let status = answer.status();
        let mut answer = answer.into_body();
        let read = answer.with_config().limit(LARGEST_ANSWER).read_to_vec();
        let read = read.map_err(|error| silence(&error))?;
        if is_fine {
            return Ok(read);
        }
        let said = serde_json::from_slice(&read).unwrap_or_else(|_| ErrorAnswer {
            message: format!(
                "it answered with the status {status}: is it etcd, and does it want etcds://?"
            ),
            // What stands before a cluster says that it cannot reach it, too.
            code: match status.is_server_error() {
                true => UNAVAILABLE,
                false => INVALID_ARGUMENT,
            },
        });
        Err(Silence::Said(said))
    }

    fn url(&self, member: usize, what: &str) -> String {
        let scheme = match self.address.tls {
            Some(_) => "https",
            None => "http",
        };
        let members = &self.address.members;
        format!("{scheme}://{}/v3/{what}", members[member % members.len()])
    }

    /// Unless another thread has done so already.
    fn turn_to_another(&self, member: usize) {
        let _ = self.member.compare_exchange(
            member,
            (member + 1) % self.address.members.len(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    fn token(&self) -> Option<String> {
        let token = self.token.lock();
        token.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn authenticate_first(&self, deadline: Instant) -> Result<(), Failure> {
        match self.address.user.is_some() && self.token().is_none() {
            true => self.authenticate(deadline),
            false => Ok(()),
        }
    }

    fn authenticate(&self, deadline: Instant) -> Result<(), Failure> {
        let Some(name) = &self.address.user else {
            return Err(Failure::Forbidden(
                "it asks for a user: write etcd://USER@HOST/PREFIX, the password in ETCDCTL_PASSWORD"
                    .to_owned(),
            ));
        };
        let password = self.address.password.as_deref().unwrap_or_default();
        let wanted = serde_json::json!({ "name": name, "password": password });
        let body = wanted.to_string().into_bytes();
        // What was valid before is not to be sent with this.
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
        loop {
            let member = self.member.load(Ordering::Relaxed);
            let reason = match self.send(member, "auth/authenticate", &body, deadline) {
                Ok(answer) => {
                    let answer: TokenAnswer = serde_json::from_slice(&answer).map_err(|error| {
                        Failure::Refused(format!("its answer makes no sense: {error}"))
                    })?;
                    let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
                    *token = Some(answer.token);
                    return Ok(());
                }
                // No users, no token.
                Err(Silence::Said(said)) if said.message.contains("not enabled") => return Ok(()),
                Err(Silence::Said(said)) if said.code == UNAVAILABLE => said.message,
                Err(Silence::Said(said)) => {
                    let said = said.message;
                    return Err(Failure::Forbidden(without_prefix(&said)));
                }
                Err(Silence::Distrusted(reason)) => return Err(Failure::Forbidden(reason)),
                Err(Silence::Unsent(reason) | Silence::Sent(reason)) => reason,
            };
            if Instant::now() + PAUSE >= deadline {
                return Err(Failure::Unreachable(reason));
            }
            self.turn_to_another(member);
            std::thread::sleep(PAUSE);
        }
    }

    fn encoded(&self, key: &str) -> String {
        BASE64.encode(format!("{}/{key}", self.address.prefix))
    }

    fn range_end(&self, keys: &Keys) -> Option<String> {
        keys.end.as_ref().map(|end| self.encoded(end))
    }

    fn ranges(&self, questions: &[Question], at: Option<i64>, anywhere: bool) -> Vec<Operation> {
        let range = |question: &Question| {
            let (order, target) = match question.order {
                Order::ByKey => (None, None),
                Order::LastKeyFirst => (Some("DESCEND"), Some("KEY")),
                Order::ByCreation => (Some("ASCEND"), Some("CREATE")),
            };
            Operation::Range(RangeRequest {
                key: self.encoded(&question.keys.start),
                range_end: self.range_end(&question.keys),
                limit: (question.limit > 0).then(|| question.limit.to_string()),
                revision: at.map(|revision| revision.to_string()),
                sort_order: order,
                sort_target: target,
                serializable: anywhere,
                keys_only: question.only_keys,
            })
        };
        questions.iter().map(range).collect()
    }

    fn compare(&self, condition: &Condition) -> Compare {
        let (keys, target, result, revision) = match condition {
            Condition::Unchanged(key, at) => (Keys::one(key), "MOD", "EQUAL", *at),
            Condition::MadeAt(key, at) => (Keys::one(key), "CREATE", "EQUAL", *at),
            Condition::There(key) => (Keys::one(key), "CREATE", "GREATER", 0),
            Condition::Absent(keys) => (keys.clone(), "CREATE", "EQUAL", 0),
        };
        let revision = Some(revision.to_string());
        let (created, changed) = match target {
            "MOD" => (None, revision),
            _ => (revision, None),
        };
        Compare {
            key: self.encoded(&keys.start),
            range_end: self.range_end(&keys),
            target,
            result,
            create_revision: created,
            mod_revision: changed,
        }
    }

    fn write(&self, write: &Write) -> Operation {
        let put = |key: &str, value: &str, lease: Option<i64>| {
            Operation::Put(PutRequest {
                key: self.encoded(key),
                value: BASE64.encode(value),
                lease: lease.map(|lease| lease.to_string()),
            })
        };
        match write {
            Write::Put(key, value) => put(key, value, None),
            Write::PutLeased(key, value, lease) => put(key, value, Some(*lease)),
            Write::Delete(keys) => Operation::Delete(DeleteRequest {
                key: self.encoded(&keys.start),
                range_end: self.range_end(keys),
            }),
        }
    }

    fn found(&self, answers: Vec<OperationAnswer>) -> Result<Vec<Found>, Failure> {
        let found = |answer: OperationAnswer| {
            let range = answer.response_range.unwrap_or_default();
            let rows = range.kvs.into_iter().map(|row| self.row(row));
            Ok(Found {
                rows: rows.collect::<Result<_, Failure>>()?,
                more: range.more,
            })
        };
        answers.into_iter().map(found).collect()
    }

    fn row(&self, row: KeyValue) -> Result<Row, Failure> {
        let text = |base64: &str| {
            let bytes = BASE64.decode(base64).ok();
            bytes.and_then(|bytes| String::from_utf8(bytes).ok())
        };
        let nonsense = || Failure::Refused("there is a key or a value that is no text".to_owned());
        let key = text(&row.key).ok_or_else(nonsense)?;
        let key = key
            .strip_prefix(&self.address.prefix)
            .and_then(|key| key.strip_prefix('/'));
        Ok(Row {
            key: key.ok_or_else(nonsense)?.to_owned(),
            value: text(&row.value).ok_or_else(nonsense)?,
            created: row.create_revision,
            changed: row.mod_revision,
        })
    }
}

impl ErrorAnswer {
    fn is_about_the_token(&self) -> bool {
        self.code == UNAUTHENTICATED
            || self.message.contains("auth token")
            || self.message.contains("auth store is old")
            || self.message.contains("user name is empty")
    }

    fn failure(self) -> Failure {
        let said = without_prefix(&self.message);
        match self.code {
            OUT_OF_RANGE if said.contains("compacted") => Failure::Compacted,
            RESOURCE_EXHAUSTED if said.contains("space exceeded") => Failure::Full,
            PERMISSION_DENIED | UNAUTHENTICATED => Failure::Forbidden(said),
            _ => Failure::Refused(said),
        }
    }
}

fn without_prefix(said: &str) -> String {
    let said = said.strip_prefix("etcdserver: ").unwrap_or(said);
    said.strip_prefix("mvcc: ").unwrap_or(said).to_owned()
}

/// What kept an answer from coming. Only before a connection stands it is certain that nothing was
/// asked.
fn silence(error: &ureq::Error) -> Silence {
    use std::io::ErrorKind;
    match error {
        ureq::Error::HostNotFound => Silence::Unsent("no such host is known".to_owned()),
        ureq::Error::ConnectionFailed => Silence::Unsent("it does not answer".to_owned()),
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            Silence::Unsent("it cannot be connected to".to_owned())
        }
        ureq::Error::Timeout(_) => Silence::Sent("it took too long to answer".to_owned()),
        ureq::Error::Io(error) => {
            let text = error.to_string();
            let words = match text.split_once(" (os error") {
                Some((words, _)) => words.to_lowercase(),
                None => text,
            };
            match error.kind() {
                ErrorKind::ConnectionRefused => Silence::Unsent(words),
                // TLS says so: a certificate, or an alert.
                ErrorKind::InvalidData => Silence::Distrusted(words),
                _ => Silence::Sent(words),
            }
        }
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => Silence::Distrusted(error.to_string()),
        other => Silence::Sent(other.to_string()),
    }
}

fn secured(tls: &Tls) -> Result<TlsConfig, String> {
    let roots = match &tls.authorities {
        Some(path) => certificates(path)?,
        None => {
            let found = rustls_native_certs::load_native_certs().certs;
            let found = found
                .iter()
                .map(|certificate| Certificate::from_der(certificate).to_owned());
            found.collect()
        }
    };
    if roots.is_empty() {
        return Err("this system has no certificate authorities: name some with cacert".to_owned());
    }
    let mut config = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots));
    if let Some((certificate, key)) = &tls.identity {
        let key_pem = std::fs::read(key).map_err(|error| unreadable(key, &error))?;
        let key = PrivateKey::from_pem(&key_pem).map_err(|error| unreadable(key, &error))?;
        let chain = certificates(certificate)?;
        config = config.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    Ok(config.build())
}

fn certificates(path: &std::path::Path) -> Result<Vec<Certificate<'static>>, String> {
    let pem = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    let certificates = ureq::tls::parse_pem(&pem).filter_map(|item| match item {
        Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(Ok(certificate)),
        Ok(_) => None,
        Err(error) => Some(Err(unreadable(path, &error))),
    });
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>()?;
    match certificates.is_empty() {
        true => Err(unreadable(path, &"there is no certificate in it")),
        false => Ok(certificates),
    }
}

fn unreadable(path: &std::path::Path, error: &dyn std::fmt::Display) -> String {
    format!("{} cannot be read: {error}", path.display())
}
