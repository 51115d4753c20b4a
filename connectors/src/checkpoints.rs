//! The contract of checkpoints: *applied until*, kept next to the rows.
//!
//! Keeps promises 3 (compare-and-set), 9 (unknown commit), 17 (one owner). A checkpoint row belongs to (pipeline, stream,
//! partition) and names the owner's nonce and the queue it counts in.

use crate::failure::Failure;
use landfall_schemas::hash::KeyHash;
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::offset::{Generation, Offset};
use landfall_schemas::stream::{PartitionId, StreamName};
use std::collections::HashSet;
use uuid::Uuid;

/// The random mark of one run of one process. A counter could be given twice after the target lost a commit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct OwnerNonce(pub Uuid);

/// The name of one life of a queue directory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct QueueId(pub Uuid);

/// How many events of a partition ended how, since offset 0. With the events still queued they add up to the captured
/// ones (promise 20).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Written (or found already equal).
    pub applied: u64,
    /// Overtaken by a later change of the same key in one batch, or a control or retraction that needs no write.
    pub superseded: u64,
    /// Left out by a filter.
    pub filtered: u64,
    /// Parked.
    pub dead_lettered: u64,
}

impl Counts {
    /// All events accounted for.
    pub fn total(self) -> u64 {
        self.applied + self.superseded + self.filtered + self.dead_lettered
    }

    /// Adds `other`.
    pub fn add(&mut self, other: Self) {
        self.applied += other.applied;
        self.superseded += other.superseded;
        self.filtered += other.filtered;
        self.dead_lettered += other.dead_lettered;
    }
}

/// How the rows of a stream get into its table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// Snapshot-marked events go into the bare heap; key and indexes do not exist yet.
    Bulk,
    /// Key and indexes exist; rows go through the stage.
    Live,
}

/// One partition's checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// Which partition.
    pub partition: PartitionId,
    /// The next offset to apply.
    pub next: Offset,
    /// What became of the ones before.
    pub counts: Counts,
}

/// What admission gives the owner of a stream.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The generation bound to this queue.
    pub generation: Generation,
    /// Bulk or live.
    pub phase: Phase,
    /// One checkpoint per partition, in order.
    pub checkpoints: Vec<Checkpoint>,
    /// Keys with a dead letter that later changes must wait behind.
    pub parked: HashSet<KeyHash>,
}

/// Where admissions come from.
pub trait Checkpoints: Send + Sync {
    /// Makes `nonce` the owner of the stream and reads all its state, in one transaction. Fails with
    /// `Halt`/`queue_changed` when the stored checkpoint counts in another queue, with `Halt`/`mapping_changed` when
    /// the stored mapping is another, with `Halt`/`schema_missing` when `schema apply` has not been run.
    fn admit(
        &self,
        stream: &StreamMapping,
        queue: QueueId,
        nonce: OwnerNonce,
    ) -> impl Future<Output = Result<Admission, Failure>> + Send;

    /// Reads the checkpoints of a stream without owning it: status, and settling an unknown commit (then under the row
    /// lock, so that a commit still on its way has ended before the answer).
    fn read(&self, stream: &StreamName, settle: bool) -> impl Future<Output = Result<Vec<Checkpoint>, Failure>> + Send;
}
