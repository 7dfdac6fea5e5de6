//! What a compose file says of a service, before and after it is merged with what others say.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::port::{
    self, PortFault, Protocol, Published, PublishedPort, Short, Wording, address, other_type,
    whole_number,
};
use super::problem::{Fault, Problem};
use super::yaml::{Content, Merge, NodeId, Pair, Tree};
use crate::interpolation::{Interpolated, Variable, interpolate};
use crate::written::{Place, Text};

/// How many entries all `ports` of a project may have together.
pub(super) const MOST_PORTS: usize = 20_000;

/// A service as one file has it.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// Where its name is written.
    pub(super) place: Place,
    pub(super) ports: Field<Vec<PublishedPort>>,
    pub(super) container_name: Field<Option<Named>>,
    pub(super) profiles: Field<Vec<String>>,
    pub(super) extends: Option<Extends>,
    /// What becomes of the same service in the files before.
    pub(super) merge: Merge,
}

/// A name and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: String,
    /// Where it is written.
    pub place: Place,
}

/// A value, and what becomes of the same one in the files before.
#[derive(Debug, Clone, Default)]
pub(super) struct Field<T> {
    pub(super) value: T,
    merge: Merge,
}

impl<T> Field<T> {
    /// This value over that of an earlier file, where both are kept if nothing is said.
    fn over(self, earlier: Self, both: impl FnOnce(T, T) -> T) -> Self {
        match self.merge {
            Merge::Usual => Self {
                value: both(earlier.value, self.value),
                merge: earlier.merge,
            },
            Merge::Override | Merge::Reset => self,
        }
    }
}

/// Another service that a service begins with.
#[derive(Debug, Clone)]
pub(super) struct Extends {
    pub(super) service: String,
    /// The file that has it, if not the same one.
    pub(super) file: Option<String>,
    pub(super) place: Place,
}

impl Draft {
    /// This service over what earlier files or the service that it extends say of it.
    pub(super) fn over(self, earlier: Self) -> Self {
        if self.merge != Merge::Usual {
            return self;
        }
        Self {
            place: self.place,
            ports: self.ports.over(earlier.ports, appended),
            container_name: self
                .container_name
                .over(earlier.container_name, |earlier, own| own.or(earlier)),
            profiles: self.profiles.over(earlier.profiles, appended),
            extends: self.extends,
            merge: earlier.merge,
        }
    }
}

/// Lists are one after the other; what stands twice in them counts once, when all is merged.
fn appended<T>(mut earlier: Vec<T>, own: Vec<T>) -> Vec<T> {
    earlier.extend(own);
    earlier
}

/// Reads the services of a document.
pub(super) struct Services<'a, 'f> {
    pub(super) tree: &'a Tree<'f>,
    pub(super) lookup: &'a dyn Fn(&str) -> Option<Variable>,
    pub(super) problems: &'a mut Vec<Problem>,
    /// How many entries `ports` may still have.
    pub(super) ports_left: &'a mut usize,
}

