//! What the benchmarks share: books, medians, bounds.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use portbook::{Configuration, Environment, Flags, PortAllocationService};
use portbook_model::{AllocationRequest, AppKey, AppNumber, Model};

pub type Failure = Box<dyn std::error::Error>;
pub type Outcome = Result<Vec<Benchmark>, Failure>;

/// One ratio and the bound that it has to keep.
pub struct Benchmark {
    pub what: String,
    pub ratio: f64,
    pub bound: Bound,
}

#[derive(Clone, Copy)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    pub fn holds(self, ratio: f64) -> bool {
        match self {
            Bound::AtLeast(bound) => ratio >= bound,
            Bound::AtMost(bound) => ratio <= bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::AtLeast(bound) => write!(f, "at least {bound}"),
            Bound::AtMost(bound) => write!(f, "at most {bound}"),
        }
    }
}

/// Whether allocations look at the host's use of their ports, as they do for users. A plain INSERT
/// looks at nothing, so what is measured against one leaves it out, and tells of it beside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum HostCheck {
    On,
    Off,
}

/// A service on the book in the file at `path`, without anything of this machine's configuration.
pub fn service(path: &Path, host_check: HostCheck) -> Result<PortAllocationService, Failure> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    service_at(&format!("sqlite:{}", path.display()), folder, host_check)
}

/// A service on the book at `store`, without anything of this machine's configuration but what lies in
/// `folder`.
pub fn service_at(
    store: &str,
    folder: &Path,
    host_check: HostCheck,
) -> Result<PortAllocationService, Failure> {
    let flags = Flags {
        store: Some(store.to_owned()),
        no_host_check: host_check == HostCheck::Off,
        ..Flags::default()
    };
    let environment = Environment::new(folder, [("HOME", folder)]);
    Ok(PortAllocationService::open(&Configuration::load(
        &flags,
        &environment,
    )?)?)
}

pub fn app(model: &str, number: usize) -> Result<AppKey, Failure> {
    let number = u32::try_from(number)?;
    let number = AppNumber::new(number).ok_or("no app number")?;
    Ok(AppKey::new(Model::new(model)?, number))
}

/// Allocates `count` apps of `model` in batches.
pub fn fill(service: &PortAllocationService, model: &str, count: usize) -> Result<(), Failure> {
    let apps = (1..=count)
        .map(|number| app(model, number))
        .collect::<Result<Vec<_>, _>>()?;
    for batch in apps.chunks(1000) {
        service.allocate(&AllocationRequest::plain(batch.to_vec()))?;
    }
    Ok(())
}

/// How long `work` takes.
pub fn timed<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<Duration, Failure> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed())
}

/// The middle one, so that a machine's hiccup does not decide.
pub fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times
        .get(times.len() / 2)
        .map_or(f64::NAN, Duration::as_secs_f64)
}
