//! The contract of a re-readable source: what it holds is copied from itself, range by range, without passing the queue.
//!
//! A range is `(after, upto]` in the source's own order of keys; both ends are opaque to everybody else. It is read in short chunks,
//! each of which ends at a place from which the next one begins: no cursor outlives a chunk, so neither back-pressure nor a restart
//! costs more than one. A chunk is ticked off in the transaction that writes it (promise 2; see [`crate::sink::RangeStep`]).
//!
//! No cohort is lost: what was read is counted by the source's own kinds of key and compared with what the source counts
//! ([`Snapshot::cohorts`]) before a copy is called complete. Errors: classified as everywhere; a chunk that failed is read again.

use crate::failure::Failure;
use futures_util::future::BoxFuture;
use landfall_schemas::event::ChangeBatch;
use landfall_schemas::stream::StreamId;
use std::collections::BTreeMap;

/// A place in the source's order of keys.
pub type Mark = Box<[u8]>;

/// A range of keys, or what is left of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeyRange {
    /// Begins behind this key; `None`: with the first.
    pub after: Option<Mark>,
    /// Ends with this key; `None`: with the last.
    pub upto: Option<Mark>,
}

/// Records per kind of key, in the source's words (`objectId`, `string`, …).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cohorts(pub BTreeMap<Box<str>, u64>);

impl Cohorts {
    /// Counts one more of a kind.
    pub fn count(&mut self, kind: &str) {
        match self.0.get_mut(kind) {
            Some(count) => *count += 1,
            None => drop(self.0.insert(kind.into(), 1)),
        }
    }

    /// Adds what `other` counted.
    pub fn add(&mut self, other: &Self) {
        for (kind, count) in &other.0 {
            *self.0.entry(kind.clone()).or_default() += count;
        }
    }
}

/// How much one chunk holds at most (one record is always read).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChunkLimit {
    /// Records.
    pub records: usize,
    /// Bytes of records.
    pub bytes: usize,
}

/// What was read of a range.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The records: `Upsert`s and `Reject`s in key order. A batch that is reused keeps its memory.
    pub records: ChangeBatch,
    /// Where the next chunk begins; `None`: the range is read to its end.
    pub next: Option<Mark>,
    /// What was read, by kind of key.
    pub cohorts: Cohorts,
}

/// A source that can be read again. Calls may run side by side. None of them is cancel-safe: let it end, or give the client up.
pub trait Snapshot: Send + Sync {
    /// Splits the stream's records into about `parts` ranges that cover all of them, in order, each key in exactly one.
    fn ranges(&self, stream: StreamId, parts: usize) -> BoxFuture<'_, Result<Vec<KeyRange>, Failure>>;

    /// Reads the beginning of `range` into `chunk`, which is handed in empty. What is read is committed in the source for good.
    fn read<'a>(
        &'a self,
        stream: StreamId,
        range: &'a KeyRange,
        limit: ChunkLimit,
        chunk: &'a mut Chunk,
    ) -> BoxFuture<'a, Result<(), Failure>>;

    /// How many records there are now, exactly, by kind of key.
    fn cohorts(&self, stream: StreamId) -> BoxFuture<'_, Result<Cohorts, Failure>>;

    /// About how many records there are, cheaply: for progress.
    fn estimate(&self, stream: StreamId) -> BoxFuture<'_, Result<u64, Failure>>;

    /// Whether [`Snapshot::estimate`] is exact: counted, and nothing is written meanwhile.
    fn is_exact(&self) -> bool {
        false
    }

    /// Closes what is open, once no more is asked.
    fn farewell(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
