//! A record becomes a row: the mapping compiled once, then run per record without allocating per field.
//!
//! Owns the way from (key, record, version) to the encoded fields of a row (see `schemas::row`): `json` for records of JSON
//! text, `bson` for BSON documents; what they differ in is a `notation`, all else a `plan` has for both. Owns no event, no batch, no connection,
//! and reads no clock: the same change under the same mapping gives the same bytes (promise 19).
//!
//! Keeps promise 13: what cannot become a row is a [`Rejection`] with code, path and kinds, never a value, and leaves
//! nothing behind in the buffer. Keeps promise 14: what no column took goes to the rest column; a `null` stays there, so that
//! null and missing stay two; the key's field stays there too unless the key column gives it back.

mod bson;
mod column;
mod json;
mod level;
mod notation;
mod notice;
mod plan;
mod tree;

#[cfg(test)]
mod tests;

pub use notice::{Noticed, Watch};

use bson::Bson;
use json::Json;
use landfall_schemas::mapping::{RecordFormat, StreamMapping};
use landfall_schemas::offset::Version;
use landfall_schemas::rejection::Rejection;
use landfall_schemas::row::RowSet;
use notice::Notices;
use plan::Plan;
use std::ops::Range;

/// A mapping made ready, with the scratch memory of one worker.
#[derive(Debug)]
pub struct RowPlan(Written);

#[derive(Debug)]
enum Written {
    Json(Box<Plan<Json>>),
    Bson(Box<Plan<Bson>>),
}

/// Where the rows of one record stand in a [`RowSet`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Encoded {
    /// Fields of its row in the stream's table.
    pub fields: Range<usize>,
    /// Its rows in the tables below.
    pub children: Range<u32>,
}

impl RowPlan {
    /// Compiles a mapping.
    pub fn new(mapping: &StreamMapping) -> Self {
        Self(match mapping.format {
            RecordFormat::Json => Written::Json(Box::new(Plan::new(mapping, Json::of(mapping)))),
            RecordFormat::Bson | RecordFormat::Sqlite => Written::Bson(Box::new(Plan::new(mapping, Bson::of(mapping)))),
        })
    }

    /// What of new fields is noticed from now on; nothing at first.
    pub fn watch(&mut self, watch: Watch) {
        self.notices().watch = watch;
    }

    /// What was noticed since this was asked last.
    pub fn noticed(&mut self) -> Noticed {
        self.notices().take()
    }

    fn notices(&mut self) -> &mut Notices {
        match &mut self.0 {
            Written::Json(plan) => plan.notices(),
            Written::Bson(plan) => plan.notices(),
        }
    }

    /// Appends the rows of a record; `None`: the stream's filter leaves it out. On error `out` is as before.
    ///
    /// Errors: what is wrong with the record as such (see `StorableCheck`, `bson::Scan`), `NotAnObject`, `KeyType`,
    /// `RequiredMissing`, what `jsonb` cannot hold, what each column's type refuses (see `schemas::value`), and for tables below
    /// `ChildShape`, `KeyMissing`, `DuplicateChild`, and for expressions `ExpressionFailed`.
    pub fn upsert(
        &mut self,
        key: &[u8],
        record: &[u8],
        version: Version,
        out: &mut RowSet,
    ) -> Result<Option<Encoded>, Rejection> {
        let (start, first) = (out.buffer.len(), out.children.len());
        let put = match &mut self.0 {
            Written::Json(plan) => plan.put_row(key, record, version, out),
            Written::Bson(plan) => plan.put_row(key, record, version, out),
        };
        match put {
            Ok(end) => {
                let children = first as u32..out.children.len() as u32;
                Ok(end.map(|end| Encoded { fields: start..end, children }))
            }
            Err(rejection) => {
                out.buffer.truncate(start);
                out.children.truncate(first);
                Err(rejection)
            }
        }
    }

    /// Appends the row of a delete: key and version, all else NULL. On error (`KeyType`) `out` is as before.
    pub fn delete(&mut self, key: &[u8], version: Version, out: &mut RowSet) -> Result<Encoded, Rejection> {
        let start = out.buffer.len();
        let put = match &mut self.0 {
            Written::Json(plan) => plan.put_delete(key, version, &mut out.buffer),
            Written::Bson(plan) => plan.put_delete(key, version, &mut out.buffer),
        };
        let none = out.children.len() as u32;
        match put {
            Ok(end) => Ok(Encoded { fields: start..end, children: none..none }),
            Err(rejection) => {
                out.buffer.truncate(start);
                Err(rejection)
            }
        }
    }
}
