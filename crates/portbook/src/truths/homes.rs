//! Which app a Compose project or a folder is of.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use portbook_apps::short_names;
use portbook_model::{Allocation, AppKey, AppNumber, Model};

/// The projects and folders of a space's apps.
pub(crate) struct Homes {
    held: HashSet<AppKey>,
    models: HashMap<String, Model>,
    remembered: HashMap<PathBuf, AppKey>,
}

impl Homes {
    /// Those of the apps that hold ports; `models` are the space's, in the order in which it came to
    /// know them.
    pub(crate) fn of(allocations: &[Allocation], models: Vec<Model>) -> Self {
        let remembered = allocations.iter().filter_map(|held| {
            let directory = held.notes.directory.as_ref()?;
            Some((PathBuf::from(&directory.path), held.app.clone()))
        });
        Self {
            held: allocations.iter().map(|held| held.app.clone()).collect(),
            models: short_names(&models).into_iter().zip(models).collect(),
            remembered: remembered.collect(),
        }
    }

    /// The app whose `compose_project_name` or `project_name` this is.
    pub(crate) fn of_project(&self, project: &str) -> Option<AppKey> {
        let (name, number) = project
            .rsplit_once("-app")
            .or_else(|| project.rsplit_once("_app"))?;
        self.held(self.models.get(name)?.clone(), number)
    }

    /// The app whose directory this is or lies in: the one that the book remembers, or any
    /// `{model identity}/app{n}`.
    pub(crate) fn of_directory(&self, directory: &Path) -> Option<AppKey> {
        directory.ancestors().find_map(|folder| {
            let remembered = self.remembered.get(folder).cloned();
            remembered.or_else(|| self.of_convention(folder))
        })
    }

    fn of_convention(&self, folder: &Path) -> Option<AppKey> {
        let number = folder.file_name()?.to_str()?.strip_prefix("app")?;
        let identity = folder.parent()?.file_name()?.to_str()?;
        let model = Model::new(identity).ok()?;
        if model.identity() != identity {
            return None;
        }
        self.held(model, number)
    }

    fn held(&self, model: Model, number: &str) -> Option<AppKey> {
        let parsed: AppNumber = number.parse().ok()?;
        if parsed.to_string() != number {
            return None;
        }
        self.held.get(&AppKey::new(model, parsed)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use portbook_model::{AppDirectory, Notes, Ports, Source, Timestamp};

    use super::*;

    fn held(model: &str, number: u32, directory: Option<&str>) -> Allocation {
        let directory = directory.map(|path| AppDirectory {
            path: path.to_owned(),
            template: None,
            branch: None,
        });
        Allocation {
            app: AppKey::new(
                Model::new(model).unwrap(),
                number.to_string().parse().unwrap(),
            ),
            ports: Ports::new(),
            source: Source::Dynamic,
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
            lease: None,
            notes: Notes {
                directory,
                ..Notes::default()
            },
        }
    }

    #[test]
    fn an_app_is_known_by_its_project_and_by_its_folder() {
        let allocations = [
            held("x-ai/grok-4.1", 1, None),
            held("x-ai/grok-4-1", 1, None),
            held("gpt", 12, Some("/srv/shop")),
        ];
        let models = allocations
            .iter()
            .map(|held| held.app.model.clone())
            .collect();
        let homes = Homes::of(&allocations, models);
        let project = |name: &str| homes.of_project(name).map(|app| app.to_string());
        let folder = |path: &str| {
            homes
                .of_directory(Path::new(path))
                .map(|app| app.to_string())
        };

        assert_eq!(project("gpt-app12").as_deref(), Some("gpt/app12"));
        assert_eq!(project("gpt_app12").as_deref(), Some("gpt/app12"));
        let dotted = "x-ai_grok-4-1-app1";
        assert_eq!(project(dotted).as_deref(), Some("x-ai/grok-4.1/app1"));
        for stranger in ["gpt-app1", "gpt-app012", "gpt", "app12", "-app12", ""] {
            assert_eq!(project(stranger), None, "{stranger}");
        }

        assert_eq!(folder("/srv/shop/backend").as_deref(), Some("gpt/app12"));
        assert_eq!(folder("/a/gpt/app12").as_deref(), Some("gpt/app12"));
        let below = folder("/a/x-ai_grok-4-1/app1/web");
        assert_eq!(below.as_deref(), Some("x-ai/grok-4-1/app1"));
        for stranger in ["/srv", "/a/gpt/app1", "/a/gpt/app012", "/app12", "/"] {
            assert_eq!(folder(stranger), None, "{stranger}");
        }
    }
}
