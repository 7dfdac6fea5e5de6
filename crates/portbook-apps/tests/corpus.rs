//! Compose projects as people write them, and some as nobody should: what they publish.
//!
//! Each folder of `tests/compose` is a project, with a file `expected` that a person wrote:
//!
//! ```text
//! # What it shows.
//! env: NAME=value                    a variable of the environment
//! name: NAME                         the project's name
//! container: SERVICE NAME            a container's name
//! problem: FILE:LINE:COLUMN TEXT     what is wrong, where; FILE may be left out
//! oracle: refuses                    Compose itself takes no such project
//! oracle: hangs                      nor does it refuse it in time: it is not asked
//! SERVICE PORT [@ FILE:LINE:COLUMN]  a port in the short syntax, and where its digits are; `@ -`: nowhere
//! ```
//!
//! Docker Compose itself is the judge of `expected` in the second test.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use portbook_apps::compose::{Environment, Project, Published, Sources};
use portbook_apps::written::Place;

/// A port as Compose's own output has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    service: String,
    host: Option<IpAddr>,
    published: String,
    target: u16,
    protocol: String,
}

/// What Compose makes of a project.
#[derive(Default, PartialEq, Eq)]
enum Judgement {
    #[default]
    Takes,
    Refuses,
    Hangs,
}

#[derive(Default)]
struct Expected {
    environment: Environment,
    name: Option<String>,
    containers: BTreeMap<String, String>,
    problems: Vec<String>,
    judgement: Judgement,
    ports: BTreeSet<Entry>,
    /// Where the digits of some entries are.
    places: Vec<(Entry, Option<String>)>,
}

impl Expected {
    fn of(directory: &Path) -> Self {
        let mut expected = Self::default();
        let text = fs::read_to_string(directory.join("expected")).unwrap();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (word, rest) = line.split_once(' ').unwrap();
            match word {
                "env:" => {
                    let (name, value) = rest.split_once('=').unwrap();
                    expected.environment.insert(name.into(), value.into());
                }
                "name:" => expected.name = Some(rest.to_owned()),
                "container:" => {
                    let (service, name) = rest.split_once(' ').unwrap();
                    expected.containers.insert(service.into(), name.into());
                }
                "problem:" => expected.problems.push(rest.to_owned()),
                "oracle:" => {
                    expected.judgement = match rest {
                        "refuses" => Judgement::Refuses,
                        "hangs" => Judgement::Hangs,
                        other => panic!("`{other}` is no judgement"),
                    }
                }
                service => expected.port(service, rest),
            }
        }
        expected
    }

    fn port(&mut self, service: &str, text: &str) {
        let (port, place) = match text.split_once(" @ ") {
            Some((port, place)) => (port, Some(place)),
            None => (text, None),
        };
        let entries = entries(service, port);
        if let Some(place) = place {
            let place = (place != "-").then(|| place.to_owned());
            self.places.push((entries[0].clone(), place));
        }
        for entry in entries {
            assert!(self.ports.insert(entry), "{service} {text} stands twice");
        }
    }
}

/// `[HOST:]PUBLISHED:TARGET/PROTOCOL`, stretches against stretches taken one by one.
fn entries(service: &str, port: &str) -> Vec<Entry> {
    let (rest, protocol) = port.rsplit_once('/').unwrap();
    let (rest, target) = rest.rsplit_once(':').unwrap();
    let (host, published) = rest.rsplit_once(':').unwrap_or(("", rest));
    let host = host.trim_matches(['[', ']']);
    let entry = |published: String, target: u16| Entry {
        service: service.to_owned(),
        host: (!host.is_empty()).then(|| host.parse().unwrap()),
        published,
        target,
        protocol: protocol.to_owned(),
    };
    let number = |text: &str| text.parse::<u16>().unwrap();
    match (published.split_once('-'), target.split_once('-')) {
        (Some((first, _)), Some((from, to))) => (number(from)..=number(to))
            .zip(number(first)..)
            .map(|(target, published)| entry(published.to_string(), target))
            .collect(),
        _ => vec![entry(published.to_owned(), number(target))],
    }
}

/// What our reading gives, one by one.
fn read_entries(project: &Project) -> BTreeMap<Entry, Option<Place>> {
    let mut found = BTreeMap::new();
    for (service, port) in project.ports() {
        for (index, target) in port.target.clone().enumerate() {
            let published = match &port.published {
                Published::Any => String::new(),
                Published::Each(stretch) => stretch.ports().nth(index).unwrap().to_string(),
                Published::OneOf(stretch) => format!("{}-{}", stretch.first(), stretch.last()),
            };
            let entry = Entry {
                service: service.name.clone(),
                host: port.host,
                published,
                target,
                protocol: port.protocol.to_string(),
            };
            found.insert(entry, port.wording.number.clone());
        }
    }
    found
}

fn corpus() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose");
    let entries = fs::read_dir(folder).unwrap();
    let mut projects: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    projects.sort();
    assert!(projects.len() >= 60, "{} projects", projects.len());
    projects
}

