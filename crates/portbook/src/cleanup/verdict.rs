//! What follows from what was seen of an app.

use std::path::PathBuf;

use portbook_model::{Allocation, ReleaseCause, Timestamp};

use super::directory::DirectorySighting;

/// What a look at this host found of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sighting {
    pub(super) directory: DirectorySighting,
    /// Whether its command runs, or somebody who may be the app has one of its ports.
    pub(super) is_alive: bool,
    pub(super) container: ContainerSighting,
}

/// Whether an app has a container, running or not: one that does not run wants its ports back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ContainerSighting {
    None,
    Found,
    /// It cannot be told, and why.
    Untold(String),
}

/// Whether an app is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    There,
    Gone {
        why: ReleaseCause,
        directory: Option<PathBuf>,
    },
    /// It cannot be told, and why.
    Untold(String),
}

impl Sighting {
    /// An app that runs is there, wherever its directory went; only a lease ends all the same. An app
    /// whose directory nobody knows is there as long as nothing else speaks against it.
    pub(super) fn verdict(self, allocation: &Allocation, now: Timestamp) -> Verdict {
        let gone = |why| Verdict::Gone {
            why,
            directory: None,
        };
        if allocation.has_lapsed(now) {
            return gone(ReleaseCause::LeaseEnded);
        }
        if self.is_alive {
            return Verdict::There;
        }
        let run = allocation.notes.run.as_ref();
        if run.is_some_and(|run| run.release_on_exit) {
            return match self.container {
                ContainerSighting::None => gone(ReleaseCause::RunEnded),
                ContainerSighting::Found => Verdict::There,
                ContainerSighting::Untold(reason) => Verdict::Untold(reason),
            };
        }
        match self.directory {
            DirectorySighting::Unsought | DirectorySighting::Found => Verdict::There,
            DirectorySighting::Gone(directory) => Verdict::Gone {
                why: ReleaseCause::DirectoryGone,
                directory: Some(directory),
            },
            DirectorySighting::Untold(reason) => Verdict::Untold(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use portbook_model::{
        AppKey, Lease, Model, Notes, Ports, ProcessIdentity, Run, Source, Span, Timestamp,
    };

    use super::*;

    const NOW: i64 = 1_000_000;

    fn allocation(ends: Option<i64>, release_on_exit: Option<bool>) -> Allocation {
        let lease = ends.map(|end| Lease {
            expires_at: Timestamp::from_millis(end),
            ttl: Span::from_millis(1),
        });
        let run = release_on_exit.map(|release_on_exit| Run {
            process: ProcessIdentity {
                pid: 1,
                start_time: 1,
                boot: "another".to_owned(),
            },
            release_on_exit,
        });
        Allocation {
            app: AppKey::new(Model::new("m").unwrap(), "1".parse().unwrap()),
            ports: Ports::new(),
            source: Source::Dynamic,
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
            lease,
            notes: Notes {
                run,
                ..Notes::default()
            },
        }
    }

    fn verdict(allocation: &Allocation, directory: DirectorySighting, is_alive: bool) -> Verdict {
        let sighting = Sighting {
            directory,
            is_alive,
            container: ContainerSighting::None,
        };
        sighting.verdict(allocation, Timestamp::from_millis(NOW))
    }

    fn cause(verdict: Verdict) -> Option<ReleaseCause> {
        match verdict {
            Verdict::Gone { why, .. } => Some(why),
            _ => None,
        }
    }

    #[test]
    fn an_app_that_runs_is_no_orphan_whatever_else_is_gone() {
        let gone = || DirectorySighting::Gone("/srv/m/app1".into());
        for release_on_exit in [None, Some(true), Some(false)] {
            let app = allocation(None, release_on_exit);
            assert_eq!(verdict(&app, gone(), true), Verdict::There);
        }
    }

    #[test]
    fn each_way_of_being_gone_has_its_cause() {
        let gone = || DirectorySighting::Gone("/srv/m/app1".into());
        let of = |app: &Allocation, directory| cause(verdict(app, directory, false));
        let plain = allocation(None, None);
        assert_eq!(of(&plain, gone()), Some(ReleaseCause::DirectoryGone));
        assert_eq!(of(&plain, DirectorySighting::Found), None);
        assert_eq!(of(&plain, DirectorySighting::Unsought), None);
        assert_eq!(of(&plain, DirectorySighting::Untold("why".into())), None);
        let lapsed = allocation(Some(NOW), None);
        assert_eq!(
            of(&lapsed, DirectorySighting::Found),
            Some(ReleaseCause::LeaseEnded)
        );
        let leased = allocation(Some(NOW + 1), None);
        assert_eq!(of(&leased, DirectorySighting::Found), None);
        let made_for_a_run = allocation(None, Some(true));
        assert_eq!(
            of(&made_for_a_run, DirectorySighting::Found),
            Some(ReleaseCause::RunEnded)
        );
        let ran_once = allocation(None, Some(false));
        assert_eq!(of(&ran_once, DirectorySighting::Found), None);
    }

    #[test]
    fn what_was_made_for_a_run_is_there_as_long_as_it_has_a_container() {
        let app = allocation(None, Some(true));
        let of = |container| {
            let sighting = Sighting {
                directory: DirectorySighting::Unsought,
                is_alive: false,
                container,
            };
            sighting.verdict(&app, Timestamp::from_millis(NOW))
        };
        assert_eq!(of(ContainerSighting::Found), Verdict::There);
        let silent = || "the engine is silent".to_owned();
        assert_eq!(
            of(ContainerSighting::Untold(silent())),
            Verdict::Untold(silent())
        );
        assert_eq!(
            cause(of(ContainerSighting::None)),
            Some(ReleaseCause::RunEnded)
        );
    }
}
