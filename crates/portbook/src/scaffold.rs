//! An app made from a template, with its ports filled in.

use std::collections::BTreeSet;
use std::path::PathBuf;

use portbook_apps::ProjectNames;
use portbook_apps::template::{
    self, Destination, Existing, Placeholders, Progress, Scaffolded, Survey, Template,
};
use portbook_model::{
    AllocationRequest, AppDirectory, AppKey, Grant, Note, ReleaseCause, Role, Space,
};
use serde::Serialize;

use crate::{AllocationRecord, Error, PortAllocationService};

/// Which app is to be made of what, and where.
#[derive(Debug, Clone)]
pub struct ScaffoldRequest {
    /// What it is made of.
    pub template: Template,
    /// Where its files go.
    pub destination: PathBuf,
    /// What becomes of files that are there.
    pub existing: Existing,
    /// The app.
    pub app: AppKey,
    /// Roles besides those that every app gets.
    pub roles: BTreeSet<Role>,
}

/// An app that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaffold {
    /// Its ports.
    pub grant: Grant,
    /// What it is called in short.
    pub names: ProjectNames,
    /// Where its files are, as the book remembers it from now on.
    pub directory: AppDirectory,
    /// How many files and links it was given.
    pub files: usize,
    /// What was replaced, where it is kept.
    pub kept: Vec<PathBuf>,
}

impl PortAllocationService {
    /// Makes an app: gets or allocates its ports, writes the template's tree with them filled in, and
    /// remembers where.
    ///
    /// All of it or nothing: when it fails, the destination is as it was, and what this call allocated
    /// is given back, also a role that it added to an app that was there. A process that is killed
    /// half-way leaves at most an allocation, which is the app's when it asks again, and a hidden folder
    /// beside the destination, which the next call for that destination removes.
    pub fn scaffold(
        &self,
        request: &ScaffoldRequest,
        progress: &mut Progress<'_>,
    ) -> Result<Scaffold, Error> {
        let survey = Survey::of(&request.template, progress)?;
        let destination = Destination::of(&request.destination, &survey, request.existing)?;
        let mut grants = self.allocate(&AllocationRequest {
            roles: request.roles.clone(),
            ..AllocationRequest::plain(vec![request.app.clone()])
        })?;
        let Some(grant) = grants.pop() else {
            return Err(Error::Internal("a grant expected, none found".to_owned()));
        };
        match self.fill_in(&survey, &destination, &grant, progress) {
            Ok((names, written)) => self.remember(&survey, &destination, grant, names, written),
            Err(error) => {
                self.take_back(grant);
                Err(error)
            }
        }
    }

    fn fill_in(
        &self,
        survey: &Survey,
        destination: &Destination,
        grant: &Grant,
        progress: &mut Progress<'_>,
    ) -> Result<(ProjectNames, Scaffolded), Error> {
        let allocation = &grant.allocation;
        let names = self.project_names(&allocation.app)?;
        let values = Placeholders::of_app(&allocation.app, &allocation.ports, &names);
        let written = template::scaffold(survey, destination, &values, progress)?;
        Ok((names, written))
    }

    fn remember(
        &self,
        survey: &Survey,
        destination: &Destination,
        grant: Grant,
        names: ProjectNames,
        written: Scaffolded,
    ) -> Result<Scaffold, Error> {
        let directory = AppDirectory {
            path: destination.path().display().to_string(),
            template: survey.template().record(),
            branch: None,
        };
        let note = Note::Directory(directory.clone());
        self.note(vec![(grant.allocation.app.clone(), note)])?;
        Ok(Scaffold {
            grant,
            names,
            directory,
            files: written.files,
            kept: written.kept,
        })
    }

    /// Gives back what was allocated for nothing, unless somebody has made use of it meanwhile.
    fn take_back(&self, grant: Grant) {
        // Where the book cannot be reached, the ports stay the app's, which is the lesser evil.
        if grant.created {
            let _ = self.reclaim(vec![(grant.allocation, ReleaseCause::Asked)]);
        } else if !grant.added.is_empty() {
            let _ = self.give_back(grant.allocation, grant.added.into_iter().collect());
        }
    }
}

/// A scaffolded app as it is answered: its allocation, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScaffoldRecord {
    /// The allocation.
    #[serde(flatten)]
    pub allocation: AllocationRecord,
    /// `{slug}_app{n}`.
    pub project_name: String,
    /// `{slug}-app{n}`.
    pub compose_project_name: String,
    /// The app's absolute path.
    pub directory: String,
    /// The template's absolute path, or `portbook:NAME`.
    pub template: Option<String>,
    /// How many files and links it was given.
    pub files: usize,
    /// What was replaced, where it is kept.
    pub kept: Vec<String>,
}

impl ScaffoldRecord {
    /// The record of an app that was made.
    pub fn of(scaffold: &Scaffold, space: &Space) -> Self {
        let kept = scaffold.kept.iter();
        Self {
            allocation: AllocationRecord::of_grant(&scaffold.grant, space),
            project_name: scaffold.names.project.clone(),
            compose_project_name: scaffold.names.compose.clone(),
            directory: scaffold.directory.path.clone(),
            template: scaffold.directory.template.clone(),
            files: scaffold.files,
            kept: kept.map(|path| path.display().to_string()).collect(),
        }
    }
}
