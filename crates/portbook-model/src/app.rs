//! Who holds ports: models, apps, roles, spaces.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

/// A model's name as it was spelt, and its identity: the name of its directory.
///
/// Two spellings with one identity are one model, since they share one directory: equality, order and
/// hash go by the identity alone.
///
/// ```
/// use portbook_model::Model;
/// let slash: Model = "x-ai/grok-4".parse().unwrap();
/// let underscore: Model = "x-ai_grok-4".parse().unwrap();
/// assert_eq!(slash, underscore);
/// assert_eq!(slash.spelling(), "x-ai/grok-4");
/// assert_eq!(slash.identity(), "x-ai_grok-4");
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Model {
    // Shared, since each step of a plan names its apps anew.
    spelling: Arc<str>,
    identity: Arc<str>,
}

/// What was given cannot name a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidModel {
    /// Nothing was given.
    #[error("a model's name is empty: write it as openai_gpt-4")]
    Empty,
    /// The name is too long.
    #[error("a model's name has {0} characters: the most is 200")]
    TooLong(usize),
    /// The name has characters that no terminal or directory should meet.
    #[error("the model's name {0:?} has a control character in it")]
    ControlCharacter(String),
    /// The name begins or ends with a space.
    #[error("the model's name {0:?} begins or ends with a space")]
    OuterSpace(String),
    /// The name means a directory.
    #[error("`{0}` cannot be a model's name: it means a directory")]
    Directory(String),
}

impl Model {
    /// The longest name, in characters.
    pub const LONGEST: usize = 200;

    /// The model of this name.
    pub fn new(spelling: &str) -> Result<Self, InvalidModel> {
        if spelling.is_empty() {
            return Err(InvalidModel::Empty);
        }
        let length = spelling.chars().count();
        if length > Self::LONGEST {
            return Err(InvalidModel::TooLong(length));
        }
        if spelling.chars().any(char::is_control) {
            return Err(InvalidModel::ControlCharacter(spelling.to_owned()));
        }
        if spelling.starts_with(char::is_whitespace) || spelling.ends_with(char::is_whitespace) {
            return Err(InvalidModel::OuterSpace(spelling.to_owned()));
        }
        if spelling == "." || spelling == ".." {
            return Err(InvalidModel::Directory(spelling.to_owned()));
        }
        let identity = model_identity(spelling, &[]);
        let spelling: Arc<str> = spelling.into();
        let identity = match *identity == *spelling {
            true => spelling.clone(),
            false => identity.into(),
        };
        Ok(Self { spelling, identity })
    }

    /// The name as it was given.
    pub fn spelling(&self) -> &str {
        &self.spelling
    }

    /// The name of the model's directory.
    pub fn identity(&self) -> &str {
        &self.identity
    }
}

/// The name of a model's directory: every character but letters, digits, `_`, `-`, `.` and those in
/// `kept` becomes `_`.
pub(crate) fn model_identity(spelling: &str, kept: &[char]) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.') || kept.contains(&c);
    spelling
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect()
}

impl PartialEq for Model {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl Eq for Model {}

impl Hash for Model {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity.hash(state);
    }
}

impl PartialOrd for Model {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Model {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.identity.cmp(&other.identity)
    }
}

impl FromStr for Model {
    type Err = InvalidModel;
    fn from_str(text: &str) -> Result<Self, InvalidModel> {
        Model::new(text)
    }
}

impl TryFrom<String> for Model {
    type Error = InvalidModel;
    fn try_from(text: String) -> Result<Self, InvalidModel> {
        Model::new(&text)
    }
}

impl From<Model> for String {
    fn from(model: Model) -> String {
        model.spelling.as_ref().to_owned()
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelling)
    }
}

/// The number of an app among those of its model: 1 to 2147483647.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "u32")]
pub struct AppNumber(u32);

/// What was given is not an app number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an app number: app numbers run from 1 to 2147483647")]
pub struct InvalidAppNumber(pub String);

impl AppNumber {
    /// The app number of this value; `None` outside 1 to 2147483647.
    pub fn new(number: u32) -> Option<Self> {
        (1..=i32::MAX as u32)
            .contains(&number)
            .then_some(AppNumber(number))
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<i64> for AppNumber {
    type Error = InvalidAppNumber;
    fn try_from(number: i64) -> Result<Self, InvalidAppNumber> {
        u32::try_from(number)
            .ok()
            .and_then(AppNumber::new)
            .ok_or_else(|| InvalidAppNumber(number.to_string()))
    }
}

impl From<AppNumber> for u32 {
    fn from(number: AppNumber) -> u32 {
        number.0
    }
}

impl FromStr for AppNumber {
    type Err = InvalidAppNumber;
    fn from_str(text: &str) -> Result<Self, InvalidAppNumber> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits
            .then(|| text.parse::<u32>().ok().and_then(AppNumber::new))
            .flatten()
            .ok_or_else(|| InvalidAppNumber(text.to_owned()))
    }
}

impl fmt::Display for AppNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for AppNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppNumber({})", self.0)
    }
}

