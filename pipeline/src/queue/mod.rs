//! The durable queue: the contract.
//!
//! One queue per source, one physical log under it; logical (stream, partition) logs with contiguous offsets inside.
//! Append makes events and source positions durable together (promise 1). Blocking calls throughout: they run on capture
//! threads and on the blocking pool.

pub mod clock;
pub mod conformance;
pub mod embedded;
pub mod history;
pub mod lock;
pub mod model;

use crate::metrics::Seen;
use landfall_connectors::checkpoints::QueueId;
use landfall_connectors::failure::Failure;
use landfall_connectors::sink::Applied;
use landfall_connectors::source::Recorded;
use landfall_schemas::event::{ChangeBatch, Op};
use landfall_schemas::offset::{Offset, Sequence};
use landfall_schemas::position::PositionTable;
use landfall_schemas::rejection::RejectCode;
use landfall_schemas::stream::{PartitionCount, PartitionId, StreamId, StreamName};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// What a batch became: durable, under these sequences.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Durable {
    /// Sequence of the first change.
    pub from: Sequence,
    /// One past the last.
    pub until: Sequence,
}

/// Why an append did not happen. Nothing of the batch is in the queue, except after `Failed` with class `Fatal`, where it is
/// unknown and the queue refuses all further work until it is opened anew (promise 18).
#[derive(Debug)]
pub enum AppendFailure {
    /// The byte cap or the reserve of the disk is reached and trimming did not help (promise 5), or the disk is full. Wait and append again.
    Full(FullReason),
    /// Anything else.
    Failed(Failure),
}

/// Why the queue takes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FullReason {
    /// `queue.max_bytes`.
    Cap,
    /// The file system has no room but its reserve, or none at all.
    Disk,
}

/// An event read back: a cache line. Its bytes are in `ReadBatch::frames[frame]`; its row hash is told to those who visit.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// Which partition.
    pub partition: PartitionId,
    /// Its offset there.
    pub offset: Offset,
    /// Its sequence in the source.
    pub sequence: Sequence,
    /// What it does.
    pub op: Op,
    /// Part of the first revision.
    pub snapshot: bool,
    /// Why, for rejects.
    pub reject: Option<RejectCode>,
    /// Which frame of the batch.
    pub frame: u32,
    /// Encoded key.
    pub key: Range<u32>,
    /// Raw record.
    pub payload: Range<u32>,
    /// Place name.
    pub place: Range<u32>,
    /// Byte offset in that place.
    pub at: u64,
}

/// The events of one append, decoded.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Where the ranges of its events lead; may be longer than what they need.
    pub bytes: Arc<[u8]>,
    /// When they were appended, Unix milliseconds: for lag only.
    pub appended_ms: u64,
}

/// Events of one stream, in sequence order; per partition they are exactly `[cursor, next)`.
#[derive(Clone, Debug, Default)]
pub struct ReadBatch {
    /// What the events point into.
    pub frames: Vec<Frame>,
    /// The events.
    pub events: Vec<StoredEvent>,
    /// The cursor behind them.
    pub next: Vec<(PartitionId, Offset)>,
}

impl ReadBatch {
    /// The bytes of a range of an event.
    pub fn bytes(&self, event: &StoredEvent, range: &Range<u32>) -> &[u8] {
        &self.frames[event.frame as usize].bytes[range.start as usize..range.end as usize]
    }

    /// Gives up the events from number `count` on: they are read again.
    pub fn keep_first(&mut self, count: usize) {
        // Backwards, so that the first of a partition has the last word.
        for event in self.events.drain(count.min(self.events.len())..).rev() {
            if let Ok(at) = self.next.binary_search_by_key(&event.partition, |(partition, _)| *partition) {
                self.next[at].1 = event.offset;
            }
        }
    }

    /// When an event was appended, Unix milliseconds.
    pub fn appended_ms(&self, event: &StoredEvent) -> u64 {
        self.frames[event.frame as usize].appended_ms
    }
}

/// Where a reader stands: a set of partitions of one stream, each with its next offset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// The stream.
    pub stream: StreamId,
    /// Next offset per partition, sorted by partition.
    pub next: Vec<(PartitionId, Offset)>,
}

