//! Which ports have to move so that no two claims meet, and which of two claims stays.
//!
//! For each port that an app holds, the first of these that is true:
//!
//! | what is wrong | what becomes of it |
//! | --- | --- |
//! | the app is promised another port for the role | it moves there |
//! | the port is promised to another app, or to the app for another role | it moves |
//! | another app holds it, too | the older allocation keeps it, the other moves |
//! | it lies in a pool for other models | it moves |
//! | a stranger uses it on this host | it moves |
//! | no browser opens it | it moves, pinned or not: whoever asks for a repair can read the plan |
//!
//! A port that is promised to the app is somebody's decision and stays whatever else is wrong with it,
//! and an app that runs is not moved unless that is asked for. A destination is named only where it is
//! a promise; the others are looked for when the moves are carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    Allocation, AppKey, Holder, Move, Pool, PoolName, Port, Ports, Promises, Role, browser_blocked,
};

/// A space at one moment, with what this host says of its ports.
#[derive(Debug, Clone, Copy)]
pub struct RepairView<'a> {
    /// Every allocation of the space, however wrong.
    pub allocations: &'a [Allocation],
    /// What files promise.
    pub promises: &'a Promises,
    /// The pools.
    pub pools: &'a BTreeMap<PoolName, Pool>,
    /// Who uses a port that an app holds, or is promised, and is not the app.
    pub strangers: &'a BTreeMap<(AppKey, Port), Holder>,
    /// The apps that run.
    pub running: &'a BTreeSet<AppKey>,
    /// Whether those are to be moved, too.
    pub moves_running: bool,
}

/// What a repair does, and what it leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repair {
    /// The moves, to be carried out together.
    pub moves: Vec<RepairMove>,
    /// What is wrong and stays.
    pub left: Vec<Unmoved>,
}

/// A port that has to move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairMove {
    /// Whose.
    pub app: AppKey,
    /// What it is for.
    pub role: Role,
    /// The port that is left.
    pub from: Port,
    /// Where it goes, if that is decided already.
    pub to: Option<Port>,
    /// What is wrong with it where it is.
    pub fault: Fault,
}

impl RepairMove {
    /// The move as it is asked of the book.
    pub fn to_move(&self) -> Move {
        Move {
            app: self.app.clone(),
            role: self.role.clone(),
            from: self.from,
            to: self.to,
            why: self.fault.to_string(),
        }
    }
}

/// A port with something wrong that is not moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmoved {
    /// Whose.
    pub app: AppKey,
    /// What it is for.
    pub role: Role,
    /// The port.
    pub port: Port,
    /// What is wrong with it.
    pub fault: Fault,
    /// Why it stays all the same.
    pub hindrance: Hindrance,
}

/// What is wrong with a port that an app holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// The app is promised another port for the role.
    PromisedElsewhere(Port),
    /// The port is promised to another app.
    PromisedToOther(AppKey),
    /// The port is promised to the app, for another role.
    PromisedForRole(Role),
    /// An older allocation, or another role of the app, has the port, too.
    HeldTwice {
        /// Who keeps it.
        keeper: AppKey,
        /// As what.
        role: Role,
    },
    /// It lies in a pool for other models.
    InPool(PoolName),
    /// A stranger uses it.
    InUse(Holder),
    /// No browser opens it.
    BrowserBlocked,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::PromisedElsewhere(port) => write!(f, "{port} is promised to it"),
            Fault::PromisedToOther(app) => write!(f, "it is promised to {app}"),
            Fault::PromisedForRole(role) => write!(f, "it is promised as the app's {role}"),
            Fault::HeldTwice { keeper, role } => {
                write!(f, "{keeper} has it as its {role} and had it first")
            }
            Fault::InPool(pool) => write!(f, "the pool `{pool}` is for other models"),
            Fault::InUse(holder) => write!(f, "it is in use on this host by {holder}"),
            Fault::BrowserBlocked => f.write_str("no browser opens it"),
        }
    }
}

