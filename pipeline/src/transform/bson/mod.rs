//! Rows from BSON documents.
//!
//! `doc` and mapped `jsonb` columns hold relaxed Extended JSON, which reads like JSON; the rest holds the canonical form, which tells
//! every type. What a column takes without giving back its very type (a double in `numeric`, a long in `integer`) stays in the
//! rest as well. Text that `jsonb` cannot hold, and members named twice, are parked unless the table keeps the exact bytes
//! (`_lf_raw`): then the former is wrapped and of the latter the last counts (see `schemas::bson`).
//!
//! A document is read twice: once for structure, limits and members named twice, once along the paths of the mapping.

mod field;
mod gather;
mod key;

#[cfg(test)]
mod tests;

use super::column::{Column, KeyColumn, columns, has};
use super::tree::PathTree;
use field::{Slot, put_field, put_jsonb_text};
use gather::{Gather, GivesBack};
use landfall_schemas::bson::{Elements, Fault, Form, Scan, Unstorable, Writer, reject};
use landfall_schemas::mapping::{FieldPath, KeyFrom, StreamMapping};
use landfall_schemas::offset::Version;
use landfall_schemas::rejection::{RejectCode, Rejection};
use landfall_schemas::table::ColumnRole;
use landfall_schemas::value::rule::Ruler;
use landfall_schemas::value::{Encoder, put_bytes, put_int8, put_jsonb, put_null};

/// A mapping of BSON documents made ready, with the scratch memory of one worker.
#[derive(Debug)]
pub(super) struct BsonPlan {
    columns: Vec<Column>,
    key: KeyColumn,
    /// Paths of the mapped columns and of the key.
    tree: PathTree,
    /// What the mapped columns give back, by slot.
    back: Vec<GivesBack>,
    /// What no column takes is kept.
    rest: bool,
    unstorable: Unstorable,
    scan: Scan,
    /// For defaults and what rules make, which are JSON.
    encoder: Encoder,
    ruler: Ruler,
    /// Where in the document each column of the mapping finds its value.
    slots: Vec<Option<Slot>>,
    rest_text: Vec<u8>,
}

impl BsonPlan {
    /// Compiles a mapping.
    pub(super) fn new(mapping: &StreamMapping) -> Self {
        let mut tree = PathTree::default();
        for (slot, column) in mapping.columns.iter().enumerate() {
            tree.add_column(column, slot);
        }
        match &mapping.key.from {
            KeyFrom::Field(path) => tree.add_key(path),
            KeyFrom::Id => tree.add_key(&FieldPath::parse("/_id").expect("a pointer of one name is a path")),
            KeyFrom::Name | KeyFrom::Stem | KeyFrom::Position => {}
        }
        let unstorable = if has(mapping, ColumnRole::Raw) { Unstorable::Wrap } else { Unstorable::Refuse };
        Self {
            columns: columns(mapping),
            key: KeyColumn::of(mapping),
            tree,
            back: mapping.columns.iter().map(GivesBack::of).collect(),
            rest: has(mapping, ColumnRole::Rest),
            unstorable,
            scan: Scan::default(),
            encoder: Encoder::default(),
            ruler: Ruler::default(),
            slots: vec![None; mapping.columns.len()],
            rest_text: Vec::new(),
        }
    }

    /// Appends key and version, all else NULL.
    pub(super) fn put_delete(&self, key: &[u8], version: Version, out: &mut Vec<u8>) -> Result<(), Rejection> {
        for column in &self.columns {
            match column {
                Column::Key => key::put_key(&self.key, key, out)?,
                Column::Version => put_int8(version.0, out),
                _ => put_null(out),
            }
        }
        Ok(())
    }

    /// Appends the row of a document; on error `out` holds a part of it.
    pub(super) fn put_row(
        &mut self,
        key: &[u8],
        record: &[u8],
        version: Version,
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        self.scan.check(record)?;
        if let (Unstorable::Refuse, Some(at)) = (self.unstorable, self.scan.repeated()) {
            return Err(reject(record, Fault { at, code: RejectCode::DuplicateMember }));
        }
        self.gather(key, record).map_err(|fault| reject(record, fault))?;
        let relaxed = Writer { form: Form::Relaxed, unstorable: self.unstorable, scan: &self.scan };
        for column in &self.columns {
            match column {
                Column::Key => key::put_key(&self.key, key, out)?,
                Column::Mapped(field) => {
                    let slot = self.slots[field.slot].as_ref().map(|slot| slot.element(record));
                    match slot {
                        Some(element) => {
                            let means = (&mut self.encoder, &mut self.ruler);
                            put_field(field, record, &element, (&relaxed, means), out)?;
                        }
                        None => field::put_default(field, &mut self.encoder, out)?,
                    }
                }
                Column::Doc => {
                    put_jsonb_text(out, |out| relaxed.record(record, out)).map_err(|fault| reject(record, fault))?;
                }
                Column::Rest if self.rest_text.is_empty() => put_null(out),
                Column::Rest => put_jsonb(&self.rest_text, out),
                Column::Raw => put_bytes(record, out),
                Column::Version => put_int8(version.0, out),
            }
        }
        Ok(())
    }

    /// Finds the columns' values and the rest.
    fn gather(&mut self, key: &[u8], record: &[u8]) -> Result<(), Fault> {
        self.rest_text.clear();
        self.slots.fill(None);
        if !self.rest && !self.tree.has_columns() {
            return Ok(());
        }
        let mut gather = Gather {
            record,
            key,
            key_type: self.key.ty,
            tree: &mut self.tree,
            back: &self.back,
            slots: &mut self.slots,
            rest: self.rest.then_some(&mut self.rest_text),
            writer: Writer { form: Form::Canonical, unstorable: self.unstorable, scan: &self.scan },
        };
        gather.record(Elements::of(record, 0)?)
    }
}
