//! Variables in texts, as the Compose Specification has them ("Interpolation").
//!
//! `$VAR`, `${VAR}`, `${VAR:-default}`, `${VAR-default}`, `${VAR:?error}`, `${VAR?error}`,
//! `${VAR:+alternative}`, `${VAR+alternative}`, with more of the same within defaults; `$$` is a dollar.
//! A dollar before anything else stays as it is, which the specification leaves open and Compose does.

use std::ops::Range;

use crate::written::{Place, Text};

/// How deep defaults may lie within one another.
const DEEPEST: usize = 64;
/// The longest text that variables may make.
const LONGEST: usize = 1 << 20;

/// Why a text with variables has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Uninterpolated {
    /// A brace that is not what a variable looks like.
    #[error("`{0}` is no variable: write `${{NAME}}`, or `$$` for a dollar")]
    NotAVariable(String),
    /// `${NAME:?message}` of a variable without a value.
    #[error("the variable {name} is required and has no value{}", reason(.message))]
    Required {
        /// The variable.
        name: String,
        /// What the file says about it.
        message: String,
    },
    /// Defaults within defaults within defaults.
    #[error("variables lie more than {DEEPEST} deep within one another")]
    TooDeep,
    /// Variables that multiply.
    #[error("its variables make a text of more than {} KiB", LONGEST >> 10)]
    TooLong,
}

fn reason(message: &str) -> String {
    match message {
        "" => String::new(),
        message => format!(": {}", shortened(message)),
    }
}

/// As much of a text as a message may hold.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Where a variable's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The environment of the process.
    Environment,
    /// A line of an `.env` file: the place of its value.
    File(Place),
    /// The project's own name, as `COMPOSE_PROJECT_NAME`.
    Project,
}

/// A variable's value and where it comes from.
#[derive(Debug, Clone)]
pub struct Variable {
    /// The value.
    pub value: Text,
    /// Where it comes from.
    pub origin: Origin,
}

/// What became of a variable in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The variable's name.
    pub name: String,
    /// How its place in the text was filled.
    pub filled: Filled,
}

/// With what a variable's place was filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filled {
    /// With its value.
    Value(Origin),
    /// With the default or the alternative that the text gives.
    Default,
    /// With nothing: it has no value, and the text gives no default.
    Nothing,
}

/// A text whose variables were replaced.
#[derive(Debug, Clone, Default)]
pub struct Interpolated {
    /// The text as it is now.
    pub text: Text,
    /// The variables in it, in their order.
    pub uses: Vec<Use>,
}

/// Replaces the variables of a text; `lookup` knows their values.
pub fn interpolate(
    text: &Text,
    lookup: &dyn Fn(&str) -> Option<Variable>,
) -> Result<Interpolated, Uninterpolated> {
    let mut done = Interpolated::default();
    if memchr::memchr(b'$', text.as_str().as_bytes()).is_none() {
        done.text = text.clone();
        return Ok(done);
    }
    fill(text, 0..text.as_str().len(), lookup, 0, &mut done)?;
    Ok(done)
}

fn fill(
    text: &Text,
    part: Range<usize>,
    lookup: &dyn Fn(&str) -> Option<Variable>,
    depth: usize,
    done: &mut Interpolated,
) -> Result<(), Uninterpolated> {
    if depth > DEEPEST {
        return Err(Uninterpolated::TooDeep);
    }
    let bytes = text.as_str().as_bytes();
    let mut at = part.start;
    while at < part.end {
        let dollar =
            memchr::memchr(b'$', &bytes[at..part.end]).map_or(part.end, |found| at + found);
        done.text.push_part(text, at..dollar);
        if done.text.as_str().len() > LONGEST {
            return Err(Uninterpolated::TooLong);
        }
        if dollar == part.end {
            break;
        }
        let after = &bytes[dollar + 1..part.end];
        at = match after.first() {
            Some(b'$') => {
                done.text.push_part(text, dollar..dollar + 1);
                dollar + 2
            }
            Some(b'{') => {
                let (braced, end) = Braced::parse(text, dollar, part.end)?;
                braced.fill(text, lookup, depth, done)?;
                end
            }
            Some(c) if starts_name(*c) => {
                let end = dollar + 1 + name_length(after);
                let name = &text.as_str()[dollar + 1..end];
                put(name, lookup(name), done);
                end
            }
            _ => {
                done.text.push_part(text, dollar..dollar + 1);
                dollar + 1
            }
        };
    }
    Ok(())
}

fn put(name: &str, variable: Option<Variable>, done: &mut Interpolated) {
    let filled = match variable {
        Some(variable) => {
            done.text.push_text(&variable.value);
            Filled::Value(variable.origin)
        }
        None => Filled::Nothing,
    };
    done.uses.push(Use {
        name: name.to_owned(),
        filled,
    });
}

fn starts_name(c: u8) -> bool {
    c.is_ascii_alphabetic() || c == b'_'
}

fn name_length(bytes: &[u8]) -> usize {
    let continues = |c: &&u8| c.is_ascii_alphanumeric() || **c == b'_';
    bytes.iter().take_while(continues).count()
}

/// What stands between braces.
struct Braced<'t> {
    name: &'t str,
    rule: Rule,
    /// Whether an empty value counts as none: the operator's colon.
    empty_is_none: bool,
    /// Where the default, alternative or message stands.
    operand: Range<usize>,
}