/// Why a port with something wrong is not moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hindrance {
    /// The app runs.
    Runs,
    /// A file promises the port to the app.
    Promised,
    /// The file promises one port for two roles.
    PromisedTwice(Port),
    /// Somebody who stays has the port that the app is promised.
    DestinationHeld {
        /// The promised port.
        port: Port,
        /// Who has it.
        by: AppKey,
    },
    /// A stranger uses the port that the app is promised.
    DestinationInUse {
        /// The promised port.
        port: Port,
        /// Who uses it.
        by: Box<Holder>,
    },
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hindrance::Runs => f.write_str("the app runs: --include-running moves it all the same"),
            Hindrance::Promised => {
                f.write_str("a file promises it the port: correct the file if it is to move")
            }
            Hindrance::PromisedTwice(port) => {
                write!(f, "the file promises {port} for two roles: correct it")
            }
            Hindrance::DestinationHeld { port, by } => {
                write!(f, "{by} has {port} and is not moved")
            }
            Hindrance::DestinationInUse { port, by } => {
                write!(f, "{port} is in use on this host by {by}")
            }
        }
    }
}

/// Plans the repair of a space: the same for the same view.
pub fn plan_repair(view: &RepairView<'_>) -> Repair {
    let claims = Claims::of(view.allocations);
    let mut kept_out = KeptOut::new();
    // Whoever stays keeps others from coming, who stay then, too, and so on.
    loop {
        let repair = claims.repair(view, &kept_out);
        match claims.kept_out(&repair) {
            None => return repair,
            Some((claim, hindrance)) => {
                kept_out.insert(claim, hindrance);
            }
        }
    }
}

/// The claims that cannot go where they are promised.
type KeptOut = BTreeMap<(AppKey, Role), Hindrance>;

/// One port of one app.
#[derive(Debug, Clone, Copy)]
struct Claim<'a> {
    app: &'a AppKey,
    role: &'a Role,
    port: Port,
    allocation: &'a Allocation,
}

impl Claim<'_> {
    /// Which of two claims on one port stays: the older, then the one that sorts first.
    fn precedes(&self, other: &Claim<'_>) -> bool {
        let rank = |claim: &Claim<'_>| {
            let created_at = claim.allocation.created_at;
            (created_at, claim.app.clone(), claim.role.clone())
        };
        rank(self) < rank(other)
    }
}

struct Claims<'a> {
    /// Oldest first.
    in_order: Vec<Claim<'a>>,
    by_port: BTreeMap<Port, Vec<Claim<'a>>>,
}

impl<'a> Claims<'a> {
    fn of(allocations: &'a [Allocation]) -> Self {
        let mut in_order: Vec<Claim<'a>> = allocations
            .iter()
            .flat_map(|allocation| {
                let claim = move |(role, port): (&'a Role, &'a Port)| Claim {
                    app: &allocation.app,
                    role,
                    port: *port,
                    allocation,
                };
                allocation.ports.iter().map(claim)
            })
            .collect();
        in_order.sort_by_key(|claim| (claim.allocation.created_at, claim.app, claim.role));
        let mut by_port: BTreeMap<Port, Vec<Claim<'a>>> = BTreeMap::new();
        for claim in &in_order {
            by_port.entry(claim.port).or_default().push(*claim);
        }
        Self { in_order, by_port }
    }

    fn on(&self, port: Port) -> &[Claim<'a>] {
        self.by_port.get(&port).map_or(&[], Vec::as_slice)
    }

    fn repair(&self, view: &RepairView<'_>, kept_out: &KeptOut) -> Repair {
        let mut repair = Repair::default();
        let mut leaving = BTreeSet::new();
        for claim in &self.in_order {
            let Some(fault) = self.fault(claim, view, &leaving) else {
                continue;
            };
            let place = (claim.app.clone(), claim.role.clone());
            let hindrance = view.hindrance(claim, &fault);
            match hindrance.or_else(|| kept_out.get(&place).cloned()) {
                Some(hindrance) => repair.left.push(Unmoved {
                    app: claim.app.clone(),
                    role: claim.role.clone(),
                    port: claim.port,
                    fault,
                    hindrance,
                }),
                None => {
                    leaving.insert(place);
                    repair.moves.push(RepairMove {
                        app: claim.app.clone(),
                        role: claim.role.clone(),
                        from: claim.port,
                        to: match fault {
                            Fault::PromisedElsewhere(port) => Some(port),
                            _ => None,
                        },
                        fault,
                    });
                }
            }
        }
        repair
    }

