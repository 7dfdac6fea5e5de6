//! Repair: what is in conflict moves to eligible ports.
//!
//! Which port moves and which stays is decided by the planner (`portbook_model::plan::plan_repair`).
//!
//! | question | file |
//! | --- | --- |
//! | what does the planner have to know of the book and the host | `ground.rs` |
//! | which ports did an app have before | `stations.rs` |
//! | which of its files still say those, and what are they to say | `files.rs` |

mod files;
mod ground;
mod stations;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use portbook_engine::{EngineError, Surroundings};
use portbook_model::plan::{Fault, Unmoved};
use portbook_model::{Allocation, AppKey, Move, MovedApp, Port, Ports, Role};
use serde::{Deserialize, Serialize};

use crate::check::{Conflict, ConflictKind};
use crate::ownership::is_running;
use crate::truths::LiveContainers;
use crate::{Error, PortAllocationService};

pub use files::{FileChange, FileRepair};
pub(crate) use ground::{HostFindings, intent};

use files::{AppFiles, FilePlan};
use stations::Stations;

/// Whether container engines are asked which apps run in containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AskEngines {
    /// No.
    #[default]
    Never,
    /// Those that are there, once there is something to move. One that does not answer is noted.
    IfThere(Surroundings),
    /// One has to answer.
    Always(Surroundings),
}

/// What is to be repaired.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairRequest {
    /// Whether apps that run are moved, too.
    pub include_running: bool,
    /// Not what is in conflict but this app alone.
    pub by_hand: Option<MoveByHand>,
    /// Directories that have apps' as `{model identity}/app{n}`, besides those that the book remembers.
    pub apps_directories: Vec<PathBuf>,
    /// Whether an app whose container runs is known to run though nothing of it is seen at its ports.
    pub engines: AskEngines,
}

impl RepairRequest {
    fn can_be_carried_out(&self) -> Result<(), RepairRefused> {
        for path in &self.apps_directories {
            std::fs::read_dir(path).map_err(|error| RepairRefused::NoAppsDirectory {
                path: path.clone(),
                reason: error.to_string(),
            })?;
        }
        Ok(())
    }
}

/// A move that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveByHand {
    /// The app.
    pub app: AppKey,
    /// Where to, by role; empty: every role's port to the lowest eligible one.
    pub to: Ports,
}

/// What a repair finds, and what it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Repair {
    /// Whether it was carried out, or only planned.
    pub applied: bool,
    /// The ports that move, by app, then role.
    pub moves: Vec<MovedPort>,
    /// The conflicts that no move resolves.
    pub left: Vec<LeftConflict>,
    /// The files that say a port which their app has left, by app, then path.
    pub files: Vec<FileRepair>,
    /// What else is worth knowing, of engines and of the apps' files, a sentence each.
    pub notes: Vec<String>,
}

impl Repair {
    /// Whether all is well once it is carried out.
    pub fn is_whole(&self) -> bool {
        let is_whole = |file: &FileRepair| file.error.is_none() && file.unclear.is_empty();
        self.left.is_empty() && self.files.iter().all(is_whole)
    }
}

/// A port that moves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MovedPort {
    /// Whose.
    #[serde(flatten)]
    pub app: AppKey,
    /// What it is for.
    pub role: Role,
    /// The port that is left.
    pub from: Port,
    /// The port that is taken instead.
    pub to: Port,
    /// Why this one moves.
    pub why: String,
}

/// A conflict that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LeftConflict {
    /// The conflict.
    #[serde(flatten)]
    pub conflict: Conflict,
    /// Why no move resolves it.
    pub why: String,
}

/// Why a move is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepairRefused {
    /// The app runs.
    #[error("{0} runs, and what runs is not moved by itself")]
    Runs(AppKey),
    /// The app has no port for a role.
    #[error("{app} has no port as its {role}")]
    NoSuchRole {
        /// The app.
        app: AppKey,
        /// The role.
        role: Role,
    },
    /// A directory of apps does not let itself be listed, so that no file in it would follow.
    #[error("the apps directory {} cannot be read: {reason}", .path.display())]
    NoAppsDirectory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl RepairRefused {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            RepairRefused::NoAppsDirectory { .. } => {
                "name the folder that has a folder for each model"
            }
            RepairRefused::Runs(_) => "stop it first, or add --include-running",
            RepairRefused::NoSuchRole { .. } => "`portbook get` shows the roles that it has",
        }
    }
}

/// What is to move, and what stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct RepairIntent {
    /// The moves, to be carried out together.
    pub(crate) moves: Vec<Move>,
    /// What is wrong and stays.
    pub(crate) left: Vec<Unmoved>,
    /// Rows that another hand wrote and that the history knows of once they have moved.
    pub(crate) healed: Vec<Conflict>,
}

