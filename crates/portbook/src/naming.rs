//! What apps are called in short, and the environment that says so.

use std::collections::BTreeMap;

use portbook_apps::{ProjectNames, variables};
use portbook_model::{Allocation, AppKey};

use crate::{Error, PortAllocationService};

impl PortAllocationService {
    /// The app's `project_name` and `compose_project_name`, which stay what they are: only the models
    /// that the space knew before the app's have a say in them. An app of a model that the space does
    /// not know yet is told the names that it would have now.
    pub fn project_names(&self, app: &AppKey) -> Result<ProjectNames, Error> {
        let models = self.models()?;
        let earlier = models.iter().position(|model| *model == app.model);
        let earlier = &models[..earlier.unwrap_or(models.len())];
        Ok(ProjectNames::of(app, earlier))
    }

    /// The variables that tell an app its ports and names.
    pub fn variables(&self, allocation: &Allocation) -> Result<BTreeMap<String, String>, Error> {
        let names = self.project_names(&allocation.app)?;
        Ok(variables::variables(&allocation.ports, &names)?)
    }
}
