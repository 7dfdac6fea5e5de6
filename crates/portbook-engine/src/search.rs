//! Where container engines may answer, found as Docker's own command finds them.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::endpoint::Endpoint;
use crate::error::EngineError;

/// What of a process's environment says where engines are. A variable that is set to nothing counts
/// as not set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// `DOCKER_HOST`
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`
    pub docker_context: Option<String>,
    /// Whether `DOCKER_TLS_VERIFY` is set.
    pub docker_tls: bool,
    /// `DOCKER_CERT_PATH`; where it is not set, [Docker's own folder](Self::docker_folder) counts.
    pub docker_certificates: Option<PathBuf>,
    /// Docker's own folder: `DOCKER_CONFIG`, else `~/.docker`.
    pub docker_folder: Option<PathBuf>,
    /// Where the user's sockets are: `XDG_RUNTIME_DIR`, else `/run/user/UID`.
    pub runtime_folder: Option<PathBuf>,
}

/// The engines to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Places {
    /// The one that somebody named.
    Named(Endpoint),
    /// Whichever are there, where nobody named one.
    Usual(Vec<Endpoint>),
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let text = |value: OsString| value.to_string_lossy().into_owned();
        let home = set("HOME").map(PathBuf::from);
        Self {
            docker_host: set("DOCKER_HOST").map(text),
            docker_context: set("DOCKER_CONTEXT").map(text),
            docker_tls: set("DOCKER_TLS_VERIFY").is_some(),
            docker_certificates: set("DOCKER_CERT_PATH").map(PathBuf::from),
            docker_folder: set("DOCKER_CONFIG")
                .map(PathBuf::from)
                .or_else(|| home.map(|home| home.join(".docker"))),
            runtime_folder: set("XDG_RUNTIME_DIR")
                .map(PathBuf::from)
                .or_else(user_runtime_folder),
        }
    }

    /// The engines to ask: the one that `DOCKER_HOST` names, else that of Docker's context
    /// (`DOCKER_CONTEXT`, else `docker context use`), else those at the usual sockets.
    pub fn places(&self) -> Result<Places, EngineError> {
        if let Some(given) = &self.docker_host {
            let own = || self.docker_folder.clone().unwrap_or_default();
            let certificates = self.docker_certificates.clone().unwrap_or_else(own);
            return named(
                given,
                "DOCKER_HOST",
                self.docker_tls.then_some(certificates),
            );
        }
        let context = match &self.docker_context {
            Some(name) => Some(name.clone()),
            None => self.context_in_use()?,
        };
        match context.filter(|name| name != "default") {
            Some(name) => self.context(&name),
            None => Ok(Places::Usual(self.usual())),
        }
    }

    fn usual(&self) -> Vec<Endpoint> {
        let mut sockets = vec![PathBuf::from("/var/run/docker.sock")];
        if let Some(folder) = &self.runtime_folder {
            sockets.push(folder.join("docker.sock"));
        }
        sockets.push(PathBuf::from("/run/podman/podman.sock"));
        if let Some(folder) = &self.runtime_folder {
            sockets.push(folder.join("podman/podman.sock"));
        }
        sockets.into_iter().map(Endpoint::Unix).collect()
    }

    fn context_in_use(&self) -> Result<Option<String>, EngineError> {
        #[derive(Deserialize)]
        struct Settings {
            #[serde(rename = "currentContext", default)]
            current: Option<String>,
        }
        let Some(folder) = &self.docker_folder else {
            return Ok(None);
        };
        let path = folder.join("config.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => {
                let reason = error.to_string();
                return Err(EngineError::Configuration { path, reason });
            }
        };
        match serde_json::from_slice::<Settings>(&text) {
            Ok(settings) => Ok(settings.current.filter(|name| !name.is_empty())),
            Err(error) => {
                let reason = error.to_string();
                Err(EngineError::Configuration { path, reason })
            }
        }
    }

    /// Docker keeps a context in a folder that is named after the digest of its name.
    fn context(&self, name: &str) -> Result<Places, EngineError> {
        #[derive(Deserialize)]
        struct Context {
            #[serde(rename = "Endpoints")]
            endpoints: Endpoints,
        }
        #[derive(Deserialize)]
        struct Endpoints {
            docker: Docker,
        }
        #[derive(Deserialize)]
        struct Docker {
            #[serde(rename = "Host")]
            host: String,
        }
        let digest = Sha256::digest(name.as_bytes());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let contexts = self.docker_folder.as_deref().unwrap_or(Path::new("/"));
        let contexts = contexts.join("contexts");
        let path = contexts.join("meta").join(&digest).join("meta.json");
        let unreadable = |reason: String| EngineError::Context {
            name: name.to_owned(),
            path: path.clone(),
            reason,
        };
        let text = fs::read(&path).map_err(|error| unreadable(error.to_string()))?;
        let context: Context =
            serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
        let certificates = contexts.join("tls").join(&digest).join("docker");
        let certificates = certificates.is_dir().then_some(certificates);
        let origin = format!("Docker's context `{name}`");
        named(&context.endpoints.docker.host, &origin, certificates)
    }
}

/// With the folder of certificates where TLS is asked for.
fn named(given: &str, origin: &str, certificates: Option<PathBuf>) -> Result<Places, EngineError> {
    let endpoint = match certificates {
        Some(certificates) => Endpoint::by_tls(given, certificates),
        None => given.parse(),
    };
    let endpoint = endpoint.map_err(|reason| EngineError::Address {
        given: given.to_owned(),
        origin: origin.to_owned(),
        reason,
    })?;
    Ok(Places::Named(endpoint))
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

#[cfg(unix)]
fn user_runtime_folder() -> Option<PathBuf> {
    let uid = rustix::process::getuid().as_raw();
    Some(PathBuf::from(format!("/run/user/{uid}")))
}

#[cfg(not(unix))]
fn user_runtime_folder() -> Option<PathBuf> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(places: Places) -> Vec<String> {
        match places {
            Places::Named(endpoint) => vec![endpoint.to_string()],
            Places::Usual(endpoints) => endpoints.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn without_a_name_the_systems_and_the_users_sockets_are_tried() {
        let surroundings = Surroundings {
            runtime_folder: Some("/run/user/1000".into()),
            ..Surroundings::default()
        };
        assert_eq!(
            sockets(surroundings.places().unwrap()),
            [
                "unix:///var/run/docker.sock",
                "unix:///run/user/1000/docker.sock",
                "unix:///run/podman/podman.sock",
                "unix:///run/user/1000/podman/podman.sock",
            ]
        );
    }

    #[test]
    fn docker_host_goes_before_a_context_and_a_context_before_the_usual_sockets() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "config.json",
            r#"{"currentContext": "rootless", "auths": {}}"#,
        );
        // As `docker context create rootless` writes it: the digest is of the name.
        let digest = "12b961af5feb3e9d39f93b2cefb9a1a944f18d02cca0cac2f04f5a982240605f";
        let meta = format!("contexts/meta/{digest}/meta.json");
        write(
            &meta,
            r#"{"Name":"rootless","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///run/user/7/docker.sock","SkipTLSVerify":false}}}"#,
        );
        let mut surroundings = Surroundings {
            docker_folder: Some(folder.path().to_owned()),
            ..Surroundings::default()
        };
        assert_eq!(
            sockets(surroundings.places().unwrap()),
            ["unix:///run/user/7/docker.sock"]
        );
        surroundings.docker_context = Some("default".to_owned());
        assert_eq!(sockets(surroundings.places().unwrap()).len(), 2);
        surroundings.docker_context = Some("absent".to_owned());
        let error = surroundings.places().unwrap_err().to_string();
        assert!(error.contains("context `absent`"), "{error}");
        surroundings.docker_host = Some("tcp://10.0.0.7:2375".to_owned());
        assert_eq!(
            sockets(surroundings.places().unwrap()),
            ["tcp://10.0.0.7:2375"]
        );
        surroundings.docker_host = Some("tcp://[::1]".to_owned());
        surroundings.docker_tls = true;
        let by_tls = |folder: &Path| {
            Places::Named(Endpoint::Tls {
                host: "::1".to_owned(),
                port: 2376,
                certificates: folder.to_owned(),
            })
        };
        assert_eq!(surroundings.places().unwrap(), by_tls(folder.path()));
        surroundings.docker_certificates = Some("/keys".into());
        assert_eq!(surroundings.places().unwrap(), by_tls(Path::new("/keys")));
    }
}
