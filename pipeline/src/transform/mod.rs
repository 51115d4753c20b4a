//! A record becomes a row: the mapping compiled once, then run per record without allocating per field.
//!
//! Owns the way from (key, record, version) to the encoded fields of a row (see `schemas::row`): `json` for records of JSON
//! text, `bson` for BSON documents, `column` and `tree` for what both make of a mapping. Owns no event, no batch, no connection,
//! and reads no clock: the same change under the same mapping gives the same bytes (promise 19).
//!
//! Keeps promise 13: what cannot become a row is a [`Rejection`] with code, path and kinds, never a value, and leaves
//! nothing behind in the buffer. Keeps promise 14: what no column took goes to the rest column; a `null` stays there, so that
//! null and missing stay two; the key's field stays there too unless the key column gives it back.

mod bson;
mod column;
mod json;
mod tree;

use bson::BsonPlan;
use json::JsonPlan;
use landfall_schemas::mapping::{RecordFormat, StreamMapping};
use landfall_schemas::offset::Version;
use landfall_schemas::rejection::Rejection;

/// A mapping made ready, with the scratch memory of one worker.
#[derive(Debug)]
pub struct RowPlan(Plan);

#[derive(Debug)]
enum Plan {
    Json(Box<JsonPlan>),
    Bson(Box<BsonPlan>),
}

impl RowPlan {
    /// Compiles a mapping.
    pub fn new(mapping: &StreamMapping) -> Self {
        Self(match mapping.format {
            RecordFormat::Json => Plan::Json(Box::new(JsonPlan::new(mapping))),
            RecordFormat::Bson => Plan::Bson(Box::new(BsonPlan::new(mapping))),
        })
    }

    /// Appends the row of a record. On error `out` is as before.
    ///
    /// Errors: what is wrong with the record as such (see `StorableCheck`, `bson::Scan`), `NotAnObject`, `KeyType`,
    /// `RequiredMissing`, what `jsonb` cannot hold, and what each column's type refuses (see `schemas::value`).
    pub fn upsert(&mut self, key: &[u8], record: &[u8], version: Version, out: &mut Vec<u8>) -> Result<(), Rejection> {
        let start = out.len();
        let done = match &mut self.0 {
            Plan::Json(plan) => plan.put_row(key, record, version, out),
            Plan::Bson(plan) => plan.put_row(key, record, version, out),
        };
        if done.is_err() {
            out.truncate(start);
        }
        done
    }

    /// Appends the row of a delete: key and version, all else NULL. On error (`KeyType`) `out` is as before.
    pub fn delete(&mut self, key: &[u8], version: Version, out: &mut Vec<u8>) -> Result<(), Rejection> {
        let start = out.len();
        let done = match &self.0 {
            Plan::Json(plan) => plan.put_delete(key, version, out),
            Plan::Bson(plan) => plan.put_delete(key, version, out),
        };
        if done.is_err() {
            out.truncate(start);
        }
        done
    }
}
