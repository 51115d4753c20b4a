//! The queue as plain memory: what every other one is compared with. Durable nowhere, for tests.
//!
//! Simple on purpose: one vector of events, searched from the front. Its trimming knows no segments: each event may go
//! by itself, oldest first.

use super::clock::Clock;
use super::{
    AppendFailure, Cursor, Durable, Frame, FullReason, Queue, ReadBatch, ReadLimit, Retention, StoredEvent, Usage,
};
use landfall_connectors::checkpoints::QueueId;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::sink::Applied;
use landfall_connectors::source::Recorded;
use landfall_schemas::event::{Change, ChangeBatch};
use landfall_schemas::hash::{KeyHash, RowHash};
use landfall_schemas::offset::{Offset, Sequence};
use landfall_schemas::position::PositionTable;
use landfall_schemas::stream::{PartitionCount, PartitionId, StreamId, StreamName};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;
use uuid::Uuid;

/// A queue in memory.
#[derive(Debug)]
pub struct ModelQueue {
    id: QueueId,
    retention: Retention,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    durable: watch::Sender<Sequence>,
}

#[derive(Debug, Default)]
struct State {
    streams: Vec<(StreamName, PartitionCount)>,
    events: VecDeque<ModelEvent>,
    first: u64,
    next: BTreeMap<(StreamId, PartitionId), u64>,
    earliest: BTreeMap<(StreamId, PartitionId), u64>,
    applied: BTreeMap<(StreamId, PartitionId), u64>,
    positions: PositionTable,
    pins: BTreeMap<String, Sequence>,
}

#[derive(Debug)]
struct ModelEvent {
    stream: StreamId,
    stored: StoredEvent,
    row_hash: Option<RowHash>,
    bytes: Arc<[u8]>,
    appended_ms: u64,
}

impl ModelQueue {
    /// An empty one.
    pub fn new(retention: Retention, clock: Arc<dyn Clock>) -> Self {
        let durable = watch::Sender::new(Sequence(0));
        Self { id: QueueId(Uuid::new_v4()), retention, clock, state: Mutex::default(), durable }
    }

    /// Forgets the events before `first`, whatever holds them: to follow another queue's trimming.
    pub fn drop_before(&self, first: Sequence) {
        let mut state = self.state();
        while state.first < first.0 {
            state.drop_oldest();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding the model")
    }
}

impl State {
    fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    fn drop_oldest(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.first += 1;
            self.earliest.insert((event.stream, event.stored.partition), event.stored.offset.0 + 1);
        }
    }

    fn range(&self, stream: StreamId, partition: PartitionId) -> Range<Offset> {
        let of = |map: &BTreeMap<_, u64>| Offset(map.get(&(stream, partition)).copied().unwrap_or(0));
        of(&self.earliest)..of(&self.next)
    }

    fn push(&mut self, batch: &ChangeBatch, change: &Change, partition: PartitionId, now_ms: u64) {
        let place = batch.places().get(change.place as usize).map_or(&[][..], |place| place.as_bytes());
        let (key, payload) = (batch.bytes(&change.key), batch.bytes(&change.payload));
        let bytes: Arc<[u8]> = [key, payload, place].concat().into();
        let ends = [key.len(), key.len() + payload.len(), bytes.len()].map(|end| end as u32);
        let next = self.next.entry((change.stream, partition)).or_default();
        let offset = Offset(*next);
        *next += 1;
        let stored = StoredEvent {
            partition,
            offset,
            sequence: Sequence(self.end()),
            op: change.op,
            snapshot: change.snapshot,
            reject: change.reject,
            frame: 0,
            key: 0..ends[0],
            payload: ends[0]..ends[1],
            place: ends[1]..ends[2],
            at: change.at,
        };
        let (stream, row_hash) = (change.stream, change.row_hash);
        self.events.push_back(ModelEvent { stream, stored, row_hash, bytes, appended_ms: now_ms });
    }

    fn may_drop(&self, retention: &Retention, now_ms: u64) -> bool {
        let Some(event) = self.events.front() else { return false };
        let stored = &event.stored;
        let age = u128::from(now_ms.saturating_sub(event.appended_ms));
        let applied = self.applied.get(&(event.stream, stored.partition)).copied().unwrap_or(0);
        let bytes: usize = self.events.iter().map(|event| event.bytes.len()).sum();
        applied > stored.offset.0
            && self.pins.values().all(|from| *from > stored.sequence)
            && age >= retention.floor.as_millis()
            && (age >= retention.age.as_millis() || bytes as u64 > retention.bytes)
    }
}

fn halt(code: &'static str, detail: &str) -> Failure {
    Failure::new(FailureClass::Halt, code, detail)
}

impl Queue for ModelQueue {
    fn id(&self) -> QueueId {
        self.id
    }

