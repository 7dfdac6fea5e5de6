//! YAML as a tree whose nodes know where they are written.
//!
//! An alias is the node that it names, not a copy: a document that multiplies itself by aliases is no
//! larger here than it is written.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Tag};

use super::problem::{Fault, Problem};
use crate::written::{BYTE_ORDER_MARK, SourceFile, Text};

/// How many pairs may be looked at in all. Merge keys within merge keys multiply; people's files do not.
const MOST_STEPS: usize = 1_000_000;

/// The documents of a file.
pub(super) struct Tree<'f> {
    pub(super) file: &'f Arc<SourceFile>,
    nodes: Vec<Node<'f>>,
    roots: Vec<NodeId>,
    steps: Cell<usize>,
}

/// A node's place in its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct NodeId(usize);

/// A node.
pub(super) struct Node<'f> {
    pub(super) content: Content<'f>,
    pub(super) merge: Merge,
    bytes: Range<usize>,
}

/// What a node holds.
pub(super) enum Content<'f> {
    Scalar { text: Cow<'f, str>, is_plain: bool },
    Sequence(Vec<NodeId>),
    Mapping(Vec<(NodeId, NodeId)>),
}

/// What Compose's own tags say of a value in a later file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Merge {
    /// It is merged with what is there.
    #[default]
    Usual,
    /// `!override`: it takes the place of what is there.
    Override,
    /// `!reset`: what is there goes, and so does it.
    Reset,
}

/// A key with its value.
pub(super) struct Pair<'t> {
    pub(super) key: &'t str,
    pub(super) key_id: NodeId,
    pub(super) value: NodeId,
}

impl<'f> Tree<'f> {
    pub(super) fn parse(file: &'f Arc<SourceFile>) -> Result<Self, Problem> {
        let bytes = file.bytes();
        let skipped = match bytes.starts_with(BYTE_ORDER_MARK) {
            true => BYTE_ORDER_MARK.len(),
            false => 0,
        };
        let text = std::str::from_utf8(&bytes[skipped..]).map_err(|error| {
            let at = skipped + error.valid_up_to();
            Problem::at(file.place(at..at + 1), Fault::NotUtf8)
        })?;
        let mut builder = Builder::new(file, skipped);
        let options = granit_parser::options! { emit_comments: false };
        for parsed in Parser::new_from_str_with_options(text, options) {
            let (event, span) = parsed.map_err(|error| {
                let at = skipped + error.marker().byte_offset().unwrap_or_default();
                Problem::at(file.place(at..at), Fault::Syntax(error.info().to_string()))
            })?;
            let bytes = span.byte_range().unwrap_or_default();
            builder.take(event, skipped + bytes.start..skipped + bytes.end)?;
        }
        if builder.tree.roots.is_empty() {
            return Err(Problem::at(file.place(0..0), Fault::NotAComposeFile));
        }
        Ok(builder.tree)
    }

    /// The value of each document of the file.
    pub(super) fn roots(&self) -> &[NodeId] {
        &self.roots
    }

    pub(super) fn node(&self, id: NodeId) -> &Node<'f> {
        &self.nodes[id.0]
    }

    pub(super) fn problem(&self, id: NodeId, fault: Fault) -> Problem {
        Problem::at(self.file.place(self.node(id).bytes.clone()), fault)
    }

    /// Which bytes of the file a node takes.
    pub(super) fn bytes(&self, id: NodeId) -> Range<usize> {
        self.node(id).bytes.clone()
    }

    /// The pairs of a mapping, those of its merge keys included; `None` where it is no mapping.
    pub(super) fn pairs(&self, id: NodeId) -> Result<Option<Vec<Pair<'_>>>, Problem> {
        let mut pairs = Vec::new();
        let is_mapping = self.collect(id, 0, &mut pairs)?;
        Ok(is_mapping.then_some(pairs))
    }

    /// Adds the pairs of a mapping whose keys are not there yet: its own come before those that it
    /// merges, and of those the earlier ones before the later.
    fn collect<'t>(
        &'t self,
        id: NodeId,
        depth: usize,
        pairs: &mut Vec<Pair<'t>>,
    ) -> Result<bool, Problem> {
        const DEEPEST: usize = 100;
        let Content::Mapping(own) = &self.node(id).content else {
            return Ok(false);
        };
        self.steps.set(self.steps.get() + own.len() + 1);
        if self.steps.get() > MOST_STEPS || depth > DEEPEST {
            return Err(self.problem(id, Fault::TooMuch));
        }
        let is_new = |pairs: &[Pair<'t>], key: &str| pairs.iter().all(|pair| pair.key != key);
        for (key_id, value) in own {
            let Content::Scalar { text, .. } = &self.node(*key_id).content else {
                continue;
            };
            // Keys of one mapping are told apart when it is read.
            if !self.is_merge_key(*key_id) && (depth == 0 || is_new(pairs, text)) {
                pairs.push(Pair {
                    key: text,
                    key_id: *key_id,
                    value: *value,
                });
            }
        }
        for (_, merged) in own.iter().filter(|(key, _)| self.is_merge_key(*key)) {
            let each = match &self.node(*merged).content {
                Content::Sequence(each) => each.as_slice(),
                _ => std::slice::from_ref(merged),
            };
            for merged in each {
                if !self.collect(*merged, depth + 1, pairs)? {
                    return Err(self.problem(*merged, Fault::MergesNoMapping));
                }
            }
        }
        Ok(true)
    }

    fn is_merge_key(&self, key: NodeId) -> bool {
        matches!(&self.node(key).content, Content::Scalar { text, is_plain: true } if text == "<<")
    }

    /// A scalar's text, with the places of its characters where the file has them as they are.
    pub(super) fn text(&self, id: NodeId) -> Option<Text> {
        let node = self.node(id);
        let Content::Scalar { text, .. } = &node.content else {
            return None;
        };
        let written = self
            .file
            .bytes()
            .get(node.bytes.clone())
            .unwrap_or_default();
        let offset = match written {
            [b'"' | b'\'', inside @ .., _] if inside == text.as_bytes() => 1,
            written if written == text.as_bytes() => 0,
            _ => return Some(Text::unplaced(text.as_ref())),
        };
        Some(Text::copied(text, self.file, node.bytes.start + offset))
    }

    /// Whether nothing is said: `key:`, `key: ~` or `key: null`.
    pub(super) fn is_null(&self, id: NodeId) -> bool {
        let Content::Scalar { text, is_plain } = &self.node(id).content else {
            return false;
        };
        *is_plain && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// What a node is, for a message.
    pub(super) fn kind(&self, id: NodeId) -> &'static str {
        match &self.node(id).content {
            Content::Scalar { .. } if self.is_null(id) => "nothing",
            Content::Scalar { .. } => "a text or number",
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }
}

struct Builder<'f> {
    tree: Tree<'f>,
    anchors: HashMap<usize, NodeId>,
    open: Vec<Open>,
}

