//! `/metrics`: figures for Prometheus.
//!
//! What happens is counted when it happens; how full the book is is read when somebody asks. Looking
//! for conflicts reads every row, so what was found counts for a while.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portbook::model::{Revision, Space};
use portbook::{Error, PortAllocationService, PortState, Stats, Watcher};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::portserver::Tally;

/// Seconds: from a commit that was shared in memory to a disk that hangs.
const LATENCIES: [f64; 14] = [
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0,
];
/// How long conflicts that were found count, and how long at least, whatever happens meanwhile.
const CONFLICTS_COUNT: Duration = Duration::from_secs(60);
const CONFLICTS_STAND: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InSpace {
    space: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRange {
    space: String,
    role: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BetweenRanges {
    space: String,
    role: String,
    meets: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    space: String,
    kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ending {
    outcome: &'static str,
}

/// What is counted as it happens.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    waits: Histogram,
    commits: Histogram,
    changes: Counter,
    stale: Counter,
}

impl Watcher for Counted {
    fn waited(&self, time: Duration) {
        self.waits.observe(time.as_secs_f64());
    }

    fn committed(&self, time: Duration, changes: usize) {
        self.commits.observe(time.as_secs_f64());
        self.changes.inc_by(changes as u64);
    }

    fn was_stale(&self) {
        self.stale.inc();
    }
}

/// The figures of a server.
pub(crate) struct Metrics {
    counted: Counted,
    portserver: Option<Arc<Tally>>,
    conflicts: Mutex<Option<Found>>,
}

struct Found {
    when: Instant,
    at: Revision,
    by_kind: BTreeMap<(String, &'static str), i64>,
}

impl Metrics {
    /// Begins to count what the service's writer does; the portserver counts by itself.
    pub(crate) fn of(service: &PortAllocationService, portserver: Option<Arc<Tally>>) -> Self {
        let counted = Counted {
            waits: Histogram::new(LATENCIES),
            commits: Histogram::new(LATENCIES),
            changes: Counter::default(),
            stale: Counter::default(),
        };
        service.watch(Arc::new(counted.clone()));
        Self {
            counted,
            portserver,
            conflicts: Mutex::default(),
        }
    }

    /// All figures, as Prometheus reads them.
    pub(crate) fn text(&self, service: &PortAllocationService) -> Result<String, Error> {
        let mut registry = Registry::with_prefix("portbook");
        let Counted {
            waits,
            commits,
            changes,
            stale,
        } = self.counted.clone();
        registry.register(
            "queue_wait_seconds",
            "How long requests waited for their commit to begin",
            waits,
        );
        registry.register("commit_seconds", "How long commits took", commits);
        registry.register("changes", "Changes that this server committed", changes);
        registry.register(
            "stale_commits",
            "Commits that came after another's and were planned anew",
            stale,
        );
        if let Some(tally) = &self.portserver {
            registry.register(
                "portserver_requests",
                "Requests to the portserver: ports leased, denied (no such process, or no port left), and what was no request",
                requests(tally),
            );
        }
        let head = service.head()?;
        let revision = Gauge::<i64>::default();
        revision.set(i64::try_from(head.revision.0).unwrap_or(i64::MAX));
        registry.register("revision", "The book's last change", revision);
        let mut spaces = service.spaces()?;
        if !spaces.contains(service.space()) {
            spaces.push(service.space().clone());
        }
        let fullness = Fullness::register(&mut registry);
        for space in &spaces {
            fullness.read(&service.in_space(space.clone()))?;
        }
        let conflicts = Family::<OfKind, Gauge>::default();
        for ((space, kind), count) in self.conflicts(service, &spaces, head.revision)? {
            let kind = kind.to_owned();
            conflicts.get_or_create(&OfKind { space, kind }).set(count);
        }
        registry.register(
            "conflicts",
            "Conflicts by kind, at most a minute old",
            conflicts,
        );
        let mut text = String::new();
        encode(&mut text, &registry).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(text)
    }

    fn conflicts(
        &self,
        service: &PortAllocationService,
        spaces: &[Space],
        at: Revision,
    ) -> Result<BTreeMap<(String, &'static str), i64>, Error> {
        let mut known = self
            .conflicts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.as_ref() {
            let age = found.when.elapsed();
            if age < CONFLICTS_STAND || (found.at == at && age < CONFLICTS_COUNT) {
                return Ok(found.by_kind.clone());
            }
        }
        let mut by_kind = BTreeMap::new();
        for space in spaces {
            for conflict in service.in_space(space.clone()).check_port_conflicts()? {
                let kind = conflict.kind.as_str();
                *by_kind.entry((space.to_string(), kind)).or_default() += 1;
            }
        }
        *known = Some(Found {
            when: Instant::now(),
            at,
            by_kind: by_kind.clone(),
        });
        Ok(by_kind)
    }
}

fn requests(tally: &Tally) -> Family<Ending, Counter> {
    let requests = Family::<Ending, Counter>::default();
    for (outcome, count) in [
        ("leased", &tally.leased),
        ("denied", &tally.denied),
        ("malformed", &tally.malformed),
    ] {
        let counter = requests.get_or_create(&Ending { outcome });
        counter.inc_by(count.load(Ordering::Relaxed));
    }
    requests
}

/// How full the spaces are.
struct Fullness {
    allocations: Family<InSpace, Gauge>,
    used: Family<OfRange, Gauge>,
    free: Family<OfRange, Gauge>,
    until_full: Family<InSpace, Gauge>,
    until_meeting: Family<BetweenRanges, Gauge>,
}

impl Fullness {
    fn register(registry: &mut Registry) -> Self {
        let fullness = Self {
            allocations: Family::default(),
            used: Family::default(),
            free: Family::default(),
            until_full: Family::default(),
            until_meeting: Family::default(),
        };
        registry.register(
            "allocations",
            "Apps that hold ports",
            fullness.allocations.clone(),
        );
        registry.register(
            "range_used_ports",
            "Ports of a range that apps hold",
            fullness.used.clone(),
        );
        registry.register(
            "range_free_ports",
            "Ports of a range that may be given out",
            fullness.free.clone(),
        );
        registry.register(
            "forecast_apps_until_full",
            "How many more apps get ports from the ranges",
            fullness.until_full.clone(),
        );
        registry.register(
            "forecast_apps_until_meeting",
            "How many more ports a range has below the first one of another",
            fullness.until_meeting.clone(),
        );
        fullness
    }

    fn read(&self, service: &PortAllocationService) -> Result<(), Error> {
        let stats = service.stats()?;
        let line = service.port_line()?;
        let space = stats.space.to_string();
        let in_space = InSpace {
            space: space.clone(),
        };
        let set = |gauge: &Gauge, count: usize| {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        };
        set(
            &self.allocations.get_or_create(&in_space),
            stats.allocations,
        );
        set(&self.until_full.get_or_create(&in_space), stats.free_slots);
        for range in &stats.ranges {
            let of = OfRange {
                space: space.clone(),
                role: range.role.to_string(),
            };
            set(&self.used.get_or_create(&of), range.used);
            set(&self.free.get_or_create(&of), range.free);
        }
        for (low, high) in meeting(&stats) {
            let step = usize::from(low.step);
            let below = (low.base.get()..high.base.get()).step_by(step);
            let free = below
                .filter_map(portbook::model::Port::new)
                .filter(|port| matches!(line.state(*port), PortState::Free | PortState::Ephemeral));
            let between = BetweenRanges {
                space: space.clone(),
                role: low.role.to_string(),
                meets: high.role.to_string(),
            };
            set(&self.until_meeting.get_or_create(&between), free.count());
        }
        Ok(())
    }
}

/// The pairs of ranges of which the lower one reaches the other's first port.
fn meeting(stats: &Stats) -> impl Iterator<Item = (&portbook::RangeStats, &portbook::RangeStats)> {
    let pairs = stats
        .ranges
        .iter()
        .flat_map(|low| stats.ranges.iter().map(move |high| (low, high)));
    pairs.filter(|(low, high)| low.base < high.base && low.max >= high.base)
}
