//! Commands that run with an app's ports: what the book remembers of them, and what becomes of the ports
//! when they end.

use portbook_host::{HostError, descends_from};
use portbook_model::{
    Allocation, AppKey, Ask, Grant, Holder, Note, Outcome, Ports, ProcessIdentity, ReleaseCause,
    Run, RunRequest,
};

use crate::ownership::{PortUse, Whose, is_part_of, is_running, port_uses};
use crate::service::internal;
use crate::{Error, PortAllocationService, process_identity};

/// What a command that begins to run is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunRun {
    /// The app's ports.
    pub grant: Grant,
    /// How the command stands to the one that the book remembers.
    pub place: RunPlace,
}

/// How a command stands to the one that the book remembers as the app's run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunPlace {
    /// It is that one.
    Noted(Run),
    /// It was started by that one.
    Within(Run),
    /// That one is another, and still runs.
    Beside(Run),
}

/// What became of an app when its command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndedRun {
    /// The book remembers no run of it any more. The ports stay the app's.
    Forgotten,
    /// The app was made for the run, and gave these ports back.
    Released(Ports),
    /// The app goes on: what the command started, or a container, still has one of its ports. Nothing
    /// was released.
    GoesOn(Holder),
    /// The command is not the one that the book remembers: nothing was changed.
    NotNoted,
}

impl PortAllocationService {
    /// Gets or allocates an app's ports and has the book remember the process that is about to run with
    /// them, in one atomic step. A run that is remembered and still alive stands.
    ///
    /// With `request.release_on_exit`, an app that this call makes, or that an earlier such run left
    /// behind, is the run's own: [`end_run`](Self::end_run) releases it, or `cleanup` once the process
    /// is gone.
    pub fn begin_run(&self, mut request: RunRequest) -> Result<BegunRun, Error> {
        // A run that ends just now may give way to another one, which may end too.
        const PATIENCE: usize = 100;
        for _ in 0..PATIENCE {
            let asks = vec![Ask::BeginRun(request.clone())];
            let mut answers = self.submit_knowing(self.promises_now()?, asks)?;
            let (grant, standing) = match answers.pop() {
                Some(Ok(Outcome::RunBegun { grant, standing })) => (grant, standing),
                Some(Err(refusal)) => return Err(refusal.into()),
                other => return Err(internal("a run", other)),
            };
            let place = match (standing, &grant.allocation.notes.run) {
                (None, Some(run)) => RunPlace::Noted(run.clone()),
                (None, None) => return Err(internal("the note of a run", grant)),
                (Some(run), _) if is_part_of(request.process.pid, &run.process) => {
                    RunPlace::Within(run)
                }
                (Some(run), _) if is_running(&run.process) => RunPlace::Beside(run),
                (Some(run), _) => {
                    request.ended = Some(run.process);
                    continue;
                }
            };
            return Ok(BegunRun { grant, place });
        }
        Err(internal("a run that stands", request))
    }

    /// Has the book remember that a command has ended, and releases the app if it was made for it.
    ///
    /// `survivors` are processes that the command left behind. Where one of them, or somebody that it
    /// started, has one of the app's ports, it is remembered as the app's run instead. An app of whose
    /// ports a container has one is not released either: `cleanup` sees to it once that is gone.
    pub fn end_run(
        &self,
        app: &AppKey,
        process: &ProcessIdentity,
        survivors: &[u32],
    ) -> Result<EndedRun, Error> {
        loop {
            let allocation = match self.get(app) {
                Ok(allocation) => allocation,
                Err(Error::NotFound(_) | Error::Lapsed { .. }) => return Ok(EndedRun::NotNoted),
                Err(error) => return Err(error),
            };
            let noted = allocation.notes.run.clone();
            let Some(run) = noted.filter(|run| run.process == *process) else {
                return Ok(EndedRun::NotNoted);
            };
            if let Some((holder, heir)) = self.holder_left(&allocation, &run, survivors)? {
                if let Some(process) = heir {
                    let run = Run { process, ..run };
                    self.note(vec![(app.clone(), Note::Run(run))])?;
                }
                return Ok(EndedRun::GoesOn(holder));
            }
            if !run.release_on_exit {
                let note = Note::RunEnded(process.clone());
                self.note(vec![(app.clone(), note)])?;
                return Ok(EndedRun::Forgotten);
            }
            let ports = allocation.ports.clone();
            // Whatever changed meanwhile is looked at anew.
            if !self
                .reclaim(vec![(allocation, ReleaseCause::RunEnded)])?
                .is_empty()
            {
                return Ok(EndedRun::Released(ports));
            }
        }
    }

    /// Who still has one of the app's ports on the ended command's behalf, and the survivor that is to
    /// be remembered for it.
    fn holder_left(
        &self,
        allocation: &Allocation,
        run: &Run,
        survivors: &[u32],
    ) -> Result<Option<(Holder, Option<ProcessIdentity>)>, HostError> {
        if !self.checks_host() || (survivors.is_empty() && !run.release_on_exit) {
            return Ok(None);
        }
        let left = |PortUse { holder, whose, .. }: PortUse<'_>| {
            let pid = holder.process.as_ref()?.pid;
            let is_of = |survivor: &&u32| **survivor == pid || descends_from(pid, **survivor);
            let heir = survivors.iter().find(is_of);
            let heir = heir.and_then(|survivor| process_identity(*survivor));
            let stays = heir.is_some() || (run.release_on_exit && whose == Whose::Engine);
            stays.then_some((holder, heir))
        };
        let uses = port_uses(std::slice::from_ref(allocation))?;
        Ok(uses.into_iter().find_map(left))
    }
}
