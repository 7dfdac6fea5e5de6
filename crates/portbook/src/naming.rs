//! What apps are called in short, and the environment that says so.

use std::collections::BTreeMap;

use portbook_apps::{ProjectNames, slug, variables};
use portbook_model::{Allocation, AppKey, Model, ModelPattern, Revision};
use portbook_store::{Filter, HistoryFilter, Reading};

use crate::{Error, PortAllocationService};

impl PortAllocationService {
    /// The app's `project_name` and `compose_project_name`, which stay what they are.
    ///
    /// Of several models that would have one name, the one of which the book knew an app first has it
    /// plain.
    pub fn project_names(&self, app: &AppKey) -> Result<ProjectNames, Error> {
        let mut reading = self.reading()?;
        let own = slug(app.model.identity());
        let rivals: Vec<Model> = reading
            .models(self.space())?
            .into_iter()
            .filter(|model| *model != app.model && slug(model.identity()) == own)
            .collect();
        let mut is_shared = false;
        if !rivals.is_empty() {
            let own = self.first_seen(&mut *reading, &app.model)?;
            for rival in &rivals {
                let rival = self.first_seen(&mut *reading, rival)?;
                is_shared |= match (rival, own) {
                    (Some(rival), Some(own)) => rival < own,
                    (Some(_), None) => true,
                    (None, _) => false,
                };
            }
        }
        Ok(ProjectNames::of(app, is_shared))
    }

    /// The variables that tell an app its ports and names.
    pub fn variables(&self, allocation: &Allocation) -> Result<BTreeMap<String, String>, Error> {
        let names = self.project_names(&allocation.app)?;
        Ok(variables::variables(&allocation.ports, &names)?)
    }

    /// The first change that the book records of a model.
    fn first_seen(
        &self,
        reading: &mut dyn Reading,
        model: &Model,
    ) -> Result<Option<Revision>, Error> {
        let filter = HistoryFilter {
            of: Filter {
                space: self.space().clone(),
                models: ModelPattern::new(model.identity()).ok(),
                number: None,
            },
            last: None,
        };
        let history = reading.history(&filter)?;
        Ok(history.first().map(|recorded| recorded.revision))
    }
}
