//! How a portbook server is spoken to.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use portbook_model::Span;

use super::value::Origin;
use super::{ConfigurationError, ConfigurationFault, Environment};

/// What a portbook server wants to know, and how long it is waited for. Only the environment says so:
/// other users see the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAccess {
    /// The token that says who asks: `PORTBOOK_TOKEN`, else the first line of the file
    /// `PORTBOOK_TOKEN_FILE`.
    pub token: Option<Secret>,
    /// The certificates that a server's has to come from, in place of the public ones:
    /// `PORTBOOK_CA_FILE`.
    pub ca_file: Option<PathBuf>,
    /// How long an answer is waited for: `PORTBOOK_TIMEOUT`, 40 seconds by default, which is longer
    /// than a server waits for its turn.
    pub patience: Duration,
}

/// A text that nobody is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl Default for ServerAccess {
    fn default() -> Self {
        Self {
            token: None,
            ca_file: None,
            patience: Self::PATIENCE,
        }
    }
}

impl ServerAccess {
    const PATIENCE: Duration = Duration::from_secs(40);

    pub(super) fn of(environment: &Environment) -> Result<Self, ConfigurationError> {
        let folder = environment.working_directory();
        let patience = environment.parsed::<Span>("PORTBOOK_TIMEOUT")?;
        let patience = patience.map(|patience| patience.value.duration());
        Ok(Self {
            token: token(environment)?,
            ca_file: environment
                .variable("PORTBOOK_CA_FILE")
                .map(|path| folder.join(path)),
            patience: patience
                .filter(|patience| !patience.is_zero())
                .unwrap_or(Self::PATIENCE),
        })
    }
}

fn token(environment: &Environment) -> Result<Option<Secret>, ConfigurationError> {
    const FILE: &str = "PORTBOOK_TOKEN_FILE";
    let (text, origin) = if let Some(token) = environment.text("PORTBOOK_TOKEN")? {
        (token.value, token.origin)
    } else if let Some(path) = environment.variable(FILE) {
        let path = environment.working_directory().join(path);
        let text = fs::read_to_string(&path).map_err(|error| ConfigurationError::Unreadable {
            path: path.clone(),
            what: "file with the token",
            reason: error.to_string(),
        })?;
        let line = text.lines().next().unwrap_or_default().trim().to_owned();
        (line, Origin::Environment(FILE))
    } else {
        return Ok(None);
    };
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let fault = ConfigurationFault::NoToken;
        return Err(ConfigurationError::Setting { origin, fault });
    }
    Ok(Some(Secret(text)))
}
