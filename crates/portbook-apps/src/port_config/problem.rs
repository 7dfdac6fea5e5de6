//! What is wrong with an entry.

use portbook_model::{
    AppKey, InvalidAppNumber, InvalidModel, InvalidPort, InvalidRole, InvalidSpace,
    InvalidTimestamp, Port, Role,
};

/// How many problems are listed: past that, they are only counted.
pub const MOST_PROBLEMS: usize = 10_000;

/// How many keys an entry may have, and how many roles an app: time and memory are bounded by it.
pub(super) const MOST_MEMBERS: usize = 1000;

/// What is wrong in one place of a file. Displays as the fault alone: whoever shows it knows the file
/// too, and writes the place as `FILE:LINE`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct Problem {
    /// The line, from 1, of the value that is wrong, or in which its entry begins.
    pub line: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// Why an entry cannot stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The entry is no object.
    #[error("the entry is {0} where an object with model, app number and ports is due")]
    NotAnObject(&'static str),
    /// A key is missing.
    #[error("the entry has no `{0}`")]
    Missing(&'static str),
    /// A key is missing that has two spellings.
    #[error("the entry has neither `{0}` nor `{1}`")]
    MissingBoth(&'static str, &'static str),
    /// A key comes twice in one object.
    #[error("the key `{0}` comes twice in one object: leave one of them out")]
    KeyTwice(String),
    /// The value is of another type.
    #[error("`{key}` is {found} where {wanted} is due")]
    WrongType {
        /// The key.
        key: String,
        /// What is due.
        wanted: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// More keys or roles than any entry has.
    #[error("{0} has more than {MOST_MEMBERS} {1}, which no listed app has")]
    TooMany(&'static str, &'static str),
    /// A number written as text.
    #[error("`{key}` is the text {text:?}: write the number without quotation marks")]
    QuotedNumber {
        /// The key.
        key: String,
        /// The text.
        text: String,
    },
    /// A number that is not written as a whole one.
    #[error("`{key}` is {found}, which is not written as a whole number")]
    NotWhole {
        /// The key.
        key: String,
        /// The number as it was written.
        found: String,
    },
    /// A text that has no characters for what it says.
    #[error("a text of the entry is not Unicode: half a surrogate pair stands in it")]
    NotUnicode,
    /// The model's name is none.
    #[error(transparent)]
    Model(#[from] InvalidModel),
    /// The app number is none.
    #[error(transparent)]
    AppNumber(#[from] InvalidAppNumber),
    /// A port is none.
    #[error("`{key}`: {problem}")]
    Port {
        /// The key.
        key: String,
        /// Why it is none.
        problem: InvalidPort,
    },
    /// A role is none.
    #[error(transparent)]
    Role(#[from] InvalidRole),
    /// The space is none.
    #[error(transparent)]
    Space(#[from] InvalidSpace),
    /// The time is none.
    #[error("`created_at`: {0}")]
    Time(#[from] InvalidTimestamp),
    /// Two spellings of one key say different things.
    #[error("`{first}` and `{second}` are both there and disagree: leave one of them out")]
    SpellingsDisagree {
        /// The one spelling.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// `ports` and the pair disagree.
    #[error("`ports` has {in_ports} for {role}, but `{role}_port` is {in_pair}")]
    PortsDisagree {
        /// Backend or frontend.
        role: Role,
        /// The port in `ports`.
        in_ports: Port,
        /// The port of the pair.
        in_pair: Port,
    },
    /// One port for two roles of one app.
    #[error("port {port} is given for two roles of one app, {first} and {second}")]
    PortForTwoRoles {
        /// The port.
        port: Port,
        /// The role that has it first.
        first: Role,
        /// The other.
        second: Role,
    },
    /// The app is listed above.
    #[error("{app} is listed in line {earlier} already")]
    AppTwice {
        /// The app.
        app: AppKey,
        /// The line in which its first entry begins.
        earlier: usize,
    },
    /// The port is listed above.
    #[error("port {port} is listed in line {earlier} already{}", whose(.by.as_ref()))]
    PortTwice {
        /// The port.
        port: Port,
        /// The line in which it stands first.
        earlier: usize,
        /// Whose it is there, if that can be told.
        by: Option<AppKey>,
    },
    /// A row has too few or too many fields.
    #[error("the row has {found} fields where its first row names {wanted}")]
    FieldCount {
        /// How many it has.
        found: usize,
        /// How many columns there are.
        wanted: usize,
    },
    /// A part of the column `ports` is none.
    #[error(
        "`ports` has {0:?} in it where `role=port` is due, one after the other with `;` between"
    )]
    PortsForm(String),
    /// A role comes twice in the column `ports`.
    #[error("`ports` names the role {0} twice")]
    RoleTwice(Role),
}

fn whose(app: Option<&AppKey>) -> String {
    app.map(|app| format!(", as {app}'s")).unwrap_or_default()
}

/// A text as a message may hold it: not a whole file of it.
pub(super) fn shortened(text: &str) -> String {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