    fn register(&self, stream: &StreamName, partitions: PartitionCount) -> Result<StreamId, Failure> {
        let mut state = self.state();
        if let Some(index) = state.streams.iter().position(|(name, _)| name == stream) {
            let same = state.streams[index].1 == partitions;
            return if same { Ok(StreamId(index as u16)) } else { Err(halt("partitions_changed", "another count")) };
        }
        state.streams.push((stream.clone(), partitions));
        Ok(StreamId((state.streams.len() - 1) as u16))
    }

    fn append(&self, batch: &ChangeBatch) -> Result<Durable, AppendFailure> {
        let mut state = self.state();
        let now_ms = self.clock.now_ms();
        let held: usize = state.events.iter().map(|event| event.bytes.len()).sum();
        let more: usize = batch.changes().iter().map(|change| change.key.len() + change.payload.len()).sum();
        if (held + more) as u64 > self.retention.max_bytes {
            return Err(AppendFailure::Full(FullReason::Cap));
        }
        if batch.changes().iter().any(|change| usize::from(change.stream.0) >= state.streams.len()) {
            return Err(AppendFailure::Failed(Failure::new(FailureClass::Fatal, "unknown_stream", "not registered")));
        }
        let from = Sequence(state.end());
        for change in batch.changes() {
            let partitions = state.streams[usize::from(change.stream.0)].1;
            if change.op.is_for_every_partition() {
                partitions.all().for_each(|partition| state.push(batch, change, partition, now_ms));
            } else {
                let partition = partitions.of(KeyHash::of(batch.bytes(&change.key)));
                state.push(batch, change, partition, now_ms);
            }
        }
        batch.positions().iter().for_each(|update| state.positions.apply(update));
        let until = Sequence(state.end());
        self.durable.send_replace(until);
        Ok(Durable { from, until })
    }

    fn positions(&self) -> PositionTable {
        self.state().positions.clone()
    }

    fn sequences(&self) -> Range<Sequence> {
        let state = self.state();
        Sequence(state.first)..Sequence(state.end())
    }

    fn offsets(&self, stream: StreamId, partition: PartitionId) -> Range<Offset> {
        self.state().range(stream, partition)
    }

    fn read(&self, cursor: &Cursor, limit: ReadLimit) -> Result<ReadBatch, Failure> {
        let state = self.state();
        for (partition, offset) in &cursor.next {
            let range = state.range(cursor.stream, *partition);
            if *offset < range.start {
                return Err(halt("history_trimmed", "before the earliest offset"));
            }
            if *offset > range.end {
                return Err(halt("queue_behind", "past the end"));
            }
        }
        let mut batch = ReadBatch { next: cursor.next.clone(), ..ReadBatch::default() };
        let mut bytes = 0;
        for event in state.events.iter().filter(|event| event.stream == cursor.stream) {
            let Some(at) = batch.next.iter().position(|(partition, _)| *partition == event.stored.partition) else {
                continue;
            };
            if event.stored.offset < batch.next[at].1 {
                continue;
            }
            bytes += event.stored.payload.len();
            if !batch.events.is_empty() && (batch.events.len() >= limit.events || bytes > limit.bytes) {
                break;
            }
            let frame = batch.frames.len() as u32;
            batch.frames.push(Frame { bytes: event.bytes.clone(), appended_ms: event.appended_ms });
            batch.events.push(StoredEvent { frame, ..event.stored.clone() });
            batch.next[at].1 = event.stored.offset.plus(1);
        }
        Ok(batch)
    }

    fn visit(&self, from: Sequence, visit: &mut dyn FnMut(Recorded<'_>)) -> Result<(), Failure> {
        let state = self.state();
        if from.0 < state.first {
            return Err(halt("history_trimmed", "before the earliest event"));
        }
        if from.0 > state.end() {
            return Err(halt("queue_behind", "past the end"));
        }
        for event in state.events.iter().filter(|event| event.stored.sequence >= from) {
            let StoredEvent { sequence, op, snapshot, reject, ref key, .. } = event.stored;
            let key = &event.bytes[key.start as usize..key.end as usize];
            visit(Recorded { sequence, stream: event.stream, op, snapshot, key, row_hash: event.row_hash, reject });
        }
        Ok(())
    }

    fn applied(&self, stream: StreamId, applied: &Applied) {
        let mut state = self.state();
        for (partition, range) in &applied.advances {
            state.applied.insert((stream, *partition), range.until.0);
        }
    }

    fn pin(&self, name: &str, from: Option<Sequence>) {
        let mut state = self.state();
        match from {
            Some(from) => state.pins.insert(name.to_owned(), from),
            None => state.pins.remove(name),
        };
    }

    fn trim(&self) -> Result<(), Failure> {
        let mut state = self.state();
        let now_ms = self.clock.now_ms();
        while state.may_drop(&self.retention, now_ms) {
            state.drop_oldest();
        }
        Ok(())
    }

    fn watch(&self) -> watch::Receiver<Sequence> {
        self.durable.subscribe()
    }

    fn usage(&self) -> Usage {
        let state = self.state();
        let bytes = state.events.iter().map(|event| event.bytes.len() as u64).sum();
        Usage { bytes, segments: 1, events: state.events.len() as u64, disk: None }
    }
}
