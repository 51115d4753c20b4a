//! Rows from records of JSON text. What no column took goes to the rest column as it stands.
//!
//! A record is read once: for grammar, limits, members named twice and what `jsonb` cannot hold. That pass notes where the members
//! stand; the mapping's paths are followed from there, and only where they lead deeper the text is looked at again.

mod gather;
mod key;
mod soft;

#[cfg(test)]
mod tests;

use super::column::{Computed, Field, KeyColumn, NULL, has};
use super::level::Level;
use super::notation::{KeySource, Notation, ValueKind, wrong_shape};
use gather::Gather;
use landfall_schemas::expression::Input;
use landfall_schemas::json::{Checked, Items, Kind, Members, SyntaxError, skip_space};
use landfall_schemas::key::RecordKey;
use landfall_schemas::mapping::{StreamMapping, ValueRule};
use landfall_schemas::rejection::{RejectCode, Rejection};
use landfall_schemas::table::ColumnRole;
use landfall_schemas::value::rule::Ruler;
use landfall_schemas::value::{Encoder, put_jsonb, put_null};
use std::ops::Range;

/// JSON text.
#[derive(Debug)]
pub(super) struct Json {
    /// The record goes into `jsonb` as a whole.
    whole: bool,
    /// What is known of the record that was opened last.
    checked: Checked,
    encoder: Encoder,
    ruler: Ruler,
}

impl Json {
    pub(super) fn of(mapping: &StreamMapping) -> Self {
        let whole = has(&mapping.table, ColumnRole::Doc);
        Self { whole, checked: Checked::Structure, encoder: Encoder::default(), ruler: Ruler::default() }
    }
}

/// A walk over an array or an object.
#[derive(Debug)]
pub(super) enum JsonWalk<'a> {
    Items(Items<'a>),
    Members(Members<'a>),
}

impl Notation for Json {
    type Slot = Range<usize>;
    type Walk<'a> = JsonWalk<'a>;

    fn open(&mut self, record: &[u8]) -> Result<(), Rejection> {
        self.checked = if self.whole {
            self.encoder.check().check_storable(record)?;
            Checked::Storable
        } else {
            self.encoder.check().check_record(record)?
        };
        Ok(())
    }

    fn gather(
        &mut self,
        record: &[u8],
        object: Option<&Range<usize>>,
        level: &mut Level<Range<usize>>,
        key: KeySource<'_>,
    ) -> Result<(), Rejection> {
        let start = object.map_or_else(|| skip_space(record, 0), |range| range.start);
        let kind = record.get(start).and_then(|first| Kind::of(*first));
        if kind != Some(Kind::Object) {
            let found = kind.map_or("nothing", Kind::name);
            return Err(Rejection::new(RejectCode::NotAnObject, "", "object", found).at(start as u64));
        }
        let rest = level.rest.then_some(&mut level.rest_text);
        let (key_type, tree, slots) = (level.key.ty, &mut level.tree, &mut level.slots);
        let mut gather = Gather { record, key, key_type, tree, slots, rest, covered: false, checked: self.checked };
        let walked = match object {
            None => gather.record(self.encoder.members(record).map(Ok)),
            Some(range) => gather.record(Each(Members::of(record, range.start))),
        };
        walked.map_err(|stop| stop.rejection(&level.tree))?;
        // Members of a storable record are storable together too.
        if !level.rest_text.is_empty() && self.checked != Checked::Storable {
            let storable = self.encoder.check().check_storable(&level.rest_text);
            storable.map_err(|found| Rejection { at: None, ..found })?;
        }
        Ok(())
    }

    fn input(&mut self, record: &[u8], object: Option<&Range<usize>>) -> Result<Input, Rejection> {
        Input::json(object.map_or(record, |range| &record[range.clone()]))
    }

    fn put_computed(&mut self, column: &Computed, input: &Input, out: &mut Vec<u8>) -> Result<(), Rejection> {
        column.put(input, (&mut self.encoder, &mut self.ruler), out)
    }

    fn put_key(&self, column: &KeyColumn, key: &[u8], out: &mut Vec<u8>) -> Result<(), Rejection> {
        column.put(key, out)
    }

    fn put_field(
        &mut self,
        field: &Field,
        record: &[u8],
        slot: Option<&Range<usize>>,
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        field.put((record, slot.cloned(), self.checked), (&mut self.encoder, &mut self.ruler), out)
    }

    fn put_doc(&self, record: &[u8], out: &mut Vec<u8>) -> Result<(), Rejection> {
        put_jsonb(record, out);
        Ok(())
    }

    /// JSON records have no exact bytes of their own to keep: the configuration gives them no such column.
    fn put_raw(&self, _record: &[u8], out: &mut Vec<u8>) {
        put_null(out);
    }

    fn start(slot: &Range<usize>) -> usize {
        slot.start
    }

    fn kind(record: &[u8], slot: &Range<usize>) -> ValueKind {
        match record.get(slot.start).and_then(|first| Kind::of(*first)) {
            Some(Kind::Object) => ValueKind::Object,
            Some(Kind::Array) => ValueKind::Array,
            Some(Kind::Null) => ValueKind::Null,
            other => ValueKind::Other(other.map_or("nothing", Kind::name)),
        }
    }

    fn walk<'a>(record: &'a [u8], slot: &Range<usize>) -> Result<JsonWalk<'a>, Rejection> {
        let items = Items::of(record, slot.start).map(JsonWalk::Items);
        let walk = items.or_else(|| Members::of(record, slot.start).map(JsonWalk::Members));
        walk.ok_or_else(|| wrong_shape("", "array or object", "something else", slot.start))
    }

    fn step(&self, walk: &mut JsonWalk<'_>, name: &mut RecordKey) -> Result<Option<Range<usize>>, Rejection> {
        let malformed = |error: SyntaxError| Rejection::new(error.code, "", "JSON", "something else");
        match walk {
            JsonWalk::Items(items) => Ok(items.next_item().map_err(malformed)?.map(|(range, _)| range)),
            JsonWalk::Members(members) => {
                let Some(member) = members.next_member().map_err(malformed)? else { return Ok(None) };
                let mut text = Vec::new();
                let decoded = member.name.decode(&mut text);
                name.string(decoded.map_err(|code| Rejection::new(code, "", "a name", "something else"))?);
                Ok(Some(member.value))
            }
        }
    }
}

/// The members of an object, for loops; a fault ends them.
struct Each<'a>(Option<Members<'a>>);

impl<'a> Iterator for Each<'a> {
    type Item = Result<landfall_schemas::json::Member<'a>, SyntaxError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.as_mut()?.next_member().transpose()
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
