//! What an app is called where a name has to be short and plain: Compose projects, containers, hosts.

use std::collections::HashSet;

use portbook_model::{AppKey, Model};
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
    /// The names of an app. `earlier` are the models that its book knew before the app's, oldest first:
    /// each has its own name for good, and no two the same.
    ///
    /// A model's name is its [`slug`], unless that is empty, too long or an earlier model's: then it ends
    /// in a hash.
    ///
    /// ```
    /// use portbook_apps::ProjectNames;
    /// use portbook_model::{AppKey, Model};
    ///
    /// let dot = Model::new("openai_gpt-4.1").unwrap();
    /// let app = AppKey::new(dot.clone(), "7".parse().unwrap());
    /// assert_eq!(ProjectNames::of(&app, &[]).compose, "openai_gpt-4-1-app7");
    ///
    /// let app = AppKey::new(Model::new("openai_gpt-4-1").unwrap(), "7".parse().unwrap());
    /// assert!(ProjectNames::of(&app, &[dot]).project.starts_with("openai_gpt-4-1-"));
    /// ```
    pub fn of(app: &AppKey, earlier: &[Model]) -> Self {
        let taken = short_names(earlier).into_iter().collect();
        let name = name_beside(&taken, &app.model);
        Self {
            project: format!("{name}_app{}", app.number),
            compose: format!("{name}-app{}", app.number),
        }
    }
}

/// What each model is called in its apps' names, in the order given: that in which the book came to
/// know them.
pub fn short_names(models: &[Model]) -> Vec<String> {
    let mut taken = HashSet::with_capacity(models.len());
    let mut names = Vec::with_capacity(models.len());
    for model in models {
        let name = name_beside(&taken, model);
        taken.insert(name.clone());
        names.push(name);
    }
    names
}

/// The model's name where others are taken.
fn name_beside(taken: &HashSet<String>, model: &Model) -> String {
    let identity = model.identity();
    let slug = slug(identity);
    if !slug.is_empty() && slug.len() <= LONGEST && !taken.contains(&slug) {
        return slug;
    }
    // Somebody's slug may look like another's hash.
    let mut attempt = 0;
    loop {
        let name = with_hash(&slug, identity, attempt);
        if !taken.contains(&name) {
            return name;
        }
        attempt += 1;
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

fn with_hash(slug: &str, identity: &str, attempt: u32) -> String {
    let mut hasher = Sha256::new();
    hasher.update(identity);
    if attempt > 0 {
        hasher.update([0]);
        hasher.update(attempt.to_be_bytes());
    }
    let digest = hasher.finalize();
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
    use proptest::prelude::*;

    use super::*;

    fn model(name: &str) -> Model {
        Model::new(name).unwrap()
    }

    fn names(name: &str, earlier: &[&str]) -> ProjectNames {
        let app = AppKey::new(model(name), "3".parse().unwrap());
        let earlier: Vec<Model> = earlier.iter().map(|name| model(name)).collect();
        ProjectNames::of(&app, &earlier)
    }

    /// The model's part of a name that must end in a hash.
    fn hashed(name: &str, earlier: &[&str]) -> String {
        let names = names(name, earlier);
        let short = names.compose.strip_suffix("-app3").unwrap();
        assert_eq!(names.project, format!("{short}_app3"));
        assert!(short.len() <= 63, "{short}");
        let (_, hash) = short.rsplit_once('-').unwrap_or(("", short));
        let is_hash = hash.len() == 8 && hash.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
        assert!(is_hash, "{short}");
        short.to_owned()
    }

    #[test]
    fn a_plain_identity_is_its_own_slug() {
        assert_eq!(names("openai_gpt-4", &[]).project, "openai_gpt-4_app3");
        assert_eq!(names("openai_gpt-4", &[]).compose, "openai_gpt-4-app3");
        assert_eq!(names("x-ai/Grok-4", &[]).compose, "x-ai_grok-4-app3");
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
    fn names_that_would_be_empty_or_too_long_end_in_a_hash() {
        assert_ne!(hashed("日本", &[]), hashed("中国", &[]));
        let longest = "m".repeat(63);
        assert_eq!(names(&longest, &[]).compose, format!("{longest}-app3"));
        assert!(hashed(&"m".repeat(64), &[]).starts_with(&"m".repeat(54)));
        assert_ne!(hashed(&"m".repeat(64), &[]), hashed(&"m".repeat(65), &[]));
    }

    #[test]
    fn of_two_models_with_one_slug_the_earlier_has_it_plain() {
        assert_eq!(names("GPT-4", &[]).compose, "gpt-4-app3");
        assert!(hashed("gpt-4", &["GPT-4"]).starts_with("gpt-4-"));
        assert_ne!(
            hashed("gpt.4", &["GPT-4", "gpt-4"]),
            hashed("gpt-4", &["GPT-4"])
        );
    }

    #[test]
    fn a_name_that_looks_like_anothers_hash_is_not_given_twice() {
        let second = hashed("GPT-4", &["gpt-4"]);
        // Whoever was called so first keeps it; whoever comes later gets another.
        assert_ne!(hashed("GPT-4", &["gpt-4", &second]), second);
        assert_ne!(hashed(&second, &["gpt-4", "GPT-4"]), second);
    }

    /// Names that often have one slug.
    fn close_names() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[aA.é_]{1,3}|[a]{62,66}|a-[0-9a-f]{8}", 1..12)
    }

    proptest! {
        #[test]
        fn no_two_models_of_a_book_share_a_name(listed in close_names()) {
            let mut models: Vec<Model> = Vec::new();
            for model in listed.iter().filter_map(|name| Model::new(name).ok()) {
                if !models.contains(&model) {
                    models.push(model);
                }
            }
            let mut seen = HashSet::new();
            for (index, model) in models.iter().enumerate() {
                let app = AppKey::new(model.clone(), "1".parse().unwrap());
                let names = ProjectNames::of(&app, &models[..index]);
                prop_assert!(seen.insert(names.compose.clone()), "{names:?} twice in {models:?}");
                // https://compose-spec.io: a project's name is of these, and begins with one of those.
                let legal = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-');
                prop_assert!(names.compose.chars().all(legal));
                prop_assert!(names.compose.starts_with(|c: char| c.is_ascii_alphanumeric()));
            }
        }
    }
}
