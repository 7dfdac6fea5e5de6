//! Pre-configured ports: what files promised to apps.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::{AppKey, Port, PortSet, Ports};

/// What one entry of a file promises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// The app.
    #[serde(flatten)]
    pub app: AppKey,
    /// Its ports, and only its.
    pub ports: Ports,
}

/// A file of pre-configured ports, as it was when it was last read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromiseFile {
    /// Where it was read from: its absolute path.
    pub source: String,
    /// A digest of its bytes: an unchanged file need not be read into the book again.
    pub digest: String,
    /// What it promises.
    pub promises: Vec<Promise>,
}

/// Every promise of a space: of each file that is known.
#[derive(Debug, Clone, Default)]
pub struct Promises {
    files: BTreeMap<String, PromiseFile>,
    by_app: HashMap<AppKey, Ports>,
    by_port: HashMap<Port, AppKey>,
    ports: PortSet,
}

impl Promises {
    /// Takes a file's promises in, in place of those that it made before.
    pub fn set(&mut self, file: PromiseFile) {
        self.files.insert(file.source.clone(), file);
        self.index();
    }

    /// Lets a file's promises go.
    pub fn forget(&mut self, source: &str) {
        if self.files.remove(source).is_some() {
            self.index();
        }
    }

    /// The file that was read from `source`.
    pub fn file(&self, source: &str) -> Option<&PromiseFile> {
        self.files.get(source)
    }

    /// Every file.
    pub fn files(&self) -> impl Iterator<Item = &PromiseFile> {
        self.files.values()
    }

    /// Every promised port.
    pub fn ports(&self) -> &PortSet {
        &self.ports
    }

    /// What an app is promised.
    pub fn of(&self, app: &AppKey) -> Option<&Ports> {
        self.by_app.get(app)
    }

    /// Whom a port is promised to.
    pub fn to(&self, port: Port) -> Option<&AppKey> {
        self.by_port.get(&port)
    }

    /// The ports that several files promise to different apps, with those apps.
    pub fn disputed(&self) -> Vec<(Port, Vec<AppKey>)> {
        let mut claims: BTreeMap<Port, Vec<AppKey>> = BTreeMap::new();
        for promise in self.files.values().flat_map(|file| &file.promises) {
            for port in promise.ports.values() {
                let apps = claims.entry(*port).or_default();
                if !apps.contains(&promise.app) {
                    apps.push(promise.app.clone());
                }
            }
        }
        claims.retain(|_, apps| apps.len() > 1);
        claims.into_iter().collect()
    }

    /// Every promise that counts, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&AppKey, &Ports)> {
        self.by_app.iter()
    }

    /// Where two files disagree, the one whose path sorts first is kept to: the same one in every
    /// process, whichever was known first.
    fn index(&mut self) {
        self.by_app.clear();
        self.by_port.clear();
        for promise in self.files.values().flat_map(|file| &file.promises) {
            if self.by_app.contains_key(&promise.app)
                || promise
                    .ports
                    .values()
                    .any(|port| self.by_port.contains_key(port))
            {
                continue;
            }
            for port in promise.ports.values() {
                self.by_port.insert(*port, promise.app.clone());
            }
            self.by_app
                .insert(promise.app.clone(), promise.ports.clone());
        }
        self.ports = self.by_port.keys().copied().collect();
    }
}
