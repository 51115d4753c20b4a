//! Rows against expected rows: each expected one must be there, and no other.

use super::file::ExpectedTable;
use landfall_schemas::key::RecordKey;
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::row::fields;
use landfall_schemas::table::{ColumnRole, TableColumn, TableShape};
use landfall_schemas::value::{Encoder, show};
use serde_json::{Map, Value};

/// A column's number and the field it is expected to hold.
type Wanted = (usize, Option<Vec<u8>>);

/// What is not as expected.
pub(super) fn compare(
    mapping: &StreamMapping,
    tables: &[(&TableShape, Vec<&[u8]>)],
    expected: &[ExpectedTable],
) -> Vec<String> {
    let mut faults = Vec::new();
    for wanted in expected {
        let Some((shape, rows)) = tables.iter().find(|(shape, _)| shape.name.as_str() == &*wanted.table) else {
            let names: Vec<&str> = tables.iter().map(|(shape, _)| shape.name.as_str()).collect();
            faults.push(format!("stream {} has no table {}: {}", mapping.name, wanted.table, names.join(", ")));
            continue;
        };
        table(mapping, (shape, rows), wanted, &mut faults);
    }
    faults
}

fn table(
    mapping: &StreamMapping,
    (shape, rows): (&TableShape, &[&[u8]]),
    wanted: &ExpectedTable,
    faults: &mut Vec<String>,
) {
    let mut left: Vec<Vec<Option<&[u8]>>> = rows.iter().map(|row| fields(row)).collect();
    for row in &wanted.rows {
        let encoded =
            row.iter().map(|(name, json)| encode(mapping, shape, name, json)).collect::<Result<Vec<Wanted>, _>>();
        let encoded = match encoded {
            Ok(encoded) => encoded,
            Err(fault) => {
                faults.push(format!("{}: {fault}", wanted.table));
                continue;
            }
        };
        let fits = |found: &Vec<Option<&[u8]>>| {
            encoded.iter().all(|(at, value)| same(&shape.columns[*at], found[*at], value.as_deref()))
        };
        match left.iter().position(fits) {
            Some(at) => drop(left.remove(at)),
            None => {
                let named: Vec<usize> = encoded.iter().map(|(at, _)| *at).collect();
                let nearest = left.iter().max_by_key(|found| {
                    encoded.iter().filter(|(at, value)| same(&shape.columns[*at], found[*at], value.as_deref())).count()
                });
                let what = match nearest {
                    Some(found) => format!("there is {}", seen(shape, found, &named)),
                    None => "there is no other row".to_owned(),
                };
                faults.push(format!("{}: no row {}; {what}", wanted.table, written(row)));
            }
        }
    }
    let all: Vec<usize> = (0..shape.columns.len() - 1).collect();
    faults.extend(left.iter().map(|found| format!("{}: unexpected row {}", wanted.table, seen(shape, found, &all))));
}

fn encode(mapping: &StreamMapping, shape: &TableShape, name: &str, json: &str) -> Result<Wanted, String> {
    let at = shape.columns.iter().position(|column| column.name.as_str() == name);
    let at = at.ok_or_else(|| format!("it has no column {name}"))?;
    let column = &shape.columns[at];
    // A key without a type is compared as it is stored: the tagged text.
    let tagged = match column.role {
        ColumnRole::Key => untyped(mapping, shape),
        ColumnRole::Parent(above) => mapping.key.ty.is_none() && is_key(mapping, above),
        _ => false,
    };
    if tagged && json != "null" {
        let mut key = RecordKey::default();
        key.set_json(json.as_bytes()).map_err(|_| format!("{name}: this is no key"))?;
        return Ok((at, Some(key.as_bytes().to_vec())));
    }
    let mut out = Vec::new();
    let fitted = Encoder::default().field(column.ty, json.as_bytes(), &mut out);
    fitted.map_err(|found| format!("the expected value of {name} is no {}: {found}", column.ty))?;
    Ok((at, fields(&out).remove(0).map(<[u8]>::to_vec)))
}

/// The column of a row above is the record's key.
fn is_key(mapping: &StreamMapping, above: usize) -> bool {
    mapping.table.key().get(above).is_some_and(|column| column.role == ColumnRole::Key)
}

fn untyped(mapping: &StreamMapping, shape: &TableShape) -> bool {
    use landfall_schemas::mapping::{ChildShape, ElementKey};
    if *shape == mapping.table {
        return mapping.key.ty.is_none();
    }
    let child = mapping.child_tables().find(|child| child.table == *shape);
    child.is_some_and(|child| matches!(child.shape, ChildShape::Array(ElementKey::Field(_, None))))
}

/// Documents are compared by what they say, not by how.
fn same(column: &TableColumn, found: Option<&[u8]>, wanted: Option<&[u8]>) -> bool {
    found == wanted
        || column.ty == landfall_schemas::pgtype::PgType::Jsonb && show(column.ty, found) == show(column.ty, wanted)
}

fn seen(shape: &TableShape, fields: &[Option<&[u8]>], columns: &[usize]) -> String {
    let column = |at: &usize| (shape.columns[*at].name.to_string(), show(shape.columns[*at].ty, fields[*at]));
    Value::Object(columns.iter().map(column).collect::<Map<_, _>>()).to_string()
}

fn written(row: &[(Box<str>, Box<str>)]) -> String {
    let parts: Vec<String> = row.iter().map(|(name, json)| format!("\"{name}\":{json}")).collect();
    format!("{{{}}}", parts.join(","))
}
