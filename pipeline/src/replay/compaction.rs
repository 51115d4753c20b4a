//! The last event of each key in a range of the queue.
//!
//! Partition by partition a range grows at its end only. Owns which keys belong to the present slice and what a barrier ends; what becomes of
//! an event is the turn's.

use crate::queue::{Cursor, Queue, ReadBatch, ReadLimit, StoredEvent};
use landfall_connectors::failure::Failure;
use landfall_schemas::event::Op;
use landfall_schemas::hash::KeyHash;
use landfall_schemas::offset::{Offset, Sequence};
use landfall_schemas::stream::PartitionId;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Events read at once.
const READ: ReadLimit = ReadLimit { events: 20_000, bytes: 8 << 20 };

/// A place in every partition of a stream.
pub(super) type Places = Vec<(PartitionId, Offset)>;

/// Changes that operators gave up.
pub(super) type GivenUp = HashSet<(PartitionId, Offset, Sequence)>;

/// What is known of the keys of one slice.
pub(super) struct Latest {
    last: HashMap<KeyHash, Offset>,
    /// The first offset behind the last barrier of each partition that had one.
    floors: BTreeMap<PartitionId, Offset>,
    /// Where reading stands.
    scanned: Cursor,
    slice: (u32, u32),
    /// Sequence of the first event behind the last barrier.
    pub(super) first: Option<Sequence>,
}

impl Latest {
    /// Of slice `slice.0` of `slice.1`, from `start` on.
    pub(super) fn new(start: Cursor, slice: (u32, u32)) -> Self {
        Self { last: HashMap::new(), floors: BTreeMap::new(), scanned: start, slice, first: None }
    }

    /// Reads on until `until`.
    pub(super) fn extend(&mut self, queue: &dyn Queue, until: &Places, given_up: &GivenUp) -> Result<(), Failure> {
        loop {
            let next = short_of(&self.scanned.next, until);
            if next.is_empty() {
                return Ok(());
            }
            let cursor = Cursor { stream: self.scanned.stream, next };
            let batch = queue.read(&cursor, READ)?;
            if batch.events.is_empty() {
                return Ok(());
            }
            for event in batch.events.iter().filter(|event| is_before(event, until)) {
                self.note(&batch, event, given_up);
            }
            advance(&mut self.scanned.next, &batch.next, until);
        }
    }

    fn note(&mut self, batch: &ReadBatch, event: &StoredEvent, given_up: &GivenUp) {
        if event.op.is_barrier() {
            self.floors.insert(event.partition, event.offset.plus(1));
            // Rows of a copy carry the version of its barrier.
            self.first = None;
            return;
        }
        self.first.get_or_insert(event.sequence);
        if !is_a_change(event) || given_up.contains(&(event.partition, event.offset, event.sequence)) {
            return;
        }
        let hash = KeyHash::of(batch.bytes(event, &event.key));
        if self.takes(hash) {
            self.last.insert(hash, event.offset);
        }
    }

    fn takes(&self, hash: KeyHash) -> bool {
        let (slice, slices) = self.slice;
        // The low bits choose the partition.
        slices == 1 || ((hash.0 >> 64) as u64 % u64::from(slices)) as u32 == slice
    }

    /// Whether this is the last event of its key, and of this slice.
    pub(super) fn is_last(&self, hash: KeyHash, event: &StoredEvent) -> bool {
        let floor = self.floors.get(&event.partition).copied().unwrap_or(Offset(0));
        event.offset >= floor && self.last.get(&hash) == Some(&event.offset)
    }
}

/// It says something of a key that becomes a row, or takes one away.
pub(super) fn is_a_change(event: &StoredEvent) -> bool {
    matches!(event.op, Op::Upsert | Op::Delete)
}

pub(super) fn is_before(event: &StoredEvent, until: &Places) -> bool {
    until.iter().any(|(partition, end)| *partition == event.partition && event.offset < *end)
}

/// The partitions that are not at `until` yet.
pub(super) fn short_of(places: &Places, until: &Places) -> Places {
    let end = |partition| until.iter().find(|(known, _)| *known == partition).map_or(Offset(0), |(_, end)| *end);
    places.iter().copied().filter(|(partition, at)| *at < end(*partition)).collect()
}

/// Moves `places` to where a read ended, at most to `until`.
pub(super) fn advance(places: &mut Places, read: &Places, until: &Places) {
    for (partition, at) in places {
        let reached = read.iter().find(|(known, _)| known == partition).map(|(_, next)| *next);
        let end = until.iter().find(|(known, _)| known == partition).map(|(_, end)| *end);
        if let (Some(reached), Some(end)) = (reached, end) {
            *at = reached.min(end).max(*at);
        }
    }
}
