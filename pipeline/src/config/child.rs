//! `children` of a stream: nested values as rows of tables below.
//!
//! A child's key is its parent's, then its own; the columns of the parents' keys are carried down under the names they got first.

mod key;
mod layout;

use super::column::{self, WrittenColumn};
use super::place::Place;
use super::section::{At, Reading, Section, shown};
use super::source::field;
use super::table_layout::{self, column_name};
use super::tree::{Entry, Node, Value};
use key::OwnKey;
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::{ChildElement, ChildMapping, ColumnMapping, FieldPath, Nothing, RecordFormat};
use landfall_schemas::table::{ColumnRole, TableColumn, TableShape};
use layout::Layout;

/// Tables below each other, the stream's own not counted.
const MAX_DEPTH: usize = 8;

/// What a child is read against.
#[derive(Clone, Debug)]
pub struct Above {
    schema: Ident,
    table: Ident,
    /// Keys of all tables above: each with the name it has in them.
    keys: Vec<TableColumn>,
    format: RecordFormat,
    shared: Option<Box<str>>,
    depth: usize,
}

impl Above {
    /// The stream's own table.
    pub fn of(table: &TableShape, format: RecordFormat) -> Self {
        let name = table.name.clone();
        let (schema, keys, shared) = (table.schema.clone(), table.key().to_vec(), table.shared.clone());
        Self { schema, table: name, keys, format, shared, depth: 0 }
    }

    /// What lies below a child whose table this is.
    fn below(&self, table: &TableShape) -> Self {
        Self { table: table.name.clone(), keys: table.key().to_vec(), depth: self.depth + 1, ..self.clone() }
    }

    /// The columns that carry the keys of the tables above: the last under a name of its own, the others as they are called above.
    fn carried(&self, last: Option<Ident>) -> Option<Vec<TableColumn>> {
        let mut keys = self.keys.clone();
        for (number, key) in keys.iter_mut().enumerate() {
            key.role = ColumnRole::Parent(number);
            key.not_null = true;
        }
        let own = keys.last_mut()?;
        own.name = match last {
            Some(name) => name,
            // A table beside its parent has no key of its own: what it carries has its name already.
            None => Ident::joined(&[self.table.as_str(), own.name.as_str()]).ok()?,
        };
        Some(keys)
    }
}

/// The children of a stream or a child.
pub fn children(
    node: &Node,
    path: &str,
    (above, referring): (&Above, &mut Vec<(Ident, At<WrittenColumn>)>),
    reading: &mut Reading<'_>,
) -> Option<Vec<ChildMapping>> {
    let Value::Map(entries) = &node.value else {
        let what = format!("{path}.children must be a mapping from names to tables");
        reading.problems.add(node.at, what, "`tasks: { key: id, columns: { … } }`");
        return None;
    };
    if above.depth == MAX_DEPTH {
        let what = format!("more than {MAX_DEPTH} tables below each other");
        reading.problems.add(node.at, what, "a jsonb column for what lies deeper");
        return None;
    }
    let read: Vec<_> = entries.iter().map(|entry| child(entry, path, (above, referring), reading)).collect();
    read.into_iter().collect()
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Word {
    Array,
    Map,
    Object,
}

/// A child as it was written. What could not be read is `None`, and was reported.
struct Written<'n> {
    at: Place,
    word: Option<Word>,
    element: Option<ChildElement>,
    from: Option<Option<FieldPath>>,
    table: Option<Ident>,
    /// The outer `None`: not written.
    parent: Option<Option<Ident>>,
    none: Option<Nothing>,
    key: Option<OwnKey>,
    order: Option<At<Option<Ident>>>,
    mapped: Option<Vec<(ColumnMapping, Place)>>,
    rest: Option<Option<At<Ident>>>,
    referring: Vec<At<WrittenColumn>>,
    indexes: Option<&'n Node>,
    unique: Option<&'n Node>,
    below: Option<&'n Node>,
}

