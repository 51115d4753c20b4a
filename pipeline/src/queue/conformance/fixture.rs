//! What the suite puts into a queue, and events taken out of it as values.

use crate::queue::{Cursor, Queue, ReadBatch, ReadLimit, Retention};
use landfall_connectors::failure::Failure;
use landfall_schemas::event::{ChangeBatch, Op, Place};
use landfall_schemas::key::RecordKey;
use landfall_schemas::offset::{Offset, Sequence};
use landfall_schemas::rejection::RejectCode;
use landfall_schemas::stream::{PartitionCount, PartitionId, StreamId, StreamName};
use std::time::Duration;

/// Far more than any test reads.
pub const PLENTY: ReadLimit = ReadLimit { events: 1 << 20, bytes: 1 << 30 };

/// Keeps everything.
pub const KEEP: Retention = Retention {
    age: Duration::from_secs(86_400),
    bytes: 1 << 40,
    floor: Duration::from_secs(3_600),
    max_bytes: 1 << 40,
    disk_reserve: Some(0),
};

/// Lets go of everything that is applied.
pub const LET_GO: Retention = Retention { age: Duration::ZERO, bytes: 0, floor: Duration::ZERO, ..KEEP };

/// A key by number.
pub fn key(number: u64) -> RecordKey {
    let mut key = RecordKey::default();
    key.place("k", number);
    key
}

/// A stream of this queue with 4 partitions.
pub fn stream(queue: &dyn Queue, name: &str) -> StreamId {
    let name = StreamName::new(name).expect("the suite uses valid names");
    queue.register(&name, four()).expect("a new stream is registered")
}

/// Partitions of every stream of the suite.
pub fn four() -> PartitionCount {
    PartitionCount::new(4).expect("4 is a valid count")
}

/// A batch of upserts with these keys.
pub fn upserts(stream: StreamId, keys: impl IntoIterator<Item = u64>) -> ChangeBatch {
    let mut batch = ChangeBatch::default();
    let index = batch.place("users.json");
    for number in keys {
        let record = format!("{{\"id\":{number},\"name\":\"somebody\"}}");
        batch.upsert(stream, &key(number), (record.as_bytes(), None), Place { index, at: number * 40 });
    }
    batch
}

/// A cursor at these offsets of a stream with 4 partitions.
pub fn from_start(stream: StreamId) -> Cursor {
    Cursor { stream, next: four().all().map(|partition| (partition, Offset(0))).collect() }
}

/// An event as a value of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plain {
    /// Where it stands.
    pub at: (PartitionId, Offset, Sequence),
    /// What it does.
    pub does: (Op, bool, Option<RejectCode>),
    /// Key, payload and place.
    pub bytes: [Vec<u8>; 3],
    /// Offset in its place.
    pub place_at: u64,
}

/// The events of a batch as values.
pub fn plain(batch: &ReadBatch) -> Vec<Plain> {
    let events = batch.events.iter().map(|event| Plain {
        at: (event.partition, event.offset, event.sequence),
        does: (event.op, event.snapshot, event.reject),
        bytes: [&event.key, &event.payload, &event.place].map(|range| batch.bytes(event, range).to_vec()),
        place_at: event.at,
    });
    events.collect()
}

/// Reads from `cursor` to the end in steps of `limit`.
pub fn read_all(queue: &dyn Queue, mut cursor: Cursor, limit: ReadLimit) -> Result<Vec<Plain>, Failure> {
    let mut all = Vec::new();
    loop {
        let batch = queue.read(&cursor, limit)?;
        if batch.events.is_empty() {
            return Ok(all);
        }
        cursor.advance(&batch);
        all.extend(plain(&batch));
    }
}
