//! How this machine stands.

use std::path::{Path, PathBuf};

use portbook::host::{self, ClockState, NetworkView};
use portbook::model::{PortSet, PortStretch, Timestamp};
use portbook::{Configuration, Failure, PortAllocationService, read_promises, sqlite_path};

use super::Finding;
use crate::output::counted;

/// Fewer free bytes than this may end a day's work.
const LITTLE_ROOM: u64 = 64 * 1024 * 1024;
/// A server with its connections, its log and the book wants as many open files.
const FEW_FILES: u64 = 1024;

pub(super) fn of_machine(configuration: &Configuration) -> Vec<Finding> {
    let file = sqlite_path(&configuration.store.value).ok();
    let mut findings: Vec<_> = file.as_deref().map(file_system).into_iter().collect();
    let service = book(configuration, file.as_deref(), &mut findings);
    findings.push(pre_configured(configuration));
    findings.push(network());
    findings.push(ephemeral(service.as_ref()));
    findings.push(reserved(configuration, service.as_ref()));
    findings.push(ipv6());
    findings.push(clock(service.as_ref()));
    findings.push(limits());
    findings
}

fn existing_folder(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.ancestors().skip(1).find(|folder| folder.exists());
    folder.map_or_else(|| PathBuf::from("/"), Path::to_path_buf)
}

fn file_system(book: &Path) -> Finding {
    const MATTER: &str = "file system";
    let folder = existing_folder(book);
    let system = match host::file_system(&folder) {
        Ok(system) => system,
        Err(error) => {
            let message = format!(
                "{} cannot be asked for its file system: {error}",
                folder.display()
            );
            return Finding::warning(MATTER, message, "name another place with --store");
        }
    };
    let place = format!("{} is on {}", folder.display(), system.name);
    let free = system.free_bytes / (1024 * 1024);
    if system.is_network {
        Finding::unfit(
            MATTER,
            format!("{place}, a network file system, whose locks cannot be trusted"),
            "keep the book on a local disk: --store sqlite:/var/lib/portbook/portbook.db",
        )
    } else if system.read_only {
        Finding::unfit(
            MATTER,
            format!("{place}, mounted read-only"),
            "name another place with --store",
        )
    } else if system.free_bytes < LITTLE_ROOM {
        Finding::warning(
            MATTER,
            format!("{place} with only {free} MiB free"),
            "free some space",
        )
    } else {
        Finding::fine(MATTER, format!("{place} with {free} MiB free"))
    }
}

/// Opens the book if there is one, in its file or elsewhere: a doctor leaves nothing behind.
fn book(
    configuration: &Configuration,
    file: Option<&Path>,
    findings: &mut Vec<Finding>,
) -> Option<PortAllocationService> {
    const MATTER: &str = "book";
    if let Some(path) = file.filter(|path| !path.exists()) {
        let message = format!(
            "there is none yet at {}: the first allocation makes it",
            path.display()
        );
        findings.push(Finding::fine(MATTER, message));
        return None;
    }
    let opened = PortAllocationService::open(configuration).and_then(|service| {
        let apps = service.allocations(None)?.len();
        Ok((service, apps))
    });
    match opened {
        Ok((service, apps)) => {
            let message = format!(
                "{} holds {} in the space `{}`",
                file.map_or_else(|| service.location(), |path| path.display().to_string()),
                counted(apps, "app"),
                service.space()
            );
            findings.push(Finding::fine(MATTER, message));
            Some(service)
        }
        Err(error) => {
            let remedy = error.hint().unwrap_or_else(|| match error.failure() {
                Failure::Book => "put a backup back, or name another place with --store".to_owned(),
                _ => "see `portbook --help`".to_owned(),
            });
            findings.push(Finding::unfit(MATTER, error.to_string(), remedy));
            None
        }
    }
}

fn pre_configured(configuration: &Configuration) -> Finding {
    const MATTER: &str = "pre-configured";
    let Some(file) = &configuration.port_config else {
        return Finding::fine(MATTER, "no port_config.json is known here");
    };
    match read_promises(&file.value) {
        Ok(file) => {
            let apps = counted(file.promises.len(), "app");
            Finding::fine(MATTER, format!("{} promises ports to {apps}", file.source))
        }
        Err(error) => Finding::unfit(
            MATTER,
            format!("{error}: nothing is allocated until that is mended"),
            format!(
                "`portbook import {}` names every problem, and changes nothing",
                file.value.display()
            ),
        ),
    }
}

fn network() -> Finding {
    const MATTER: &str = "network";
    match host::network_view() {
        NetworkView::Host => Finding::fine(MATTER, "this process sees the host's network"),
        NetworkView::Container { evidence } => Finding::warning(
            MATTER,
            format!(
                "this process sees a container's network only ({evidence}): what the host uses stays hidden"
            ),
            "run portbook on the host, or give the container the host's network (--network host)",
        ),
        NetworkView::OwnNamespace { evidence } => Finding::warning(
            MATTER,
            format!(
                "this process has a network namespace of its own ({evidence}): what the host uses stays hidden"
            ),
            "run portbook in the namespace in which the apps run",
        ),
        NetworkView::Unknown => Finding::warning(
            MATTER,
            "whether this process sees the host's network cannot be told",
            "run `portbook doctor` as root to know",
        ),
    }
}

