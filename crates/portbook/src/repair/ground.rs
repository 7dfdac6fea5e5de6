//! What a repair is planned on: the book at one moment, and what its host says.

use std::collections::{BTreeMap, BTreeSet};

use portbook_host::HostError;
use portbook_model::plan::{RepairMove, RepairView, plan_repair};
use portbook_model::{Allocation, AppKey, Holder, Move, Port, PortSet, Space, SpaceBook};
use portbook_store::Reading;

use super::RepairIntent;
use crate::Error;
use crate::check::Conflict;
use crate::ownership::{Whose, is_running, port_uses};
use crate::replay::{Disagreement, disagreements};
use crate::truths::LiveContainers;

/// What a repair of the space moves and leaves. `book` has what the asker's file promises.
pub(crate) fn intent(
    reading: &mut dyn Reading,
    space: &Space,
    allocations: &[Allocation],
    book: &SpaceBook,
    findings: &HostFindings,
    moves_running: bool,
) -> Result<RepairIntent, Error> {
    let repair = plan_repair(&RepairView {
        allocations,
        promises: &book.promises,
        pools: &book.pools,
        strangers: &findings.strangers,
        running: &findings.running,
        moves_running,
    });
    let moves: Vec<Move> = repair.moves.iter().map(RepairMove::to_move).collect();
    Ok(RepairIntent {
        healed: healed(reading, space, &moves)?,
        moves,
        left: repair.left,
    })
}

fn healed(
    reading: &mut dyn Reading,
    space: &Space,
    moves: &[Move],
) -> Result<Vec<Conflict>, Error> {
    if moves.is_empty() {
        return Ok(Vec::new());
    }
    let is_moved = |found: &Disagreement| {
        let mut moves = moves.iter();
        moves.any(|step| step.app.to_string() == found.app && step.role.as_str() == found.role)
    };
    let mut disagreements = disagreements(reading, space)?;
    disagreements.retain(is_moved);
    Ok(disagreements.iter().map(Disagreement::conflict).collect())
}

/// What this host says of the apps and of the ports that they have or are promised.
#[derive(Default)]
pub(crate) struct HostFindings {
    strangers: BTreeMap<(AppKey, Port), Holder>,
    running: BTreeSet<AppKey>,
}

impl HostFindings {
    /// What `containers` says holds in any case. Without a look at the host, only what the book notes of
    /// runs is asked after besides.
    pub(crate) fn of(
        allocations: &[Allocation],
        book: &SpaceBook,
        host: bool,
        containers: &LiveContainers,
    ) -> Result<Self, HostError> {
        let mut findings = Self::default();
        for held in allocations {
            let run = held.notes.run.as_ref();
            let by_note = run.is_some_and(|run| is_running(&run.process));
            if by_note || containers.running.contains(&held.app) {
                findings.running.insert(held.app.clone());
            }
        }
        if host {
            findings.look_at_held(allocations, containers)?;
            findings.look_at_promised(allocations, book)?;
        }
        Ok(findings)
    }

    /// Where two apps hold one port, whose process has it is not the other's stranger.
    fn look_at_held(
        &mut self,
        allocations: &[Allocation],
        containers: &LiveContainers,
    ) -> Result<(), HostError> {
        let mut uses = port_uses(allocations)?;
        for port_use in &mut uses {
            if port_use.whose == Whose::Engine {
                let app = &port_use.allocation.app;
                port_use.whose = containers.whose(port_use.holder.port, app);
            }
        }
        let answered: PortSet = uses
            .iter()
            .filter(|port_use| port_use.whose != Whose::Stranger)
            .map(|port_use| port_use.holder.port)
            .collect();
        for port_use in uses {
            let app = port_use.allocation.app.clone();
            let port = port_use.holder.port;
            match port_use.whose {
                Whose::Own | Whose::Engine => {
                    self.running.insert(app);
                }
                Whose::Stranger if answered.contains(port) => {}
                Whose::Stranger => {
                    self.strangers.insert((app, port), port_use.holder);
                }
            }
        }
        Ok(())
    }

    /// A promised port that another app has and listens on is free once that app has moved.
    fn look_at_promised(
        &mut self,
        allocations: &[Allocation],
        book: &SpaceBook,
    ) -> Result<(), HostError> {
        let mut wanted: BTreeMap<Port, &Allocation> = BTreeMap::new();
        for held in allocations {
            for (role, port) in book.promises.of(&held.app).into_iter().flatten() {
                if held.ports.get(role).is_some_and(|has| has != port) {
                    wanted.insert(*port, held);
                }
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        for holder in portbook_host::holders(&wanted.keys().copied().collect())? {
            let Some(by) = wanted.get(&holder.port) else {
                continue;
            };
            let has_port = |held: &&Allocation| held.ports.values().any(|has| *has == holder.port);
            let is_a_strangers =
                |held: &Allocation| Whose::of(holder.process.as_ref(), held) == Whose::Stranger;
            if is_a_strangers(by) && allocations.iter().filter(has_port).all(is_a_strangers) {
                self.strangers.insert((by.app.clone(), holder.port), holder);
            }
        }
        Ok(())
    }
}