    /// A move to a promised port that somebody has who stays.
    fn kept_out(&self, repair: &Repair) -> Option<((AppKey, Role), Hindrance)> {
        let leaving: BTreeSet<(&AppKey, &Role)> = repair
            .moves
            .iter()
            .map(|step| (&step.app, &step.role))
            .collect();
        let stays = |claim: &&Claim<'_>| !leaving.contains(&(claim.app, claim.role));
        repair.moves.iter().find_map(|step| {
            let port = step.to?;
            let by = self.on(port).iter().find(stays)?.app.clone();
            let place = (step.app.clone(), step.role.clone());
            Some((place, Hindrance::DestinationHeld { port, by }))
        })
    }

    fn fault(
        &self,
        claim: &Claim<'_>,
        view: &RepairView<'_>,
        leaving: &BTreeSet<(AppKey, Role)>,
    ) -> Option<Fault> {
        let own_promise = view.promises.of(claim.app);
        match own_promise.and_then(|promised| promised.get(claim.role)) {
            Some(promised) if *promised != claim.port => {
                return Some(Fault::PromisedElsewhere(*promised));
            }
            Some(_) => return self.fault_of_promised(claim, view),
            None => {}
        }
        if let Some(to) = view.promises.to(claim.port) {
            return Some(match to == claim.app {
                false => Fault::PromisedToOther(to.clone()),
                true => Fault::PromisedForRole(promised_role(own_promise, claim.port)?),
            });
        }
        let keeps_it = |other: &&Claim<'_>| {
            other.precedes(claim) && !leaving.contains(&(other.app.clone(), other.role.clone()))
        };
        if let Some(keeper) = self.on(claim.port).iter().find(keeps_it) {
            return Some(Fault::HeldTwice {
                keeper: keeper.app.clone(),
                role: keeper.role.clone(),
            });
        }
        view.weakness(claim)
    }

    /// A promised port is never the one that yields to another claim.
    fn fault_of_promised(&self, claim: &Claim<'_>, view: &RepairView<'_>) -> Option<Fault> {
        let own = view.promises.of(claim.app)?;
        let twin = own
            .iter()
            .find(|(role, port)| *role != claim.role && **port == claim.port);
        match twin.filter(|(role, _)| *role < claim.role) {
            Some((role, _)) => Some(Fault::PromisedForRole(role.clone())),
            None => view.weakness(claim),
        }
    }
}

fn promised_role(promised: Option<&Ports>, port: Port) -> Option<Role> {
    let mut roles = promised?.iter();
    let found = roles.find(|(_, promised)| **promised == port);
    found.map(|(role, _)| role.clone())
}

impl RepairView<'_> {
    /// What is wrong with a port that nobody else claims.
    fn weakness(&self, claim: &Claim<'_>) -> Option<Fault> {
        let is_foreign = |pool: &&Pool| {
            pool.ports.contains(claim.port) && !pool.models.matches(&claim.app.model)
        };
        if let Some(pool) = self.pools.values().find(is_foreign) {
            return Some(Fault::InPool(pool.name.clone()));
        }
        let stranger = self.strangers.get(&(claim.app.clone(), claim.port));
        if let Some(holder) = stranger {
            return Some(Fault::InUse(holder.clone()));
        }
        let is_blocked = browser_blocked().contains(claim.port);
        is_blocked.then_some(Fault::BrowserBlocked)
    }

    /// Why the port stays, as far as it hangs on the app alone.
    fn hindrance(&self, claim: &Claim<'_>, fault: &Fault) -> Option<Hindrance> {
        let own = self.promises.of(claim.app);
        let wanted = own.and_then(|promised| promised.get(claim.role)).copied();
        if wanted == Some(claim.port) {
            return Some(match fault {
                Fault::PromisedForRole(_) => Hindrance::PromisedTwice(claim.port),
                _ => Hindrance::Promised,
            });
        }
        if self.running.contains(claim.app) && !self.moves_running {
            return Some(Hindrance::Runs);
        }
        let Fault::PromisedElsewhere(port) = fault else {
            return None;
        };
        let roles = own.into_iter().flat_map(|promised| promised.values());
        if roles.filter(|promised| *promised == port).count() > 1 {
            return Some(Hindrance::PromisedTwice(*port));
        }
        let stranger = self.strangers.get(&(claim.app.clone(), *port))?;
        Some(Hindrance::DestinationInUse {
            port: *port,
            by: Box::new(stranger.clone()),
        })
    }
}
