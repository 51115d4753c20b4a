//! What the queue benches append: batches of users as a source hands them out, made before the clock starts.

use crate::user::User;
use landfall_pipeline::queue::clock::SystemClock;
use landfall_pipeline::queue::embedded::{Compression, EmbeddedQueue, QueueOptions};
use landfall_pipeline::queue::{Cursor, Queue, ReadLimit, Retention};
use landfall_schemas::event::{ChangeBatch, Place};
use landfall_schemas::key::RecordKey;
use landfall_schemas::offset::{Offset, Sequence};
use landfall_schemas::position::PositionUpdate;
use landfall_schemas::stream::{PartitionCount, StreamId, StreamName};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How a lane reads when it is behind.
pub const LANE: ReadLimit = ReadLimit { events: 2_000, bytes: 4 << 20 };

/// Opens the queue in `folder` with one stream of the usual partitions. Nothing is trimmed.
pub fn open(folder: &Path, compression: Compression) -> (EmbeddedQueue, StreamId) {
    let forever = Duration::from_secs(10 * 365 * 86_400);
    let retention =
        Retention { age: forever, bytes: u64::MAX, floor: forever, max_bytes: u64::MAX, disk_reserve: None };
    let options = QueueOptions { compression, ..QueueOptions::new(retention) };
    let queue = EmbeddedQueue::open(folder, options, Arc::new(SystemClock)).expect("a bench's own queue opens");
    let name = StreamName::new("users").expect("a plain word is a name");
    let stream = queue.register(&name, PartitionCount::DEFAULT).expect("a stream can be registered");
    (queue, stream)
}

/// Batches of `size` users each, `events` in all, with the position of a file behind each.
pub fn batches(stream: StreamId, events: u64, size: u64) -> Vec<ChangeBatch> {
    (0..events / size).map(|batch| one(stream, batch * size..(batch + 1) * size)).collect()
}

fn one(stream: StreamId, numbers: std::ops::Range<u64>) -> ChangeBatch {
    let mut batch = ChangeBatch::default();
    let index = batch.place("lines/users.ndjson");
    let (mut key, mut record) = (RecordKey::default(), Vec::with_capacity(512));
    let end = numbers.end;
    for number in numbers {
        record.clear();
        let user = User::new(number, 0);
        user.write_json(&mut record);
        key.string(&user.id());
        batch.upsert(stream, &key, (&record, None), Place { index, at: number * 320 });
    }
    let value = Some((end * 320).to_be_bytes().into());
    batch.reached(PositionUpdate { slot: (*b"lines/users.ndjson").into(), value });
    batch
}

/// Bytes of keys and records in a batch.
pub fn payload(batch: &ChangeBatch) -> u64 {
    batch
        .changes()
        .iter()
        .map(|change| {
            u64::from(change.key.end - change.key.start) + u64::from(change.payload.end - change.payload.start)
        })
        .sum()
}

/// Reads everything as a lane that owns all partitions does; gives the events.
pub fn read_all(queue: &EmbeddedQueue, stream: StreamId) -> u64 {
    let next = PartitionCount::DEFAULT.all().map(|partition| (partition, Offset(0))).collect();
    let mut cursor = Cursor { stream, next };
    let (mut events, mut bytes) = (0, 0_usize);
    loop {
        let batch = queue.read(&cursor, LANE).expect("a bench's own queue is whole");
        if batch.events.is_empty() {
            std::hint::black_box(bytes);
            return events;
        }
        events += batch.events.len() as u64;
        bytes += batch.events.iter().map(|event| batch.bytes(event, &event.payload).len()).sum::<usize>();
        cursor.advance(&batch);
    }
}

/// Visits everything as a file index does; gives the events.
pub fn visit_all(queue: &EmbeddedQueue) -> u64 {
    let mut events = 0;
    let visited = queue.visit(Sequence(0), &mut |recorded| {
        std::hint::black_box(recorded.key.len());
        events += 1;
    });
    visited.expect("a bench's own queue is whole");
    events
}
