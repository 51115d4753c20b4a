//! A dead letter: what could not become a row, with all that is needed to mend and retry it (promise 13).

use landfall_schemas::offset::{Offset, Version};
use landfall_schemas::rejection::{RejectCode, Rejection};
use landfall_schemas::stream::PartitionId;

/// What a parked change wanted to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParkedOp {
    /// Write this record.
    Upsert,
    /// Delete this key.
    Delete,
    /// Nothing: the source itself could not read it.
    Reject,
}

/// One dead letter, written in the transaction of its checkpoint. `Debug` shows neither key nor payload.
#[derive(Clone)]
pub struct DeadLetter {
    /// Partition of the event.
    pub partition: PartitionId,
    /// Offset of the event.
    pub offset: Offset,
    /// Its version.
    pub version: Version,
    /// Encoded key.
    pub key: Vec<u8>,
    /// What it wanted to do.
    pub op: ParkedOp,
    /// Why it was parked; `Behind` when an earlier dead letter of the key waits.
    pub reason: Rejection,
    /// SQLSTATE, when PostgreSQL refused it.
    pub sqlstate: Option<String>,
    /// File or other place in the source.
    pub place: String,
    /// Byte offset there.
    pub at: u64,
    /// The record's raw bytes (for `too_large`, its head).
    pub payload: Vec<u8>,
}

impl DeadLetter {
    /// The code.
    pub fn code(&self) -> RejectCode {
        self.reason.code
    }
}

impl std::fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetter")
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .field("code", &self.reason.code)
            .field("place", &self.place)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
