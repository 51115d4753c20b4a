//! The embedded queue opened anew: after appends, after damage, and after simulated crashes.

mod damage;
mod life;
mod refusal;
mod simulation;

use super::*;
use crate::queue::Retention;
use crate::queue::clock::SystemClock;
use crate::queue::conformance::fixture::{KEEP, from_start, upserts};
use landfall_schemas::event::Place;
use landfall_schemas::key::RecordKey;
use std::time::Duration;

fn numbered(number: u32) -> RecordKey {
    let mut key = RecordKey::default();
    key.place("k", u64::from(number));
    key
}

#[test]
fn what_was_appended_is_read_back_after_opening_anew() {
    let dir = std::env::temp_dir().join(format!("landfall-queue-{}", uuid::Uuid::new_v4()));
    let retention = Retention {
        age: Duration::from_secs(60),
        bytes: 1 << 30,
        floor: Duration::from_secs(1),
        max_bytes: 1 << 30,
        disk_reserve: None,
    };
    let open = || EmbeddedQueue::open(&dir, QueueOptions::new(retention), Arc::new(SystemClock)).unwrap();
    let queue = open();
    let id = queue.id();
    let stream = queue.register(&StreamName::new("users").unwrap(), PartitionCount::DEFAULT).unwrap();
    for round in 0..10u32 {
        let mut batch = ChangeBatch::default();
        let index = batch.place("users.json");
        for i in 0..100u32 {
            let key = numbered(round * 100 + i);
            batch.upsert(stream, &key, (b"{\"a\":1}", None), Place { index, at: u64::from(i) });
        }
        let durable = queue.append(&batch).unwrap();
        assert_eq!(durable.from, Sequence(u64::from(round) * 100));
        assert_eq!(durable.until, Sequence(u64::from(round + 1) * 100));
    }
    drop(queue);
    let queue = open();
    assert_eq!(queue.id(), id);
    let mut cursor = Cursor { stream, next: PartitionCount::DEFAULT.all().map(|p| (p, Offset(0))).collect() };
    let mut read = Vec::new();
    loop {
        let batch = queue.read(&cursor, ReadLimit { events: 70, bytes: 1 << 20 }).unwrap();
        if batch.events.is_empty() {
            break;
        }
        cursor.advance(&batch);
        read.extend(batch.events.iter().map(|event| batch.bytes(event, &event.key).to_vec()));
    }
    let expected: Vec<_> = (0..1_000).map(|i| numbered(i).as_bytes().to_vec()).collect();
    assert_eq!(read, expected);
    std::fs::remove_dir_all(&dir).unwrap();
}
