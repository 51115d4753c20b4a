//! From key, columns and rest to the table: one list, one order.

use super::discriminator::Discriminator;
use super::place::Place;
use super::section::{At, Reading, shown};
use super::tree::Node;
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::{ColumnMapping, KeySpec};
use landfall_schemas::pgtype::PgType;
use landfall_schemas::table::{ColumnRole, TableColumn, TableShape};
use std::collections::HashMap;

/// Column for the whole record of a landing stream.
const DOC: &str = "doc";
/// What PostgreSQL takes in one index.
const MAX_INDEX_COLUMNS: usize = 32;
/// More indexes than this make each write cost more than the reads they serve.
const MAX_INDEXES: usize = 32;

/// What a record's columns are.
#[derive(Clone, Debug)]
pub enum Body<'a> {
    /// The whole record in `doc`.
    Landing,
    /// Columns, and what they leave (`None`: it is dropped).
    Mapped {
        /// The columns with their places.
        columns: &'a [At<&'a ColumnMapping>],
        /// Column for the rest.
        rest: Option<At<Ident>>,
    },
}

/// Whether the record's exact bytes stand beside its columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RawBytes {
    /// In `_lf_raw`.
    Kept,
    /// Nowhere.
    Left,
}

/// A name for a column of ours.
pub fn column_name(name: &str, at: Place, reading: &mut Reading<'_>) -> Option<Ident> {
    let refused = match Ident::new(name) {
        Err(error) => error.to_string(),
        Ok(_) if name.to_ascii_lowercase().starts_with("_lf_") => {
            "names that begin with _lf_ are Landfall's own".to_owned()
        }
        Ok(_) if TableShape::SYSTEM.contains(&name) => {
            "PostgreSQL has a system column of that name in every table".to_owned()
        }
        Ok(ident) => return Some(ident),
    };
    let what = format!("`{}` cannot be a column: {refused}", shown(name));
    reading.problems.add(at, what, "another column name, and the field's name in `from`");
    None
}

/// Builds the table. Collisions are reported where the later of two names was written.
pub fn table(
    (schema, name): (Ident, Ident),
    (discriminator, key): (Option<Discriminator>, &At<KeySpec>),
    body: &Body<'_>,
    raw: RawBytes,
    reading: &mut Reading<'_>,
) -> Option<TableShape> {
    let mut taken: HashMap<String, &'static str> = HashMap::new();
    taken.insert(fold(&key.value.column), "the key column");
    let mut clean = true;
    let mut columns = Vec::new();
    if let Some(Discriminator { column, .. }) = &discriminator {
        clean &= claim(&mut taken, (&column.value, "the discriminator"), column.at, reading);
        let (name, role) = (column.value.clone(), ColumnRole::Stream);
        columns.push(TableColumn { name, ty: PgType::Text, not_null: true, role });
    }
    columns.push(TableColumn {
        name: key.value.column.clone(),
        ty: key.value.ty.unwrap_or(PgType::Text),
        not_null: true,
        role: ColumnRole::Key,
    });
    let key_columns = columns.len();
    match body {
        Body::Landing => {
            let doc = Ident::new(DOC).ok()?;
            clean &= claim(&mut taken, (&doc, "the column of the whole record"), key.at, reading);
            columns.push(TableColumn { name: doc, ty: PgType::Jsonb, not_null: true, role: ColumnRole::Doc });
        }
        Body::Mapped { columns: mapped, rest } => {
            for (index, column) in mapped.iter().enumerate() {
                clean &= claim(&mut taken, (&column.value.name, "another column"), column.at, reading);
                columns.push(TableColumn {
                    name: column.value.name.clone(),
                    ty: column.value.ty,
                    not_null: column.value.required,
                    role: ColumnRole::Mapped(index),
                });
            }
            if let Some(rest) = rest {
                clean &= claim(&mut taken, (&rest.value, "the rest column"), rest.at, reading);
                let name = rest.value.clone();
                columns.push(TableColumn { name, ty: PgType::Jsonb, not_null: false, role: ColumnRole::Rest });
            }
        }
    }
    if raw == RawBytes::Kept {
        let name = Ident::new(TableShape::RAW).ok()?;
        // Nullable, so that it can be added to a table that has rows.
        columns.push(TableColumn { name, ty: PgType::Bytea, not_null: false, role: ColumnRole::Raw });
    }
    let version = Ident::new(TableShape::VERSION).ok()?;
    columns.push(TableColumn { name: version, ty: PgType::Int8, not_null: true, role: ColumnRole::Version });
    let shared = discriminator.map(|found| found.value);
    clean.then_some(TableShape { schema, name, columns, key_columns, shared, indexes: Vec::new(), unique: Vec::new() })
}

