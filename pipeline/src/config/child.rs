//! `children` of a stream: nested values as rows of tables below.
//!
//! A child's key is its parent's, then its own; the columns of the parents' keys are carried down under the names they got first.

use super::column::{self, WrittenColumn};
use super::column_type;
use super::place::Place;
use super::section::{At, Reading, Section, shown};
use super::source::field;
use super::table_layout::{self, column_name};
use super::tree::{Entry, Node, Value};
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::{
    ChildElement, ChildMapping, ChildShape, ColumnMapping, ElementKey, FieldPath, RecordFormat,
};
use landfall_schemas::pgtype::PgType;
use landfall_schemas::table::{ColumnRole, TableColumn, TableShape};

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
    depth: usize,
}

impl Above {
    /// The stream's own table.
    pub fn of(table: &TableShape, format: RecordFormat) -> Self {
        let name = table.name.clone();
        Self { schema: table.schema.clone(), table: name, keys: table.key().to_vec(), format, depth: 0 }
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
pub fn children(node: &Node, path: &str, above: &Above, reading: &mut Reading<'_>) -> Option<Vec<ChildMapping>> {
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
    let read: Vec<_> = entries.iter().map(|entry| child(entry, path, above, reading)).collect();
    read.into_iter().collect()
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Word {
    Array,
    Map,
    Object,
}

fn child(entry: &Entry, path: &str, above: &Above, reading: &mut Reading<'_>) -> Option<ChildMapping> {
    let path = format!("{path}.children.{}", shown(&entry.key));
    let mut section = Section::open(&entry.node, &path, reading)?;
    let words = [("array", Word::Array), ("map", Word::Map), ("object", Word::Object)];
    let word = match section.get("shape") {
        None => Some(Word::Array),
        Some(node) => reading.choice(node, "shape", &words),
    };
    let from = from(section.get("from"), (entry, word), reading);
    let table = name_of_table(section.get("table"), entry, above, reading);
    let parent = section.get("parent").map(|node| column_word(node, "parent", reading));
    let columns = section.get("columns").map(|node| column::columns(node, &path, reading));
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
    let key = key(&mut section, (word, element, above.format), entry.at, reading);
    let order = section.get("order").map(|node| (node.at, column_word(node, "order", reading)));
    let rest = rest(&mut section, (word, element), reading);
    let indexes = section.get("indexes");
    let below = section.get("children");
    section.close(reading);

    let (word, element, key) = (word?, element?, key?);
    let written = columns.unwrap_or_default();
    references_nothing(&written, reading)?;
    let mut mapped: Vec<(ColumnMapping, Place)> =
        written.into_iter().map(|column| (column.value.column, column.at)).collect();
    if let Some(value) = value {
        mapped.push(value?);
    }
    let parent = match parent {
        None => None,
        Some(name) => Some(name?),
    };
    let order = match order {
        None => None,
        Some((at, _)) if word != Word::Array || matches!(key, OwnKey::Place(_)) => {
            reading.problems.add(
                at,
                "order keeps the places of an array whose elements have keys of their own",
                "no `order`",
            );
            return None;
        }
        Some((at, name)) => Some(At { value: name?, at }),
    };
    let mut keys = above.carried(parent)?;
    keys.extend(key.column());
    let rest = rest?;
    let layout = Layout { keys, order, mapped: &mapped, rest, at: entry.at };
    let mut shape = layout.table((above.schema.clone(), table?), reading)?;
    if let Some(node) = indexes {
        shape.indexes = table_layout::indexes(node, &shape, reading)?;
    }
    let next = Above {
        table: shape.name.clone(),
        keys: shape.key().to_vec(),
        depth: above.depth + 1,
        schema: above.schema.clone(),
        format: above.format,
    };
    let children = match below {
        Some(node) if element == ChildElement::Value => {
            reading.problems.add(node.at, "single values have no tables below them", "`columns` instead of `value`");
            return None;
        }
        Some(node) => children(node, &path, &next, reading)?,
        None => Vec::new(),
    };
    Some(ChildMapping {
        name: entry.key.as_str().into(),
        from: from?,
        shape: key.shape(),
        element,
        columns: mapped.into_iter().map(|(column, _)| column).collect(),
        table: shape,
        children,
    })
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

/// A child's own key.
#[derive(Clone, Debug)]
enum OwnKey {
    Field(FieldPath, Option<PgType>, Ident),
    Place(Ident),
    Name(Ident),
    None,
}

impl OwnKey {
    fn column(&self) -> Option<TableColumn> {
        let column = |name: &Ident, ty, role| TableColumn { name: name.clone(), ty, not_null: true, role };
        match self {
            Self::Field(_, ty, name) => Some(column(name, ty.unwrap_or(PgType::Text), ColumnRole::Key)),
            Self::Place(name) => Some(column(name, PgType::Int4, ColumnRole::Position)),
            Self::Name(name) => Some(column(name, PgType::Text, ColumnRole::Key)),
            Self::None => None,
        }
    }

    fn shape(&self) -> ChildShape {
        match self {
            Self::Field(path, ty, _) => ChildShape::Array(ElementKey::Field(path.clone(), *ty)),
            Self::Place(_) => ChildShape::Array(ElementKey::Position),
            Self::Name(_) => ChildShape::Map,
            Self::None => ChildShape::Object,
        }
    }
}

fn key(
    section: &mut Section<'_>,
    (word, element, format): (Option<Word>, Option<ChildElement>, RecordFormat),
    at: Place,
    reading: &mut Reading<'_>,
) -> Option<OwnKey> {
    let node = section.get("key");
    let named = |name: &str, reading: &mut Reading<'_>| column_name(name, at, reading);
    match (word?, node) {
        (Word::Object, None) => Some(OwnKey::None),
        (Word::Object, Some(node)) => {
            reading.problems.add(node.at, "one object beside its parent has its parent's key", "no `key`");
            None
        }
        (Word::Map, None) => Some(OwnKey::Name(named("name", reading)?)),
        (Word::Map, Some(node)) => {
            let mut section = Section::open(node, "key", reading)?;
            let name = section
                .need("name", "key: { name: user_id }", reading)
                .and_then(|n| column_word(n, "key.name", reading));
            section.close(reading);
            Some(OwnKey::Name(name?))
        }
        (Word::Array, None) => Some(OwnKey::Place(named("position", reading)?)),
        (Word::Array, Some(node)) => element_key(node, (element, format), reading),
    }
}

/// `key: FIELD`, `key: position`, or `key: { from: FIELD, type: TYPE, name: COLUMN }`.
fn element_key(
    node: &Node,
    (element, format): (Option<ChildElement>, RecordFormat),
    reading: &mut Reading<'_>,
) -> Option<OwnKey> {
    let is_position = |node: &Node| matches!(&node.value, Value::Scalar { text, .. } if text == "position");
    let (from, ty, name) = match &node.value {
        Value::Map(_) => {
            let mut section = Section::open(node, "key", reading)?;
            let from = section.need("from", "key: { from: id, type: uuid }", reading);
            let ty = section.get("type").map(|node| key_type(node, format, reading));
            let name = section.get("name").map(|node| column_word(node, "key.name", reading));
            section.close(reading);
            let ty = match ty {
                None => None,
                Some(ty) => Some(ty?),
            };
            let name = match name {
                None => None,
                Some(name) => Some(name?),
            };
            (from?, ty, name)
        }
        _ => (node, None, None),
    };
    if is_position(from) {
        if ty.is_some() {
            reading.problems.add(node.at, "a place in an array is an integer", "`key: position` without `type`");
            return None;
        }
        return Some(OwnKey::Place(name.or_else(|| column_name("position", node.at, reading))?));
    }
    if element == Some(ChildElement::Value) {
        reading.problems.add(node.at, "single values have no field to be told apart by", "`key: position`");
        return None;
    }
    let path = field(from, reading)?;
    let name = name.or_else(|| column_name(path.last(), from.at, reading))?;
    Some(OwnKey::Field(path, ty, name))
}

fn key_type(node: &Node, format: RecordFormat, reading: &mut Reading<'_>) -> Option<PgType> {
    let word = reading.text(node, "key.type")?;
    match column_type::parse(&word.value) {
        Ok(PgType::ObjectId) if format == RecordFormat::Json => {
            reading.problems.add(word.at, "objectid is a type of MongoDB", "`text`");
            None
        }
        Ok(ty) if column_type::fits_a_key(ty) => Some(ty),
        Ok(ty) => {
            reading.problems.add(
                word.at,
                format!("{ty} cannot be the type of a key"),
                "text, integer, bigint, uuid, …",
            );
            None
        }
        Err(advice) => {
            reading.problems.add(word.at, "unknown column type", advice);
            None
        }
    }
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

fn references_nothing(columns: &[At<WrittenColumn>], reading: &mut Reading<'_>) -> Option<()> {
    let target = columns.iter().find_map(|column| column.value.references.as_ref());
    let Some(target) = target else { return Some(()) };
    reading.problems.add(target.at, "columns of children refer to no table in this version", "no `references`");
    None
}

/// The columns of a child's table in row order.
struct Layout<'a> {
    keys: Vec<TableColumn>,
    order: Option<At<Ident>>,
    mapped: &'a [(ColumnMapping, Place)],
    rest: Option<At<Ident>>,
    at: Place,
}

impl Layout<'_> {
    fn table(self, (schema, name): (Ident, Ident), reading: &mut Reading<'_>) -> Option<TableShape> {
        let key_columns = self.keys.len();
        let mut placed: Vec<(TableColumn, Place)> = self.keys.into_iter().map(|key| (key, self.at)).collect();
        if let Some(order) = self.order {
            let role = ColumnRole::Position;
            placed.push((TableColumn { name: order.value, ty: PgType::Int4, not_null: true, role }, order.at));
        }
        for (number, (column, at)) in self.mapped.iter().enumerate() {
            let (name, role) = (column.name.clone(), ColumnRole::Mapped(number));
            placed.push((TableColumn { name, ty: column.ty, not_null: column.required, role }, *at));
        }
        if let Some(rest) = self.rest {
            let role = ColumnRole::Rest;
            placed.push((TableColumn { name: rest.value, ty: PgType::Jsonb, not_null: false, role }, rest.at));
        }
        let version = Ident::new(TableShape::VERSION).ok()?;
        let role = ColumnRole::Version;
        placed.push((TableColumn { name: version, ty: PgType::Int8, not_null: true, role }, self.at));
        let mut clean = true;
        for (number, (column, at)) in placed.iter().enumerate() {
            let folded = column.name.as_str().to_lowercase();
            if placed[..number].iter().any(|(other, _)| other.name.as_str().to_lowercase() == folded) {
                let what = format!("table {name} has two columns `{}` (or one that differs only in case)", column.name);
                reading.problems.add(
                    *at,
                    what,
                    "another name: `parent`, `key: { name: … }`, `order` and `rest` take one",
                );
                clean = false;
            }
        }
        let columns = placed.into_iter().map(|(column, _)| column).collect();
        clean.then_some(TableShape { schema, name, columns, key_columns, indexes: Vec::new() })
    }
}
