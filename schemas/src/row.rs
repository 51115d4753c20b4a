//! Rows ready for PostgreSQL: fields in the table's order, each in the wire's binary form, back to back in one buffer.
//!
//! ```text
//! row    = field*                     one per column of the TableShape, in order, `_lf_version` last
//! field  = length i32 be | bytes      length −1: NULL
//! ```
//!
//! The sink puts its own count (and, for a stage, its operation field) around a row; nothing is encoded twice. A delete is
//! a row whose key and version are set and whose other fields are NULL.

use crate::offset::{Offset, Version};
use crate::stream::PartitionId;
use std::ops::Range;

/// What the sink does with a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RowOp {
    /// Insert, or update where it differs and is not newer.
    Upsert,
    /// Delete where it is not newer.
    Delete,
}

/// One row of a [`RowSet`].
#[derive(Clone, Debug)]
pub struct Row {
    /// What to do.
    pub op: RowOp,
    /// Its fields, in the set's buffer.
    pub fields: Range<usize>,
    /// Its version, also the last field.
    pub version: Version,
    /// Which event it came from: for dead letters when PostgreSQL refuses it.
    pub partition: PartitionId,
    /// Offset of that event.
    pub offset: Offset,
}

/// Rows of one table, each key at most once.
#[derive(Clone, Debug, Default)]
pub struct RowSet {
    /// Descriptors, in the order they are to be written.
    pub rows: Vec<Row>,
    /// The encoded fields.
    pub buffer: Vec<u8>,
}

impl RowSet {
    /// The fields of a row.
    pub fn fields(&self, row: &Row) -> &[u8] {
        &self.buffer[row.fields.clone()]
    }

    /// Empties the set and keeps its memory.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.buffer.clear();
    }
}
