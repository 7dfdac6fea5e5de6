//! Finding the model that somebody meant.

use crate::Model;

/// In which way a model was found, from the strictest to the loosest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Match {
    /// Letter for letter as the book shows it.
    Exact,
    /// Another spelling with the same identity.
    Identity,
    /// The same but for which of `/`, `-`, `_`, `.`, `:` and space separates.
    Separators,
    /// The same words in any order and case; a number is a word, so `gpt-4` is not `gpt-4.1`.
    Tokens,
    /// The same letters and digits in the same order, in any case.
    Letters,
}

impl Match {
    /// Every way, strictest first.
    pub const ALL: [Match; 5] = [
        Match::Exact,
        Match::Identity,
        Match::Separators,
        Match::Tokens,
        Match::Letters,
    ];

    /// The way's name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Match::Exact => "exact",
            Match::Identity => "identity",
            Match::Separators => "separators",
            Match::Tokens => "tokens",
            Match::Letters => "letters",
        }
    }

    /// The way in words.
    pub fn describe(self) -> &'static str {
        match self {
            Match::Exact => "exactly this name",
            Match::Identity => "the same identity",
            Match::Separators => "the same name with other separators",
            Match::Tokens => "the same words",
            Match::Letters => "the same letters and digits",
        }
    }

    fn holds(self, wanted: &Model, model: &Model) -> bool {
        match self {
            Match::Exact => wanted.spelling() == model.spelling(),
            Match::Identity => wanted == model,
            Match::Separators => separators_alike(wanted) == separators_alike(model),
            Match::Tokens => tokens(wanted) == tokens(model),
            Match::Letters => {
                let letters = letters(wanted);
                !letters.is_empty() && letters == self::letters(model)
            }
        }
    }
}

/// What came of looking for a model among those there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution<'a> {
    /// One model, found in this way.
    Found(&'a Model, Match),
    /// Several are equally near: which is meant is not for us to guess.
    Ambiguous(Vec<&'a Model>, Match),
    /// None is near.
    Nothing,
}

/// Looks for `wanted` among `models`, in the strictest way that finds any.
///
/// ```
/// use portbook_model::{Match, Model, Resolution, resolve};
/// let models = [Model::new("openai_gpt-4").unwrap(), Model::new("openai_gpt-4.1").unwrap()];
/// let wanted = Model::new("OpenAI gpt 4").unwrap();
/// assert_eq!(resolve(&wanted, &models), Resolution::Found(&models[0], Match::Tokens));
/// ```
pub fn resolve<'a>(wanted: &Model, models: &'a [Model]) -> Resolution<'a> {
    for way in Match::ALL {
        let mut found: Vec<&Model> = models
            .iter()
            .filter(|model| way.holds(wanted, model))
            .collect();
        found.sort();
        found.dedup();
        match found.as_slice() {
            [] => {}
            [model] => return Resolution::Found(model, way),
            _ => return Resolution::Ambiguous(found, way),
        }
    }
    Resolution::Nothing
}

fn is_separator(c: char) -> bool {
    !c.is_alphanumeric()
}

fn separators_alike(model: &Model) -> String {
    model
        .spelling()
        .chars()
        .map(|c| if is_separator(c) { '-' } else { c })
        .collect()
}

fn tokens(model: &Model) -> Vec<String> {
    let lower = model.spelling().to_lowercase();
    let mut tokens: Vec<String> = lower
        .split(is_separator)
        .filter(|token| !token.is_empty())
        .map(str::to_owned)
        .collect();
    tokens.sort();
    tokens
}

fn letters(model: &Model) -> String {
    let lower = model.spelling().to_lowercase();
    lower.chars().filter(|c| !is_separator(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models(names: &[&str]) -> Vec<Model> {
        names.iter().map(|name| Model::new(name).unwrap()).collect()
    }

    fn found(wanted: &str, names: &[&str]) -> Option<(String, Match)> {
        match resolve(&Model::new(wanted).unwrap(), &models(names)) {
            Resolution::Found(model, way) => Some((model.spelling().to_owned(), way)),
            _ => None,
        }
    }

    #[test]
    fn digits_count() {
        let book = ["openai_gpt-4.1", "openai_gpt-5"];
        assert_eq!(found("openai_gpt-4", &book), None);
        assert_eq!(found("openai_gpt", &book), None);
    }

    #[test]
    fn the_strictest_way_that_finds_one_wins() {
        let book = ["x-ai/grok-4", "x_ai-grok-4", "anthropic_claude-3.7-sonnet"];
        assert_eq!(
            found("x-ai/grok-4", &book),
            Some(("x-ai/grok-4".into(), Match::Exact))
        );
        assert_eq!(
            found("x-ai_grok-4", &book),
            Some(("x-ai/grok-4".into(), Match::Identity))
        );
        assert_eq!(
            found("anthropic/claude_3-7 sonnet", &book).map(|(_, way)| way),
            Some(Match::Separators)
        );
        assert_eq!(
            found("Claude-3.7-Sonnet anthropic", &book).map(|(_, way)| way),
            Some(Match::Tokens)
        );
        assert_eq!(
            found("AnthropicClaude37Sonnet", &book).map(|(_, way)| way),
            Some(Match::Letters)
        );
    }

    #[test]
    fn between_two_it_does_not_guess() {
        let book = models(&["x-ai/grok-4", "x_ai-grok-4"]);
        let wanted = Model::new("x.ai.grok.4").unwrap();
        assert!(matches!(
            resolve(&wanted, &book),
            Resolution::Ambiguous(found, Match::Separators) if found.len() == 2
        ));
    }
}
