//! Every container of every engine that can be reached.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::container::Container;
use crate::endpoint::Endpoint;
use crate::error::EngineError;
use crate::exchange::get;
use crate::inspection::{Inspection, Listed};
use crate::search::Places;

/// How long an answer may take. An engine that starts or ends many containers takes seconds.
const PATIENCE: Duration = Duration::from_secs(15);
/// How many inspections are under way at once: an engine answers one in a few milliseconds.
const AT_ONCE: usize = 8;

/// An engine and its containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Where it answers.
    pub endpoint: Endpoint,
    /// All of its containers, running or not, by name.
    pub containers: Vec<Container>,
}

/// What the engines said, and which of them said nothing.
#[derive(Debug, Default)]
pub struct Survey {
    /// Those that answered: at least one.
    pub engines: Vec<Engine>,
    /// Why others, at sockets that are there, did not.
    pub silent: Vec<EngineError>,
}

/// Asks the engines at these places for their containers.
///
/// An engine that is named has to answer. Of those at the usual sockets each that is there is asked,
/// since a machine may run Docker and podman side by side, and one has to answer.
pub fn survey(places: &Places) -> Result<Survey, EngineError> {
    match places {
        Places::Named(endpoint) => Ok(Survey {
            engines: vec![ask(endpoint)?],
            silent: Vec::new(),
        }),
        Places::Usual(endpoints) => ask_each(endpoints),
    }
}

fn ask_each(endpoints: &[Endpoint]) -> Result<Survey, EngineError> {
    let mut survey = Survey::default();
    let mut asked = HashSet::new();
    for endpoint in endpoints {
        let Some(socket) = socket(endpoint) else {
            continue;
        };
        if !asked.insert(socket) {
            continue;
        }
        match ask(endpoint) {
            Ok(engine) => survey.engines.push(engine),
            Err(error) => survey.silent.push(error),
        }
    }
    if !survey.engines.is_empty() {
        return Ok(survey);
    }
    // A refusal tells more than an engine that is switched off.
    let telling = survey
        .silent
        .iter()
        .position(EngineError::is_refusal)
        .unwrap_or_default();
    if survey.silent.is_empty() {
        Err(EngineError::Nowhere(endpoints.to_vec()))
    } else {
        Err(survey.silent.swap_remove(telling))
    }
}

/// The socket itself, since one may be named by a link to another; `None` where there is none.
fn socket(endpoint: &Endpoint) -> Option<Endpoint> {
    match endpoint {
        Endpoint::Unix(path) => match path.canonicalize() {
            Ok(real) => Some(Endpoint::Unix(real)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(_) => Some(endpoint.clone()),
        },
        Endpoint::Tcp { .. } | Endpoint::Tls { .. } => Some(endpoint.clone()),
    }
}

fn ask(endpoint: &Endpoint) -> Result<Engine, EngineError> {
    let listed: Option<Vec<Listed>> = question(endpoint, "/containers/json?all=1")?;
    let listed = listed.ok_or_else(|| EngineError::Form {
        endpoint: endpoint.clone(),
        reason: "it knows of no list of containers".to_owned(),
    })?;
    let mut containers = inspect(endpoint, &listed)?;
    containers.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    Ok(Engine {
        endpoint: endpoint.clone(),
        containers,
    })
}

fn inspect(endpoint: &Endpoint, listed: &[Listed]) -> Result<Vec<Container>, EngineError> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Ok(Vec::with_capacity(listed.len())));
    let work = || {
        while let Some(container) = listed.get(next.fetch_add(1, Ordering::Relaxed)) {
            let path = format!("/containers/{}/json", container.id);
            let answer = question::<Inspection>(endpoint, &path);
            // A panic elsewhere ends the scope with it; what was found so far is whole.
            let mut found = found.lock().unwrap_or_else(|error| error.into_inner());
            match (&mut *found, answer) {
                (Ok(containers), Ok(Some(inspection))) => containers.push(inspection.into()),
                // Removed since it was listed.
                (Ok(_), Ok(None)) => {}
                (Ok(_), Err(error)) => *found = Err(error),
                (Err(_), _) => return,
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..AT_ONCE.min(listed.len()) {
            scope.spawn(work);
        }
        work();
    });
    found
        .into_inner()
        .unwrap_or_else(|error| error.into_inner())
}

/// The answer to a question; `None` where the engine does not know what is asked about.
fn question<T: DeserializeOwned>(
    endpoint: &Endpoint,
    path: &str,
) -> Result<Option<T>, EngineError> {
    let answer = get(endpoint, path, PATIENCE)?;
    match answer.status {
        200 => serde_json::from_slice(&answer.body)
            .map(Some)
            .map_err(|error| EngineError::Form {
                endpoint: endpoint.clone(),
                reason: error.to_string(),
            }),
        404 => Ok(None),
        401 | 403 => Err(EngineError::Refused {
            endpoint: endpoint.clone(),
            reason: message(&answer.body),
        }),
        status => Err(EngineError::Failed {
            endpoint: endpoint.clone(),
            status,
            message: message(&answer.body),
        }),
    }
}

/// What an engine says when it fails: `{"message": "..."}`, or whatever stands before it.
fn message(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Message {
        message: String,
    }
    let text = match serde_json::from_slice::<Message>(body) {
        Ok(Message { message }) => message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(200) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None if line.is_empty() => "it gives no reason".to_owned(),
        None => line,
    }
}
