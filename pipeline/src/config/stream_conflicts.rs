//! What no stream can say alone: streams that read the same records, write the same table, or refer to each other.

use super::discriminator;
use super::pipeline::Reference;
use super::section::{At, Reading};
use super::stream::WrittenStream;
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::{ColumnMapping, Select};

/// Reports all conflicts; gives the references that hold.
pub fn check(streams: &[WrittenStream], reading: &mut Reading<'_>) -> Vec<Reference> {
    for (at, stream) in streams.iter().enumerate() {
        own_tables(stream, reading);
        for earlier in &streams[..at] {
            same_table(earlier, stream, reading);
            same_records(earlier, stream, reading);
        }
    }
    streams.iter().filter(|stream| stream.pattern.is_some()).for_each(|pattern| refers_to_nothing(pattern, reading));
    streams
        .iter()
        .filter(|stream| stream.pattern.is_none())
        .flat_map(|stream| {
            let own = stream.columns.iter().map(|column| (&stream.mapping.table.name, column));
            own.chain(stream.below.iter().map(|(table, column)| (table, column))).map(move |found| (stream, found))
        })
        .filter_map(|(stream, (from, column))| {
            let target = column.value.references.as_ref()?;
            let held = reference(streams, &column.value.column, target, reading)?;
            Some(Reference {
                stream: stream.mapping.name.clone(),
                from: from.clone(),
                column: column.value.column.name.clone(),
                ..held
            })
        })
        .collect()
}

/// A foreign key belongs to one table, and a pattern has as many as there are collections.
fn refers_to_nothing(pattern: &WrittenStream, reading: &mut Reading<'_>) {
    for target in pattern.columns.iter().filter_map(|column| column.value.references.as_ref()) {
        let what = format!("the streams of pattern {} refer to no table in this version", pattern.mapping.name);
        reading.problems.add(target.at, what, "no `references`, or a stream for each collection");
    }
}

fn same_table(earlier: &WrittenStream, stream: &WrittenStream, reading: &mut Reading<'_>) {
    // The tables of a pattern are known once its collections are.
    if earlier.pattern.is_some() || stream.pattern.is_some() {
        return;
    }
    let (one, two) = (tables(earlier), tables(stream));
    let own = |of: &WrittenStream| of.mapping.table.name.as_str().to_lowercase();
    if own(earlier) == own(stream) {
        if let Some(what) = discriminator::objection(earlier, stream) {
            let instead =
                "`table: …` with a name of its own, or the same columns and a `discriminator` of its own in both";
            reading.problems.add(stream.table_at, what, instead);
        }
    } else if let Some(name) = two.iter().find(|name| one.contains(name)) {
        let what = format!(
            "streams {} and {} write to one table (`{name}`): no row may be written by two streams",
            earlier.mapping.name, stream.mapping.name
        );
        reading.problems.add(stream.table_at, what, "`table: …` with a name of its own");
    }
}

/// Folded names of all tables of a stream.
fn tables(stream: &WrittenStream) -> Vec<String> {
    let below = stream.mapping.child_tables().map(|child| &child.table);
    std::iter::once(&stream.mapping.table).chain(below).map(|table| table.name.as_str().to_lowercase()).collect()
}

/// Two tables of one stream under one name.
fn own_tables(stream: &WrittenStream, reading: &mut Reading<'_>) {
    let all = tables(stream);
    if let Some((_, name)) = all.iter().enumerate().find(|(at, name)| all[..*at].contains(name)) {
        let what = format!("stream {} has two tables `{name}`", stream.mapping.name);
        reading.problems.add(stream.at, what, "`table: …` with a name of its own in one of its children");
    }
}

fn same_records(earlier: &WrittenStream, stream: &WrittenStream, reading: &mut Reading<'_>) {
    if earlier.mapping.source != stream.mapping.source {
        return;
    }
    let overlap = match (&earlier.mapping.select, &stream.mapping.select) {
        (Select::Pointer(one), Select::Pointer(two)) => one.starts_with(two) || two.starts_with(one),
        (Select::Collection(one), Select::Collection(two)) => one == two,
        (Select::Collection(_), Select::Pointer(_)) | (Select::Pointer(_), Select::Collection(_)) => false,
        (Select::Whole, _) | (_, Select::Whole) => true,
    };
    if overlap {
        let what = format!(
            "streams {} and {} select overlapping parts of source {}",
            earlier.mapping.name, stream.mapping.name, stream.mapping.source
        );
        reading.problems.add(stream.select_at, what, "parts of which none holds the other, or one stream");
    }
}

fn reference(
    streams: &[WrittenStream],
    column: &ColumnMapping,
    target: &At<(Ident, Ident)>,
    reading: &mut Reading<'_>,
) -> Option<Reference> {
    let (table, key) = &target.value;
    let Some(other) = streams.iter().find(|stream| stream.pattern.is_none() && stream.mapping.table.name == *table)
    else {
        let what = format!("no stream writes a table `{table}`");
        reading.problems.add(target.at, what, "a table of this file, as `table.key_column`");
        return None;
    };
    if let Some(told) = other.mapping.table.shared.as_ref().and(other.mapping.table.key().first()) {
        let what = format!("{table} is shared by several streams: its key is `{}` and `{key}` together", told.name);
        reading.problems.add(target.at, what, "no `references`");
        return None;
    }
    let spec = &other.mapping.key;
    if spec.column != *key {
        let what = format!("`{key}` is not the key column of {table}");
        reading.problems.add(target.at, what, format!("`{table}.{}`", spec.column));
        return None;
    }
    match spec.ty {
        None => {
            let what = format!(
                "{table}.{key} holds tagged keys (5 and \"5\" stay two), which a {} column never equals",
                column.ty
            );
            let instead =
                format!("a typed key in stream {}: `key: {{ from: …, type: {} }}`", other.mapping.name, column.ty);
            reading.problems.add(target.at, what, instead);
            None
        }
        Some(ty) if ty != column.ty => {
            let what = format!("{table}.{key} is {ty} and {} is {}", column.name, column.ty);
            reading.problems.add(target.at, what, "the same type in both");
            None
        }
        Some(_) => Some(Reference {
            stream: other.mapping.name.clone(),
            from: other.mapping.table.name.clone(),
            column: column.name.clone(),
            table: table.clone(),
            key: key.clone(),
        }),
    }
}
