//! `landfall test`: a record in, the rows that it becomes out, compared with what its team expects. Offline.
//!
//! A trial goes the way of every record: the mapping of the configuration, compiled as the workers compile it. Expected values are
//! encoded by the column's own encoder and compared field by field; what differs is read back for people. Nothing is connected to.

mod file;
mod row;

pub use file::{Case, Expected, read};

use crate::config::Pipeline;
use crate::transform::RowPlan;
use landfall_schemas::key::{RecordKey, key_of, key_of_bson};
use landfall_schemas::mapping::{KeyFrom, RecordFormat, StreamMapping};
use landfall_schemas::offset::Version;
use landfall_schemas::rejection::{RejectCode, Rejection};
use landfall_schemas::row::RowSet;
use landfall_schemas::table::TableShape;

/// The version of every row here: nothing is written.
const VERSION: Version = Version(1);

/// Tries a case; gives what is not as expected, line by line.
pub fn attempt(pipeline: &Pipeline, case: &Case) -> Vec<String> {
    let Some(mapping) = pipeline.stream(&case.stream) else {
        return vec![format!("there is no stream {}", case.stream)];
    };
    let record = match bytes_of(&mapping, &case.record) {
        Ok(record) => record,
        Err(why) => return vec![why],
    };
    let mut set = RowSet::default();
    let mut key = RecordKey::default();
    let made = key_for(&mapping, case, &record, &mut key)
        .map_err(|code| Rejection::new(code, "", "a key", "none that can be one"));
    let outcome = made.and_then(|()| RowPlan::new(&mapping).upsert(key.as_bytes(), &record, VERSION, &mut set));
    match (outcome, &case.expected) {
        (Ok(None), Expected::LeftOut) => Vec::new(),
        (Ok(None), _) => vec!["the filter leaves the record out".to_owned()],
        (Ok(Some(_)), Expected::LeftOut) => vec!["the filter lets the record pass".to_owned()],
        (Ok(Some(_)), Expected::Parked { code, .. }) => vec![format!("it fits, and should be parked as {code}")],
        (Err(found), Expected::Parked { code, path }) => {
            let same = found.code.name() == &**code && path.as_ref().is_none_or(|path| **path == *found.path);
            if same { Vec::new() } else { vec![format!("it is parked otherwise: {found}")] }
        }
        (Err(found), _) => vec![format!("it is parked: {found}")],
        (Ok(Some(encoded)), Expected::Rows(expected)) => {
            let own = (&mapping.table, vec![&set.buffer[encoded.fields.clone()]]);
            let below = mapping.child_tables().enumerate().map(|(number, child)| {
                let rows = set.children[encoded.children.start as usize..encoded.children.end as usize].iter();
                let rows = rows.filter(|row| usize::from(row.table) == number);
                (&child.table, rows.map(|row| &set.buffer[row.fields.clone()]).collect::<Vec<_>>())
            });
            let tables: Vec<(&TableShape, Vec<&[u8]>)> = std::iter::once(own).chain(below).collect();
            row::compare(&mapping, &tables, expected)
        }
    }
}

/// The record as its source would hand it out.
fn bytes_of(mapping: &StreamMapping, json: &str) -> Result<Vec<u8>, String> {
    if mapping.format == RecordFormat::Json {
        return Ok(json.as_bytes().to_vec());
    }
    let value: serde_json::Value = serde_json::from_str(json).map_err(|_| "the record is no JSON".to_owned())?;
    let bson = bson::Bson::try_from(value).map_err(|_| "the record is no Extended JSON".to_owned())?;
    let bson::Bson::Document(mut document) = bson else { return Err("the record is no object".to_owned()) };
    if mapping.format == RecordFormat::Sqlite {
        for (_, value) in document.iter_mut() {
            if let bson::Bson::Int32(number) = value {
                *value = bson::Bson::Int64(i64::from(*number));
            }
        }
    }
    bson::serialize_to_vec(&document).map_err(|_| "the record cannot be written as BSON".to_owned())
}

/// The key as the source makes it: from the record, or as the case says.
fn key_for(mapping: &StreamMapping, case: &Case, record: &[u8], key: &mut RecordKey) -> Result<(), RejectCode> {
    let said = case.key.as_deref();
    match (&mapping.key.from, said) {
        (KeyFrom::Position, _) => {
            key.place("trial", 0);
            Ok(())
        }
        (KeyFrom::Name | KeyFrom::Stem | KeyFrom::Composite(_), Some(said)) => key.set_json(said.as_bytes()),
        (KeyFrom::Name | KeyFrom::Stem | KeyFrom::Composite(_), None) => {
            key.string("key");
            Ok(())
        }
        (KeyFrom::Field(_) | KeyFrom::Id, _) if mapping.format == RecordFormat::Json => {
            key_of(&mapping.key, record, None, key)
        }
        (KeyFrom::Field(_) | KeyFrom::Id, _) => key_of_bson(&mapping.key, record, key),
    }
}
