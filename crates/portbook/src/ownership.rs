//! Whose a process is: the app's that holds the port, or a stranger's.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use portbook_host::{HostError, boot_id, descends_from, is_container_proxy, process_start_time};
use portbook_model::{
    Allocation, AppKey, Holder, Port, PortSet, Process, ProcessIdentity, SocketUse,
};

use crate::truths::LiveContainers;

/// Whose the process is that was found at an app's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Whose {
    /// The app's own.
    Own,
    /// The container engine's, on behalf of a container that only the engine can name.
    Engine,
    /// Somebody else's, or nobody's that can be seen.
    Stranger,
}

impl Whose {
    /// A process is the app's own if it runs in the app's directory or below it (the one that the book
    /// remembers, or any `{model identity}/app{n}`), or was started by the app's `portbook run`.
    pub(crate) fn of(process: Option<&Process>, allocation: &Allocation) -> Self {
        let Some(process) = process else {
            return Whose::Stranger;
        };
        if is_container_proxy(process) {
            return Whose::Engine;
        }
        let lives_there = process
            .directory
            .as_deref()
            .is_some_and(|directory| lies_in_directory_of(directory, allocation));
        let run = allocation.notes.run.as_ref();
        if lives_there || run.is_some_and(|run| is_part_of(process.pid, &run.process)) {
            Whose::Own
        } else {
            Whose::Stranger
        }
    }
}

/// Something on this host that has an allocated port.
pub(crate) struct PortUse<'a> {
    /// Who has it.
    pub(crate) holder: Holder,
    /// Whose port it is by the book.
    pub(crate) allocation: &'a Allocation,
    /// Whose process the holder is.
    pub(crate) whose: Whose,
}

/// Who has allocated ports on this host, by port.
pub(crate) fn port_uses(allocations: &[Allocation]) -> Result<Vec<PortUse<'_>>, HostError> {
    // Another hand may have given a port to two.
    let mut owners: HashMap<Port, Vec<&Allocation>> = HashMap::new();
    for held in allocations {
        for port in held.ports.values() {
            owners.entry(*port).or_default().push(held);
        }
    }
    let ports: PortSet = owners.keys().copied().collect();
    if ports.is_empty() {
        return Ok(Vec::new());
    }
    let mut uses = Vec::new();
    for holder in portbook_host::holders(&ports)? {
        for allocation in owners.get(&holder.port).into_iter().flatten() {
            uses.push(PortUse {
                holder: holder.clone(),
                allocation,
                whose: Whose::of(holder.process.as_ref(), allocation),
            });
        }
    }
    uses.sort_by_key(|found| (found.holder.port, found.holder.transport));
    Ok(uses)
}

/// The apps at whose ports somebody is who may be the app: its own process, a container engine, or
/// one that this user cannot see; but not where an engine says that it is a stranger's container.
pub(crate) fn apps_that_answer(
    uses: &[PortUse<'_>],
    containers: &LiveContainers,
) -> BTreeSet<AppKey> {
    let may_be_the_app = |port_use: &&PortUse<'_>| {
        let holder = &port_use.holder;
        let may_be = match port_use.whose {
            Whose::Own => return true,
            Whose::Engine => true,
            Whose::Stranger => holder.process.is_none() && holder.usage != SocketUse::Connected,
        };
        may_be && containers.whose(holder.port, &port_use.allocation.app) != Whose::Stranger
    };
    uses.iter()
        .filter(may_be_the_app)
        .map(|port_use| port_use.allocation.app.clone())
        .collect()
}

/// Whether a directory is the app's own or below it.
pub(crate) fn lies_in_directory_of(directory: &Path, allocation: &Allocation) -> bool {
    let remembered = allocation.notes.directory.as_ref();
    remembered.is_some_and(|remembered| directory.starts_with(&remembered.path))
        || lies_in_conventional_directory(directory, &allocation.app)
}

fn lies_in_conventional_directory(directory: &Path, app: &AppKey) -> bool {
    let name = format!("app{}", app.number);
    directory.ancestors().any(|folder| {
        let parent = folder.parent().and_then(Path::file_name);
        folder
            .file_name()
            .is_some_and(|folder| folder == name.as_str())
            && parent.is_some_and(|parent| parent == app.model.identity())
    })
}

/// What names the process of this pid for good; `None` where there is none, or the kernel does not say.
pub fn process_identity(pid: u32) -> Option<ProcessIdentity> {
    Some(ProcessIdentity {
        pid,
        start_time: process_start_time(pid)?,
        boot: boot_id()?,
    })
}

/// Whether this very process still runs: a pid that was given out again is another's.
pub(crate) fn is_running(process: &ProcessIdentity) -> bool {
    boot_id().as_deref() == Some(&process.boot)
        && process_start_time(process.pid) == Some(process.start_time)
}

pub(crate) fn is_part_of(pid: u32, run: &ProcessIdentity) -> bool {
    is_running(run) && (pid == run.pid || descends_from(pid, run.pid))
}

#[cfg(test)]
mod tests {
    use portbook_model::Model;

    use super::*;

    #[test]
    fn a_process_in_the_apps_directory_is_the_app() {
        let app = AppKey::new(Model::new("x-ai/grok-4").unwrap(), "3".parse().unwrap());
        let own = |path: &str| lies_in_conventional_directory(Path::new(path), &app);
        assert!(own("/srv/apps/x-ai_grok-4/app3"));
        assert!(own("/srv/apps/x-ai_grok-4/app3/backend"));
        assert!(!own("/srv/apps/x-ai_grok-4/app31"));
        assert!(!own("/srv/apps/x-ai_grok-4"));
        assert!(!own("/srv/apps/other/app3"));
        assert!(!own("/"));
    }

    #[test]
    fn a_pid_that_was_given_out_again_is_anothers() {
        let ours = process_identity(std::process::id()).unwrap();
        assert!(is_running(&ours));
        assert!(is_part_of(ours.pid, &ours));
        let earlier = ProcessIdentity {
            start_time: ours.start_time - 1,
            ..ours.clone()
        };
        assert!(!is_running(&earlier));
        let before_the_last_boot = ProcessIdentity {
            boot: "another".to_owned(),
            ..ours
        };
        assert!(!is_running(&before_the_last_boot));
    }
}
