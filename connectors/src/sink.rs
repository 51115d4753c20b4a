//! The contract of a sink: a batch of rows, its dead letters and its checkpoint commit together or not at all.
//!
//! Keeps promises 2, 3, 8, 13. The caller prepares batches that are exactly `[from, until)` per partition, each key at
//! most once; the sink adds the version guard and the no-op guard.

use crate::checkpoints::{Counts, OwnerNonce, Phase};
use crate::deadletter::DeadLetter;
use crate::failure::Failure;
use crate::settlement::Settlement;
use crate::snapshot::{Cohorts, KeyRange, Mark};
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::offset::{OffsetRange, Version};
use landfall_schemas::row::RowSet;
use landfall_schemas::stream::{PartitionId, StreamName};

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

/// What one transaction does to one stream: at least one step, of a partition or of a range, or a settlement.
#[derive(Debug, Default)]
pub struct SinkBatch {
    /// A step per partition.
    pub advances: Vec<Advance>,
    /// Rows, sorted by key, each key once.
    pub rows: RowSet,
    /// What could not become a row.
    pub dead: Vec<DeadLetter>,
    /// Encoded keys whose non-blocking dead letters no longer stand in the source.
    pub retracted: Vec<Vec<u8>>,
    /// A step of a copy: the rows are records of this range.
    pub range: Option<RangeStep>,
    /// Deletes what the barrier with this version ends: every row with an older version, and every dead letter that waits
    /// since before it (those become superseded).
    pub sweep: Option<Version>,
    /// Dead letters that are taken up again: the rows are what became of them.
    pub settlement: Option<Settlement>,
    /// Over which rows that stand its rows may be written.
    pub guard: Guard,
}

/// Over which rows that stand a row may be written (promise 8).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Guard {
    /// Older ones.
    #[default]
    Newer,
    /// Older ones and those of the same change, which another mapping may have made otherwise.
    NotOlder,
}

/// The version that the rows of one copy carry: that of the barrier it began with. Names the copy among those of its stream.
pub type CopyVersion = Version;

/// One range's step: what the compare-and-set expects, where it goes, and what was read between.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RangeStep {
    /// Which copy.
    pub copy: CopyVersion,
    /// Which of its ranges.
    pub number: u32,
    /// Where it stood: `None` at its beginning.
    pub from: Option<Mark>,
    /// Where it stands now; `None`: read to its end.
    pub to: Option<Mark>,
    /// What was read of the whole range up to there, by kind of key.
    pub cohorts: Cohorts,
    /// What became of the records of the whole range up to there.
    pub counts: RangeCounts,
}

/// What became of the records that were read of a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RangeCounts {
    /// Rows.
    pub copied: u64,
    /// Dead letters.
    pub parked: u64,
    /// Left out by the stream's filter.
    pub filtered: u64,
}

impl RangeCounts {
    /// All of them.
    pub fn read(&self) -> u64 {
        self.copied + self.parked + self.filtered
    }
}

/// A range of a copy as the target knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RangeState {
    /// Its number, from 0.
    pub number: u32,
    /// What it covers.
    pub range: KeyRange,
    /// Where its next chunk begins, `None`: not begun.
    pub reached: Option<Mark>,
    /// Read to its end.
    pub done: bool,
    /// What was read so far, by kind of key.
    pub cohorts: Cohorts,
    /// What became of it.
    pub counts: RangeCounts,
}

/// The ranges of copies, kept next to the rows: a range is ticked off in the transaction that wrote it.
pub trait Ranges: Send + Sync {
    /// The ranges of a copy, in order; empty before they were planned. A step still on its way has ended before the answer, so
    /// this settles an unknown commit.
    fn ranges(
        &self,
        stream: &StreamName,
        copy: CopyVersion,
    ) -> impl Future<Output = Result<Vec<RangeState>, Failure>> + Send;

    /// Stores the plan of a copy, under the owner's nonce. Idempotent: a plan that is there stands.
    fn plan(
        &self,
        stream: &StreamName,
        owner: OwnerNonce,
        copy: (CopyVersion, &[KeyRange]),
    ) -> impl Future<Output = Result<(), Failure>> + Send;
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
