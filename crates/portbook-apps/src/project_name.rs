//! What an app is called where a name has to be short and plain: Compose projects, containers, hosts.

use portbook_model::AppKey;
use sha2::{Digest, Sha256};

/// The longest slug: a label of a host name may have so many characters (RFC 1035, 2.3.4).
const LONGEST: usize = 63;
const HASH_DIGITS: usize = 8;

/// The names of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectNames {
    /// `{slug}_app{n}`.
    pub project: String,
    /// `{slug}-app{n}`: what Compose takes for a project's name.
    pub compose: String,
}

impl ProjectNames {
    /// The names of an app. `is_shared` says that another model with the same [`slug`] came first, so
    /// that this one's is told from it by a hash.
    ///
    /// ```
    /// use portbook_apps::ProjectNames;
    /// use portbook_model::{AppKey, Model};
    ///
    /// let app = AppKey::new(Model::new("openai_gpt-4.1").unwrap(), "7".parse().unwrap());
    /// assert_eq!(ProjectNames::of(&app, false).compose, "openai_gpt-4-1-app7");
    /// assert!(ProjectNames::of(&app, true).project.starts_with("openai_gpt-4-1-"));
    /// ```
    pub fn of(app: &AppKey, is_shared: bool) -> Self {
        let identity = app.model.identity();
        let mut name = slug(identity);
        if name.is_empty() || name.len() > LONGEST || is_shared {
            name = with_hash(&name, identity);
        }
        Self {
            project: format!("{name}_app{}", app.number),
            compose: format!("{name}-app{}", app.number),
        }
    }
}

/// A model identity in lower case, with every run of characters but `a-z0-9_-` made one `-`, and
/// without `-` and `_` at both ends: empty where nothing is left.
pub fn slug(identity: &str) -> String {
    let mut slug = String::with_capacity(identity.len());
    let mut replaced = false;
    for c in identity.chars().flat_map(char::to_lowercase) {
        let is_kept = matches!(c, 'a'..='z' | '0'..='9' | '_' | '-');
        if is_kept {
            slug.push(c);
        } else if !replaced {
            slug.push('-');
        }
        replaced = !is_kept;
    }
    slug.trim_matches(['-', '_']).to_owned()
}

fn with_hash(slug: &str, identity: &str) -> String {
    let digest = Sha256::digest(identity.as_bytes());
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let hash = &hash[..HASH_DIGITS];
    // A slug is ASCII, so that any cut lies between characters.
    let room = slug.len().min(LONGEST - HASH_DIGITS - 1);
    match slug[..room].trim_end_matches(['-', '_']) {
        "" => hash.to_owned(),
        kept => format!("{kept}-{hash}"),
    }
}

#[cfg(test)]
mod tests {
    use portbook_model::Model;

    use super::*;

    fn names(model: &str, is_shared: bool) -> ProjectNames {
        let app = AppKey::new(Model::new(model).unwrap(), "3".parse().unwrap());
        ProjectNames::of(&app, is_shared)
    }

    #[test]
    fn a_plain_identity_is_its_own_slug() {
        assert_eq!(names("openai_gpt-4", false).project, "openai_gpt-4_app3");
        assert_eq!(names("openai_gpt-4", false).compose, "openai_gpt-4-app3");
        assert_eq!(names("x-ai/Grok-4", false).compose, "x-ai_grok-4-app3");
    }

    #[test]
    fn runs_of_other_characters_become_one_dash_and_the_ends_are_stripped() {
        for (identity, expected) in [
            ("gpt-4.1", "gpt-4-1"),
            ("a..b", "a-b"),
            ("a.-b", "a--b"),
            ("__a__", "a"),
            ("-.a.-", "a"),
            ("Ünïcode", "n-code"),
            ("...", ""),
            ("日本", ""),
        ] {
            assert_eq!(slug(identity), expected, "{identity}");
        }
    }

    #[test]
    fn names_that_would_be_empty_too_long_or_anothers_end_in_a_hash() {
        let is_hash = |text: &str| {
            text.len() == 8
                && text
                    .chars()
                    .all(|c| c.is_ascii_hexdigit() && !c.is_uppercase())
        };
        let ending = |model: &str, is_shared| {
            let name = names(model, is_shared).compose;
            let slug = name.strip_suffix("-app3").unwrap().to_owned();
            assert!(slug.len() <= 63, "{slug}");
            let (_, hash) = slug.rsplit_once('-').unwrap_or(("", &slug));
            assert!(is_hash(hash), "{slug}");
            slug
        };
        ending("...x.".trim_end_matches("x."), false);
        assert_ne!(ending("日本", false), ending("中国", false));
        let long = "m".repeat(64);
        assert!(ending(&long, false).starts_with("mmm"));
        assert_eq!(
            names(&"m".repeat(63), false).compose.len(),
            63 + "-app3".len()
        );
        assert_ne!(ending("GPT-4", true), ending("gpt-4", true));
    }
}
