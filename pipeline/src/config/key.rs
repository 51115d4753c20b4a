//! `key` of a stream: where it is found, what its column is called, whether it has a type.
//!
//! Reserved words, each only where it has a meaning: `position` for lines, `path` and `stem` for directories. A field of that
//! name is written as a pointer (`/position`). The key of MongoDB is `_id` and has no `from`.

use super::column_type;
use super::pipeline::SourceKind;
use super::place::Place;
use super::section::{At, Reading, Section};
use super::source::field;
use super::table_layout::column_name;
use super::tree::{Node, Value};
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::{KeyFrom, KeySpec};
use landfall_schemas::pgtype::PgType;

/// Name of the key column where nothing gives it a better one.
const KEY_COLUMN: &str = "key";

/// What a stream without `columns` calls its column for an untyped key is fixed, so that landing tables look alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Landing {
    /// `(key, doc)`.
    Whole,
    /// Columns of its own.
    Mapped,
}

/// The key of a stream whose source is `kind` (`None`: unknown, and reported elsewhere).
pub fn key(
    node: Option<&Node>,
    kind: Option<&SourceKind>,
    landing: Landing,
    stream: Place,
    reading: &mut Reading<'_>,
) -> Option<At<KeySpec>> {
    let Some(node) = node else {
        let from = omitted(kind, stream, reading)?;
        return Some(At { value: KeySpec { from, column: named(KEY_COLUMN, stream, reading)?, ty: None }, at: stream });
    };
    if let (Some(SourceKind::Mongo { .. }), Value::Scalar { .. }) = (kind, &node.value) {
        id_alone(node.at, reading);
        return None;
    }
    match &node.value {
        Value::Map(_) => long(node, kind, landing, reading),
        _ => {
            let from = from(node, kind, reading)?;
            let column = column(&from, None, landing);
            Some(At { value: KeySpec { column: named(&column, node.at, reading)?, from, ty: None }, at: node.at })
        }
    }
}

fn named(name: &str, at: Place, reading: &mut Reading<'_>) -> Option<Ident> {
    column_name(name, at, reading)
}

fn omitted(kind: Option<&SourceKind>, stream: Place, reading: &mut Reading<'_>) -> Option<KeyFrom> {
    if let Some(SourceKind::Lines { .. }) = kind {
        let what = "lines have no name to serve as key, and this stream has no `key`";
        reading.problems.add(stream, what, "`key: FIELD`, or `key: position` for lines that are only ever added");
        return None;
    }
    if let Some(SourceKind::Sqlite { .. }) = kind {
        let what = "a stream of SQLite says which column is its key";
        reading.problems.add(stream, what, "`key: id`, `key: [a, b]` for several together, or `key: rowid`");
        return None;
    }
    if let Some(SourceKind::Mongo { .. }) = kind {
        return Some(KeyFrom::Id);
    }
    Some(KeyFrom::Name)
}

/// Deletes of MongoDB name nothing but the `_id`.
fn id_alone(at: Place, reading: &mut Reading<'_>) {
    let what = "the key of a mongodb stream is _id: its deletes name no other field";
    reading.problems.add(at, what, "no `key`, or `key: { type: objectid }` with the type that every _id has");
}

fn from(node: &Node, kind: Option<&SourceKind>, reading: &mut Reading<'_>) -> Option<KeyFrom> {
    if let (Some(SourceKind::Sqlite { .. }), Value::List(items)) = (kind, &node.value) {
        if items.is_empty() {
            reading.problems.add(node.at, "a key of no columns tells no rows apart", "`key: [a, b]`, or `key: rowid`");
            return None;
        }
        let names: Option<Vec<_>> =
            items.iter().map(|item| reading.text(item, "a column of the key").map(|name| name.value.into())).collect();
        return names.map(KeyFrom::Composite);
    }
    let word = reading.text(node, "key")?;
    match (word.value.as_str(), kind) {
        ("rowid", Some(SourceKind::Sqlite { .. })) => Some(KeyFrom::Name),
        ("position", Some(SourceKind::Lines { .. })) => Some(KeyFrom::Position),
        ("path", Some(SourceKind::Directory { .. })) => Some(KeyFrom::Name),
        ("stem", Some(SourceKind::Directory { .. })) => Some(KeyFrom::Stem),
        _ => field(node, reading).map(KeyFrom::Field),
    }
}

fn column(from: &KeyFrom, ty: Option<PgType>, landing: Landing) -> String {
    match (from, ty, landing) {
        (KeyFrom::Field(_), None, Landing::Whole) => KEY_COLUMN.to_owned(),
        (KeyFrom::Field(path), ..) => path.last().to_owned(),
        (KeyFrom::Name | KeyFrom::Stem | KeyFrom::Position | KeyFrom::Id | KeyFrom::Composite(_), ..) => {
            KEY_COLUMN.to_owned()
        }
    }
}

fn long(node: &Node, kind: Option<&SourceKind>, landing: Landing, reading: &mut Reading<'_>) -> Option<At<KeySpec>> {
    let mut section = Section::open(node, "key", reading)?;
    let at = section.at;
    let found = match section.get("from") {
        Some(node) if matches!(kind, Some(SourceKind::Mongo { .. })) => {
            id_alone(node.at, reading);
            None
        }
        Some(node) => from(node, kind, reading),
        None => omitted(kind, at, reading),
    };
    let ty = section.get("type").map(|node| key_type(node, reading));
    let ty_at = section.key_place("type");
    let name = section.get("name").map(|node| reading.text(node, "key.name"));
    section.close(reading);
    let ty = match ty {
        None => None,
        Some(ty) => Some(ty?),
    };
    let from = found?;
    if matches!(from, KeyFrom::Composite(_)) && ty.is_some() {
        reading.problems.add(ty_at, "several columns together have no one type", "no `type`");
        return None;
    }
    if from == KeyFrom::Position && ty.is_some() {
        reading.problems.add(ty_at, "`key: position` makes its own text and has no type", "`key: position`");
        return None;
    }
    let column = match name {
        None => named(&column(&from, ty, landing), at, reading)?,
        Some(name) => {
            let name = name?;
            named(&name.value, name.at, reading)?
        }
    };
    Some(At { value: KeySpec { from, column, ty }, at })
}

fn key_type(node: &Node, reading: &mut Reading<'_>) -> Option<PgType> {
    let word = reading.text(node, "key.type")?;
    match column_type::parse(&word.value) {
        Ok(ty) if column_type::fits_a_key(ty) => Some(ty),
        Ok(ty) => {
            let what = format!("{ty} cannot be the type of a key");
            reading.problems.add(
                word.at,
                what,
                "text, smallint, integer, bigint, numeric, uuid, date, timestamp, timestamptz or objectid",
            );
            None
        }
        Err(advice) => {
            reading.problems.add(word.at, "unknown column type", advice);
            None
        }
    }
}
