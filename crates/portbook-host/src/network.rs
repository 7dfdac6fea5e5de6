use std::env;
use std::fs;
use std::net::{Ipv6Addr, TcpListener};
use std::path::Path;

use serde::Serialize;

/// Whether servers of this machine can listen on IPv6's loopback address.
pub fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

/// Whose network this process sees, and so whose ports a probe is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "view", rename_all = "kebab-case")]
pub enum NetworkView {
    /// The machine's own.
    Host,
    /// A container's: what the host and other containers use is not seen.
    Container {
        /// What shows it.
        evidence: String,
    },
    /// A network namespace that was made by something else than a container engine.
    OwnNamespace {
        /// What shows it.
        evidence: String,
    },
    /// Nothing shows it either way.
    Unknown,
}

/// Whose network this process sees.
///
/// The kernel shows some settings in its first network namespace alone, the host's; that holds for
/// every user, and in a container too, so that one which was given the host's network counts as the
/// host. Signs of a container only put a name to a network that is not the host's, or stand in
/// where the settings are hidden. Which interfaces there are decides nothing: a small machine has
/// as few as a container.
pub fn network_view() -> NetworkView {
    judge(first_namespace(), init_shares_network(), container())
}

/// `None` where the kernel's settings are hidden.
fn first_namespace() -> Option<bool> {
    let settings = Path::new("/proc/sys/net/core");
    if !settings.join("somaxconn").exists() {
        return None;
    }
    Some(settings.join("dev_weight").exists())
}

/// `None` where this user may not look.
fn init_shares_network() -> Option<bool> {
    let own = fs::read_link("/proc/self/ns/net").ok()?;
    let init = fs::read_link("/proc/1/ns/net").ok()?;
    Some(own == init)
}

fn judge(first: Option<bool>, shared: Option<bool>, container: Option<String>) -> NetworkView {
    match (first, shared, container) {
        (Some(true), _, _) => NetworkView::Host,
        (_, _, Some(evidence)) => NetworkView::Container { evidence },
        (_, Some(false), None) => NetworkView::OwnNamespace {
            evidence: "/proc/self/ns/net is not that of process 1".to_owned(),
        },
        (Some(false), _, None) => NetworkView::OwnNamespace {
            evidence: "/proc/sys/net/core lacks the settings of the first network namespace"
                .to_owned(),
        },
        // Process 1 may be a container's own, but then something would have shown it.
        (None, Some(true), None) => NetworkView::Host,
        (None, None, None) => NetworkView::Unknown,
    }
}

fn container() -> Option<String> {
    for mark in ["/.dockerenv", "/run/.containerenv"] {
        if Path::new(mark).exists() {
            return Some(format!("{mark} is there"));
        }
    }
    if let Ok(kind) = fs::read_to_string("/run/systemd/container") {
        return Some(format!("/run/systemd/container says `{}`", kind.trim()));
    }
    if let Some(kind) = env::var_os("container") {
        return Some(format!(
            "the environment says container={}",
            kind.to_string_lossy()
        ));
    }
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    container_group(&groups).map(|group| format!("/proc/self/cgroup says `{group}`"))
}

fn container_group(groups: &str) -> Option<&str> {
    const ENGINES: [&str; 6] = [
        "/docker",
        "docker-",
        "kubepods",
        "libpod-",
        "/lxc",
        "cri-containerd",
    ];
    groups
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        // The engine's own daemon runs in a service of its name.
        .filter(|group| !group.ends_with(".service"))
        .find(|group| ENGINES.iter().any(|engine| group.contains(engine)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_on_the_hosts_network_is_the_host() {
        let sign = || Some("/.dockerenv is there".to_owned());
        assert_eq!(judge(Some(true), None, sign()), NetworkView::Host);
        for first in [Some(false), None] {
            let view = judge(first, Some(true), sign());
            assert!(matches!(view, NetworkView::Container { .. }), "{first:?}");
        }
    }

    #[test]
    fn another_namespace_is_told_from_the_host_and_from_nothing_known() {
        for (first, shared) in [
            (Some(false), None),
            (Some(false), Some(true)),
            (None, Some(false)),
        ] {
            let view = judge(first, shared, None);
            assert!(matches!(view, NetworkView::OwnNamespace { .. }), "{view:?}");
        }
        assert_eq!(judge(None, Some(true), None), NetworkView::Host);
        assert_eq!(judge(None, None, None), NetworkView::Unknown);
    }

    #[test]
    fn container_engines_are_known_by_their_control_groups() {
        let docker = "0::/system.slice/docker-0d1e6dd46895.scope\n";
        let kubernetes = "12:cpu:/x\n0::/kubepods.slice/kubepods-pod7.slice\n";
        assert!(container_group(docker).is_some());
        assert!(container_group(kubernetes).is_some());
        for host in ["0::/system.slice/docker.service\n", "0::/user.slice\n", ""] {
            assert_eq!(container_group(host), None, "{host:?}");
        }
    }
}
