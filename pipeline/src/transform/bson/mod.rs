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
mod soft;

#[cfg(test)]
mod tests;

use super::column::{Computed, Field, KeyColumn, has};
use super::level::Level;
use super::notation::{KeySource, Notation, ValueKind, new_field, wrong_shape};
use field::{Slot, put_field, put_jsonb_text};
use gather::{Gather, Stop};
use landfall_schemas::bson::{Elements, Fault, Form, Kind, Scan, Unstorable, Writer, reject};
use landfall_schemas::expression::Input;
use landfall_schemas::key::RecordKey;
use landfall_schemas::mapping::{RecordFormat, StreamMapping};
use landfall_schemas::rejection::{RejectCode, Rejection};
use landfall_schemas::table::ColumnRole;
use landfall_schemas::value::rule::Ruler;
use landfall_schemas::value::{Encoder, put_bytes};

/// BSON documents.
#[derive(Debug)]
pub(super) struct Bson {
    unstorable: Unstorable,
    /// Numbers are of one kind: what holds one gives it back.
    one_kind: bool,
    scan: Scan,
    /// For defaults and what rules make, which are JSON.
    encoder: Encoder,
    ruler: Ruler,
    /// What expressions were given last.
    text: Vec<u8>,
}

impl Bson {
    pub(super) fn of(mapping: &StreamMapping) -> Self {
        let unstorable = if has(&mapping.table, ColumnRole::Raw) { Unstorable::Wrap } else { Unstorable::Refuse };
        let one_kind = mapping.format == RecordFormat::Sqlite;
        let (scan, text) = (Scan::default(), Vec::new());
        Self { unstorable, one_kind, scan, encoder: Encoder::default(), ruler: Ruler::default(), text }
    }

    fn writer(&self, form: Form) -> Writer<'_> {
        Writer { form, unstorable: self.unstorable, scan: &self.scan }
    }
}

/// A walk over an array or a document.
#[derive(Debug)]
pub(super) struct BsonWalk<'a> {
    record: &'a [u8],
    elements: Elements<'a>,
    is_array: bool,
}

impl Notation for Bson {
    type Slot = Slot;
    type Walk<'a> = BsonWalk<'a>;

    fn open(&mut self, record: &[u8]) -> Result<(), Rejection> {
        self.scan.check(record)?;
        match (self.unstorable, self.scan.repeated()) {
            (Unstorable::Refuse, Some(at)) => Err(reject(record, Fault { at, code: RejectCode::DuplicateMember })),
            _ => Ok(()),
        }
    }

    fn gather(
        &mut self,
        record: &[u8],
        object: Option<&Slot>,
        level: &mut Level<Slot>,
        key: KeySource<'_>,
    ) -> Result<(), Rejection> {
        let elements = Elements::of(record, object.map_or(0, Slot::start)).map_err(|fault| reject(record, fault))?;
        let mut gather = Gather {
            record,
            key,
            key_type: level.key.ty,
            tree: &mut level.tree,
            back: &level.back,
            one_kind: self.one_kind,
            slots: &mut level.slots,
            rest: level.rest.then_some(&mut level.rest_text),
            covered: false,
            writer: self.writer(Form::Canonical),
        };
        gather.record(elements).map_err(|stop| match stop {
            Stop::Fault(fault) => reject(record, fault),
            Stop::Shape { node, wanted, found, at } => wrong_shape(&level.tree.pointer(node), wanted, found, at),
            Stop::New { node, name } => new_field(&level.tree.pointer(node), &name, None),
        })
    }

    /// Relaxed Extended JSON, as `doc` has it; what `jsonb` cannot hold is wrapped, for no column takes it as it is.
    fn input(&mut self, record: &[u8], object: Option<&Slot>) -> Result<Input, Rejection> {
        let writer = Writer { form: Form::Relaxed, unstorable: Unstorable::Wrap, scan: &self.scan };
        self.text.clear();
        let written = match object {
            None => writer.record(record, &mut self.text),
            Some(slot) => writer.value(record, &slot.element(record), &mut self.text),
        };
        written.map_err(|fault| reject(record, fault))?;
        Input::json(&self.text)
    }

    fn put_computed(&mut self, column: &Computed, input: &Input, out: &mut Vec<u8>) -> Result<(), Rejection> {
        column.put(input, (&mut self.encoder, &mut self.ruler), out)
    }

    fn put_key(&self, column: &KeyColumn, key: &[u8], out: &mut Vec<u8>) -> Result<(), Rejection> {
        key::put_key(column, key, out)
    }

    fn put_field(
        &mut self,
        field: &Field,
        record: &[u8],
        slot: Option<&Slot>,
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        let Some(slot) = slot else { return field::put_default(field, &mut self.encoder, out) };
        let relaxed = Writer { form: Form::Relaxed, unstorable: self.unstorable, scan: &self.scan };
        let means = (&mut self.encoder, &mut self.ruler);
        put_field(field, record, &slot.element(record), (&relaxed, means), out)
    }

    fn put_doc(&self, record: &[u8], out: &mut Vec<u8>) -> Result<(), Rejection> {
        let relaxed = self.writer(Form::Relaxed);
        put_jsonb_text(out, |out| relaxed.record(record, out)).map_err(|fault| reject(record, fault))
    }

    fn put_raw(&self, record: &[u8], out: &mut Vec<u8>) {
        put_bytes(record, out);
    }

    fn start(slot: &Slot) -> usize {
        slot.start()
    }

    fn kind(record: &[u8], slot: &Slot) -> ValueKind {
        match slot.element(record).kind {
            Kind::Document => ValueKind::Object,
            Kind::Array => ValueKind::Array,
            Kind::Null => ValueKind::Null,
            other => ValueKind::Other(other.name()),
        }
    }

    fn walk<'a>(record: &'a [u8], slot: &Slot) -> Result<BsonWalk<'a>, Rejection> {
        let elements = Elements::of(record, slot.start()).map_err(|fault| reject(record, fault))?;
        Ok(BsonWalk { record, elements, is_array: slot.element(record).kind == Kind::Array })
    }

    fn step(&self, walk: &mut BsonWalk<'_>, name: &mut RecordKey) -> Result<Option<Slot>, Rejection> {
        let writer = self.writer(Form::Relaxed);
        loop {
            let next = walk.elements.next_element().map_err(|fault| reject(walk.record, fault))?;
            let Some(element) = next else { return Ok(None) };
            if walk.is_array {
                return Ok(Some(Slot::of(&element)));
            }
            if writer.counts(&element) {
                let text = std::str::from_utf8(element.name);
                let text = text.map_err(|_| Rejection::new(RejectCode::InvalidUtf8, "", "a name", "other bytes"));
                name.string(text?);
                return Ok(Some(Slot::of(&element)));
            }
        }
    }
}
