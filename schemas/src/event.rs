//! What capture hands to the queue: changes, in the order of the source, with the positions they reach.
//!
//! A batch is one arena of bytes and small descriptors into it, so that a change costs no allocation of its own.
//! Payloads are the source's own bytes; they are parsed once, in the worker.

use crate::hash::RowHash;
use crate::key::RecordKey;
use crate::position::PositionUpdate;
use crate::rejection::RejectCode;
use crate::stream::StreamId;
use std::ops::Range;

/// What a change does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Op {
    /// The payload is the whole record under this key.
    Upsert = 1,
    /// The key is gone; no payload.
    Delete = 2,
    /// The source held something that cannot become a change of a record. The payload is its raw bytes, perhaps cut
    /// (see [`Change::reject`]); the worker writes a dead letter. Its key is the record's key if that could be read,
    /// else one made from the place.
    Reject = 3,
    /// An earlier reject of this key no longer stands in the source.
    Retract = 4,
    /// Control: the first revision of the stream is complete. The queue gives one to every partition.
    SnapshotEnd = 5,
    /// Barrier: everything of the stream that changed from here on follows; what it was before is copied from the source itself
    /// when this event's turn comes. The queue gives one to every partition.
    SnapshotBegin = 6,
    /// Barrier: the stream's collection is gone with all its records (dropped, or renamed away). The payload says how, for
    /// people. The queue gives one to every partition.
    Gone = 7,
    /// The key changed, but its state is not at hand (a looked-up document that is gone again): a later event settles it. No
    /// payload; counts as superseded.
    Touched = 8,
}

impl Op {
    /// From the stored byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Upsert,
            2 => Self::Delete,
            3 => Self::Reject,
            4 => Self::Retract,
            5 => Self::SnapshotEnd,
            6 => Self::SnapshotBegin,
            7 => Self::Gone,
            8 => Self::Touched,
            _ => return None,
        })
    }

    /// Whether the queue gives one of it to every partition of its stream.
    pub fn is_for_every_partition(self) -> bool {
        matches!(self, Self::SnapshotEnd) || self.is_barrier()
    }

    /// Whether all partitions must have arrived before anybody acts on it and goes on.
    pub fn is_barrier(self) -> bool {
        matches!(self, Self::SnapshotBegin | Self::Gone)
    }
}

/// One change, described; its bytes are in the batch.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which stream.
    pub stream: StreamId,
    /// What it does.
    pub op: Op,
    /// Part of the first revision: its key has not been captured before and the table may be filled in bulk.
    pub snapshot: bool,
    /// Encoded key, in `bytes`.
    pub key: Range<u32>,
    /// Raw record, in `bytes`; empty for all but `Upsert` and `Reject`.
    pub payload: Range<u32>,
    /// Hash of the raw record, for sources with a file index.
    pub row_hash: Option<RowHash>,
    /// File (or other place) in `places`.
    pub place: u32,
    /// Byte offset of the record in that place.
    pub at: u64,
    /// For `Reject`: why.
    pub reject: Option<RejectCode>,
}

/// Changes in source order and the positions reached behind them.
#[derive(Clone, Debug, Default)]
pub struct ChangeBatch {
    changes: Vec<Change>,
    bytes: Vec<u8>,
    places: Vec<Box<str>>,
    positions: Vec<PositionUpdate>,
}

/// Where a record stands in its source, for people: dead letters and messages name it.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Index from [`ChangeBatch::place`].
    pub index: u32,
    /// Byte offset.
    pub at: u64,
}

impl ChangeBatch {
    /// Largest arena; a source sends the batch before it is passed (one record may pass it alone).
    pub const SOFT_BYTES: usize = 1 << 20;
    /// Most changes in a batch: bounds a queue frame.
    pub const MAX_CHANGES: usize = 1_000;

    /// Registers a place; use the same index for neighbours from the same file.
    pub fn place(&mut self, name: &str) -> u32 {
        if let Some(last) = self.places.last()
            && &**last == name
        {
            return (self.places.len() - 1) as u32;
        }
        self.places.push(name.into());
        (self.places.len() - 1) as u32
    }

    /// Adds a change that carries a record.
    pub fn upsert(
        &mut self,
        stream: StreamId,
        key: &RecordKey,
        record: (&[u8], Option<RowHash>),
        place: Place,
    ) -> &mut Change {
        self.push(stream, Op::Upsert, key, record.0, (record.1, place))
    }

    /// Adds a delete.
    pub fn delete(&mut self, stream: StreamId, key: &RecordKey, place: Place) -> &mut Change {
        self.push(stream, Op::Delete, key, &[], (None, place))
    }

    /// Adds what could not become a change; `raw` may be cut by the caller to a bounded length.
    pub fn reject(
        &mut self,
        stream: StreamId,
        key: &RecordKey,
        raw: (&[u8], Option<RowHash>, RejectCode),
        place: Place,
    ) -> &mut Change {
        let change = self.push(stream, Op::Reject, key, raw.0, (raw.1, place));
        change.reject = Some(raw.2);
        change
    }

    /// Adds a change without a record: `Retract`, `Touched`, or one for every partition (the key is empty for those).
    pub fn control(&mut self, stream: StreamId, op: Op, key: &RecordKey, place: Place) -> &mut Change {
        self.push(stream, op, key, &[], (None, place))
    }

    /// Adds [`Op::Gone`]; `how` is a few words for people.
    pub fn gone(&mut self, stream: StreamId, how: &str, place: Place) -> &mut Change {
        self.push(stream, Op::Gone, &RecordKey::default(), how.as_bytes(), (None, place))
    }

    fn push(
        &mut self,
        stream: StreamId,
        op: Op,
        key: &RecordKey,
        payload: &[u8],
        origin: (Option<RowHash>, Place),
    ) -> &mut Change {
        let key = self.store(key.as_bytes());
        let payload = self.store(payload);
        let (row_hash, place) = origin;
        self.changes.push(Change {
            stream,
            op,
            snapshot: false,
            key,
            payload,
            row_hash,
            place: place.index,
            at: place.at,
            reject: None,
        });
        let last = self.changes.len() - 1;
        &mut self.changes[last]
    }

    fn store(&mut self, bytes: &[u8]) -> Range<u32> {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len() as u32
    }

    /// Adds a position reached: everything before it stands in this or an earlier batch.
    pub fn reached(&mut self, update: PositionUpdate) {
        self.positions.push(update);
    }

    /// Time to hand the batch on.
    pub fn is_full(&self) -> bool {
        self.changes.len() >= Self::MAX_CHANGES || self.bytes.len() >= Self::SOFT_BYTES
    }

    /// Neither a change nor a position.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.positions.is_empty()
    }

    /// The changes.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The bytes a range of a change names.
    pub fn bytes(&self, range: &Range<u32>) -> &[u8] {
        &self.bytes[range.start as usize..range.end as usize]
    }

    /// The places, by index.
    pub fn places(&self) -> &[Box<str>] {
        &self.places
    }

    /// The positions reached.
    pub fn positions(&self) -> &[PositionUpdate] {
        &self.positions
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.changes.clear();
        self.bytes.clear();
        self.places.clear();
        self.positions.clear();
    }
}
