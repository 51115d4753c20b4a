//! The round trip: what of a record its rows give back, field by field.
//!
//! A guarantee follows from the mapping alone ([`guarantees`]); what a record really gives back is seen by making its rows, making a
//! document of them again, and comparing ([`Trip`]). Both are told with paths and kinds, never with values. JSON records only: rows of
//! MongoDB carry the record's exact bytes in `_lf_raw`, which give everything back.

mod compare;
mod document;
mod guarantee;
mod leaf;
mod restore;

#[cfg(test)]
mod tests;

pub use compare::Difference;
pub use guarantee::{Guarantee, guarantees};

use crate::transform::RowPlan;
use document::Node;
use landfall_schemas::key::{RecordKey, key_of};
use landfall_schemas::mapping::{KeyFrom, StreamMapping};
use landfall_schemas::offset::Version;
use landfall_schemas::rejection::Rejection;
use landfall_schemas::row::RowSet;

/// How much of a value comes back; less is worse.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fidelity {
    /// It cannot be told from the rows.
    Lossy,
    /// Equal, perhaps spelled or ordered otherwise: `1.0` for `1`, one moment in another zone.
    ByValue,
    /// The same JSON, white space and the order of members apart.
    Exact,
}

/// What became of one record.
#[derive(Debug)]
pub enum Outcome {
    /// The stream's filter leaves it out.
    LeftOut,
    /// It cannot become rows.
    Parked(Rejection),
    /// It became rows, and these places came back otherwise.
    Back(Vec<Difference>),
}

/// A mapping ready to be tried on records.
#[derive(Debug)]
pub struct Trip<'a> {
    mapping: &'a StreamMapping,
    guarantees: Vec<Guarantee>,
    plan: RowPlan,
    rows: RowSet,
    key: RecordKey,
}

impl<'a> Trip<'a> {
    /// Compiles the mapping of a stream of JSON records.
    pub fn new(mapping: &'a StreamMapping) -> Self {
        Self {
            mapping,
            guarantees: guarantees(mapping),
            plan: RowPlan::new(mapping),
            rows: RowSet::default(),
            key: RecordKey::default(),
        }
    }

    /// There and back. `named`: the record's key where it is not one of its fields.
    pub fn of(&mut self, record: &[u8], named: Option<&str>) -> Outcome {
        self.rows.clear();
        let keyed = match (&self.mapping.key.from, named) {
            (KeyFrom::Field(_) | KeyFrom::Id, _) => key_of(&self.mapping.key, record, None, &mut self.key),
            (_, named) => {
                self.key.string(named.unwrap_or("record"));
                Ok(())
            }
        };
        if let Err(code) = keyed {
            return Outcome::Parked(Rejection::new(code, "", "a key", "none that can be one"));
        }
        let encoded = match self.plan.upsert(self.key.as_bytes(), record, Version(1), &mut self.rows) {
            Ok(Some(encoded)) => encoded,
            Ok(None) => return Outcome::LeftOut,
            Err(rejection) => return Outcome::Parked(rejection),
        };
        let restored = restore::restore(self.mapping, &self.rows, &encoded);
        // What became a row is JSON.
        let source = Node::parse(record).unwrap_or(Node::Null);
        Outcome::Back(compare::compare(&source, &restored, &self.guarantees))
    }
}