fn child(
    entry: &Entry,
    path: &str,
    (above, referring): (&Above, &mut Vec<(Ident, At<WrittenColumn>)>),
    reading: &mut Reading<'_>,
) -> Option<ChildMapping> {
    let path = format!("{path}.children.{}", shown(&entry.key));
    let written = read(entry, &path, above, reading)?;
    let (element, key, mapped) = (written.element?, written.key?, written.mapped?);
    let parent = match written.parent {
        None => None,
        Some(name) => Some(name?),
    };
    let order = match written.order {
        None => None,
        Some(At { at, .. }) if written.word? != Word::Array || matches!(key, OwnKey::Place(_)) => {
            let what = "order keeps the places of an array whose elements have keys of their own";
            reading.problems.add(at, what, "no `order`");
            return None;
        }
        Some(At { at, value }) => Some(At { value: value?, at }),
    };
    let mut keys = above.carried(parent)?;
    keys.extend(key.column());
    let layout =
        Layout { keys, order, mapped: &mapped, rest: written.rest?, at: written.at, shared: above.shared.clone() };
    let mut table = layout.table((above.schema.clone(), written.table?), reading)?;
    (table.indexes, table.unique) = table_layout::lists((written.indexes, written.unique), &table, reading)?;
    referring.extend(written.referring.into_iter().map(|column| (table.name.clone(), column)));
    let children = match written.below {
        Some(node) if element == ChildElement::Value => {
            reading.problems.add(node.at, "single values have no tables below them", "`columns` instead of `value`");
            return None;
        }
        Some(node) => children(node, &path, (&above.below(&table), referring), reading)?,
        None => Vec::new(),
    };
    Some(ChildMapping {
        name: entry.key.as_str().into(),
        from: written.from?,
        shape: key.shape(),
        element,
        none: written.none?,
        columns: mapped.into_iter().map(|(column, _)| column).collect(),
        table,
        children,
    })
}

fn read<'n>(entry: &'n Entry, path: &str, above: &Above, reading: &mut Reading<'_>) -> Option<Written<'n>> {
    let mut section = Section::open(&entry.node, path, reading)?;
    let words = [("array", Word::Array), ("map", Word::Map), ("object", Word::Object)];
    let word = match section.get("shape") {
        None => Some(Word::Array),
        Some(node) => reading.choice(node, "shape", &words),
    };
    let from = from(section.get("from"), (entry, word), reading);
    let table = name_of_table(section.get("table"), entry, above, reading);
    let parent = section.get("parent").map(|node| column_word(node, "parent", reading));
    let has_children = section.has("children");
    let columns = section.get("columns").map(|node| column::columns(node, path, has_children, reading));
    let value = section.get("value").map(|node| value(node, reading));
    let element = match (columns.is_some(), value.is_some(), word) {
        (true, false, _) => Some(ChildElement::Record),
        (false, true, Some(Word::Array | Word::Map)) => Some(ChildElement::Value),
        (_, _, None) => None,
        _ => {
            let what = format!("{path} says neither or both of what its rows hold");
            let instead = "`columns` for objects; `value: TYPE` for arrays and maps of single values";
            reading.problems.add(entry.at, what, instead);
            None
        }
    };
    let key = key::key(&mut section, (word, element, above.format), entry.at, reading);
    let order = section.get("order").map(|node| At { value: column_word(node, "order", reading), at: node.at });
    let rest = rest(&mut section, (word, element), reading);
    let none = none(section.get("none"), word, reading);
    let (indexes, unique, below) = (section.get("indexes"), section.get("unique"), section.get("children"));
    section.close(reading);
    let mapped = match value {
        Some(value) => value.map(|value| vec![value]),
        None => Some(columns.iter().flatten().map(|column| (column.value.column.clone(), column.at)).collect()),
    };
    let refers = |column: &At<WrittenColumn>| column.value.references.is_some();
    let referring = columns.unwrap_or_default().into_iter().filter(refers).collect();
    let at = entry.at;
    Some(Written {
        at,
        word,
        element,
        from,
        table,
        parent,
        none,
        key,
        order,
        mapped,
        rest,
        referring,
        indexes,
        unique,
        below,
    })
}

