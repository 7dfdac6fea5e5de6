//! Cleanup: the ports of apps that are gone are given back, and those of no others.
//!
//! An app is an orphan when its directory is gone, its lease has ended, or the run that it was made
//! for has. What was not seen once is only noted; what is still not there after the grace is released.
//! Where a look cannot be trusted nothing is released at all: a volume that is not mounted is not a
//! thousand orphans.
//!
//! | question | file |
//! | --- | --- |
//! | is the app's directory gone, or can that not be told | `directory.rs` |
//! | what follows from what was seen, and when | `verdict.rs` |

mod directory;
mod verdict;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use portbook_engine::Surroundings;
use portbook_model::{
    Allocation, AppKey, Ask, ModelPattern, Note, Outcome, Ports, ReleaseCause, Span, Timestamp,
};
use serde::Serialize;

use crate::check::{Conflict, ConflictKind};
use crate::desk::Held;
use crate::ownership::{PortUse, apps_that_answer, is_running};
use crate::service::internal;
use crate::truths::LiveContainers;
use crate::{Error, PortAllocationService};
use directory::DirectorySighting;
use verdict::{ContainerSighting, Sighting, Verdict};

/// What is to be looked for, and how far a cleanup may go.
#[derive(Debug, Clone)]
pub struct CleanupRequest {
    /// The apps of these models only; `None`: every app.
    pub models: Option<ModelPattern>,
    /// The directory that has every app's as `{model identity}/app{n}`; without it, only apps whose
    /// directory the book remembers are looked for.
    pub apps_directory: Option<PathBuf>,
    /// How long an app has to be missing before it is released.
    pub grace: Span,
    /// The largest share of the apps that are looked for that may go at once.
    pub max_share: Share,
    /// Where to look for container engines; without it, no app is taken to have a container.
    pub engines: Option<Surroundings>,
}

impl CleanupRequest {
    /// Seven days.
    pub const GRACE: Span = Span::from_millis(7 * 86_400_000);
}

impl Default for CleanupRequest {
    fn default() -> Self {
        Self {
            models: None,
            apps_directory: None,
            grace: Self::GRACE,
            max_share: Share::default(),
            engines: None,
        }
    }
}

/// A share of something in whole percent, 0 to 100, written `20%` or `20`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u8);

/// What was given is not a share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a share: write it in whole percent, from 0% to 100%")]
pub struct InvalidShare(pub String);

impl Share {
    /// Whether `part` of `whole` is more than this.
    pub fn is_exceeded_by(self, part: usize, whole: usize) -> bool {
        part * 100 > whole * usize::from(self.0)
    }
}

impl Default for Share {
    /// 20 %.
    fn default() -> Self {
        Share(20)
    }
}

impl FromStr for Share {
    type Err = InvalidShare;
    fn from_str(text: &str) -> Result<Self, InvalidShare> {
        let invalid = || InvalidShare(text.to_owned());
        let digits = text.strip_suffix('%').unwrap_or(text).trim_end();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid());
        }
        let percent: u8 = digits.parse().map_err(|_| invalid())?;
        (percent <= 100)
            .then_some(Share(percent))
            .ok_or_else(invalid)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// Why nothing is cleaned up.
#[derive(Debug, thiserror::Error)]
pub enum CleanupRefused {
    /// There is no apps directory.
    #[error("the apps directory {} is missing, which makes no app an orphan", .0.display())]
    Missing(PathBuf),
    /// The apps directory is something else.
    #[error("{} is not a folder, so no app can be looked for in it", .0.display())]
    NotAFolder(PathBuf),
    /// The apps directory has no folder in it.
    #[error("the apps directory {} holds no folder, as where a volume is not mounted", .0.display())]
    Empty(PathBuf),
    /// The apps directory cannot be read.
    #[error("the apps directory {} cannot be read: {reason}", .path.display())]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// More apps would go than may.
    #[error("{due} of {apps} apps would go, which is more than {max_share}")]
    TooMany {
        /// The apps that would be released.
        due: usize,
        /// The apps that there are.
        apps: usize,
        /// How many may go.
        max_share: Share,
    },
}

impl CleanupRefused {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            CleanupRefused::Missing(_) | CleanupRefused::NotAFolder(_) => {
                "name the folder that has a folder for each model"
            }
            CleanupRefused::Empty(_) => "mount it, or `portbook release` what is gone for good",
            CleanupRefused::Unreadable { .. } => "run it as a user who may read it",
            CleanupRefused::TooMany { .. } => {
                "if they are gone for good, allow a larger --max-share; 100% shows them all"
            }
        }
    }
}

