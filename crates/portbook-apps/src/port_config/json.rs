//! Listings in JSON: `port_config.json` and portbook's export.
//!
//! What is JSON and where in the file each value stands is serde_json's work, by slices of the text;
//! what the values mean is told here, so that one wrong entry hides no other.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer as _, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use portbook_model::Role;

use super::draft::{Draft, Placed};
use super::ledger::Ledger;
use super::lines::Lines;
use super::problem::{Fault, MOST_MEMBERS, shortened};
use super::{Format, Listing, Unreadable};

/// How many levels of arrays and objects may lie within one another; a listing has three.
pub(super) const DEEPEST: usize = 64;

/// How many entries are read; a full port space has some 32,000 pairs.
pub(super) const MOST_ENTRIES: usize = 1_000_000;

pub(super) fn read(text: &str) -> Result<Listing, Unreadable> {
    let lines = Lines::of(text);
    if let Some(offset) = too_deep(text) {
        let line = lines.at(offset);
        return Err(Unreadable::TooDeep { line });
    }
    let elements = elements(text)?;
    let format = if has_ports(text, &elements) {
        Format::JsonExport
    } else {
        Format::PortConfig
    };
    let mut ledger = Ledger::default();
    for element in elements {
        ledger.enter(entry(element.get(), format, &lines));
    }
    Ok(ledger.close(format))
}

/// What a text is that is one JSON value but neither array nor object; `None` when it is no JSON.
pub(super) fn scalar(text: &str) -> Option<&'static str> {
    serde_json::from_str::<&RawValue>(text)
        .ok()
        .map(|value| kind(value.get()))
}

/// Where the nesting passes [`DEEPEST`]. serde_json passes over a nested value without recursion, but
/// keeps a byte for each level.
fn too_deep(text: &str) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (offset, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > DEEPEST {
                    return Some(offset);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn elements(text: &str) -> Result<Vec<&RawValue>, Unreadable> {
    struct Elements;
    impl<'de> Visitor<'de> for Elements {
        type Value = Vec<&'de RawValue>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
            let mut elements = Vec::new();
            while let Some(element) = array.next_element()? {
                if elements.len() == MOST_ENTRIES {
                    return Err(A::Error::custom("too many entries"));
                }
                elements.push(element);
            }
            Ok(elements)
        }
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let elements = json
        .deserialize_seq(Elements)
        .and_then(|elements| json.end().map(|()| elements));
    elements.map_err(|error| unreadable(text, &error))
}

fn unreadable(text: &str, error: &serde_json::Error) -> Unreadable {
    let line = error.line().max(1);
    // serde_json counts bytes.
    let before = text.lines().nth(line - 1).unwrap_or_default();
    let before = before.bytes().take(error.column());
    let column = before.filter(|byte| byte & 0xC0 != 0x80).count().max(1);
    match error.classify() {
        Category::Eof => Unreadable::Truncated { line, column },
        Category::Data => Unreadable::TooMany,
        Category::Syntax | Category::Io => {
            let place = format!(" at line {} column {}", error.line(), error.column());
            let message = error.to_string();
            let message = message.strip_suffix(&place).unwrap_or(&message).to_owned();
            Unreadable::Syntax {
                line,
                column,
                message,
            }
        }
    }
}

fn has_ports(text: &str, elements: &[&RawValue]) -> bool {
    // The key may be written with escapes, though nobody does.
    let may_have = text.contains("\"ports\"") || text.contains('\\');
    may_have
        && elements.iter().any(|element| {
            element.get().starts_with('{')
                && Members::of(element.get(), ENTRY)
                    .is_ok_and(|members| members.get("ports").is_some())
        })
}

/// One key of an object with its value.
struct Member<'t> {
    key: String,
    written: &'t str,
    value: &'t str,
}

/// An object's members in their order, those with one key too.
struct Members<'t>(Vec<Member<'t>>);

/// What an object is and what its keys are, for the message that they are too many.
const ENTRY: (&str, &str) = ("the entry", "keys");
const PORTS: (&str, &str) = ("`ports`", "roles");