fn ephemeral(service: Option<&PortAllocationService>) -> Finding {
    const MATTER: &str = "ephemeral range";
    let Some(range) = host::ephemeral_range() else {
        return Finding::warning(
            MATTER,
            "the range of outgoing connections' ports cannot be read",
            "is /proc mounted?",
        );
    };
    let inside = service.map_or(0, |service| allocated_ports(service, &range).count());
    if inside == 0 {
        Finding::fine(
            MATTER,
            format!("{range}, which is given out last; no allocated port lies in it"),
        )
    } else {
        Finding::warning(
            MATTER,
            format!(
                "{inside} allocated ports lie in {range}: an outgoing connection may take them"
            ),
            "reserve them with the line below",
        )
    }
}

fn allocated_ports(service: &PortAllocationService, range: &PortStretch) -> PortSet {
    let allocations = service.allocations(None).unwrap_or_default();
    allocations
        .iter()
        .flat_map(|allocation| allocation.ports.values().copied())
        .filter(|port| range.contains(*port))
        .collect()
}

/// Which line would keep outgoing connections off the book's ranges.
fn reserved(configuration: &Configuration, service: Option<&PortAllocationService>) -> Finding {
    const MATTER: &str = "reserved ports";
    let reserved = match host::reserved_ports() {
        Ok(reserved) => reserved,
        Err(error) => return Finding::warning(MATTER, error.to_string(), "is /proc mounted?"),
    };
    let Some(range) = host::ephemeral_range() else {
        return Finding::fine(MATTER, format!("{} ports are reserved", reserved.count()));
    };
    let mut wanted: PortSet = service.map_or_else(PortSet::new, |service| {
        let pools = service.pools().unwrap_or_default();
        let pooled = pools.values().flat_map(|pool| pool.ports.ports());
        let mut ports = allocated_ports(service, &range);
        ports.extend(pooled.filter(|port| range.contains(*port)));
        ports
    });
    wanted.subtract(&reserved);
    if !wanted.is_empty() {
        let line = host::reserved_ports_line(&stretches(&wanted));
        return Finding::warning(
            MATTER,
            format!(
                "{} ports of the book lie unreserved in the ephemeral range",
                wanted.count()
            ),
            format!("{line}\n(and the same setting in /etc/sysctl.d/ to keep it after a boot)"),
        );
    }
    let message = format!(
        "{} ports are reserved; the book needs none of them yet",
        reserved.count()
    );
    match lower_half_in_ranges(configuration, &range) {
        Some(stretch) => Finding::fine(MATTER, message).with_remedy(format!(
            "once its ranges grow into {range}, this keeps the lower half for apps:\n{}",
            host::reserved_ports_line(&[stretch])
        )),
        None => Finding::fine(MATTER, message),
    }
}

/// The part of the ephemeral range that the book's ranges could be given: reserving all of it would
/// leave outgoing connections nothing.
fn lower_half_in_ranges(configuration: &Configuration, range: &PortStretch) -> Option<PortStretch> {
    let half = range.ports().take(range.count() / 2);
    let meets = |port: &portbook::model::Port| {
        let mut ranges = configuration.policy().ranges();
        ranges.any(|(_, range)| (range.base()..=range.max()).contains(port))
    };
    let ports: PortSet = half.filter(meets).collect();
    stretches(&ports).into_iter().next()
}

/// The ports as stretches; gaps of a range's step are bridged, so that the line stays short.
fn stretches(ports: &PortSet) -> Vec<PortStretch> {
    const BRIDGED: u16 = 16;
    let mut stretches: Vec<PortStretch> = Vec::new();
    for port in ports.iter() {
        let joined = stretches
            .last()
            .filter(|last| port.get() - last.last().get() <= BRIDGED)
            .and_then(|last| PortStretch::new(last.first(), port).ok());
        match joined {
            Some(joined) => {
                stretches.pop();
                stretches.push(joined);
            }
            None => stretches.extend(PortStretch::new(port, port)),
        }
    }
    stretches
}

fn ipv6() -> Finding {
    if host::has_ipv6() {
        Finding::fine("IPv6", "there, so ports are looked at for both families")
    } else {
        Finding::fine("IPv6", "not there, so ports are looked at for IPv4 only")
    }
}

fn clock(service: Option<&PortAllocationService>) -> Finding {
    const MATTER: &str = "clock";
    let now: Timestamp = std::time::SystemTime::now().into();
    let last = service.and_then(|service| service.history(None, None, Some(1)).ok()?.pop());
    if let Some(last) = last.filter(|last| last.at > now) {
        return Finding::warning(
            MATTER,
            format!(
                "it says {now}, and the book's last change was at {}",
                last.at
            ),
            "set the clock: until then leases end late",
        );
    }
    match host::clock() {
        ClockState::Synchronised => Finding::fine(MATTER, format!("{now}, synchronised")),
        ClockState::Plausible => Finding::fine(MATTER, format!("{now}, which is plausible")),
        ClockState::Implausible { .. } => Finding::warning(
            MATTER,
            format!("it says {now}, which cannot be"),
            "set the clock",
        ),
    }
}

fn limits() -> Finding {
    const MATTER: &str = "open files";
    let (soft, hard) = host::open_file_limit();
    if soft < FEW_FILES {
        Finding::warning(
            MATTER,
            format!("a process may have {soft} open"),
            format!(
                "ulimit -n {} (the hard limit is {hard})",
                FEW_FILES.min(hard)
            ),
        )
    } else {
        Finding::fine(MATTER, format!("a process may have {soft} open"))
    }
}