#[derive(Clone, Copy)]
enum Rule {
    Plain,
    Default,
    Required,
    Alternative,
}

impl<'t> Braced<'t> {
    /// What begins with the `${` at `dollar`, and where it ends. Braces within count, whatever they
    /// belong to.
    fn parse(text: &'t Text, dollar: usize, end: usize) -> Result<(Self, usize), Uninterpolated> {
        let whole = text.as_str();
        let bytes = whole.as_bytes();
        let wrong = || {
            let rest = whole.get(dollar..end).unwrap_or_default();
            Uninterpolated::NotAVariable(shortened(rest))
        };
        let close = closing_brace(bytes, dollar + 1, end).ok_or_else(wrong)?;
        let start = dollar + 2;
        let inside = &bytes[start..close];
        if !inside.first().is_some_and(|c| starts_name(*c)) {
            return Err(wrong());
        }
        let length = name_length(inside);
        let (empty_is_none, operator) = match &inside[length..] {
            [b':', rest @ ..] => (true, rest.first()),
            rest => (false, rest.first()),
        };
        let rule = match operator {
            None if !empty_is_none => Rule::Plain,
            Some(b'-') => Rule::Default,
            Some(b'?') => Rule::Required,
            Some(b'+') => Rule::Alternative,
            _ => return Err(wrong()),
        };
        let operand = match rule {
            Rule::Plain => close,
            _ => start + length + usize::from(empty_is_none) + 1,
        };
        let braced = Self {
            name: &whole[start..start + length],
            rule,
            empty_is_none,
            operand: operand..close,
        };
        Ok((braced, close + 1))
    }

    fn fill(
        self,
        text: &Text,
        lookup: &dyn Fn(&str) -> Option<Variable>,
        depth: usize,
        done: &mut Interpolated,
    ) -> Result<(), Uninterpolated> {
        let found = lookup(self.name);
        let counts =
            |variable: &Variable| !self.empty_is_none || !variable.value.as_str().is_empty();
        let has_value = found.as_ref().is_some_and(counts);
        let takes_operand = match self.rule {
            Rule::Plain => false,
            Rule::Default => !has_value,
            Rule::Alternative => has_value,
            Rule::Required if has_value => false,
            Rule::Required => {
                let mut message = Interpolated::default();
                fill(text, self.operand, lookup, depth + 1, &mut message)?;
                return Err(Uninterpolated::Required {
                    name: self.name.to_owned(),
                    message: message.text.as_str().to_owned(),
                });
            }
        };
        if !takes_operand {
            put(self.name, found, done);
            return Ok(());
        }
        done.uses.push(Use {
            name: self.name.to_owned(),
            filled: Filled::Default,
        });
        fill(text, self.operand, lookup, depth + 1, done)
    }
}

fn closing_brace(bytes: &[u8], open: usize, end: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in bytes.iter().enumerate().take(end).skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some(at),
            b'}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<String, Uninterpolated> {
        let lookup = |name: &str| {
            let value = match name {
                "SET" => "5001",
                "EMPTY" => "",
                "_x9" => "under",
                _ => return None,
            };
            Some(Variable {
                value: Text::unplaced(value),
                origin: Origin::Environment,
            })
        };
        let done = interpolate(&Text::unplaced(text), &lookup)?;
        Ok(done.text.as_str().to_owned())
    }

    #[test]
    fn each_form_of_the_specification() {
        for (text, expected) in [
            ("$SET:80", "5001:80"),
            ("${SET}", "5001"),
            ("${UNSET}", ""),
            ("$UNSET-", "-"),
            ("${SET:-1}${SET-1}", "50015001"),
            ("${EMPTY:-1}|${EMPTY-1}", "1|"),
            ("${UNSET:-1}|${UNSET-1}", "1|1"),
            ("${SET:+1}|${EMPTY:+1}|${EMPTY+1}|${UNSET+1}", "1||1|"),
            ("${SET:?no}|${EMPTY?no}", "5001|"),
            ("$$SET $${SET} $$$SET", "$SET ${SET} $5001"),
            ("${UNSET:-${EMPTY:-${SET}}}x", "5001x"),
            ("${UNSET:-a{b}c}d", "a{b}cd"),
            ("${UNSET:--1}", "-1"),
            ("$ $1 $- 5$", "$ $1 $- 5$"),
            ("$_x9.${_x9}", "under.under"),
            ("ä$SET", "ä5001"),
        ] {
            assert_eq!(value(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_variable_is_told() {
        for text in [
            "${",
            "${}",
            "${1}",
            "${SET",
            "${SET:1}",
            "${SET:}",
            "${UNSET:-${}}",
            "${SET x}",
        ] {
            assert!(
                matches!(value(text), Err(Uninterpolated::NotAVariable(_))),
                "{text}"
            );
        }
        let required = value("${EMPTY:?set it to $SET}").unwrap_err();
        assert_eq!(
            required.to_string(),
            "the variable EMPTY is required and has no value: set it to 5001"
        );
        assert_eq!(
            value("${UNSET?}").unwrap_err().to_string(),
            "the variable UNSET is required and has no value"
        );
        let deep = "${A:-".repeat(10_000) + &"}".repeat(10_000);
        assert_eq!(value(&deep), Err(Uninterpolated::TooDeep));
    }
}
