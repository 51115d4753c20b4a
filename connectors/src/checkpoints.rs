//! The contract of checkpoints: *applied until*, kept next to the rows.
//!
//! Keeps promises 3 (compare-and-set), 9 (unknown commit), 17 (one owner). A checkpoint row belongs to (pipeline, stream,
//! partition) and names the owner's nonce and the queue it counts in.

use crate::failure::Failure;
use landfall_schemas::hash::KeyHash;
use landfall_schemas::mapping::{AddedColumn, StreamMapping};
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
    /// Parked, and given up by an operator.
    pub discarded: u64,
}

impl Counts {
    /// All events accounted for.
    pub fn total(self) -> u64 {
        self.applied + self.superseded + self.filtered + self.dead_lettered + self.discarded
    }

    /// Adds `other`.
    pub fn add(&mut self, other: Self) {
        self.applied += other.applied;
        self.superseded += other.superseded;
        self.filtered += other.filtered;
        self.dead_lettered += other.dead_lettered;
        self.discarded += other.discarded;
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
    /// The stream was bound to this queue over rows of an earlier one, and what vanished from the source in between has not
    /// been looked for yet.
    pub resync: bool,
    /// Columns that were added to the stream's table, oldest first; the owner maps with them.
    pub added: Vec<AddedColumn>,
}

/// An operator's word on the state that a stream's worker halted in. Good once: whoever takes it spends it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word {
    /// Code of the halted state.
    pub subject: String,
    /// Go on, or stay.
    pub accept: bool,
    /// Whose word.
    pub actor: String,
}

/// Rows whose records vanished from the source while nothing knew of them: what finds them after a stream was bound to
/// another queue.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Leftovers {
    /// The source compares the whole store with the keys of the table. Every record is judged anew, so dead letters of the
    /// earlier queue are superseded.
    Compared,
    /// The source says by itself what is gone, or never does (appended lines): rows and dead letters stay until it does.
    Kept,
}

/// How a stream is bound to another queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rebinding<'a> {
    /// The queue it shall count in from now on.
    pub queue: QueueId,
    /// This process.
    pub owner: OwnerNonce,
    /// What becomes of rows that nobody hands out again.
    pub leftovers: Leftovers,
    /// Whose decision it was.
    pub actor: &'a str,
}

/// Where admissions come from.
pub trait Checkpoints: Send + Sync {
    /// Makes `nonce` the owner of the stream and reads all its state, in one transaction. Fails with
    /// `Halt`/`queue_changed` when the stored checkpoint counts in another queue, with `Halt`/`mapping_changed` when
    /// the stored mapping is another, with `Halt`/`schema_missing` when `schema apply` has not been run, with
    /// `Halt`/`schema_drift` as [`Checkpoints::fits`] does.
    fn admit(
        &self,
        stream: &StreamMapping,
        queue: QueueId,
        nonce: OwnerNonce,
    ) -> impl Future<Output = Result<Admission, Failure>> + Send;

    /// Reads the checkpoints of a stream without owning it: status, and settling an unknown commit (then under the row
    /// lock, so that a commit still on its way has ended before the answer).
    fn read(&self, stream: &StreamName, settle: bool) -> impl Future<Output = Result<Vec<Checkpoint>, Failure>> + Send;

    /// Whether the stream's tables are as it maps them. Fails with `Halt`/`schema_drift`, naming every difference.
    fn fits(&self, stream: &StreamMapping) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Takes the stored word on a halted state of a stream, if there is one: it is gone afterwards.
    fn take_word(
        &self,
        stream: &StreamName,
        subject: &str,
    ) -> impl Future<Output = Result<Option<Word>, Failure>> + Send;

    /// Binds the stream to another queue, whose events are then applied from offset 0: checkpoints and counters begin anew,
    /// and every version given in that queue is above every one given before. Ends a bulk phase first, since rows stand in the
    /// heap. Spends the word `queue_changed`. Repeatable: a stream that is bound to this queue is left as it is. Fails with
    /// `Halt`/`keys_not_readable`, before anything is touched, when the rows cannot be compared by key.
    fn rebind(
        &self,
        stream: &StreamMapping,
        rebinding: Rebinding<'_>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}
