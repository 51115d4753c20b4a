//! A queue in memory, as plain as can be: a list of events and a table of positions, both changed in one step.

use crate::failure::Failure;
use crate::source::{History, Recorded};
use landfall_schemas::event::{ChangeBatch, Op};
use landfall_schemas::hash::RowHash;
use landfall_schemas::offset::Sequence;
use landfall_schemas::position::PositionTable;
use landfall_schemas::rejection::RejectCode;
use landfall_schemas::stream::{PartitionCount, StreamId};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One event.
struct Kept {
    stream: StreamId,
    op: Op,
    snapshot: bool,
    key: Vec<u8>,
    row_hash: Option<RowHash>,
    reject: Option<RejectCode>,
    payload: Vec<u8>,
}

#[derive(Default)]
struct Content {
    events: Vec<Kept>,
    positions: PositionTable,
}

/// The queue.
#[derive(Default)]
pub struct PlainQueue(Mutex<Content>);

impl std::fmt::Debug for PlainQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlainQueue").field("events", &self.content().events.len()).finish_non_exhaustive()
    }
}

/// What the events amount to.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Value by id.
    pub rows: BTreeMap<u64, u64>,
    /// Sequences of events that changed nothing.
    pub repeats: Vec<u64>,
}

impl PlainQueue {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a batch with its positions; the end behind it. The end of a first revision becomes an event per partition.
    pub fn append(&self, batch: &ChangeBatch) -> Sequence {
        let mut content = self.content();
        for change in batch.changes() {
            let times = if change.op.is_for_every_partition() { PartitionCount::DEFAULT.get() } else { 1 };
            for _ in 0..times {
                content.events.push(Kept {
                    stream: change.stream,
                    op: change.op,
                    snapshot: change.snapshot,
                    key: batch.bytes(&change.key).to_vec(),
                    row_hash: change.row_hash,
                    reject: change.reject,
                    payload: batch.bytes(&change.payload).to_vec(),
                });
            }
        }
        for update in batch.positions() {
            content.positions.apply(update);
        }
        Sequence(content.events.len() as u64)
    }

    /// Captured until.
    pub fn positions(&self) -> PositionTable {
        self.content().positions.clone()
    }

    /// One past the last sequence.
    pub fn end_sequence(&self) -> Sequence {
        Sequence(self.content().events.len() as u64)
    }

    /// Applies every event in order; `read` gives id and value of a record. One that cannot be read, or a reject, is a broken
    /// promise of its own.
    pub fn replay(&self, read: impl Fn(&[u8]) -> Option<(u64, u64)>) -> Replayed {
        let content = self.content();
        let mut replayed = Replayed::default();
        let mut ids: HashMap<&[u8], u64> = HashMap::new();
        for (sequence, event) in content.events.iter().enumerate() {
            let changed = match event.op {
                Op::Upsert => {
                    let record = read(&event.payload);
                    let (id, value) =
                        record.unwrap_or_else(|| panic!("sequence {sequence} is no record of `id` and `v`"));
                    ids.insert(&event.key, id);
                    replayed.rows.insert(id, value) != Some(value)
                }
                Op::Delete => ids.get(event.key.as_slice()).is_some_and(|id| replayed.rows.remove(id).is_some()),
                Op::SnapshotEnd => true,
                Op::SnapshotBegin | Op::Gone | Op::Touched => true,
                Op::Reject | Op::Retract => panic!("sequence {sequence}: {:?} of a sound record", event.op),
            };
            if !changed {
                replayed.repeats.push(sequence as u64);
            }
        }
        replayed
    }
}

impl History for PlainQueue {
    fn earliest(&self) -> Sequence {
        Sequence(0)
    }

    fn end(&self) -> Sequence {
        self.end_sequence()
    }

    fn visit(&self, from: Sequence, visit: &mut dyn FnMut(Recorded<'_>)) -> Result<(), Failure> {
        for (sequence, event) in self.content().events.iter().enumerate().skip(from.0 as usize) {
            visit(Recorded {
                sequence: Sequence(sequence as u64),
                stream: event.stream,
                op: event.op,
                snapshot: event.snapshot,
                key: &event.key,
                row_hash: event.row_hash,
                reject: event.reject,
            });
        }
        Ok(())
    }
}