fn shown(directory: &Path, place: &Place) -> String {
    let file = place.file.strip_prefix(directory).unwrap().display();
    format!("{file}:{}:{}", place.line, place.column)
}

#[test]
fn every_project_publishes_what_is_expected() {
    let mut misplaced = Vec::new();
    for directory in corpus() {
        let expected = Expected::of(&directory);
        let about = directory.file_name().unwrap().display();
        let sources = Sources::in_directory(&directory).unwrap();
        let sources =
            sources.unwrap_or_else(|| Sources::of_files(vec![directory.join("base.yaml")]));
        let project = Project::read(&sources, &expected.environment);

        let mut problems = expected.problems.iter();
        for problem in &project.problems {
            let told = format!("{} {}", shown(&directory, &problem.place), problem.fault);
            let wanted = problems.next().unwrap_or_else(|| panic!("{about}: {told}"));
            let (place, text) = wanted.split_once(' ').unwrap_or((wanted, ""));
            let is_place = place.contains(".yaml:") || place.contains(".env:");
            let (place, text) = if is_place {
                (place, text)
            } else {
                ("", wanted.as_str())
            };
            assert!(
                told.starts_with(place) && told.contains(text),
                "{about}: `{told}` is not `{wanted}`"
            );
        }
        assert_eq!(problems.next(), None, "{about}");

        let read = read_entries(&project);
        let ports: BTreeSet<Entry> = read.keys().cloned().collect();
        let missing: Vec<_> = expected.ports.difference(&ports).collect();
        let invented: Vec<_> = ports.difference(&expected.ports).collect();
        assert!(
            missing.is_empty() && invented.is_empty(),
            "{about}: missing {missing:#?}, invented {invented:#?}"
        );
        for (entry, place) in &expected.places {
            let found = read[entry].as_ref().map(|place| shown(&directory, place));
            if found != *place {
                misplaced.push(format!("{about}: {entry:?} is {found:?}, not {place:?}"));
            }
        }
        // What is to be changed for another port is the digits and nothing else.
        for place in read.values().flatten() {
            let bytes = fs::read(&place.file).unwrap();
            let digits = std::str::from_utf8(&bytes[place.bytes.clone()]).unwrap();
            let plain = digits.chars().all(|c| c.is_ascii_digit() || c == '-');
            assert!(
                plain && !digits.is_empty(),
                "{about}: {digits:?} at {place}"
            );
        }
        let containers = project.services.iter().filter_map(|service| {
            let named = service.container_name.as_ref()?;
            Some((service.name.clone(), named.name.clone()))
        });
        let containers: BTreeMap<String, String> = containers.collect();
        if !expected.containers.is_empty() {
            assert_eq!(containers, expected.containers, "{about}");
        }
        if let Some(name) = &expected.name {
            assert_eq!(&project.name, name, "{about}");
        }
    }
    assert!(misplaced.is_empty(), "{misplaced:#?}");
}

/// Docker Compose 2, as `scripts/test` installs it.
fn compose() -> PathBuf {
    let home = std::env::var_os("HOME").unwrap_or_default();
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| Path::new(&home).join(".cache"));
    let found = cache.join("portbook-tests/docker-compose-2.40.3");
    let version = Command::new(&found).args(["version", "--short"]).output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let version = version.unwrap_or_else(|error| error.to_string());
    assert!(
        version.trim_start_matches('v').starts_with("2."),
        "Docker Compose 2 is needed and `{version}` is here: scripts/test installs it"
    );
    found
}

#[test]
fn docker_compose_reads_every_project_alike() {
    let compose = compose();
    for directory in corpus() {
        let expected = Expected::of(&directory);
        if expected.judgement == Judgement::Hangs {
            continue;
        }
        let about = directory.file_name().unwrap().display();
        let output = Command::new(&compose)
            .args(["--profile", "*", "config", "--format", "json"])
            .current_dir(&directory)
            .env_clear()
            .envs(&expected.environment)
            .env("HOME", "/nonexistent")
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        if expected.judgement == Judgement::Refuses {
            assert!(!output.status.success(), "{about} is taken");
            continue;
        }
        assert!(output.status.success(), "{about}: {stderr}");
        let config: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        if let Some(name) = &expected.name {
            assert_eq!(config["name"], **name, "{about}");
        }
        let mut ports = BTreeSet::new();
        for (name, service) in config["services"].as_object().unwrap() {
            if let Some(container) = expected.containers.get(name) {
                assert_eq!(service["container_name"], **container, "{about}");
            }
            for port in service["ports"].as_array().into_iter().flatten() {
                let text = |key: &str| port[key].as_str().unwrap_or_default();
                ports.insert(Entry {
                    service: name.clone(),
                    host: text("host_ip").parse().ok(),
                    published: text("published").to_owned(),
                    target: u16::try_from(port["target"].as_u64().unwrap()).unwrap(),
                    protocol: text("protocol").to_owned(),
                });
            }
        }
        assert_eq!(ports, expected.ports, "{about}");
    }
}