/// What a cleanup finds, and what it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Cleanup {
    /// Whether it was carried out, or only looked at.
    pub applied: bool,
    /// The apps that are gone, by model, then app number.
    pub orphans: Vec<Orphan>,
    /// The apps of which it cannot be told.
    pub untold: Vec<Untold>,
}

/// An app that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Orphan {
    /// The app.
    #[serde(flatten)]
    pub app: AppKey,
    /// The ports that it holds.
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, u16>))]
    pub ports: Ports,
    /// In which way it is gone.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub why: ReleaseCause,
    /// The directory that was looked for, where that is what is gone.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub directory: Option<PathBuf>,
    /// When it was first missed: now, if this look is the first.
    pub since: Timestamp,
    /// When it is to be released.
    pub due: Timestamp,
    /// What becomes of it.
    pub state: OrphanState,
}

/// What becomes of an orphan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum OrphanState {
    /// The grace is not over.
    Waiting,
    /// It would be released.
    Due,
    /// It was released.
    Released,
    /// It changed between the look and the release, and was left alone.
    CameBack,
}

/// An app of which it cannot be told whether it is gone: it is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Untold {
    /// The app.
    #[serde(flatten)]
    pub app: AppKey,
    /// Why it cannot be told.
    pub reason: String,
}

/// A look at every app: what to show, and what to do.
struct Survey {
    cleanup: Cleanup,
    notes: Vec<(AppKey, Note)>,
    /// The allocations that are due, as they were seen.
    due: Vec<(Allocation, ReleaseCause)>,
}

impl PortAllocationService {
    /// Which apps are gone, and what [`clean_up`](Self::clean_up) would do about it; nothing is changed,
    /// not even noted.
    pub fn preview_cleanup(&self, request: &CleanupRequest) -> Result<Cleanup, Error> {
        Ok(self.survey(request)?.cleanup)
    }

    /// Notes which apps are missing and releases those that have been for longer than the grace, all in
    /// one commit.
    ///
    /// An app that changed since it was looked at is left alone.
    pub fn clean_up(&self, request: &CleanupRequest) -> Result<Cleanup, Error> {
        let Survey {
            mut cleanup,
            notes,
            due,
        } = self.survey(request)?;
        let lapsed = |orphan: &&Orphan| orphan.why == ReleaseCause::LeaseEnded;
        // Any change of the book reclaims the leases that have ended before it does anything else.
        let mut gone: BTreeSet<AppKey> = cleanup
            .orphans
            .iter()
            .filter(lapsed)
            .map(|orphan| orphan.app.clone())
            .collect();
        if !cleanup.orphans.is_empty() || !notes.is_empty() {
            let asks = vec![Ask::Note { notes }, Ask::Reclaim { orphans: due }];
            match self.submit(asks)?.pop() {
                Some(Ok(Outcome::Reclaimed(reclaimed))) => gone.extend(reclaimed),
                Some(Err(refusal)) => return Err(refusal.into()),
                other => return Err(internal("reclaimed apps", other)),
            }
        }
        cleanup.applied = true;
        for orphan in &mut cleanup.orphans {
            if orphan.state == OrphanState::Due {
                orphan.state = match gone.contains(&orphan.app) {
                    true => OrphanState::Released,
                    false => OrphanState::CameBack,
                };
            }
        }
        Ok(cleanup)
    }

    fn survey(&self, request: &CleanupRequest) -> Result<Survey, Error> {
        let apps_directory = match &request.apps_directory {
            Some(path) => Some(directory::open(path)?),
            None => None,
        };
        let Held { allocations, now } = self.held(request.models.clone())?;
        let alive = self.apps_that_answer(&LiveContainers::default())?;
        let mut survey = Survey {
            cleanup: Cleanup {
                applied: false,
                orphans: Vec::new(),
                untold: Vec::new(),
            },
            notes: Vec::new(),
            due: Vec::new(),
        };
        let is_alive = |held: &Allocation| {
            let run = held.notes.run.as_ref();
            run.is_some_and(|run| is_running(&run.process)) || alive.contains(&held.app)
        };
        let was_made_for_a_run = |held: &Allocation| {
            let run = held.notes.run.as_ref();
            run.is_some_and(|run| run.release_on_exit) && !is_alive(held)
        };
        // Engines are slow to answer, and asked only where it matters.
        let engines = request.engines.as_ref();
        let engines = engines.filter(|_| allocations.iter().any(was_made_for_a_run));
        let contained = match engines {
            Some(surroundings) => self.apps_with_containers(surroundings, &allocations)?,
            None => Ok(BTreeSet::new()),
        };
        for allocation in allocations.iter() {
            let sighting = Sighting {
                directory: DirectorySighting::of(allocation, apps_directory.as_ref()),
                is_alive: is_alive(allocation),
                container: match &contained {
                    Ok(apps) if apps.contains(&allocation.app) => ContainerSighting::Found,
                    Ok(_) => ContainerSighting::None,
                    Err(silent) => ContainerSighting::Untold(silent.to_string()),
                },
            };
            survey.take(allocation, sighting, request.grace, now);
        }
        let (due, apps) = (survey.due.len(), allocations.len());
        if request.max_share.is_exceeded_by(due, apps) {
            let max_share = request.max_share;
            return Err(CleanupRefused::TooMany {
                due,
                apps,
                max_share,
            }
            .into());
        }
        Ok(survey)
    }
}

