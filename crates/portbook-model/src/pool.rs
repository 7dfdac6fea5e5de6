//! Pools: stretches of ports reserved for some models.

use std::fmt;

use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use crate::app::model_identity;
use crate::{Model, PoolName, PortStretch};

/// Which models are meant: one model, or a glob in which `*` stands for any characters and `?` for
/// any one.
///
/// Models are known by their identity, so a pattern is held against it, whole and with its letters'
/// case: `x-ai/*` and `x-ai_*` are one pattern, as `x-ai/grok-4` and `x-ai_grok-4` are one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelPattern(String);

/// What was given cannot be a pattern for models.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a pattern for models: write a model's name, or a glob such as openai_*")]
pub struct InvalidModelPattern(pub String);

impl ModelPattern {
    /// The pattern that this text writes.
    pub fn new(text: &str) -> Result<Self, InvalidModelPattern> {
        Model::new(text)
            .map(|_| ModelPattern(text.to_owned()))
            .map_err(|_| InvalidModelPattern(text.to_owned()))
    }

    /// The pattern that means no model at all: for ports that are kept from every app. It is written
    /// as the empty text, which nobody can give as a pattern by mistake.
    pub fn nobody() -> Self {
        ModelPattern(String::new())
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `model` is meant.
    pub fn matches(&self, model: &Model) -> bool {
        let pattern = model_identity(&self.0, &['*', '?']);
        WildMatch::new(&pattern).matches(model.identity())
    }
}

impl std::str::FromStr for ModelPattern {
    type Err = InvalidModelPattern;
    fn from_str(text: &str) -> Result<Self, InvalidModelPattern> {
        Self::new(text)
    }
}

impl TryFrom<String> for ModelPattern {
    type Error = InvalidModelPattern;
    fn try_from(text: String) -> Result<Self, InvalidModelPattern> {
        if text.is_empty() {
            return Ok(Self::nobody());
        }
        Self::new(&text)
    }
}

impl From<ModelPattern> for String {
    fn from(pattern: ModelPattern) -> String {
        pattern.0
    }
}

impl fmt::Display for ModelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_str() {
            "" => f.write_str("no app"),
            text => f.write_str(text),
        }
    }
}

/// A stretch of ports reserved for the models that match a pattern: they draw from it, nobody else
/// does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pool {
    /// What the pool is called; one pool of that name in a space.
    pub name: PoolName,
    /// The ports of it.
    #[cfg_attr(feature = "openapi", schema(value_type = [u16; 2]))]
    pub ports: PortStretch,
    /// The models that it is for.
    pub models: ModelPattern,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_underscore_in_a_pattern_is_no_wildcard() {
        let model = |name| Model::new(name).unwrap();
        let pattern = ModelPattern::new("my_app*").unwrap();
        assert!(pattern.matches(&model("my_app-2")));
        assert!(!pattern.matches(&model("my-app-2")));
        let exact = ModelPattern::new("x-ai/grok-4").unwrap();
        assert!(exact.matches(&model("x-ai_grok-4")));
        assert!(!exact.matches(&model("x-ai_grok-4.1")));
    }

    #[test]
    fn nobody_is_no_model_and_comes_back_from_where_it_is_kept() {
        let kept = String::from(ModelPattern::nobody());
        let back = ModelPattern::try_from(kept).unwrap();
        assert_eq!(back, ModelPattern::nobody());
        assert!(!back.matches(&Model::new("m").unwrap()));
        assert_eq!(back.to_string(), "no app");
        assert!(ModelPattern::new("").is_err());
    }

    #[test]
    fn a_pattern_means_a_model_however_it_is_spelt() {
        let pattern = ModelPattern::new("x-ai/*").unwrap();
        for spelling in ["x-ai/grok-4", "x-ai_grok-4"] {
            assert!(
                pattern.matches(&Model::new(spelling).unwrap()),
                "{spelling}"
            );
        }
    }
}
