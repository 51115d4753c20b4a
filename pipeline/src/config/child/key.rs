//! What tells the rows of a child apart within one parent.

use super::{Word, column_word};
use crate::config::column_type;
use crate::config::place::Place;
use crate::config::section::{Reading, Section};
use crate::config::source::field;
use crate::config::table_layout::column_name;
use crate::config::tree::{Node, Value};
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::{ChildElement, ChildShape, ElementKey, FieldPath, RecordFormat};
use landfall_schemas::pgtype::PgType;
use landfall_schemas::table::{ColumnRole, TableColumn};

/// A child's own key.
#[derive(Clone, Debug)]
pub(super) enum OwnKey {
    Field(FieldPath, Option<PgType>, Ident),
    Place(Ident),
    Name(Ident),
    None,
}

impl OwnKey {
    pub(super) fn column(&self) -> Option<TableColumn> {
        let column = |name: &Ident, ty, role| TableColumn { name: name.clone(), ty, not_null: true, role };
        match self {
            Self::Field(_, ty, name) => Some(column(name, ty.unwrap_or(PgType::Text), ColumnRole::Key)),
            Self::Place(name) => Some(column(name, PgType::Int4, ColumnRole::Position)),
            Self::Name(name) => Some(column(name, PgType::Text, ColumnRole::Key)),
            Self::None => None,
        }
    }

    pub(super) fn shape(&self) -> ChildShape {
        match self {
            Self::Field(path, ty, _) => ChildShape::Array(ElementKey::Field(path.clone(), *ty)),
            Self::Place(_) => ChildShape::Array(ElementKey::Position),
            Self::Name(_) => ChildShape::Map,
            Self::None => ChildShape::Object,
        }
    }
}

pub(super) fn key(
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
