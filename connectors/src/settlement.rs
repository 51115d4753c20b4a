//! What becomes of dead letters that are taken up again (and of changes that a replay parks): part of a batch, so that rows, letters and counts move together (promises 2, 3, 20).
//!
//! Letters of one key stand in a row: the *head* is the cause, what came later waits behind it. A settlement moves some of them out (written,
//! superseded, left out by the filter, discarded) and may give one a new reason: then it is the head. The partitions whose counts change stand
//! still: each is compared where it stands and not moved. The `act` names what it belongs to; it is left on every letter it touches, and touches none twice, so
//! that after a lost answer it can be told whether *this* one took place, and not whether somebody settled the letters.

use crate::deadletter::ParkedOp;
use landfall_schemas::offset::{Offset, Version};
use landfall_schemas::rejection::Rejection;
use landfall_schemas::stream::PartitionId;
use uuid::Uuid;

/// A settlement.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The name of the order that it is a part of.
    pub act: Uuid,
    /// What the history calls it; `None`: it is a part of something that is told there as a whole.
    pub event: Option<&'static str>,
    /// Who asked for it, and why; for the history.
    pub actor: String,
    /// May be empty.
    pub reason: String,
    /// Which letters end, and how. Each stands waiting, or nothing is done at all.
    pub ended: Vec<Ended>,
    /// Letters that go on waiting, as heads, for another reason.
    pub renewed: Vec<Renewed>,
    /// What it does to the counts of each partition, and where that stands.
    pub steps: Vec<StandingStep>,
}

/// How a dead letter ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It became a row, or deleted one.
    Applied,
    /// A later one of its key did.
    Superseded,
    /// The filter leaves it out.
    Filtered,
    /// An operator gave it up.
    Discarded,
}

/// A letter and its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Its number.
    pub id: i64,
    /// Partition of its event.
    pub partition: PartitionId,
    /// How.
    pub ending: Ending,
    /// A copy parked it: a record that was no event, and that no checkpoint counts.
    pub of_copy: bool,
}

/// A letter and its new reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Renewed {
    /// Its number.
    pub id: i64,
    /// Why it waits now.
    pub reason: Rejection,
    /// SQLSTATE, when PostgreSQL refused it.
    pub sqlstate: Option<String>,
}

/// A partition that stands still while its counts change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StandingStep {
    /// Which.
    pub partition: PartitionId,
    /// Where it stands.
    pub at: Offset,
    /// Changes that had been applied and are parked by this batch.
    pub parked: u64,
}

impl Settlement {
    /// How many events of a partition end so.
    pub fn count(&self, partition: PartitionId, ending: Ending) -> u64 {
        self.counted(partition).filter(|ended| ended.ending == ending).count() as u64
    }

    /// How many events of a partition end.
    pub fn ended_of(&self, partition: PartitionId) -> u64 {
        self.counted(partition).count() as u64
    }

    fn counted(&self, partition: PartitionId) -> impl Iterator<Item = &Ended> {
        self.ended.iter().filter(move |ended| ended.partition == partition && !ended.of_copy)
    }

    /// It touches nothing.
    pub fn is_empty(&self) -> bool {
        self.ended.is_empty() && self.renewed.is_empty() && self.steps.is_empty()
    }
}

/// A letter as it waits. `Debug` shows neither key nor payload.
#[derive(Clone)]
pub struct Waiting {
    /// Its number.
    pub id: i64,
    /// Partition of its event.
    pub partition: PartitionId,
    /// Offset of its event: the order of a key's letters.
    pub offset: Offset,
    /// Its version.
    pub version: Version,
    /// What it wants to do.
    pub op: ParkedOp,
    /// Later changes of its key wait behind it.
    pub blocks: bool,
    /// A copy parked it: it carries the version of the copy, and stands where the copy's barrier does.
    pub of_copy: bool,
    /// Encoded key.
    pub key: Vec<u8>,
    /// The record's raw bytes.
    pub payload: Vec<u8>,
}

impl Waiting {
    /// It ends so.
    pub fn ended(&self, ending: Ending) -> Ended {
        Ended { id: self.id, partition: self.partition, ending, of_copy: self.of_copy }
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("id", &self.id).field("op", &self.op).finish_non_exhaustive()
    }
}
