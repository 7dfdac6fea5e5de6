//! A TOML document whose values know their place.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

use portbook_model::{InvalidPort, Port};

use super::value::{Origin, Value};
use super::{ConfigurationError, ConfigurationFault, Place};

/// The text of a configuration file: tells places, and reads values of one type or says what stands
/// there instead.
#[derive(Clone, Copy)]
pub(super) struct Document<'t> {
    path: &'t Path,
    text: &'t str,
}

/// One key with its value and its name from the top: `ranges.db.base`.
pub(super) struct Member<'m, 't> {
    pub(super) name: String,
    pub(super) key: &'m Spanned<DeString<'t>>,
    pub(super) value: &'m Spanned<DeValue<'t>>,
}

impl<'t> Document<'t> {
    /// The document that the bytes write, parsed.
    pub(super) fn parse(
        path: &'t Path,
        text: &'t str,
    ) -> Result<(Self, DeTable<'t>), ConfigurationError> {
        let document = Self { path, text };
        match DeTable::parse(text) {
            Ok(table) => Ok((document, table.into_inner())),
            Err(error) => {
                let offset = error.span().map_or(text.len(), |span| span.start);
                let message = error.message().replace('\n', ", ");
                Err(document.error(offset, ConfigurationFault::Syntax(message)))
            }
        }
    }

    pub(super) fn error(
        &self,
        offset: usize,
        fault: impl Into<ConfigurationFault>,
    ) -> ConfigurationError {
        ConfigurationError::File {
            place: place(self.path, self.text.as_bytes(), offset),
            fault: fault.into(),
        }
    }

    pub(super) fn value<T>(&self, offset: usize, value: T) -> Value<T> {
        let line = place(self.path, self.text.as_bytes(), offset).line;
        let path = self.path.to_owned();
        Value::new(value, Origin::File { path, line })
    }

    /// A table's members in the order of the text, so that the first fault is the topmost.
    pub(super) fn members<'m>(
        &self,
        table: &'m DeTable<'t>,
        within: Option<&str>,
    ) -> Vec<Member<'m, 't>> {
        let mut members: Vec<_> = table
            .iter()
            .map(|(key, value)| Member {
                name: match within {
                    Some(within) => format!("{within}.{}", key.get_ref()),
                    None => key.get_ref().to_string(),
                },
                key,
                value,
            })
            .collect();
        members.sort_by_key(|member| member.key.span().start);
        members
    }

    pub(super) fn unknown(
        &self,
        member: &Member<'_, 't>,
        all: &'static [&'static str],
    ) -> ConfigurationError {
        let key = member.key.get_ref();
        let nearest = all
            .iter()
            .map(|known| (strsim::jaro_winkler(key, known), *known))
            .filter(|(likeness, _)| *likeness >= 0.8)
            .max_by(|(one, _), (other, _)| one.total_cmp(other));
        self.error(
            member.key.span().start,
            ConfigurationFault::UnknownKey {
                key: member.name.clone(),
                nearest: nearest.map(|(_, known)| known.to_owned()),
                all,
            },
        )
    }

    pub(super) fn wrong_type(
        &self,
        name: &str,
        value: &Spanned<DeValue<'t>>,
        wanted: &'static str,
    ) -> ConfigurationError {
        let found = match value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "a truth value",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.error(
            value.span().start,
            ConfigurationFault::WrongType {
                key: name.to_owned(),
                wanted,
                found,
            },
        )
    }

    /// A text of at least one character.
    pub(super) fn text<'m>(
        &self,
        member: &Member<'m, 't>,
        wanted: &'static str,
    ) -> Result<&'m str, ConfigurationError> {
        let text = member.value.get_ref().as_str();
        let text = text.ok_or_else(|| self.wrong_type(&member.name, member.value, wanted))?;
        if text.is_empty() {
            let fault = ConfigurationFault::Empty(member.name.clone());
            return Err(self.error(member.value.span().start, fault));
        }
        Ok(text)
    }

    /// What a text writes.
    pub(super) fn parsed<T>(
        &self,
        member: &Member<'_, 't>,
        wanted: &'static str,
    ) -> Result<Value<T>, ConfigurationError>
    where
        T: std::str::FromStr,
        T::Err: Into<ConfigurationFault>,
    {
        let offset = member.value.span().start;
        match self.text(member, wanted)?.parse() {
            Ok(value) => Ok(self.value(offset, value)),
            Err(fault) => Err(self.error(offset, T::Err::into(fault))),
        }
    }

    pub(super) fn truth(&self, member: &Member<'_, 't>) -> Result<Value<bool>, ConfigurationError> {
        match member.value.get_ref().as_bool() {
            Some(truth) => Ok(self.value(member.value.span().start, truth)),
            None => Err(self.wrong_type(&member.name, member.value, "true or false")),
        }
    }

    pub(super) fn array<'m>(
        &self,
        member: &Member<'m, 't>,
        wanted: &'static str,
    ) -> Result<&'m DeArray<'t>, ConfigurationError> {
        let array = member.value.get_ref().as_array();
        array.ok_or_else(|| self.wrong_type(&member.name, member.value, wanted))
    }

    pub(super) fn table<'m>(
        &self,
        member: &Member<'m, 't>,
        wanted: &'static str,
    ) -> Result<&'m DeTable<'t>, ConfigurationError> {
        let table = member.value.get_ref().as_table();
        table.ok_or_else(|| self.wrong_type(&member.name, member.value, wanted))
    }

    /// A whole number as far as it is one of `T`; what else it is as text.
    pub(super) fn number<T: TryFrom<i64>>(
        &self,
        name: &str,
        value: &Spanned<DeValue<'t>>,
        wanted: &'static str,
    ) -> Result<Result<T, String>, ConfigurationError> {
        let Some(number) = value.get_ref().as_integer() else {
            return Err(self.wrong_type(name, value, wanted));
        };
        let read = i64::from_str_radix(number.as_str(), number.radix()).ok();
        let read = read.and_then(|number| T::try_from(number).ok());
        Ok(read.ok_or_else(|| number.to_string()))
    }

    pub(super) fn port(
        &self,
        name: &str,
        value: &Spanned<DeValue<'t>>,
    ) -> Result<Value<Port>, ConfigurationError> {
        let offset = value.span().start;
        match self.number::<Port>(name, value, "a port number")? {
            Ok(port) => Ok(self.value(offset, port)),
            Err(found) => {
                let (key, problem) = (name.to_owned(), InvalidPort(found));
                Err(self.error(offset, ConfigurationFault::Port { key, problem }))
            }
        }
    }
}

/// Where the byte at `offset` stands.
pub(super) fn place(path: &Path, bytes: &[u8], offset: usize) -> Place {
    let before = bytes.get(..offset).unwrap_or(bytes);
    let line_start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    let characters = before
        .iter()
        .skip(line_start)
        .filter(|byte| *byte & 0xC0 != 0x80);
    Place {
        path: path.to_owned(),
        line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
        column: 1 + characters.count(),
    }
}
