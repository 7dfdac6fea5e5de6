//! `portbook doctor --self-test`: the promises, kept on this machine, on a book made for it.

use std::collections::HashSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use portbook::model::{AllocationRequest, AppKey, AppNumber, Model, Port};
use portbook::{Configuration, Environment, Error, Flags, PortAllocationService, PortPair};

use super::Finding;
use crate::output::Complaint;

const APPS: u32 = 100;
const PROCESSES: u32 = 8;

/// A folder of our own, gone with its contents at the end.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new() -> std::io::Result<Self> {
        let name = format!("portbook-self-test-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // What cannot be removed is in the temporary folder and will go with it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) fn findings() -> Result<Vec<Finding>, Complaint> {
    let folder = TemporaryFolder::new()?;
    let store = format!("sqlite:{}", folder.0.join("portbook.db").display());
    let tests: [(&'static str, Test); 4] = [
        ("unique", unique),
        ("conflict-free", conflict_free),
        ("persistent", persistent),
        ("concurrent", concurrent),
    ];
    Ok(tests
        .into_iter()
        .map(|(matter, test)| match test(&store, &folder.0) {
            Ok(message) => Finding::fine(matter, message),
            Err(failed) => Finding::unfit(matter, failed.0, "see `portbook doctor`"),
        })
        .collect())
}

/// Tests the book at an address from within a folder, and says in a sentence what was seen.
type Test = fn(&str, &Path) -> Result<String, Failed>;

/// Why a promise was not kept.
struct Failed(String);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed(error.to_string())
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Failed(error.to_string())
    }
}

fn service(store: &str, folder: &Path) -> Result<PortAllocationService, Failed> {
    let flags = Flags {
        store: Some(store.to_owned()),
        ..Flags::default()
    };
    // No configuration and no port_config.json of the caller's may decide the outcome.
    let environment = Environment::new(folder, [("HOME", folder)]);
    let configuration = Configuration::load(&flags, &environment).map_err(Error::from)?;
    Ok(PortAllocationService::open(&configuration)?)
}

fn apps(model: &str, count: u32) -> Result<Vec<AppKey>, Failed> {
    let model = Model::new(model).map_err(Error::from)?;
    let numbers = (1..=count).filter_map(AppNumber::new);
    Ok(numbers
        .map(|number| AppKey::new(model.clone(), number))
        .collect())
}

fn unique(store: &str, folder: &Path) -> Result<String, Failed> {
    let service = service(store, folder)?;
    let started = Instant::now();
    for app in apps("self-test/unique", APPS)? {
        service.allocate(&AllocationRequest::plain(vec![app]))?;
    }
    let took = started.elapsed();
    let ports: Vec<Port> = service
        .allocations(None)?
        .iter()
        .flat_map(|allocation| allocation.ports.values().copied())
        .collect();
    let different: HashSet<&Port> = ports.iter().collect();
    if different.len() != ports.len() || ports.len() != 2 * APPS as usize {
        return Err(Failed(format!(
            "{APPS} apps hold {} different ports, and should hold {}",
            different.len(),
            2 * APPS
        )));
    }
    let rate = f64::from(APPS) / took.as_secs_f64();
    Ok(format!(
        "{APPS} apps hold {} different ports; {rate:.0} durable allocations a second",
        different.len()
    ))
}

fn conflict_free(store: &str, folder: &Path) -> Result<String, Failed> {
    let service = service(store, folder)?;
    let next = service.get_or_allocate_ports("self-test/next", 1)?;
    service.release_ports("self-test/next", 1)?;
    let listener = TcpListener::bind(("127.0.0.1", next.backend.get()))?;
    let pair = service.get_or_allocate_ports("self-test/conflict-free", 1)?;
    drop(listener);
    if pair.backend == next.backend {
        return Err(Failed(format!(
            "port {} was given to an app while this process listened on it",
            next.backend
        )));
    }
    let conflicts = service.check_port_conflicts()?;
    match conflicts
        .iter()
        .find(|conflict| !conflict.kind.is_warning())
    {
        Some(conflict) => Err(Failed(conflict.to_string())),
        None => Ok(format!(
            "port {} was passed over while something listened on it; no conflict in the book",
            next.backend
        )),
    }
}

fn persistent(store: &str, folder: &Path) -> Result<String, Failed> {
    let pairs = |service: &PortAllocationService| -> Result<Vec<PortPair>, Failed> {
        let apps = (1..=APPS).map(|app| service.get_or_allocate_ports("self-test/unique", app));
        Ok(apps.collect::<Result<Vec<_>, _>>()?)
    };
    let before = pairs(&service(store, folder)?)?;
    let after = pairs(&service(store, folder)?)?;
    if before != after {
        return Err(Failed(
            "an app has other ports after the book was opened anew".to_owned(),
        ));
    }
    Ok(format!(
        "{APPS} apps have the same ports after the book was opened anew"
    ))
}

/// Processes of this very program, half of them asking for one app, half for apps of their own.
fn concurrent(store: &str, folder: &Path) -> Result<String, Failed> {
    let program = std::env::current_exe()?;
    let start = |number: u32| -> std::io::Result<Child> {
        let app = if number.is_multiple_of(2) { 1 } else { number };
        Command::new(&program)
            .args(["allocate", "self-test/concurrent", &app.to_string()])
            .args(["--json", "--store", store])
            .current_dir(folder)
            .env("XDG_CONFIG_HOME", folder)
            .env_remove("PORTBOOK_CONFIG")
            .env_remove("PORTBOOK_PORT_CONFIG")
            .env_remove("PORTBOOK_SPACE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    };
    let children = (0..PROCESSES).map(start).collect::<Result<Vec<_>, _>>()?;
    for child in children {
        let output = child.wait_with_output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Failed(format!(
                "one of {PROCESSES} processes failed: {}",
                said.trim()
            )));
        }
    }
    let service = service(store, folder)?;
    let model = Model::new("self-test/concurrent").map_err(Error::from)?;
    let held = service.allocations(None)?;
    let held: Vec<_> = held.iter().filter(|held| held.app.model == model).collect();
    let ports: HashSet<&Port> = held.iter().flat_map(|held| held.ports.values()).collect();
    let expected = PROCESSES as usize / 2;
    if held.len() != expected || ports.len() != 2 * expected {
        return Err(Failed(format!(
            "{PROCESSES} processes at once made {} apps with {} different ports, and should have made {expected} with {}",
            held.len(),
            ports.len(),
            2 * expected
        )));
    }
    Ok(format!(
        "{PROCESSES} processes at once made {expected} apps, none twice, none failed"
    ))
}
