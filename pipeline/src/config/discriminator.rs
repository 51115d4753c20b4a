//! `discriminator`: several streams write one table, and its first key column tells whose a row is.

use super::section::{At, Reading, Section};
use super::stream::WrittenStream;
use super::table_layout::column_name;
use super::template::NamePattern;
use super::tree::{Node, Value};
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::{Select, StreamMapping};

/// The column, and what it holds in a stream's rows.
#[derive(Clone, Debug)]
pub struct Discriminator {
    /// In front of the key.
    pub column: At<Ident>,
    /// Never empty.
    pub value: Box<str>,
}

/// `discriminator: COLUMN`, or `{ column: …, value: … }`. The value is the collection's name, else the stream's, unless it is written.
/// The outer `None`: it could not be read.
pub(super) fn read(
    node: Option<&Node>,
    (stream, select, pattern): (&str, Option<&Select>, Option<&NamePattern>),
    reading: &mut Reading<'_>,
) -> Option<Option<Discriminator>> {
    let Some(node) = node else { return Some(None) };
    let natural = match select {
        Some(Select::Collection(name)) => name.as_str(),
        _ => stream,
    };
    let (column, value) = match &node.value {
        Value::Map(_) => {
            let mut section = Section::open(node, "discriminator", reading)?;
            let column = section.need("column", "column: tenant", reading);
            let column = column.and_then(|node| named(node, reading));
            let value = section.get("value").map(|node| (node.at, reading.text(node, "value")));
            section.close(reading);
            (column?, value)
        }
        _ => (named(node, reading)?, None),
    };
    if let (Some((at, _)), Some(_)) = (&value, pattern) {
        let what = "the streams of a pattern are told by their collections";
        reading.problems.add(*at, what, "no `value`");
        return None;
    }
    let value: Box<str> = match value {
        None => natural.into(),
        Some((_, text)) => text?.value.into(),
    };
    if value.contains('\0') {
        reading.problems.add(node.at, "no text of PostgreSQL holds U+0000", "another `value`");
        return None;
    }
    Some(Some(Discriminator { column, value }))
}

fn named(node: &Node, reading: &mut Reading<'_>) -> Option<At<Ident>> {
    let text = reading.text(node, "discriminator")?;
    column_name(&text.value, text.at, reading).map(|value| At { value, at: text.at })
}

/// Two streams under one table name: why that cannot be, `None` when they share it.
pub(super) fn objection(earlier: &WrittenStream, stream: &WrittenStream) -> Option<String> {
    let (one, two) = (&earlier.mapping, &stream.mapping);
    let names = format!("streams {} and {}", one.name, two.name);
    match (&one.table.shared, &two.table.shared) {
        (Some(a), Some(b)) if a == b => Some(format!("{names} have one discriminator")),
        (Some(_), Some(_)) if alike(one, two) => None,
        (Some(_), Some(_)) => {
            Some(format!("{names} share a table, and their keys, columns, indexes or children differ"))
        }
        _ => Some(format!("{names} write to one table (`{}`): no row may be written by two streams", two.table.name)),
    }
}

fn alike(one: &StreamMapping, two: &StreamMapping) -> bool {
    let (mut below, mut other) = (one.child_tables(), two.child_tables());
    one.table.is_shared_with(&two.table)
        && loop {
            match (below.next(), other.next()) {
                (None, None) => break true,
                (Some(a), Some(b)) if a.table.is_shared_with(&b.table) => {}
                _ => break false,
            }
        }
}