/// A collection that has not ended.
struct Open {
    id: NodeId,
    /// In a mapping, the key that waits for its value.
    key: Option<NodeId>,
}

impl<'f> Builder<'f> {
    fn new(file: &'f Arc<SourceFile>, skipped: usize) -> Self {
        let guess = (file.bytes().len() - skipped) / 12;
        Self {
            tree: Tree {
                file,
                nodes: Vec::with_capacity(guess),
                roots: Vec::new(),
                steps: Cell::new(0),
            },
            anchors: HashMap::new(),
            open: Vec::new(),
        }
    }

    fn take(&mut self, event: Event<'f>, bytes: Range<usize>) -> Result<(), Problem> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain && !is_string(tag.as_deref());
                let content = Content::Scalar { text, is_plain };
                self.begin(content, bytes, anchor, tag.as_deref())?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                let content = Content::Sequence(Vec::new());
                let id = self.begin(content, bytes, anchor, tag.as_deref())?;
                self.open.push(Open { id, key: None });
            }
            Event::MappingStart(_, anchor, tag) => {
                let content = Content::Mapping(Vec::new());
                let id = self.begin(content, bytes, anchor, tag.as_deref())?;
                self.open.push(Open { id, key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(ended) = self.open.pop() {
                    let node = &mut self.tree.nodes[ended.id.0];
                    node.bytes.end = bytes.end.max(node.bytes.start);
                    self.refuse_doubles(ended.id)?;
                }
            }
            Event::Alias(anchor) => {
                if let Some(id) = self.anchors.get(&anchor) {
                    self.attach(*id);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(
        &mut self,
        content: Content<'f>,
        bytes: Range<usize>,
        anchor: usize,
        tag: Option<&Tag>,
    ) -> Result<NodeId, Problem> {
        let id = NodeId(self.tree.nodes.len());
        self.tree.nodes.push(Node {
            content,
            merge: merge_of(tag),
            bytes,
        });
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        self.attach(id);
        Ok(id)
    }

    fn attach(&mut self, id: NodeId) {
        let Some(open) = self.open.last_mut() else {
            self.tree.roots.push(id);
            return;
        };
        match &mut self.tree.nodes[open.id.0].content {
            Content::Sequence(items) => items.push(id),
            Content::Mapping(pairs) => match open.key.take() {
                Some(key) => pairs.push((key, id)),
                None => open.key = Some(id),
            },
            Content::Scalar { .. } => {}
        }
    }

    /// Two values for one key are an error in Compose, too.
    fn refuse_doubles(&self, id: NodeId) -> Result<(), Problem> {
        /// Up to so many, comparing each with each is quicker than hashing.
        const FEW: usize = 16;
        let Content::Mapping(pairs) = &self.tree.node(id).content else {
            return Ok(());
        };
        let key = |id: NodeId| match &self.tree.node(id).content {
            Content::Scalar { text, .. } => Some(text.as_ref()),
            _ => None,
        };
        let mut seen: HashMap<&str, NodeId> = HashMap::new();
        for (index, (key_id, _)) in pairs.iter().enumerate() {
            let Some(name) = key(*key_id) else { continue };
            let earlier = if pairs.len() <= FEW {
                let before = pairs.get(..index).unwrap_or_default().iter();
                before.map(|(id, _)| *id).find(|id| key(*id) == Some(name))
            } else {
                seen.insert(name, *key_id)
            };
            if let Some(earlier) = earlier {
                let earlier = self.tree.file.place(self.tree.bytes(earlier)).line;
                let key = name.to_owned();
                return Err(self.tree.problem(*key_id, Fault::KeyTwice { key, earlier }));
            }
        }
        Ok(())
    }
}

fn merge_of(tag: Option<&Tag>) -> Merge {
    match tag.filter(|tag| tag.handle() == "!").map(Tag::suffix) {
        Some("reset") => Merge::Reset,
        Some("override") => Merge::Override,
        _ => Merge::Usual,
    }
}

/// Whether a tag makes a text of what would be a number: `!!str`.
fn is_string(tag: Option<&Tag>) -> bool {
    tag.is_some_and(|tag| tag.suffix() == "str")
}
