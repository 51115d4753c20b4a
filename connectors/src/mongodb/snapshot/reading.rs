//! A chunk while it is filled: each document with its key, its mark, and its kind counted.

use super::id::Id;
use super::{Copied, REJECT_BYTES};
use crate::failure::{Failure, FailureClass};
use crate::snapshot::{Chunk, Cohorts, Mark};
use bson::RawDocument;
use landfall_schemas::event::Place;
use landfall_schemas::key::RecordKey;
use landfall_schemas::stream::StreamId;

/// A chunk while it is filled.
pub(super) struct Reading<'a> {
    stream: StreamId,
    place: Place,
    source: &'a str,
    chunk: &'a mut Chunk,
    pub(super) key: RecordKey,
    pub(super) records: u32,
    pub(super) bytes: usize,
}

impl<'a> Reading<'a> {
    pub(super) fn new(copied: &'a Copied, chunk: &'a mut Chunk) -> Self {
        let place = Place { index: chunk.records.place(&copied.place), at: 0 };
        Self { stream: copied.id, place, source: &copied.place, chunk, key: RecordKey::default(), records: 0, bytes: 0 }
    }

    /// Takes back what was added so far.
    pub(super) fn forget(&mut self) {
        self.chunk.records.clear();
        self.chunk.cohorts = Cohorts::default();
        self.place.index = self.chunk.records.place(self.source);
        (self.records, self.bytes) = (0, 0);
    }

    /// Adds a document; answers its mark.
    pub(super) fn take(&mut self, document: &RawDocument) -> Result<Mark, Failure> {
        let bytes = document.as_bytes();
        // Servers give every stored document an `_id`; without one there is no place to go on from.
        let id = Id::of(document).ok_or_else(|| {
            let detail = format!("{} holds a document whose _id cannot be read: validate the collection", self.source);
            Failure::new(FailureClass::Halt, "document_unreadable", detail)
        })?;
        self.chunk.cohorts.count(id.kind_name());
        let mark = id.mark();
        let records = &mut self.chunk.records;
        match self.key.set_bson_field(bytes, &["_id"]) {
            Ok(()) => records.upsert(self.stream, &self.key, (bytes, None), self.place).snapshot = true,
            Err(code) => {
                let named = xxhash_rust::xxh3::xxh3_64(&mark);
                self.key.place(self.source, named);
                let head = &bytes[..bytes.len().min(REJECT_BYTES)];
                records.reject(self.stream, &self.key, (head, None, code), self.place).snapshot = true;
            }
        }
        self.records += 1;
        self.bytes += bytes.len();
        Ok(mark)
    }
}
