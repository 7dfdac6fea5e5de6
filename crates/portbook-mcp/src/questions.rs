//! What the tools may be asked.

use portbook::Error;
use portbook::model::{AppKey, AppNumber, InvalidAppNumber, Model};
use schemars::JsonSchema;
use serde::Deserialize;

/// An app by its name, or, with neither field, the checkout that the agent works in.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    /// The app's model or project, such as `openai_gpt-4`. Leave `model` and `app_num` out for the app that
    /// the current working directory (git worktree) is.
    pub(crate) model: Option<String>,
    /// The app's number, from 1. Together with `model`.
    pub(crate) app_num: Option<u32>,
}

/// Which app a question is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The checkout that the agent works in.
    Here,
    /// This one.
    App(AppKey),
}

impl Named {
    /// Which app is meant; `None` where half of a name was given.
    pub(crate) fn subject(&self) -> Result<Option<Subject>, Error> {
        match (&self.model, self.app_num) {
            (None, None) => Ok(Some(Subject::Here)),
            (Some(model), Some(number)) => {
                let number =
                    AppNumber::new(number).ok_or_else(|| InvalidAppNumber(number.to_string()))?;
                Ok(Some(Subject::App(AppKey::new(Model::new(model)?, number))))
            }
            _ => Ok(None),
        }
    }
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Allocate {
    /// The app's model or project, such as `openai_gpt-4`. Leave `model` and `app_num` out for the app that
    /// the current working directory (git worktree) is.
    pub(crate) model: Option<String>,
    /// The app's number, from 1. Together with `model`.
    pub(crate) app_num: Option<u32>,
    /// Further roles that need a port each, besides `backend` and `frontend`, as the configuration names them.
    #[serde(default)]
    pub(crate) roles: Vec<String>,
    /// Also say which ports were passed over, and why.
    #[serde(default)]
    pub(crate) explain: bool,
}

impl Allocate {
    pub(crate) fn named(&self) -> Named {
        Named {
            model: self.model.clone(),
            app_num: self.app_num,
        }
    }
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    /// Only the apps of these models: a name, or a glob such as `openai_*`.
    pub(crate) model: Option<String>,
    /// At most so many apps; 100 unless told otherwise.
    pub(crate) limit: Option<usize>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    /// The app's model or project, such as `openai_gpt-4`. Leave `model` and `app_num` out for the app that
    /// the current working directory (git worktree) is.
    pub(crate) model: Option<String>,
    /// The app's number, from 1. Together with `model`.
    pub(crate) app_num: Option<u32>,
    /// Say `true` to release an app that you neither allocated in this session nor work in. Only if the
    /// person that you work for asked for exactly that app: whoever runs it loses its ports.
    #[serde(default)]
    pub(crate) although_not_mine: bool,
}

impl Release {
    pub(crate) fn named(&self) -> Named {
        Named {
            model: self.model.clone(),
            app_num: self.app_num,
        }
    }
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Explain {
    /// The port, from 1 to 65535.
    pub(crate) port: u16,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Check {
    /// Only conflicts that concern this app, written `model/appN`, as the other tools answer it.
    pub(crate) app: Option<String>,
}
