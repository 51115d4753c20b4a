//! What differs, row by row and column by column, of records that were looked at again.

use super::fingerprint::{Fingerprints, field_at};
use super::report::{ColumnFinding, Finding, FindingKind};
use landfall_schemas::pgtype::PgType;
use landfall_schemas::table::ColumnRole;
use landfall_schemas::value::show;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Rows of one record, each with the number of its table.
pub(super) type Rows = Vec<(usize, Vec<u8>)>;

/// A table's number and a primary key in canonical form.
type RowKey = (usize, Vec<u8>);
/// Rows with one key: what the source says, what the target holds.
type Sides<'r> = (Vec<&'r [u8]>, Vec<&'r [u8]>);

/// Whether values are told beside names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Values {
    /// Names alone.
    #[default]
    Hidden,
    /// What both sides hold.
    Shown,
}

/// Deepest place inside a document that is told.
const DEEPEST: usize = 8;

/// The rows that one record has on one side alone, or otherwise.
pub(super) fn findings(prints: &mut Fingerprints, source: &Rows, target: &Rows, values: Values) -> Vec<Finding> {
    // By table and primary key, in canonical form: a key that stands twice is told as one too many.
    let mut pairs: BTreeMap<RowKey, Sides<'_>> = BTreeMap::new();
    for (table, row) in source {
        pairs.entry((*table, key_of(prints, *table, row))).or_default().0.push(row);
    }
    for (table, row) in target {
        pairs.entry((*table, key_of(prints, *table, row))).or_default().1.push(row);
    }
    let mut found = Vec::new();
    for ((table, _), (mut said, mut held)) in pairs {
        // Equal rows go together first.
        said.retain(|row| {
            let form = prints.columns(table, row);
            match held.iter().position(|other| same(prints, table, &form, other)) {
                Some(at) => {
                    held.remove(at);
                    false
                }
                None => true,
            }
        });
        while let (Some(one), Some(other)) = (said.last(), held.last()) {
            let columns = columns(prints, table, (one, other), values);
            found.push(finding(prints, FindingKind::Different, (table, one), columns));
            said.pop();
            held.pop();
        }
        found.extend(said.iter().map(|row| finding(prints, FindingKind::Missing, (table, row), Vec::new())));
        found.extend(held.iter().map(|row| finding(prints, FindingKind::Extra, (table, row), Vec::new())));
    }
    found
}

fn same(prints: &mut Fingerprints, table: usize, form: &[Vec<u8>], other: &[u8]) -> bool {
    let other = prints.columns(table, other);
    let views = &prints.tables()[table].columns;
    let counts = views.iter().map(|view| view.role != ColumnRole::Version);
    form.iter().zip(&other).zip(counts).all(|((one, other), counts)| !counts || one == other)
}

fn key_of(prints: &mut Fingerprints, table: usize, row: &[u8]) -> Vec<u8> {
    let forms = prints.columns(table, row);
    let views = &prints.tables()[table].columns;
    forms.into_iter().zip(views).filter(|(_, view)| view.is_key).flat_map(|(form, _)| form).collect()
}

fn finding(
    prints: &Fingerprints,
    kind: FindingKind,
    (table, row): (usize, &[u8]),
    columns: Vec<ColumnFinding>,
) -> Finding {
    let view = &prints.tables()[table];
    let mut key = Map::new();
    let mut at = 0;
    for column in &view.columns {
        let (field, end) = field_at(row, at);
        if column.is_key {
            key.insert(column.name.clone(), show(column.ty, field));
        }
        at = end;
    }
    Finding { kind, table: view.name.clone(), key: Value::Object(key), columns }
}

fn columns(
    prints: &mut Fingerprints,
    table: usize,
    (source, target): (&[u8], &[u8]),
    values: Values,
) -> Vec<ColumnFinding> {
    let (said, held) = (prints.columns(table, source), prints.columns(table, target));
    let (mut at_source, mut at_target) = (0, 0);
    let mut found = Vec::new();
    for (number, view) in prints.tables()[table].columns.iter().enumerate() {
        let (one, end_source) = field_at(source, at_source);
        let (other, end_target) = field_at(target, at_target);
        if view.role != ColumnRole::Version && said.get(number) != held.get(number) {
            let shown = |field| (values == Values::Shown).then(|| show(view.ty, field));
            let at = if view.ty == PgType::Jsonb { place(&show(view.ty, one), &show(view.ty, other)) } else { None };
            found.push(ColumnFinding { column: view.name.clone(), at, source: shown(one), target: shown(other) });
        }
        (at_source, at_target) = (end_source, end_target);
    }
    found
}

/// The pointer of the first place where two documents differ; `None`: they differ as wholes.
fn place(one: &Value, other: &Value) -> Option<String> {
    let (mut one, mut other, mut pointer) = (one, other, String::new());
    for _ in 0..DEEPEST {
        let step = match (one, other) {
            (Value::Object(a), Value::Object(b)) => {
                let name = a.keys().chain(b.keys()).find(|name| a.get(*name) != b.get(*name))?;
                (name.replace('~', "~0").replace('/', "~1"), a.get(name), b.get(name))
            }
            (Value::Array(a), Value::Array(b)) => {
                let index = (0..a.len().max(b.len())).find(|index| a.get(*index) != b.get(*index))?;
                (index.to_string(), a.get(index), b.get(index))
            }
            _ => break,
        };
        pointer = format!("{pointer}/{}", step.0);
        match (step.1, step.2) {
            (Some(a), Some(b)) => (one, other) = (a, b),
            _ => break,
        }
    }
    (!pointer.is_empty()).then_some(pointer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_place_that_differs_is_told() {
        let place = |one, other| place(&one, &other);
        assert_eq!(place(json!({"a": [1, {"b": 2}]}), json!({"a": [1, {"b": 3}]})), Some("/a/1/b".into()));
        assert_eq!(place(json!({"a": null}), json!({})), Some("/a".into()));
        assert_eq!(place(json!([1, 2]), json!([1])), Some("/1".into()));
        assert_eq!(place(json!(1), json!("1")), None);
    }
}