impl<'t> Members<'t> {
    /// The members of an object whose syntax is known to be sound.
    fn of(object: &'t str, (whole, parts): (&'static str, &'static str)) -> Result<Self, Fault> {
        let Written(members) =
            serde_json::from_str(object).map_err(|_| Fault::TooMany(whole, parts))?;
        let member = |(written, value): (&'t RawValue, &'t RawValue)| {
            let (written, value) = (written.get(), value.get());
            let key = serde_json::from_str(written).map_err(|_| Fault::NotUnicode)?;
            Ok(Member {
                key,
                written,
                value,
            })
        };
        members
            .into_iter()
            .map(member)
            .collect::<Result<_, _>>()
            .map(Members)
    }

    fn get(&self, key: &str) -> Option<&'t str> {
        let mut members = self.0.iter();
        members
            .find(|member| member.key == key)
            .map(|member| member.value)
    }

    /// Notes every key that comes again.
    fn each_once(&self, draft: &mut Draft, lines: &Lines<'_>) {
        let mut seen = std::collections::HashSet::new();
        for member in &self.0 {
            if !seen.insert(member.key.as_str()) {
                let key = shortened(&member.key);
                draft.fault(lines.of_part(member.written), Fault::KeyTwice(key));
            }
        }
    }
}

/// An object's keys and values as they are written, at most [`MOST_MEMBERS`] of them.
struct Written<'t>(Vec<(&'t RawValue, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for Written<'t> {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(&'de RawValue, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = object.next_entry()? {
                    if members.len() == MOST_MEMBERS {
                        return Err(A::Error::custom("too many keys"));
                    }
                    members.push(member);
                }
                Ok(members)
            }
        }
        json.deserialize_map(Object).map(Written)
    }
}

/// What a JSON value is, in words.
fn kind(value: &str) -> &'static str {
    match value.bytes().next() {
        Some(b'"') => "a text",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a truth value",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// Reads values of one entry's keys and notes what is wrong with them.
struct Reader<'d, 'l, 't> {
    draft: &'d mut Draft,
    lines: &'l Lines<'t>,
}