impl Cursor {
    /// Moves past what `batch` holds.
    pub fn advance(&mut self, batch: &ReadBatch) {
        self.next.clone_from(&batch.next);
    }
}

/// How much one read returns: it stops at the first event that would pass either bound (one event is always returned).
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    /// Most events.
    pub events: usize,
    /// Most payload bytes.
    pub bytes: usize,
}

/// What the queue holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Bytes on disk.
    pub bytes: u64,
    /// Segments.
    pub segments: u64,
    /// Events retained.
    pub events: u64,
    /// What there is beside it; `None`: not known, or no disk.
    pub disk: Option<DiskRoom>,
}

/// Room on the file system under a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskRoom {
    /// Bytes that may still be written.
    pub free: u64,
    /// Bytes of them that events leave alone.
    pub reserve: u64,
}

impl DiskRoom {
    /// What events leave alone, unless the configuration says otherwise: this, or a twentieth of the file system where that is less.
    const USUAL_RESERVE: u64 = 256 << 20;

    /// Of a file system with so many bytes in all, and so many free.
    pub fn of((total, free): (u64, u64), retention: &Retention) -> Self {
        Self { free, reserve: retention.disk_reserve.unwrap_or((total / 20).min(Self::USUAL_RESERVE)) }
    }

    /// Nothing but the reserve is left.
    pub fn is_short(self) -> bool {
        self.free < self.reserve
    }
}

/// The bounds of a queue, as the configuration has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention {
    /// Applied events older than this may go.
    pub age: Duration,
    /// Applied events beyond this many bytes may go, oldest first.
    pub bytes: u64,
    /// Applied events younger than this stay in any case.
    pub floor: Duration,
    /// The disk cap: appends past it are refused.
    pub max_bytes: u64,
    /// Bytes of the file system that events leave free; `None`: a twentieth of it, 256 MiB at most.
    pub disk_reserve: Option<u64>,
}

/// The queue of one source.
pub trait Queue: Send + Sync {
    /// The name of this life of the queue.
    fn id(&self) -> QueueId;

    /// The number of a stream; gives a new one to a new name (durable when it returns). The partition count is fixed at first
    /// registration; another one is a `Halt` failure.
    fn register(&self, stream: &StreamName, partitions: PartitionCount) -> Result<StreamId, Failure>;

    /// Takes `batch` and returns when it is durable, as a whole. Several threads may append; one sync covers them all.
    ///
    /// Sequences follow the order of the changes: each takes one, but a control for every partition takes one per partition of its stream (it
    /// becomes that many events, in partition order). Positions take none.
    fn append(&self, batch: &ChangeBatch) -> Result<Durable, AppendFailure>;

    /// Captured until.
    fn positions(&self) -> PositionTable;

    /// First sequence retained, and one past the last durable one.
    fn sequences(&self) -> Range<Sequence>;

    /// Earliest retained and next offset (the durable end) of a partition.
    fn offsets(&self, stream: StreamId, partition: PartitionId) -> Range<Offset>;

    /// Reads what is durable at the cursor, possibly nothing. A cursor below the earliest offset is `Halt`/`history_trimmed`;
    /// damage is `Halt`/`queue_damaged` and names segment and byte range.
    fn read(&self, cursor: &Cursor, limit: ReadLimit) -> Result<ReadBatch, Failure>;

    /// Visits the events from `from` on, in sequence order.
    fn visit(&self, from: Sequence, visit: &mut dyn FnMut(Recorded<'_>)) -> Result<(), Failure>;

    /// Notes what is applied; the only way events become trimmable.
    fn applied(&self, stream: StreamId, applied: &Applied);

    /// Trimming never passes `from` while the pin by this name is set; `None` lifts it.
    fn pin(&self, name: &str, from: Option<Sequence>);

    /// Drops whole segments that are applied, unpinned and outside retention.
    fn trim(&self) -> Result<(), Failure>;

    /// A counter that changes whenever the durable end moves.
    fn watch(&self) -> tokio::sync::watch::Receiver<Sequence>;

    /// What it holds.
    fn usage(&self) -> Usage;

    /// How long its syncs took, in seconds, where it has any.
    fn syncs(&self) -> Option<Seen> {
        None
    }
}
