use std::io;
use std::path::PathBuf;

use crate::endpoint::{Endpoint, InvalidEndpoint};

/// Why a container engine could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The engine's address is none that can be asked.
    #[error("`{given}`, which {origin} names as the container engine, cannot be asked: {reason}")]
    Address {
        /// What was given.
        given: String,
        /// Who gave it.
        origin: String,
        /// What is wrong with it.
        reason: InvalidEndpoint,
    },
    /// Docker is told to use a context that cannot be read.
    #[error("Docker's context `{name}` cannot be read from {}: {reason}", .path.display())]
    Context {
        /// The context.
        name: String,
        /// The file that should describe it.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Docker's own configuration cannot be read, so that its context is not known.
    #[error("Docker's configuration {} cannot be read: {reason}", .path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No engine is named, and there is no socket where engines usually have theirs.
    #[error("no container engine was found: there is none of {}", sockets(.0))]
    Nowhere(Vec<Endpoint>),
    /// Nobody answers at the address.
    #[error("no container engine answers at {endpoint}: {source}")]
    Unreachable {
        /// The address.
        endpoint: Endpoint,
        /// What the system said.
        source: io::Error,
    },
    /// An engine is there, and does not talk to this user.
    #[error("the container engine at {endpoint} refuses: {reason}")]
    Refused {
        /// The address.
        endpoint: Endpoint,
        /// What it, or the system, said.
        reason: String,
    },
    /// An engine took the question and did not answer in time.
    #[error("the container engine at {endpoint} did not answer within {seconds} s")]
    Silent {
        /// The address.
        endpoint: Endpoint,
        /// How long was waited.
        seconds: u64,
    },
    /// What TLS with an engine takes cannot be read.
    #[error("the certificates for the container engine at {endpoint} cannot be used: {reason}")]
    Certificates {
        /// The address.
        endpoint: Endpoint,
        /// The file, and what is wrong with it.
        reason: String,
    },
    /// The engine or this side does not trust the other.
    #[error("the container engine at {endpoint} and portbook come to no terms by TLS: {reason}")]
    Untrusted {
        /// The address.
        endpoint: Endpoint,
        /// What is wrong.
        reason: String,
    },
    /// The engine says that it failed.
    #[error("the container engine at {endpoint} failed with status {status}: {message}")]
    Failed {
        /// The address.
        endpoint: Endpoint,
        /// The HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// What answers is no container engine, or one that speaks otherwise.
    #[error("what answers at {endpoint} is not understood as a container engine: {reason}")]
    Form {
        /// The address.
        endpoint: Endpoint,
        /// What is wrong with the answer.
        reason: String,
    },
}

impl EngineError {
    /// What to do about it, in a sentence.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            EngineError::Address { .. } => None,
            EngineError::Context { .. } | EngineError::Configuration { .. } => {
                Some("correct it, or name the engine in DOCKER_HOST")
            }
            EngineError::Certificates { .. } | EngineError::Untrusted { .. } => Some(
                "DOCKER_CERT_PATH names the folder with ca.pem, cert.pem and key.pem, by default ~/.docker",
            ),
            EngineError::Nowhere(_) => Some(
                "start Docker or podman's socket, name one in DOCKER_HOST, or leave --docker out",
            ),
            EngineError::Unreachable { .. } => {
                Some("start the engine, name another in DOCKER_HOST, or leave --docker out")
            }
            EngineError::Refused { .. } => Some(
                "run as a user whom it admits (root, or a member of the group `docker`), or name another in DOCKER_HOST",
            ),
            EngineError::Silent { .. } | EngineError::Failed { .. } => {
                Some("look at the engine's log, or leave --docker out")
            }
            EngineError::Form { .. } => Some("name the engine's own socket in DOCKER_HOST"),
        }
    }

    /// Whether an engine is there, and will not talk.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, EngineError::Refused { .. })
    }
}

fn sockets(endpoints: &[Endpoint]) -> String {
    let names: Vec<String> = endpoints
        .iter()
        .map(|endpoint| match endpoint {
            Endpoint::Unix(path) => path.display().to_string(),
            tcp => tcp.to_string(),
        })
        .collect();
    names.join(", ")
}
