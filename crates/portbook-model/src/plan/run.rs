//! How a command comes to run with an app's ports.

use super::Draft;
use super::allocate::wanted_roles;
use crate::{AllocationRequest, Change, Note, Outcome, Ports, Refusal, Run, RunRequest};

impl Draft<'_> {
    /// Ports for the app, and the note of who is to run with them: two commands that begin at one moment
    /// are not both noted, and a run that still stands is not forgotten for one beside it.
    pub(super) fn begin_run(&mut self, request: &RunRequest) -> Result<Outcome, Refusal> {
        let wish = AllocationRequest {
            roles: request.roles.clone(),
            ..AllocationRequest::plain(vec![request.app.clone()])
        };
        let roles = wanted_roles(&wish, self.policy)?;
        let lease = request.ttl.map(|ttl| self.lease(ttl)).transpose()?;
        let mut grant = self.grant(&request.app, &roles, &Ports::new(), lease, false)?;
        let standing = grant.allocation.notes.run.clone();
        if let Some(run) = &standing
            && Some(&run.process) != request.ended.as_ref()
        {
            return Ok(Outcome::RunBegun { grant, standing });
        }
        let is_made_for_runs = grant.created || standing.is_some_and(|run| run.release_on_exit);
        let run = Run {
            process: request.process.clone(),
            release_on_exit: request.release_on_exit && is_made_for_runs,
        };
        let notes = grant.allocation.notes.with(&Note::Run(run), self.now);
        self.record(Change::Noted {
            app: grant.allocation.app.clone(),
            notes: notes.clone(),
        });
        grant.allocation.notes = notes;
        Ok(Outcome::RunBegun {
            grant,
            standing: None,
        })
    }
}
