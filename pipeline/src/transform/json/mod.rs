//! Rows from records of JSON text. What no column took goes to the rest column as it stands.
//!
//! A record is read once: for grammar, limits, members named twice and what `jsonb` cannot hold. That pass notes where the members
//! stand; the mapping's paths are followed from there, and only where they lead deeper the text is looked at again.

mod gather;
mod key;

#[cfg(test)]
mod tests;

use super::column::{Column, Field, KeyColumn, NULL, columns, has};
use super::tree::PathTree;
use gather::Gather;
use landfall_schemas::json::{Checked, Kind, skip_space};
use landfall_schemas::mapping::{KeyFrom, StreamMapping, ValueRule};
use landfall_schemas::offset::Version;
use landfall_schemas::rejection::{RejectCode, Rejection};
use landfall_schemas::table::ColumnRole;
use landfall_schemas::value::rule::Ruler;
use landfall_schemas::value::{Encoder, put_int8, put_jsonb, put_null};
use std::ops::Range;

/// A mapping made ready, with the scratch memory of one worker.
#[derive(Debug)]
pub(super) struct JsonPlan {
    columns: Vec<Column>,
    key: KeyColumn,
    /// Paths of the mapped columns and of the key.
    tree: PathTree,
    /// The record goes into `jsonb` as a whole.
    whole: bool,
    /// What no column takes is kept.
    rest: bool,
    encoder: Encoder,
    ruler: Ruler,
    /// Where in the record each column of the mapping finds its value.
    slots: Vec<Option<Range<usize>>>,
    rest_text: Vec<u8>,
}

impl JsonPlan {
    /// Compiles a mapping.
    pub(super) fn new(mapping: &StreamMapping) -> Self {
        let mut tree = PathTree::default();
        for (slot, column) in mapping.columns.iter().enumerate() {
            tree.add_column(column, slot);
        }
        if let KeyFrom::Field(path) = &mapping.key.from {
            tree.add_key(path);
        }
        let (whole, rest) = (has(mapping, ColumnRole::Doc), has(mapping, ColumnRole::Rest));
        Self {
            columns: columns(mapping),
            key: KeyColumn::of(mapping),
            tree,
            whole,
            rest,
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
                Column::Key => self.key.put(key, out)?,
                Column::Version => put_int8(version.0, out),
                _ => put_null(out),
            }
        }
        Ok(())
    }

    /// Appends the row of a record; on error `out` holds a part of it.
    pub(super) fn put_row(
        &mut self,
        key: &[u8],
        record: &[u8],
        version: Version,
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        let checked = if self.whole {
            self.encoder.check().check_storable(record)?;
            Checked::Storable
        } else {
            self.encoder.check().check_record(record)?
        };
        self.gather(key, record, checked)?;
        for column in &self.columns {
            match column {
                Column::Key => self.key.put(key, out)?,
                Column::Mapped(field) => {
                    let found = (record, self.slots[field.slot].clone(), checked);
                    field.put(found, (&mut self.encoder, &mut self.ruler), out)?;
                }
                Column::Doc => put_jsonb(record, out),
                // JSON records have no exact bytes of their own to keep: the configuration gives them no such column.
                Column::Raw => put_null(out),
                Column::Rest if self.rest_text.is_empty() => put_null(out),
                Column::Rest => put_jsonb(&self.rest_text, out),
                Column::Version => put_int8(version.0, out),
            }
        }
        Ok(())
    }

    /// Finds the columns' values and the rest.
    fn gather(&mut self, key: &[u8], record: &[u8], checked: Checked) -> Result<(), Rejection> {
        self.rest_text.clear();
        self.slots.fill(None);
        if self.whole && !self.rest && !self.tree.has_columns() {
            return Ok(());
        }
        let start = skip_space(record, 0);
        let kind = record.get(start).and_then(|first| Kind::of(*first));
        if kind != Some(Kind::Object) {
            let found = kind.map_or("nothing", Kind::name);
            return Err(Rejection::new(RejectCode::NotAnObject, "", "object", found).at(start as u64));
        }
        let rest = self.rest.then_some(&mut self.rest_text);
        let mut gather =
            Gather { record, key, key_type: self.key.ty, tree: &mut self.tree, slots: &mut self.slots, rest };
        let members = self.encoder.members(record);
        gather.record(members).map_err(|error| Rejection::new(error.code, "", "JSON", "something else"))?;
        // Members of a storable record are storable together too.
        if !self.rest_text.is_empty() && checked != Checked::Storable {
            self.encoder.check().check_storable(&self.rest_text).map_err(|found| Rejection { at: None, ..found })?;
        }
        Ok(())
    }
}

impl Field {
    fn put(
        &self,
        (record, slot, checked): (&[u8], Option<Range<usize>>, Checked),
        (encoder, ruler): (&mut Encoder, &mut Ruler),
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        // A default was not checked with the record.
        let checked = if slot.is_some() { checked } else { Checked::Structure };
        let at = slot.as_ref().map(|range| range.start as u64);
        let value = match slot {
            Some(range) => Some(&record[range]),
            None => self.default.as_deref().map(str::as_bytes),
        };
        if self.required && value.is_none_or(|raw| raw == b"null") {
            let found = if value.is_some() { "null" } else { "nothing" };
            let missing = Rejection::new(RejectCode::RequiredMissing, &self.pointer, &self.ty.to_string(), found);
            return Err(Rejection { at, ..missing });
        }
        let Some(raw) = value else {
            put_null(out);
            return Ok(());
        };
        let put = match &self.rule {
            // A default is a value of the column already.
            Some(rule) if at.is_some() => self.put_by_rule(rule, raw, (encoder, ruler), out),
            _ => encoder.field_of(checked, self.ty, raw, out),
        };
        put.map_err(|inner| {
            let path = format!("{}{}", self.pointer, inner.path);
            let at = at.map(|start| start + inner.at.unwrap_or(0));
            Rejection { path: path.into(), at, ..inner }
        })
    }

    /// A rule may make NULL of a value that is there.
    fn put_by_rule(
        &self,
        rule: &ValueRule,
        raw: &[u8],
        (encoder, ruler): (&mut Encoder, &mut Ruler),
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        let start = out.len();
        ruler.put((rule, self.ty), raw, encoder, out)?;
        if self.required && out[start..] == NULL {
            return Err(Rejection::new(RejectCode::RequiredMissing, "", &self.ty.to_string(), "empty text"));
        }
        Ok(())
    }
}