/// Who asks for a change, as the history tells of it: `alice (pid 4711)`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Actor(Arc<str>);

impl Actor {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Actor {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl From<&str> for Actor {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an app is known by: its model and its number, written `openai_gpt-4/app1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AppKey {
    /// The model that made the app.
    pub model: Model,
    /// The app's number among the model's.
    #[serde(rename = "app_num")]
    pub number: AppNumber,
}

impl AppKey {
    /// The key of a model's app.
    pub fn new(model: Model, number: AppNumber) -> Self {
        Self { model, number }
    }
}

impl fmt::Display for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/app{}", self.model, self.number)
    }
}

/// Several app numbers of one model, as a command names them: `3`, `1-30`, `1,4,9-12`.
///
/// Kept in the order given, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppNumbers(Vec<AppNumber>);

/// What was given does not name apps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAppNumbers {
    /// One of the numbers is none.
    #[error(transparent)]
    Number(#[from] InvalidAppNumber),
    /// Something is missing before or after a `-` or `,`.
    #[error("`{0}` does not name apps: write 3, 1-30 or 1,4,9-12")]
    Incomplete(String),
    /// A range that runs backwards.
    #[error("the range `{0}` runs backwards: write the lower app number first")]
    Backwards(String),
    /// More apps than a space has ports.
    #[error("`{0}` names more than 65535 apps, and a port space has no more ports than that")]
    TooMany(String),
}

impl AppNumbers {
    const MOST: usize = 65_535;

    /// The numbers, in the order given, each once; at least one.
    pub fn as_slice(&self) -> &[AppNumber] {
        &self.0
    }

    /// The key of each of them.
    pub fn of(&self, model: &Model) -> Vec<AppKey> {
        let key = |number: &AppNumber| AppKey::new(model.clone(), *number);
        self.0.iter().map(key).collect()
    }
}

impl FromStr for AppNumbers {
    type Err = InvalidAppNumbers;
    fn from_str(text: &str) -> Result<Self, InvalidAppNumbers> {
        let mut numbers = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for part in text.split(',') {
            if part.is_empty() || part.ends_with('-') {
                return Err(InvalidAppNumbers::Incomplete(text.to_owned()));
            }
            let (first, last): (AppNumber, AppNumber) = match part.split_once('-') {
                // `-1` is a number that is too low, not a range without a beginning.
                Some(("", _)) | None => (part.parse()?, part.parse()?),
                Some((first, last)) => (first.parse()?, last.parse()?),
            };
            if first > last {
                return Err(InvalidAppNumbers::Backwards(part.to_owned()));
            }
            if (last.get() - first.get()) as usize + numbers.len() >= Self::MOST {
                return Err(InvalidAppNumbers::TooMany(text.to_owned()));
            }
            let range = (first.get()..=last.get()).filter_map(AppNumber::new);
            numbers.extend(range.filter(|number| seen.insert(*number)));
        }
        Ok(AppNumbers(numbers))
    }
}

/// A short name in lower case, as roles, spaces and pools have one.
fn is_plain_name(text: &str, longest: usize, extra: &[char]) -> bool {
    text.len() <= longest
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || extra.contains(&c))
}

macro_rules! plain_name {
    ($(#[$doc:meta])* $name:ident, $error:ident, $what:literal, $longest:literal, $extra:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        #[doc = concat!("What was given cannot name a ", $what, ".")]
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        #[error("{0:?} cannot name a {what}: {rule}", what = $what, rule = $rule)]
        pub struct $error(pub String);

        impl $name {
            /// The checked name.
            pub fn new(name: &str) -> Result<Self, $error> {
                if let Some(usual) = Self::usual().into_iter().find(|usual| usual.as_str() == name) {
                    Ok(usual.clone())
                } else if is_plain_name(name, $longest, $extra) {
                    Ok(Self(name.into()))
                } else {
                    Err($error(name.to_owned()))
                }
            }

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = $error;
            fn from_str(text: &str) -> Result<Self, $error> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;
            fn try_from(text: String) -> Result<Self, $error> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

plain_name!(
    /// What a port is for: `backend`, `frontend`, and any further one the configuration names.
    Role, InvalidRole, "role", 32, &['-', '_', '.'],
    "a role has 1 to 32 lower-case letters, digits, `-`, `_` or `.`, and begins with a letter or digit"
);

static BACKEND: LazyLock<Role> = LazyLock::new(|| Role("backend".into()));
static FRONTEND: LazyLock<Role> = LazyLock::new(|| Role("frontend".into()));

impl Role {
    /// The role of the port that serves the app's interface to programs.
    pub fn backend() -> Self {
        BACKEND.clone()
    }

    /// The role of the port that serves the app's pages.
    pub fn frontend() -> Self {
        FRONTEND.clone()
    }

    /// Whether a shell cannot tell the two apart: in the name of a variable, each `-` and `.` is a `_`.
    pub fn shares_variable_with(&self, other: &Role) -> bool {
        fn shown(role: &Role) -> impl Iterator<Item = u8> {
            let plain = |byte| {
                if matches!(byte, b'-' | b'.') {
                    b'_'
                } else {
                    byte
                }
            };
            role.0.bytes().map(plain)
        }
        shown(self).eq(shown(other))
    }

    /// Those that every app has: a book names them twice an app, and all share one text.
    fn usual() -> [&'static Self; 2] {
        [&BACKEND, &FRONTEND]
    }
}

plain_name!(
    /// A set of hosts sharing one number line. In a space, a port belongs to at most one app.
    Space, InvalidSpace, "port space", 100, &['-', '_', '.', ':'],
    "a space has 1 to 100 lower-case letters, digits, `-`, `_`, `.` or `:`, and begins with a letter or digit"
);

static DEFAULT_SPACE: LazyLock<Space> = LazyLock::new(|| Space("default".into()));

impl Space {
    /// The one that most books have all of their apps in.
    fn usual() -> [&'static Self; 1] {
        [&DEFAULT_SPACE]
    }
}

impl Default for Space {
    fn default() -> Self {
        DEFAULT_SPACE.clone()
    }
}

plain_name!(
    /// The name of a pool.
    PoolName, InvalidPoolName, "pool", 64, &['-', '_', '.'],
    "a pool has 1 to 64 lower-case letters, digits, `-`, `_` or `.`, and begins with a letter or digit"
);

impl PoolName {
    /// No pool is in every book.
    fn usual() -> [&'static Self; 0] {
        []
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_names_that_no_directory_could_bear_are_refused() {
        let long = "m".repeat(201);
        for bad in [
            "", ".", "..", " m", "m ", "a\nb", "a\u{0}b", "a\u{7f}", &long,
        ] {
            assert!(Model::new(bad).is_err(), "{bad:?} was taken for a model");
        }
        assert!(Model::new(&"ä".repeat(200)).is_ok());
    }

    #[test]
    fn one_directory_is_one_model() {
        let model = |name| Model::new(name).unwrap();
        assert_eq!(model("x-ai/grok-4"), model("x-ai_grok-4"));
        assert_eq!(model("a b:c").identity(), "a_b_c");
        assert_ne!(model("gpt-4"), model("gpt-4.1"));
        assert_ne!(model("GPT-4"), model("gpt-4"));
    }

    #[test]
    fn app_numbers_are_lists_and_ranges() {
        let parse = |text: &str| {
            text.parse::<AppNumbers>()
                .map(|apps| apps.as_slice().iter().map(|n| n.get()).collect::<Vec<_>>())
        };
        assert_eq!(parse("3"), Ok(vec![3]));
        assert_eq!(parse("1,4,9-12"), Ok(vec![1, 4, 9, 10, 11, 12]));
        assert_eq!(parse("2,1-3,2"), Ok(vec![2, 1, 3]));
        assert_eq!(parse("2147483647"), Ok(vec![2_147_483_647]));
        for bad in [
            "",
            "0",
            "-1",
            "x",
            "2147483648",
            "9-3",
            "1-",
            "-",
            "1,,2",
            "1-2147483647",
            "1 2",
        ] {
            assert!(parse(bad).is_err(), "{bad:?} was taken for app numbers");
        }
    }

    #[test]
    fn roles_share_a_variable_where_only_their_separators_differ() {
        let shares = |one, other| {
            let other = Role::new(other).unwrap();
            Role::new(one).unwrap().shares_variable_with(&other)
        };
        assert!(shares("web-socket", "web_socket") && shares("a.b", "a-b"));
        assert!(!shares("a-b", "ab") && !shares("db", "db2"));
    }

    #[test]
    fn roles_are_plain_lower_case_names() {
        assert!(Role::new("web-socket").is_ok());
        assert!(Role::new("2nd").is_ok());
        for bad in ["", "Backend", "-x", "a b", "a/b", &"r".repeat(33)] {
            assert!(Role::new(bad).is_err(), "{bad:?} was taken for a role");
        }
    }
}