/// What no row stands for.
fn none(node: Option<&Node>, word: Option<Word>, reading: &mut Reading<'_>) -> Option<Nothing> {
    let Some(node) = node else { return Some(Nothing::Missing) };
    if word == Some(Word::Object) {
        let what = "an object that is there has a row, so no row stands for a missing one";
        reading.problems.add(node.at, what, "no `none`");
        return None;
    }
    reading.choice(node, "none", &[("missing", Nothing::Missing), ("empty", Nothing::Empty)])
}

/// Where the child stands: its name, a path, or (`/`, for tables beside their parent) the parent's value itself.
fn from(
    node: Option<&Node>,
    (entry, word): (&Entry, Option<Word>),
    reading: &mut Reading<'_>,
) -> Option<Option<FieldPath>> {
    let Some(node) = node else {
        let pointer = format!("/{}", entry.key.replace('~', "~0").replace('/', "~1"));
        return FieldPath::parse(&pointer).ok().map(Some);
    };
    match (&node.value, word) {
        (Value::Scalar { text, .. }, Some(Word::Object)) if text == "/" => Some(None),
        (Value::Scalar { text, .. }, Some(_)) if text == "/" => {
            reading.problems.add(node.at, "the record itself is one object", "`shape: object` beside it, or a field");
            None
        }
        _ => field(node, reading).map(Some),
    }
}

fn name_of_table(node: Option<&Node>, entry: &Entry, above: &Above, reading: &mut Reading<'_>) -> Option<Ident> {
    let (made, at, name) = match node {
        None => (Ident::joined(&[above.table.as_str(), &entry.key]), entry.at, entry.key.clone()),
        Some(node) => {
            let text = reading.text(node, "table")?;
            (Ident::new(&text.value), text.at, text.value)
        }
    };
    let refused = match made {
        Ok(_) if name.contains('.') => "a dot separates schema and table, and the schema is target.schema".to_owned(),
        Ok(ident) => return Some(ident),
        Err(error) => error.to_string(),
    };
    reading.problems.add(
        at,
        format!("`{}` cannot be a table: {refused}", shown(&name)),
        "`table: NAME` with another name",
    );
    None
}

fn column_word(node: &Node, what: &'static str, reading: &mut Reading<'_>) -> Option<Ident> {
    let text = reading.text(node, what)?;
    column_name(&text.value, text.at, reading)
}

/// `value: TYPE`, or `value: { type: TYPE, column: NAME, … }`.
fn value(node: &Node, reading: &mut Reading<'_>) -> Option<(ColumnMapping, Place)> {
    let column = column::value(node, reading)?;
    Some((column, node.at))
}

/// What no column takes: a column of the child where it has elements of its own; a table beside leaves it to its parent's.
fn rest(
    section: &mut Section<'_>,
    (word, element): (Option<Word>, Option<ChildElement>),
    reading: &mut Reading<'_>,
) -> Option<Option<At<Ident>>> {
    let at = section.key_place("rest");
    let Some(node) = section.get("rest") else {
        let wanted = word != Some(Word::Object) && element == Some(ChildElement::Record);
        return if wanted { Some(Some(At { value: column_name("rest", at, reading)?, at })) } else { Some(None) };
    };
    if word == Some(Word::Object) || element == Some(ChildElement::Value) {
        reading.problems.add(at, "there is no rest here: what no column takes stays in the parent's", "no `rest`");
        return None;
    }
    match &node.value {
        Value::Scalar { text, plain: true } if text == "false" => Some(None),
        Value::Scalar { text, plain: true } if text == "true" => {
            Some(Some(At { value: column_name("rest", at, reading)?, at }))
        }
        _ => Some(Some(At { value: column_word(node, "rest", reading)?, at })),
    }
}