impl<'a> Services<'a, '_> {
    pub(super) fn read(&mut self, services: NodeId) -> Result<BTreeMap<String, Draft>, Problem> {
        let mut drafts = BTreeMap::new();
        for Pair { key, key_id, value } in self.pairs("services", services)? {
            let draft = self.service(key, key_id, value)?;
            drafts.insert(key.to_owned(), draft);
        }
        Ok(drafts)
    }

    fn service(&mut self, name: &str, name_id: NodeId, node: NodeId) -> Result<Draft, Problem> {
        let place = self.tree.file.place(self.tree.bytes(name_id));
        let mut draft = Draft {
            place,
            ports: Field::default(),
            container_name: Field::default(),
            profiles: Field::default(),
            extends: None,
            merge: self.tree.node(node).merge,
        };
        if draft.merge == Merge::Reset {
            return Ok(draft);
        }
        for Pair { key, value, .. } in self.pairs(name, node)? {
            match key {
                "ports" => draft.ports = self.field(value, Self::ports)?,
                "container_name" => {
                    draft.container_name = self.field(value, Self::container_name)?;
                }
                "profiles" => draft.profiles = self.field(value, Self::profiles)?,
                "extends" => draft.extends = self.extends(value)?,
                _ => {}
            }
        }
        Ok(draft)
    }

    fn field<T: Default>(
        &mut self,
        node: NodeId,
        read: impl FnOnce(&mut Self, NodeId) -> Result<T, Problem>,
    ) -> Result<Field<T>, Problem> {
        let merge = self.tree.node(node).merge;
        let value = match merge {
            Merge::Reset => T::default(),
            Merge::Usual | Merge::Override => read(self, node)?,
        };
        Ok(Field { value, merge })
    }

    /// The pairs of a mapping, which may be left out.
    pub(super) fn pairs(&self, key: &str, node: NodeId) -> Result<Vec<Pair<'a>>, Problem> {
        if self.tree.is_null(node) {
            return Ok(Vec::new());
        }
        let pairs = self.tree.pairs(node)?;
        pairs.ok_or_else(|| self.wrong_type(key, node, "a mapping"))
    }

    /// The items of a list, which may be left out.
    pub(super) fn items(&self, key: &str, node: NodeId) -> Result<&'a [NodeId], Problem> {
        match &self.tree.node(node).content {
            Content::Sequence(items) => Ok(items),
            _ if self.tree.is_null(node) => Ok(&[]),
            _ => Err(self.wrong_type(key, node, "a list")),
        }
    }

    pub(super) fn wrong_type(&self, key: &str, node: NodeId, wanted: &'static str) -> Problem {
        let fault = Fault::WrongType {
            key: key.to_owned(),
            wanted,
            found: self.tree.kind(node),
        };
        self.tree.problem(node, fault)
    }

    /// A text with its variables replaced.
    pub(super) fn text(&self, key: &str, node: NodeId) -> Result<Interpolated, Problem> {
        let text = self.tree.text(node);
        let text = text.ok_or_else(|| self.wrong_type(key, node, "a text"))?;
        interpolate(&text, self.lookup).map_err(|fault| self.tree.problem(node, fault.into()))
    }

    pub(super) fn string(&self, key: &str, node: NodeId) -> Result<String, Problem> {
        Ok(self.text(key, node)?.text.as_str().to_owned())
    }

    fn container_name(&mut self, node: NodeId) -> Result<Option<Named>, Problem> {
        let name = self.string("container_name", node)?;
        let place = self.tree.file.place(self.tree.bytes(node));
        Ok((!name.is_empty()).then_some(Named { name, place }))
    }

    fn profiles(&mut self, node: NodeId) -> Result<Vec<String>, Problem> {
        let items = self.items("profiles", node)?.iter();
        items.map(|item| self.string("profiles", *item)).collect()
    }

    fn extends(&mut self, node: NodeId) -> Result<Option<Extends>, Problem> {
        if self.tree.node(node).merge == Merge::Reset || self.tree.is_null(node) {
            return Ok(None);
        }
        let mut extends = Extends {
            service: String::new(),
            file: None,
            place: self.tree.file.place(self.tree.bytes(node)),
        };
        if let Content::Scalar { .. } = self.tree.node(node).content {
            extends.service = self.string("extends", node)?;
            return Ok(Some(extends));
        }
        for Pair { key, value, .. } in self.pairs("extends", node)? {
            match key {
                "service" => extends.service = self.string("service", value)?,
                "file" => extends.file = Some(self.string("file", value)?),
                _ => {}
            }
        }
        Ok(Some(extends))
    }

    /// The entries of `ports`. One that is wrong is a problem of its own: the others are read.
    fn ports(&mut self, node: NodeId) -> Result<Vec<PublishedPort>, Problem> {
        let items = self.items("ports", node)?;
        let Some(left) = self.ports_left.checked_sub(items.len()) else {
            return Err(self.tree.problem(node, Fault::TooManyPorts));
        };
        *self.ports_left = left;
        let mut ports = Vec::with_capacity(items.len());
        for &item in items {
            if self.tree.node(item).merge == Merge::Reset {
                continue;
            }
            match self.port(item) {
                Ok(port) => ports.push(port),
                Err(problem) => self.problems.push(problem),
            }
        }
        Ok(ports)
    }

    fn port(&self, item: NodeId) -> Result<PublishedPort, Problem> {
        match &self.tree.node(item).content {
            Content::Scalar { .. } => self.short_port(item),
            Content::Mapping(_) => self.long_port(item),
            Content::Sequence(_) => {
                Err(self.wrong_port(item, PortFault::NeitherTextNorNumber("a list")))
            }
        }
    }

    fn wrong_port(&self, node: NodeId, fault: PortFault) -> Problem {
        self.tree.problem(node, fault.into())
    }

    fn short_port(&self, item: NodeId) -> Result<PublishedPort, Problem> {
        let read = self.text_or_number(item)?;
        let text = read.text.as_str();
        let short = Short::parse(text).map_err(|fault| self.wrong_port(item, fault))?;
        let number = short.published.stretch();
        let number = number.and_then(|_| read.text.place(short.published_at));
        Ok(PublishedPort {
            host: short.host,
            published: short.published,
            target: short.target,
            protocol: short.protocol,
            wording: self.wording(item, read, number),
        })
    }

    fn long_port(&self, item: NodeId) -> Result<PublishedPort, Problem> {
        let mut port = Long::default();
        for Pair { key, value, .. } in self.pairs("ports", item)? {
            if self.tree.is_null(value) {
                continue;
            }
            let wrong = |fault| self.wrong_port(value, fault);
            match key {
                "target" => {
                    let read = self.text_or_number(value)?;
                    port.target = Some(port::target(read.text.as_str()).map_err(wrong)?);
                }
                "published" => {
                    let read = self.text_or_number(value)?;
                    let published = port::published(read.text.as_str()).map_err(wrong)?;
                    port.published = Some((published, value, read));
                }
                "host_ip" => {
                    let read = self.text("host_ip", value)?;
                    port.host = address(read.text.as_str()).map_err(wrong)?;
                }
                "protocol" => {
                    let read = self.text("protocol", value)?;
                    port.protocol = Some(Protocol::parse(read.text.as_str()).map_err(wrong)?);
                }
                _ => {}
            }
        }
        let Some(target) = port.target else {
            let fault = PortFault::NoTarget("ports".to_owned());
            return Err(self.wrong_port(item, fault));
        };
        let (published, wording) = match port.published {
            None => (
                Published::Any,
                self.wording(item, Interpolated::default(), None),
            ),
            Some((published, node, read)) => {
                let whole = 0..read.text.as_str().len();
                let number = published.stretch().and_then(|_| read.text.place(whole));
                (published, self.wording(node, read, number))
            }
        };
        Ok(PublishedPort {
            host: port.host,
            published,
            target: RangeInclusive::new(target, target),
            protocol: port.protocol.unwrap_or(Protocol::Tcp),
            wording,
        })
    }

    /// A text with its variables replaced, or a whole number in decimal.
    fn text_or_number(&self, node: NodeId) -> Result<Interpolated, Problem> {
        let plain = match &self.tree.node(node).content {
            Content::Scalar { text, is_plain } if *is_plain => text.as_ref(),
            _ => return self.text("ports", node),
        };
        if let Some(number) = whole_number(plain) {
            let decimal = number.to_string();
            let text = match decimal == plain {
                true => self.tree.text(node).unwrap_or_default(),
                false => Text::unplaced(decimal),
            };
            let uses = Vec::new();
            return Ok(Interpolated { text, uses });
        }
        match other_type(plain) {
            Some(found) => Err(self.wrong_port(node, PortFault::NeitherTextNorNumber(found))),
            None => self.text("ports", node),
        }
    }

    fn wording(&self, node: NodeId, read: Interpolated, number: Option<Place>) -> Wording {
        let place = self.tree.file.place(self.tree.bytes(node));
        let raw = self.tree.file.bytes().get(place.bytes.clone());
        Wording {
            raw: String::from_utf8_lossy(raw.unwrap_or_default()).into_owned(),
            place,
            value: read.text.as_str().to_owned(),
            number,
            uses: read.uses,
        }
    }
}

/// An entry in the long syntax, as far as it is read.
#[derive(Default)]
struct Long {
    target: Option<u16>,
    published: Option<(Published, NodeId, Interpolated)>,
    host: Option<std::net::IpAddr>,
    protocol: Option<Protocol>,
}