impl PortAllocationService {
    /// What [`repair`](Self::repair) would do now.
    pub fn preview_repair(&self, request: &RepairRequest) -> Result<Repair, Error> {
        request.can_be_carried_out()?;
        let (intent, mut notes) = self.intent(request)?;
        let mut left = self.conflicts_that_count(request)?;
        left.retain(|conflict| !intent.resolves(conflict));
        let moved = self.preview_relocation(intent.moves.clone())?;
        let (files, of_files) = self.repair_files(request, &moved, Phase::Planned)?;
        notes.extend(of_files);
        Ok(Repair {
            applied: false,
            moves: moved_ports(&intent.moves, &moved),
            left: intent.explained(left),
            files,
            notes,
        })
    }

    /// Moves what is in conflict to eligible ports, all of it in one commit, and then brings the files
    /// of every app that was ever moved up to date, each at once and with the old one kept.
    ///
    /// Killed between the commit and the last file, the next repair goes on where this one stopped.
    pub fn repair(&self, request: &RepairRequest) -> Result<Repair, Error> {
        request.can_be_carried_out()?;
        let (intent, mut notes) = self.intent(request)?;
        let moved = match intent.moves.is_empty() {
            true => Vec::new(),
            false => self.relocate(intent.moves.clone())?,
        };
        let (files, of_files) = self.repair_files(request, &moved, Phase::Committed)?;
        notes.extend(of_files);
        Ok(Repair {
            applied: true,
            moves: moved_ports(&intent.moves, &moved),
            left: intent.explained(self.conflicts_that_count(request)?),
            files,
            notes,
        })
    }

    /// Looks at the files of every app that was ever moved, and brings them up to date once the moves are
    /// made. Of a move by hand only that app's files are meant.
    fn repair_files(
        &self,
        request: &RepairRequest,
        moves: &[MovedApp],
        phase: Phase,
    ) -> Result<(Vec<FileRepair>, Vec<String>), Error> {
        let history = self.history(None, None, None)?;
        let mut stations = Stations::of(&history);
        let (mut files, mut notes) = (Vec::new(), Vec::new());
        for held in self.allocations(None)? {
            let by_hand = request.by_hand.as_ref();
            if by_hand.is_some_and(|by_hand| by_hand.app != held.app) {
                continue;
            }
            let standing = stations.remove(&held.app);
            let mut standing = standing.unwrap_or_else(|| Stations::standing(held.ports.clone()));
            let own = moves.iter().filter(|step| step.app == held.app);
            let homes = homes(&held, &request.apps_directories);
            if homes.is_empty() && own.clone().next().is_some() {
                notes.push(format!(
                    "no directory of {} is known, so no file of it follows: `portbook repair --apps-dir DIR` looks for `DIR/{}/app{}`",
                    held.app,
                    held.app.model.identity(),
                    held.app.number
                ));
            }
            if phase == Phase::Planned {
                standing = own.fold(standing, Stations::after);
            }
            if standing.past.is_empty() || homes.is_empty() {
                continue;
            }
            let names = self.project_names(&held.app)?;
            for (directory, template) in homes {
                let mut plan = FilePlan::of(&AppFiles {
                    app: &held.app,
                    directory: &directory,
                    template: template.as_deref(),
                    names: &names,
                    stations: &standing,
                });
                notes.append(&mut plan.notes);
                files.extend(match phase {
                    Phase::Planned => plan.preview(&held.app),
                    Phase::Committed => plan.apply(&held.app),
                });
            }
        }
        Ok((files, notes))
    }

    /// What is to move and what stays, and a sentence for each engine that did not answer.
    fn intent(&self, request: &RepairRequest) -> Result<(RepairIntent, Vec<String>), Error> {
        if let Some(by_hand) = &request.by_hand {
            let held = self.get(&by_hand.app)?;
            let (containers, notes) = self.live_containers(&request.engines)?;
            let intent = RepairIntent {
                moves: self.moves_by_hand(held, by_hand, &containers, request.include_running)?,
                ..RepairIntent::default()
            };
            return Ok((intent, notes));
        }
        if let AskEngines::IfThere(_) = &request.engines {
            // Engines are slow to answer, and asked only where it matters.
            let unasked = LiveContainers::default();
            let intent = self.repair_intent(&unasked, request.include_running)?;
            if intent.moves.is_empty() && intent.left.is_empty() {
                return Ok((intent, Vec::new()));
            }
        }
        let (containers, notes) = self.live_containers(&request.engines)?;
        let intent = self.repair_intent(&containers, request.include_running)?;
        Ok((intent, notes))
    }

    fn live_containers(
        &self,
        engines: &AskEngines,
    ) -> Result<(LiveContainers, Vec<String>), Error> {
        let (surroundings, has_to_answer) = match engines {
            AskEngines::Never => return Ok(Default::default()),
            AskEngines::IfThere(surroundings) => (surroundings, false),
            AskEngines::Always(surroundings) => (surroundings, true),
        };
        let (live, silent) = match self.apps_in_containers(surroundings) {
            Ok(found) => found,
            Err(Error::Engine(EngineError::Nowhere(_))) if !has_to_answer => Default::default(),
            Err(Error::Engine(error)) if !has_to_answer => (LiveContainers::default(), vec![error]),
            Err(error) => return Err(error),
        };
        let silent = silent.iter();
        let silent =
            silent.map(|error| format!("{error}; which apps run in its containers is not known"));
        Ok((live, silent.collect()))
    }

