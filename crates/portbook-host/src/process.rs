use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use portbook_model::Process;

use crate::HostError;

/// Who holds a published port on a container's behalf, as `ps` shows them: cut to 15 characters.
const CONTAINER_PROXIES: [&str; 19] = [
    "aardvark-dns",
    "com.docker.back",
    "conmon",
    "containerd",
    "containerd-shim",
    "docker-proxy",
    "dockerd",
    "gvproxy",
    "incusd",
    "lxd",
    "netavark",
    "pasta",
    "pasta.avx2",
    "passt",
    "podman",
    "rootlesskit",
    "rootlessport",
    "slirp4netns",
    "vpnkit",
];

/// Whether this process holds ports for containers, so that it says nothing about whose they are:
/// only the container engine knows that.
pub fn is_container_proxy(process: &Process) -> bool {
    CONTAINER_PROXIES.contains(&process.name.as_str()) || process.name.starts_with("rootlessport-")
}

/// The process of this number, if there is one.
///
/// Its directory is `None` where this user may not look.
pub fn process(pid: u32) -> Option<Process> {
    let place = PathBuf::from(format!("/proc/{pid}"));
    let name = fs::read(place.join("comm")).ok()?;
    Some(Process {
        pid,
        name: String::from_utf8_lossy(&name).trim_end().to_owned(),
        directory: fs::read_link(place.join("cwd")).ok().map(living),
    })
}

/// When the process began, in clock ticks since the machine's start; `None` where there is none, or it
/// has ended and only waits for its parent to take notice.
///
/// A pid is given out again once its process has ended: together with [`boot_id`](crate::boot_id),
/// pid and start time name one process for good.
pub fn process_start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    start_time(&stat).filter(|_| !has_ended(&stat))
}

/// Whether `ancestor` started the process, or started who started it, and so on. One whose parent has
/// ended descends from nobody but the machine's first process.
pub fn descends_from(pid: u32, ancestor: u32) -> bool {
    // The chain is short; a bound keeps a table that changes meanwhile from leading in a circle.
    const LONGEST: usize = 64;
    let mut current = pid;
    for _ in 0..LONGEST {
        let stat = fs::read_to_string(format!("/proc/{current}/stat"));
        match stat.ok().as_deref().and_then(parent) {
            Some(parent) if parent == ancestor => return true,
            Some(parent) if parent > 1 => current = parent,
            _ => return false,
        }
    }
    false
}

/// The processes whose parent is `pid`, those that ended and were not waited for left out.
pub fn children(pid: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |number: &u32| {
        let stat = fs::read_to_string(format!("/proc/{number}/stat"));
        stat.is_ok_and(|stat| parent(&stat) == Some(pid) && !has_ended(&stat))
    };
    numbers.filter(is_child).collect()
}

/// Whether the process was stopped, as by Ctrl-Z, and not continued since.
pub fn has_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| state(&stat) == Some('T'))
}

/// Whether the process is a zombie: it waits to be waited for.
fn has_ended(stat: &str) -> bool {
    matches!(state(stat), Some('Z' | 'X'))
}

/// Field 3 of proc_pid_stat(5).
fn state(stat: &str) -> Option<char> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.trim_start().chars().next()
}

fn parent(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

/// The name may hold spaces and parentheses itself, so the fields are counted from its end.
fn start_time(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

/// A process whose directory was removed still ran there: the kernel's note of it is taken off.
fn living(directory: PathBuf) -> PathBuf {
    let name = directory.as_os_str().to_str();
    match name.and_then(|name| name.strip_suffix(" (deleted)")) {
        Some(name) if !directory.exists() => PathBuf::from(name),
        _ => directory,
    }
}

/// The processes that have each of these sockets open, as far as this user may look, by inode.
///
/// Every process is looked at, since a socket may be shared; none if there is nothing to find.
pub(crate) fn having_open(inodes: &HashSet<u64>) -> Result<HashMap<u64, Vec<Process>>, HostError> {
    let mut found: HashMap<u64, Vec<Process>> = HashMap::new();
    if inodes.is_empty() {
        return Ok(found);
    }
    let processes = fs::read_dir("/proc").map_err(|source| HostError::Processes { source })?;
    // A process that ends while it is looked at has nothing open any more.
    for entry in processes.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let held: HashSet<u64> = sockets_of(&entry.path())
            .filter(|inode| inodes.contains(inode))
            .collect();
        if held.is_empty() {
            continue;
        }
        if let Some(process) = process(pid) {
            for inode in held {
                found.entry(inode).or_default().push(process.clone());
            }
        }
    }
    Ok(found)
}

fn sockets_of(process: &Path) -> impl Iterator<Item = u64> + use<> {
    let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten();
    descriptors.flatten().filter_map(|descriptor| {
        let target = fs::read_link(descriptor.path()).ok()?;
        let inode = target.to_str()?.strip_prefix("socket:[")?;
        inode.strip_suffix(']')?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_start_time() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 9";
        assert_eq!(start_time(stat), Some(4242));
        assert_eq!(start_time("7 (a"), None);
    }

    #[test]
    fn who_has_ended_is_told_from_who_runs() {
        assert!(has_ended("7 (a) Z 1 7 7 0"));
        assert!(!has_ended("7 (Z Z) S 1 7 7 0"));
    }

    #[test]
    fn a_removed_directory_is_named_without_the_kernels_note() {
        assert_eq!(
            living("/nowhere/app (deleted)".into()),
            PathBuf::from("/nowhere/app")
        );
        let kept = tempfile::tempdir().unwrap();
        let odd = kept.path().join("app (deleted)");
        fs::create_dir(&odd).unwrap();
        assert_eq!(living(odd.clone()), odd);
    }

    #[test]
    fn proxies_are_known_by_name() {
        let process = |name: &str| Process {
            pid: 1,
            name: name.to_owned(),
            directory: None,
        };
        assert!(is_container_proxy(&process("docker-proxy")));
        assert!(is_container_proxy(&process("rootlessport-ch")));
        assert!(!is_container_proxy(&process("python3")));
    }
}