fn fold(name: &Ident) -> String {
    name.as_str().to_lowercase()
}

fn claim(
    taken: &mut HashMap<String, &'static str>,
    (name, role): (&Ident, &'static str),
    at: Place,
    reading: &mut Reading<'_>,
) -> bool {
    let Some(other) = taken.insert(fold(name), role) else {
        return true;
    };
    let what = format!("the column `{name}` has the name of {other}{}", case_note(role, other));
    let instead = match (other, role) {
        ("the key column", "another column") => {
            "no column for it (the key column holds the value; `key: { from: …, type: … }` gives it a type)"
        }
        ("the key column", _) => "`key: { from: …, name: … }` with another name",
        (_, "the rest column") => "`rest: NAME` with another name",
        _ => "another name (tools fold upper case, so names that differ only in case are refused)",
    };
    reading.problems.add(at, what, instead);
    false
}

fn case_note(role: &str, other: &str) -> &'static str {
    if role == other { " (or one that differs only in case)" } else { "" }
}

/// Lists of columns.
type Lists = Vec<Vec<usize>>;

/// `indexes` and `unique`.
pub fn lists(
    (indexes, unique): (Option<&Node>, Option<&Node>),
    table: &TableShape,
    reading: &mut Reading<'_>,
) -> Option<(Lists, Lists)> {
    let read = |node: Option<&Node>, reading: &mut Reading<'_>| match node {
        None => Some(Vec::new()),
        Some(node) => self::indexes(node, table, reading),
    };
    Some((read(indexes, reading)?, read(unique, reading)?))
}

/// Lists of column names.
fn indexes(node: &Node, table: &TableShape, reading: &mut Reading<'_>) -> Option<Vec<Vec<usize>>> {
    let items = reading.list(node, "indexes")?;
    if items.len() > MAX_INDEXES {
        reading.problems.add(node.at, format!("more than {MAX_INDEXES} indexes"), "fewer");
        return None;
    }
    let found: Vec<_> = items.iter().map(|item| index(item, table, reading)).collect();
    let found: Vec<Vec<usize>> = found.into_iter().collect::<Option<_>>()?;
    for (at, index) in found.iter().enumerate() {
        if found[..at].contains(index) {
            reading.problems.add(items[at].at, "the same index stands twice", "it once");
        }
    }
    Some(found)
}

fn index(node: &Node, table: &TableShape, reading: &mut Reading<'_>) -> Option<Vec<usize>> {
    let items = reading.list(node, "an index")?;
    if items.is_empty() || items.len() > MAX_INDEX_COLUMNS {
        reading.problems.add(node.at, "an index has 1 to 32 columns", "`[[owner_id], [status, created_at]]`");
        return None;
    }
    let columns: Vec<_> = items.iter().map(|item| index_column(item, table, reading)).collect();
    let columns: Vec<usize> = columns.into_iter().collect::<Option<_>>()?;
    if columns == [0] {
        reading.problems.add(node.at, "the key has its index already, the primary key", "no index of the key alone");
        return None;
    }
    Some(columns)
}

fn index_column(node: &Node, table: &TableShape, reading: &mut Reading<'_>) -> Option<usize> {
    let name = reading.text(node, "a column of an index")?;
    let found = table.columns.iter().position(|column| column.name.as_str() == name.value);
    match found.map(|at| (at, table.columns[at].ty)) {
        None => {
            let what = format!("table {} has no column `{}`", table.name, shown(&name.value));
            reading.problems.add(name.at, what, "a column of this stream");
            None
        }
        Some((_, PgType::Jsonb)) => {
            reading.problems.add(
                name.at,
                "a plain index on jsonb compares whole documents",
                "a column of another type",
            );
            None
        }
        Some((at, _)) => Some(at),
    }
}
