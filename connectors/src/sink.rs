//! The contract of a sink: a batch of rows, its dead letters and its checkpoint commit together or not at all.
//!
//! Keeps promises 2, 3, 8, 13. The caller prepares batches that are exactly `[from, until)` per partition, each key at
//! most once; the sink adds the version guard and the no-op guard.

use crate::checkpoints::{Counts, OwnerNonce, Phase};
use crate::deadletter::DeadLetter;
use crate::failure::Failure;
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::offset::OffsetRange;
use landfall_schemas::row::RowSet;
use landfall_schemas::stream::PartitionId;

/// One partition's step: what the compare-and-set expects, where it goes, and what became of the events between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advance {
    /// Which partition.
    pub partition: PartitionId,
    /// Expected checkpoint, and the one after.
    pub range: OffsetRange,
    /// `counts.total() == range.len()`.
    pub counts: Counts,
}

/// What one transaction does to one stream.
#[derive(Debug, Default)]
pub struct SinkBatch {
    /// A step per partition, at least one.
    pub advances: Vec<Advance>,
    /// Rows, sorted by key, each key once.
    pub rows: RowSet,
    /// What could not become a row.
    pub dead: Vec<DeadLetter>,
    /// Encoded keys whose non-blocking dead letters no longer stand in the source.
    pub retracted: Vec<Vec<u8>>,
}

/// Proof that a batch is committed; the only thing that trimming accepts.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub struct Applied {
    /// The new checkpoints.
    pub advances: Vec<(PartitionId, OffsetRange)>,
}

/// Why a batch was not applied.
#[derive(Debug)]
pub enum ApplyFailure {
    /// PostgreSQL refuses these rows (indexes into `rows.rows`, with SQLSTATE): nothing was written. Park them, apply again.
    Refused(Vec<(usize, String)>),
    /// Anything else, classified. `Unknown`: settle it by reading the checkpoint (promise 9).
    Failed(Failure),
}

impl From<Failure> for ApplyFailure {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// A connection that writes. One batch at a time; after a `Failed` it reconnects by itself on the next call.
pub trait Writer: Send {
    /// Applies `batch` in one transaction. `Phase::Bulk` copies into the bare heap: only upserts, keys not there yet.
    fn apply(
        &mut self,
        stream: &StreamMapping,
        owner: (OwnerNonce, Phase),
        batch: &SinkBatch,
    ) -> impl Future<Output = Result<Applied, ApplyFailure>> + Send;

    /// Ends the bulk phase: builds key and plain indexes and marks the stream live, in one transaction, under the nonce.
    /// Idempotent.
    fn finish_bulk(
        &mut self,
        stream: &StreamMapping,
        owner: OwnerNonce,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Where writers come from.
pub trait Sink: Send + Sync {
    /// Its writers.
    type Writer: Writer;

    /// A new writer; connects on first use.
    fn writer(&self) -> Self::Writer;
}