    fn moves_by_hand(
        &self,
        held: Allocation,
        by_hand: &MoveByHand,
        containers: &LiveContainers,
        include_running: bool,
    ) -> Result<Vec<Move>, Error> {
        let run = held.notes.run.as_ref();
        let runs = || -> Result<bool, Error> {
            let by_note = run.is_some_and(|run| is_running(&run.process));
            let in_container = containers.running.contains(&held.app);
            Ok(by_note || in_container || self.apps_that_answer(containers)?.contains(&held.app))
        };
        if !include_running && runs()? {
            return Err(RepairRefused::Runs(held.app).into());
        }
        let step = |role: &Role, to: Option<Port>| {
            let from = held.ports.get(role).copied();
            let from = from.ok_or_else(|| RepairRefused::NoSuchRole {
                app: held.app.clone(),
                role: role.clone(),
            })?;
            Ok(Move {
                app: held.app.clone(),
                role: role.clone(),
                from,
                to,
                why: "asked".to_owned(),
            })
        };
        match by_hand.to.is_empty() {
            true => held.ports.keys().map(|role| step(role, None)).collect(),
            false => by_hand
                .to
                .iter()
                .map(|(role, port)| step(role, Some(*port)))
                .collect(),
        }
    }

    /// The conflicts that there are now, but for warnings. Who moves an app by hand has not asked.
    fn conflicts_that_count(&self, request: &RepairRequest) -> Result<Vec<Conflict>, Error> {
        if request.by_hand.is_some() {
            return Ok(Vec::new());
        }
        let mut conflicts = self.check_port_conflicts()?;
        conflicts.retain(|conflict| !conflict.kind.is_warning());
        Ok(conflicts)
    }
}

/// How far a repair has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The history does not know of the moves.
    Planned,
    /// It does.
    Committed,
}

/// Where the app's files are, each place once, with the template where they were made from one.
fn homes(held: &Allocation, apps_directories: &[PathBuf]) -> BTreeMap<PathBuf, Option<String>> {
    let mut homes = BTreeMap::new();
    let app = &held.app;
    for apps in apps_directories {
        let home = apps
            .join(app.model.identity())
            .join(format!("app{}", app.number));
        if let Ok(home) = home.canonicalize() {
            homes.insert(home, None);
        }
    }
    if let Some(remembered) = &held.notes.directory
        && let Ok(home) = Path::new(&remembered.path).canonicalize()
    {
        homes.insert(home, remembered.template.clone());
    }
    homes
}

impl RepairIntent {
    /// Whether the conflict is gone once the moves are made.
    fn resolves(&self, conflict: &Conflict) -> bool {
        let is_left = self.left.iter().any(|left| {
            kind_of(&left.fault) == conflict.kind && concerns(conflict, &left.app, left.port)
        });
        let mut moves = self.moves.iter();
        let moves = moves.any(|step| concerns(conflict, &step.app, step.from));
        (moves && !is_left) || self.healed.contains(conflict)
    }

    fn explained(&self, conflicts: Vec<Conflict>) -> Vec<LeftConflict> {
        let explained = |conflict: Conflict| {
            let mut unmoved = self.left.iter();
            let unmoved = unmoved.find(|left| concerns(&conflict, &left.app, left.port));
            let why = match unmoved {
                Some(unmoved) => format!("{} stays: {}", unmoved.app, unmoved.hindrance),
                None => conflict.hint.clone(),
            };
            LeftConflict { conflict, why }
        };
        conflicts.into_iter().map(explained).collect()
    }
}

fn concerns(conflict: &Conflict, app: &AppKey, port: Port) -> bool {
    conflict.port == Some(port) && conflict.apps.contains(&app.to_string())
}

/// What a check calls it.
fn kind_of(fault: &Fault) -> ConflictKind {
    match fault {
        Fault::PromisedElsewhere(_) | Fault::PromisedToOther(_) | Fault::PromisedForRole(_) => {
            ConflictKind::PreConfigMismatch
        }
        Fault::HeldTwice { .. } => ConflictKind::DuplicatePort,
        Fault::InPool(_) => ConflictKind::PoolTrespass,
        Fault::InUse(_) => ConflictKind::HostInUse,
        Fault::BrowserBlocked => ConflictKind::BrowserBlocked,
    }
}

/// The moves with where they led.
fn moved_ports(moves: &[Move], moved: &[MovedApp]) -> Vec<MovedPort> {
    let port = |step: &Move| {
        let app = moved.iter().find(|moved| moved.app == step.app)?;
        Some(MovedPort {
            app: app.app.clone(),
            role: step.role.clone(),
            from: step.from,
            to: *app.to.get(&step.role)?,
            why: step.why.clone(),
        })
    };
    let mut ports: Vec<MovedPort> = moves.iter().filter_map(port).collect();
    ports.sort();
    ports
}