impl Reader<'_, '_, '_> {
    fn wrong_type(&mut self, key: &str, value: &str, wanted: &'static str) {
        let line = self.lines.of_part(value);
        self.draft.fault(
            line,
            Fault::WrongType {
                key: shortened(key),
                wanted,
                found: kind(value),
            },
        );
    }

    fn text(&mut self, key: &str, value: &str) -> Option<String> {
        if !value.starts_with('"') {
            self.wrong_type(key, value, "a text");
            return None;
        }
        let text = serde_json::from_str(value);
        if text.is_err() {
            self.draft
                .fault(self.lines.of_part(value), Fault::NotUnicode);
        }
        text.ok()
    }

    /// The digits of a whole number.
    fn whole<'v>(&mut self, key: &str, value: &'v str) -> Option<&'v str> {
        let line = self.lines.of_part(value);
        match kind(value) {
            "a number" => {
                let digits = value.strip_prefix('-').unwrap_or(value);
                if digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Some(value);
                }
                let (key, found) = (shortened(key), shortened(value));
                self.draft.fault(line, Fault::NotWhole { key, found });
            }
            "a text" => {
                let text = self.text(key, value)?;
                if text.trim().parse::<f64>().is_ok() {
                    let (key, text) = (shortened(key), shortened(&text));
                    self.draft.fault(line, Fault::QuotedNumber { key, text });
                } else {
                    self.wrong_type(key, value, "a number");
                }
            }
            _ => self.wrong_type(key, value, "a number"),
        }
        None
    }

    fn port(&mut self, key: &str, value: &str) -> Option<Placed> {
        let digits = self.whole(key, value)?;
        let line = self.lines.of_part(value);
        self.draft.port(key, digits, line)
    }

    fn required_port(&mut self, members: &Members<'_>, key: &'static str) -> Option<Placed> {
        let Some(value) = members.get(key) else {
            let line = self.draft.line;
            self.draft.fault(line, Fault::Missing(key));
            return None;
        };
        self.port(key, value)
    }

    /// What is written under a key that has two spellings.
    fn one_of<T: PartialEq>(
        &mut self,
        members: &Members<'_>,
        spellings: [&'static str; 2],
        read: impl Fn(&mut Self, &str, &str) -> Option<T>,
    ) -> Option<T> {
        let [first, second] = spellings;
        match (members.get(first), members.get(second)) {
            (None, None) => {
                let line = self.draft.line;
                self.draft.fault(line, Fault::MissingBoth(first, second));
                None
            }
            (Some(value), None) => read(self, first, value),
            (None, Some(value)) => read(self, second, value),
            (Some(value), Some(other)) => {
                let read_first = read(self, first, value);
                let read_second = read(self, second, other);
                if read_first.is_some() && read_second.is_some() && read_first != read_second {
                    let line = self.lines.of_part(other);
                    self.draft
                        .fault(line, Fault::SpellingsDisagree { first, second });
                    return None;
                }
                read_first
            }
        }
    }

    fn ports(&mut self, value: &str) -> Vec<(Role, Placed)> {
        if !value.starts_with('{') {
            self.wrong_type("ports", value, "an object of roles and ports");
            return Vec::new();
        }
        let members = match Members::of(value, PORTS) {
            Ok(members) => members,
            Err(fault) => {
                self.draft.fault(self.lines.of_part(value), fault);
                return Vec::new();
            }
        };
        members.each_once(self.draft, self.lines);
        let mut ports = Vec::new();
        for member in &members.0 {
            let line = self.lines.of_part(member.written);
            let role = self.draft.parsed::<Role>(&member.key, line);
            let port = self.port(&format!("ports.{}", member.key), member.value);
            ports.extend(role.zip(port));
        }
        ports
    }

    /// A text under a key that may be missing or null.
    fn optional_text(&mut self, members: &Members<'_>, key: &str) -> Option<(String, usize)> {
        let value = members.get(key).filter(|value| *value != "null")?;
        let line = self.lines.of_part(value);
        Some((self.text(key, value)?, line))
    }
}

fn entry(value: &str, format: Format, lines: &Lines<'_>) -> Draft {
    let line = lines.of_part(value);
    let mut draft = Draft::at(line);
    let members = if value.starts_with('{') {
        Members::of(value, ENTRY)
    } else {
        Err(Fault::NotAnObject(kind(value)))
    };
    let members = match members {
        Ok(members) => members,
        Err(fault) => {
            draft.fault(line, fault);
            return draft;
        }
    };
    members.each_once(&mut draft, lines);
    let mut reader = Reader {
        draft: &mut draft,
        lines,
    };
    let model = reader.one_of(&members, ["model", "model_name"], |reader, key, value| {
        let text = reader.text(key, value)?;
        reader.draft.model(&text, reader.lines.of_part(value))
    });
    let number = reader.one_of(&members, ["app_num", "app_number"], |reader, key, value| {
        let digits = reader.whole(key, value)?;
        reader.draft.parsed(digits, reader.lines.of_part(value))
    });
    let pair = [
        (
            Role::backend(),
            reader.required_port(&members, "backend_port"),
        ),
        (
            Role::frontend(),
            reader.required_port(&members, "frontend_port"),
        ),
    ];
    let mut ports = Vec::new();
    if format == Format::JsonExport {
        if let Some(value) = members.get("ports") {
            ports = reader.ports(value);
        }
        if let Some(value) = members.get("is_available")
            && kind(value) != "a truth value"
        {
            reader.wrong_type("is_available", value, "a truth value");
        }
        if let Some((text, line)) = reader.optional_text(&members, "space") {
            reader.draft.space = reader.draft.parsed(&text, line);
        }
        if let Some((text, line)) = reader.optional_text(&members, "created_at") {
            reader.draft.created_at = reader.draft.parsed(&text, line);
        }
    }
    (draft.model, draft.number) = (model, number);
    draft.take_ports(pair, ports);
    draft
}
