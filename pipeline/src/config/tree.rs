//! The YAML file as a tree in which every node knows its place.
//!
//! Owns parsing, duplicate keys, and the bounds that keep a hostile file harmless (S19): nesting, nodes after aliases are
//! expanded, one document, no tags. Knows nothing of what the keys mean. A syntax error ends the reading (what follows
//! cannot be trusted); everything else is collected.

use super::place::Place;
use super::problem::Problems;
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, options};
use std::collections::HashMap;

/// Deepest nesting, aliases expanded. A configuration needs six levels.
pub const MAX_DEPTH: usize = 32;
/// Most nodes, aliases expanded: room for thousands of columns, none for a bomb.
pub const MAX_NODES: usize = 100_000;

/// One node.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// Where it stands.
    pub at: Place,
    /// What it is.
    pub value: Value,
    height: usize,
    weight: usize,
}

/// What a node is.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// A scalar; `plain` when it stands without quotes, so that `5`, `true` and `null` mean more than their text.
    Scalar {
        /// Its text.
        text: String,
        /// Without quotes.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Where the key stands.
    pub at: Place,
    /// Its value.
    pub node: Node,
}

impl Node {
    fn new(at: Place, value: Value) -> Self {
        let mut height = 1;
        let mut weight = 1;
        let mut count = |node: &Self| {
            height = height.max(node.height + 1);
            weight += node.weight;
        };
        match &value {
            Value::Scalar { .. } => {}
            Value::List(items) => items.iter().for_each(&mut count),
            Value::Map(entries) => entries.iter().for_each(|entry| count(&entry.node)),
        }
        Self { at, value, height, weight }
    }

    /// `null`, `~` or nothing at all.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            _ if self.is_null() => "nothing",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Scalar { text, plain: true } if matches!(text.as_str(), "true" | "false") => "true or false",
            Value::Scalar { text, plain: true } if looks_numeric(text) => "a number",
            Value::Scalar { .. } => "a text",
        }
    }
}

/// Whether YAML's core schema reads plain `text` as a number.
pub fn looks_numeric(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    match digits.as_bytes() {
        [b'0', b'x', rest @ ..] => !rest.is_empty() && rest.iter().all(u8::is_ascii_hexdigit),
        [b'0', b'o', rest @ ..] => !rest.is_empty() && rest.iter().all(|b| (b'0'..=b'7').contains(b)),
        [first, ..] => {
            (first.is_ascii_digit() || *first == b'.') && (digits.parse::<f64>().is_ok() || is_special(digits))
        }
        [] => false,
    }
}

fn is_special(digits: &str) -> bool {
    matches!(digits.to_ascii_lowercase().as_str(), ".inf" | ".nan")
}

/// Parses `source`. `None` when there is no tree to go on with; the reason is among the problems.
pub fn parse(source: &str, problems: &mut Problems) -> Option<Node> {
    // The parser has a tighter bound than ours only in that it does not see through aliases.
    let options = options! { flow_nesting_limit: MAX_DEPTH, block_nesting_limit: MAX_DEPTH, emit_comments: false };
    let mut builder = Builder { source, problems, open: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None };
    for next in Parser::new_from_str_with_options(source, options) {
        match next {
            Ok((event, span)) => builder.take(event, span)?,
            Err(error) => {
                builder.syntax(&error);
                return None;
            }
        }
    }
    let root = builder.root.take();
    if root.is_none() {
        problems.add(Place::START, "the file is empty", "at least name, target, sources and streams");
    }
    root
}

enum Open {
    List { at: Place, anchor: usize, items: Vec<Node> },
    Map { at: Place, anchor: usize, entries: Vec<Entry>, key: Option<(String, Place)> },
}

struct Builder<'s, 'p> {
    source: &'s str,
    problems: &'p mut Problems,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
}

impl Builder<'_, '_> {
    /// `None` ends the reading.
    fn take(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let at = self.place(span);
        if event.tag().is_some() {
            self.problems.add(at, "YAML tags have no meaning here", "the value without the tag");
        }
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                self.problems.add(at, "the file holds a second YAML document", "one document only");
                None
            }
            Event::Scalar(text, style, anchor, _) => {
                let plain = matches!(style, ScalarStyle::Plain);
                self.push(Node::new(at, Value::Scalar { text: text.into_owned(), plain }), anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.start(Open::List { at, anchor, items: Vec::new() }),
            Event::MappingStart(_, anchor, _) => self.start(Open::Map { at, anchor, entries: Vec::new(), key: None }),
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(id) => self.alias(id, at),
            _ => Some(()),
        }
    }

    fn start(&mut self, open: Open) -> Option<()> {
        self.open.push(open);
        Some(())
    }

    fn close(&mut self) -> Option<()> {
        match self.open.pop()? {
            Open::List { at, anchor, items } => self.push(Node::new(at, Value::List(items)), anchor),
            Open::Map { at, anchor, entries, .. } => self.push(Node::new(at, Value::Map(entries)), anchor),
        }
    }

    fn alias(&mut self, id: usize, at: Place) -> Option<()> {
        let Some(node) = self.anchors.get(&id) else {
            self.problems.add(at, "an alias stands inside its own anchor", "the value itself");
            return None;
        };
        if self.nodes + node.weight > MAX_NODES || self.open.len() + node.height > MAX_DEPTH {
            self.problems.add(at, "the aliases of this file expand beyond every use", "the values themselves");
            return None;
        }
        let copy = node.clone();
        self.nodes += copy.weight - 1;
        self.push(copy, 0)
    }

    fn push(&mut self, node: Node, anchor: usize) -> Option<()> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            self.problems.add(node.at, "the file holds more values than a configuration can need", "less");
            return None;
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
            self.nodes += node.weight;
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                None => *key = Some(key_of(node, self.problems)),
                Some((key, at)) => insert(entries, Entry { key, at, node }, self.problems),
            },
        }
        Some(())
    }

    fn place(&self, span: Span) -> Place {
        let width =
            span.slice(self.source).map_or(1, |text| text.lines().next().unwrap_or("").trim_end().chars().count());
        Place {
            line: number(span.start.line()).max(1),
            column: number(span.start.col() + 1),
            width: number(width.max(1)),
        }
    }

    fn syntax(&mut self, error: &ScanError) {
        let mark = error.marker();
        let at = Place { line: number(mark.line()).max(1), column: number(mark.col() + 1), width: 1 };
        let info = error.info();
        let what = if info.is_empty() { "the YAML cannot be read".to_owned() } else { format!("not YAML: {info}") };
        self.problems.add_note(at, what);
    }
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn key_of(node: Node, problems: &mut Problems) -> (String, Place) {
    match node.value {
        Value::Scalar { text, .. } => (text, node.at),
        Value::List(_) | Value::Map(_) => {
            problems.add(node.at, "a key must be a word", "key: value");
            (String::new(), node.at)
        }
    }
}

fn insert(entries: &mut Vec<Entry>, entry: Entry, problems: &mut Problems) {
    match entries.iter().find(|known| known.key == entry.key) {
        Some(first) => {
            let what = format!("`{}` stands here twice, first on line {}", entry.key, first.at.line);
            problems.add(entry.at, what, "it once");
        }
        None => entries.push(entry),
    }
}
