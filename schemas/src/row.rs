//! Rows ready for PostgreSQL: fields in the table's order, each in the wire's binary form, back to back in one buffer.
//!
//! ```text
//! row    = field*                     one per column of the TableShape, in order, `_lf_version` last
//! field  = length i32 be | bytes      length −1: NULL
//! ```
//!
//! Rows of tables below belong to the row of the record that they were nested in: the sink writes both or none, and takes away
//! what a newer record does not hold any more.
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
    /// Its rows in the tables below, among the set's children.
    pub children: Range<u32>,
    /// Its version, also the last field.
    pub version: Version,
    /// Which event it came from: for dead letters when PostgreSQL refuses it.
    pub partition: PartitionId,
    /// Offset of that event.
    pub offset: Offset,
}

/// A row of a table below.
#[derive(Clone, Debug)]
pub struct ChildRow {
    /// Which table, in the order of `StreamMapping::child_tables`.
    pub table: u16,
    /// Its fields, in the set's buffer; the first are the record's key.
    pub fields: Range<usize>,
}

/// Rows of one stream, each key at most once.
#[derive(Clone, Debug, Default)]
pub struct RowSet {
    /// Descriptors, in the order they are to be written.
    pub rows: Vec<Row>,
    /// Rows of the tables below. Those that no row names are not written.
    pub children: Vec<ChildRow>,
    /// The encoded fields.
    pub buffer: Vec<u8>,
}

/// The fields of an encoded row, one after the other; `None` for NULL.
pub fn fields(mut row: &[u8]) -> Vec<Option<&[u8]>> {
    let mut fields = Vec::new();
    while let Some((length, rest)) = row.split_first_chunk::<4>() {
        let length = i32::from_be_bytes(*length);
        let size = usize::try_from(length).unwrap_or(0).min(rest.len());
        let (field, rest) = rest.split_at(size);
        fields.push((length >= 0).then_some(field));
        row = rest;
    }
    fields
}

impl RowSet {
    /// The fields of a row.
    pub fn fields(&self, row: &Row) -> &[u8] {
        &self.buffer[row.fields.clone()]
    }

    /// The rows of a row in the tables below.
    pub fn children(&self, row: &Row) -> &[ChildRow] {
        &self.children[row.children.start as usize..row.children.end as usize]
    }

    /// Empties the set and keeps its memory.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.children.clear();
        self.buffer.clear();
    }
}