/// The apps whose remembered directory is gone and that nobody may be: worth a warning.
pub(crate) fn orphans(
    allocations: &[Allocation],
    uses: &[PortUse<'_>],
    now: Timestamp,
) -> Vec<Conflict> {
    let alive = apps_that_answer(uses, &LiveContainers::default());
    let orphan = |held: &Allocation| {
        let run = held.notes.run.as_ref();
        let runs = run.is_some_and(|run| is_running(&run.process));
        let sighting = Sighting {
            directory: DirectorySighting::of(held, None),
            is_alive: runs || alive.contains(&held.app),
            container: ContainerSighting::Untold("no engine was asked".to_owned()),
        };
        let Verdict::Gone {
            directory: Some(directory),
            ..
        } = sighting.verdict(held, now)
        else {
            return None;
        };
        Some(Conflict {
            kind: ConflictKind::Orphan,
            port: held.ports.values().next().copied(),
            apps: vec![held.app.to_string()],
            message: format!(
                "{}, the directory of {}, is gone",
                directory.display(),
                held.app
            ),
            hint: "`portbook cleanup` releases the app once it has been missing for a while"
                .to_owned(),
            place: None,
        })
    };
    allocations.iter().filter_map(orphan).collect()
}

impl Survey {
    /// Puts down what follows from a sighting.
    fn take(&mut self, allocation: &Allocation, sighting: Sighting, grace: Span, now: Timestamp) {
        let app = &allocation.app;
        let (why, directory) = match sighting.verdict(allocation, now) {
            Verdict::There => {
                if allocation.notes.missing_since.is_some() {
                    self.notes.push((app.clone(), Note::Found));
                }
                return;
            }
            Verdict::Untold(reason) => {
                let app = app.clone();
                self.cleanup.untold.push(Untold { app, reason });
                return;
            }
            Verdict::Gone { why, directory } => (why, directory),
        };
        // A lease says itself when it ends, and then its ports are anybody's.
        let lease_end = allocation.lease.map(|lease| lease.expires_at);
        let (since, due) = match (why, lease_end) {
            (ReleaseCause::LeaseEnded, Some(end)) => (end, end),
            _ => {
                let since = allocation.notes.missing_since.unwrap_or(now);
                (since, since.after(grace.duration()))
            }
        };
        let state = match due <= now {
            true => OrphanState::Due,
            false => OrphanState::Waiting,
        };
        if state == OrphanState::Waiting {
            if allocation.notes.missing_since.is_none() {
                self.notes.push((app.clone(), Note::Missing));
            }
        } else if why != ReleaseCause::LeaseEnded {
            self.due.push((allocation.clone(), why));
        }
        self.cleanup.orphans.push(Orphan {
            app: app.clone(),
            ports: allocation.ports.clone(),
            why,
            directory,
            since,
            due,
            state,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_whole_percent() {
        let share = |text: &str| text.parse::<Share>();
        assert_eq!(share("20%"), Ok(Share(20)));
        assert_eq!(share("20"), Ok(Share(20)));
        assert_eq!(share("20 %"), Ok(Share(20)));
        for bad in ["", "%", "-1%", "101%", "0.2", "256", "+5", "1e1"] {
            assert!(share(bad).is_err(), "{bad:?} was taken for a share");
        }
    }

    #[test]
    fn a_share_is_exceeded_by_more_than_it_only() {
        assert!(!Share(20).is_exceeded_by(1, 5));
        assert!(Share(20).is_exceeded_by(2, 9));
        assert!(!Share(100).is_exceeded_by(9, 9));
        assert!(!Share(0).is_exceeded_by(0, 0));
        assert!(Share(0).is_exceeded_by(1, 1000));
    }
}
