//! The suite that every queue passes: what the contract in [`super`] promises, and nothing about how.
//!
//! Panics where a promise is broken. Covers promises 1 (order and positions), 4 (contiguous), 5 (trim late) and 6 (a gap stops).
//! Durability needs a disk: see the simulation of the embedded queue.

pub mod fixture;

use super::{AppendFailure, Cursor, FullReason, Queue, ReadLimit, Retention};
use fixture::{KEEP, LET_GO, PLENTY, Plain, four, from_start, key, read_all, stream, upserts};
use landfall_connectors::failure::FailureClass;
use landfall_connectors::sink::Applied;
use landfall_schemas::event::{Change, ChangeBatch, Op, Place};
use landfall_schemas::hash::{KeyHash, RowHash};
use landfall_schemas::key::RecordKey;
use landfall_schemas::offset::{Offset, OffsetRange, Sequence};
use landfall_schemas::position::PositionUpdate;
use landfall_schemas::rejection::RejectCode;
use landfall_schemas::stream::{PartitionCount, PartitionId, StreamId, StreamName};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Makes an empty queue with this retention.
pub type Make<'a> = &'a dyn Fn(Retention) -> Arc<dyn Queue>;

/// Runs all of it.
pub fn suite(make: Make<'_>) {
    an_event_comes_back_as_it_was(make);
    sequences_and_offsets_have_no_gaps(make);
    a_read_stops_at_its_limits(make);
    a_reader_of_some_partitions_gets_only_those(make);
    the_end_of_a_snapshot_reaches_every_partition(make);
    positions_come_with_their_events(make);
    a_stream_keeps_its_number_and_its_partitions(make);
    a_cursor_outside_what_is_held_halts(make);
    a_visit_shows_what_reading_gives(make);
    only_applied_and_unpinned_events_are_trimmed(make);
    the_watch_tells_of_the_durable_end(make);
    appenders_at_the_same_time_leave_no_gap(make);
    a_full_queue_takes_more_once_events_are_applied(make);
    an_unknown_stream_is_refused_whole(make);
}

fn everything(queue: &dyn Queue, stream: StreamId) -> Vec<Plain> {
    read_all(queue, from_start(stream), PLENTY).expect("what is held can be read")
}

fn append(queue: &dyn Queue, batch: &ChangeBatch) -> std::ops::Range<Sequence> {
    let durable = queue.append(batch).expect("an empty disk takes a batch");
    durable.from..durable.until
}

fn apply(queue: &dyn Queue, stream: StreamId, until: impl Fn(PartitionId) -> Offset) {
    let range = |partition| OffsetRange { from: Offset(0), until: until(partition) };
    let advances = four().all().map(|partition| (partition, range(partition))).collect();
    queue.applied(stream, &Applied { advances });
}

fn an_event_comes_back_as_it_was(make: Make<'_>) {
    let queue = make(KEEP);
    let stream = stream(&*queue, "users");
    let mut batch = ChangeBatch::default();
    let first = batch.place("a.json");
    let second = batch.place("ordner/b.json");
    let hash = Some(RowHash(u128::MAX - 5));
    batch.upsert(stream, &key(1), (b"{\"n\":1}", hash), Place { index: second, at: u64::MAX }).snapshot = true;
    batch.delete(stream, &key(1), Place { index: first, at: 0 });
    let raw: (&[u8], _, _) = (b"{broken", None, RejectCode::Malformed);
    batch.reject(stream, &key(2), raw, Place { index: first, at: 7 });
    batch.control(stream, Op::Retract, &key(2), Place { index: second, at: 9 });
    assert_eq!(append(&*queue, &batch), Sequence(0)..Sequence(4));
    let expected: Vec<_> = batch.changes().iter().map(|change| expected(&batch, change)).collect();
    let read = everything(&*queue, stream);
    let got: Vec<_> = read.into_iter().map(|event| (event.does, event.bytes, event.place_at)).collect();
    assert_eq!(got, expected);
    let mut hashes = Vec::new();
    queue.visit(Sequence(0), &mut |recorded| hashes.push(recorded.row_hash)).expect("what was appended can be visited");
    assert_eq!(hashes, [hash, None, None, None]);
}

type Content = ((Op, bool, Option<RejectCode>), [Vec<u8>; 3], u64);

fn expected(batch: &ChangeBatch, change: &Change) -> Content {
    let place = batch.places()[change.place as usize].as_bytes().to_vec();
    let bytes = [batch.bytes(&change.key).to_vec(), batch.bytes(&change.payload).to_vec(), place];
    ((change.op, change.snapshot, change.reject), bytes, change.at)
}

fn sequences_and_offsets_have_no_gaps(make: Make<'_>) {
    let queue = make(KEEP);
    let users = stream(&*queue, "users");
    let tasks = stream(&*queue, "tasks");
    let mut batch = upserts(users, 0..50);
    let index = batch.place("tasks.json");
    for number in 50..150 {
        let stream = if number % 3 == 0 { users } else { tasks };
        batch.delete(stream, &key(number), Place { index, at: 0 });
    }
    assert_eq!(append(&*queue, &batch), Sequence(0)..Sequence(150));
    assert_eq!(append(&*queue, &upserts(tasks, 0..10)), Sequence(150)..Sequence(160));
    assert_eq!(queue.sequences(), Sequence(0)..Sequence(160));
    let mut sequences = Vec::new();
    for stream in [users, tasks] {
        let mut next: BTreeMap<PartitionId, u64> = BTreeMap::new();
        for event in everything(&*queue, stream) {
            let (partition, offset, sequence) = event.at;
            assert_eq!(partition, four().of(KeyHash::of(&event.bytes[0])), "a key has one partition");
            let next = next.entry(partition).or_default();
            assert_eq!(offset.0, *next, "offsets are contiguous");
            *next += 1;
            sequences.push(sequence.0);
        }
        for partition in four().all() {
            let end = Offset(next.get(&partition).copied().unwrap_or(0));
            assert_eq!(queue.offsets(stream, partition), Offset(0)..end);
        }
    }
    sequences.sort_unstable();
    assert!(sequences.into_iter().eq(0..160), "each sequence is given once");
}

fn a_read_stops_at_its_limits(make: Make<'_>) {
    let queue = make(KEEP);
    let stream = stream(&*queue, "users");
    for round in 0..5 {
        let _ = append(&*queue, &upserts(stream, round * 40..(round + 1) * 40));
    }
    let whole = everything(&*queue, stream);
    assert_eq!(whole.len(), 200);
    for limit in [1, 7, 39, 40, 41, 200] {
        let limit = ReadLimit { events: limit, bytes: 1 << 30 };
        assert_eq!(queue.read(&from_start(stream), limit).expect("readable").events.len(), limit.events);
        assert_eq!(read_all(&*queue, from_start(stream), limit).expect("readable"), whole);
    }
    for bytes in [0, 1, 100, 1_000] {
        let limit = ReadLimit { events: 1 << 20, bytes };
        let batch = queue.read(&from_start(stream), limit).expect("readable");
        let payload: usize = batch.events.iter().map(|event| event.payload.len()).sum();
        assert!(batch.events.len() == 1 || payload <= bytes, "only the first event may pass the limit");
        assert_eq!(read_all(&*queue, from_start(stream), limit).expect("readable"), whole);
    }
}

fn a_reader_of_some_partitions_gets_only_those(make: Make<'_>) {
    let queue = make(KEEP);
    let users = stream(&*queue, "users");
    let tasks = stream(&*queue, "tasks");
    for round in 0..5 {
        let _ = append(&*queue, &upserts(users, round * 20..(round + 1) * 20));
        let _ = append(&*queue, &upserts(tasks, round * 20..(round + 1) * 20));
    }
    let whole = everything(&*queue, users);
    for chosen in [vec![0], vec![3], vec![1, 2], vec![0, 1, 3]] {
        let next = chosen.iter().map(|partition| (PartitionId(*partition), Offset(2))).collect();
        let read = read_all(&*queue, Cursor { stream: users, next }, ReadLimit { events: 6, bytes: 1 << 20 });
        let mut expected = whole.clone();
        expected.retain(|event| chosen.contains(&event.at.0.0) && event.at.1 >= Offset(2));
        assert_eq!(read.expect("readable"), expected);
    }
}

fn the_end_of_a_snapshot_reaches_every_partition(make: Make<'_>) {
    let queue = make(KEEP);
    let stream = stream(&*queue, "users");
    let mut batch = upserts(stream, 0..3);
    let index = batch.place("users.json");
    batch.control(stream, Op::SnapshotEnd, &RecordKey::default(), Place { index, at: 0 });
    batch.delete(stream, &key(1), Place { index, at: 0 });
    assert_eq!(append(&*queue, &batch), Sequence(0)..Sequence(8), "it takes a sequence per partition");
    let read = everything(&*queue, stream);
    let ends: Vec<_> = read.iter().filter(|event| event.does.0 == Op::SnapshotEnd).map(|event| event.at).collect();
    assert_eq!(ends.iter().map(|at| at.0.0).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(ends.iter().map(|at| at.2.0).collect::<Vec<_>>(), [3, 4, 5, 6]);
}

fn positions_come_with_their_events(make: Make<'_>) {
    let queue = make(KEEP);
    let stream = stream(&*queue, "users");
    let slot = |slot: &[u8], value: Option<&[u8]>| PositionUpdate { slot: slot.into(), value: value.map(Into::into) };
    let mut batch = upserts(stream, 0..2);
    batch.reached(slot(b"a", Some(b"1")));
    batch.reached(slot(b"b", Some(b"")));
    batch.reached(slot(b"a", Some(b"2")));
    let _ = append(&*queue, &batch);
    let table = queue.positions();
    assert_eq!((table.get(b"a"), table.get(b"b"), table.0.len()), (Some(&b"2"[..]), Some(&b""[..]), 2));
    let mut alone = ChangeBatch::default();
    alone.reached(slot(b"a", None));
    alone.reached(slot(b"", Some(&[7; 64 * 1024])));
    assert_eq!(append(&*queue, &alone), Sequence(2)..Sequence(2), "positions take no sequence");
    let table = queue.positions();
    assert_eq!((table.get(b"a"), table.get(b"").map(<[u8]>::len), table.0.len()), (None, Some(64 * 1024), 2));
    assert_eq!(append(&*queue, &ChangeBatch::default()), Sequence(2)..Sequence(2), "an empty batch is no event");
}

fn a_stream_keeps_its_number_and_its_partitions(make: Make<'_>) {
    let queue = make(KEEP);
    let users = stream(&*queue, "users");
    let tasks = stream(&*queue, "tasks");
    assert_ne!(users, tasks);
    assert_eq!(stream(&*queue, "users"), users);
    let name = StreamName::new("users").expect("a valid name");
    let failure = queue.register(&name, PartitionCount::DEFAULT).expect_err("another count is refused");
    assert_eq!((failure.class, failure.code), (FailureClass::Halt, "partitions_changed"));
    assert_eq!(queue.offsets(users, PartitionId(1)), Offset(0)..Offset(0));
}

fn a_cursor_outside_what_is_held_halts(make: Make<'_>) {
    let queue = make(KEEP);
    let stream = stream(&*queue, "users");
    let _ = append(&*queue, &upserts(stream, 0..20));
    let end = queue.offsets(stream, PartitionId(0)).end;
    let at = |offset| Cursor { stream, next: vec![(PartitionId(0), offset)] };
    assert!(queue.read(&at(end), PLENTY).expect("the end is a place to wait at").events.is_empty());
    let failure = queue.read(&at(end.plus(1)), PLENTY).expect_err("nothing was ever there");
    assert_eq!((failure.class, failure.code), (FailureClass::Halt, "queue_behind"));
    let failure = queue.visit(Sequence(21), &mut |_| {}).expect_err("nothing was ever there");
    assert_eq!((failure.class, failure.code), (FailureClass::Halt, "queue_behind"));
}

fn a_visit_shows_what_reading_gives(make: Make<'_>) {
    let queue = make(KEEP);
    let users = stream(&*queue, "users");
    let tasks = stream(&*queue, "tasks");
    for round in 0..6 {
        let _ = append(&*queue, &upserts(if round % 2 == 0 { users } else { tasks }, round * 10..(round + 1) * 10));
    }
    let mut read: Vec<_> = [users, tasks]
        .into_iter()
        .flat_map(|stream| everything(&*queue, stream).into_iter().map(move |event| (event.at.2, stream, event)))
        .collect();
    read.sort_by_key(|(sequence, ..)| *sequence);
    for from in [0, 1, 9, 10, 35, 59, 60] {
        let mut visited = Vec::new();
        let seen = queue.visit(Sequence(from), &mut |event| {
            visited.push((event.sequence, event.stream, event.op, event.key.to_vec()));
        });
        seen.expect("what is held can be visited");
        let expected = read.iter().skip(from as usize);
        let expected =
            expected.map(|(sequence, stream, event)| (*sequence, *stream, event.does.0, event.bytes[0].clone()));
        assert!(visited.into_iter().eq(expected));
    }
}

fn only_applied_and_unpinned_events_are_trimmed(make: Make<'_>) {
    let queue = make(LET_GO);
    let users = stream(&*queue, "users");
    let tasks = stream(&*queue, "tasks");
    for round in 0..20 {
        let _ = append(&*queue, &upserts(users, round * 20..(round + 1) * 20));
        let _ = append(&*queue, &upserts(tasks, round..round + 1));
    }
    let before = everything(&*queue, users);
    trim(&*queue);
    assert_eq!(queue.sequences().start, Sequence(0), "nothing is applied");
    let end = |stream, partition| queue.offsets(stream, partition).end;
    apply(&*queue, users, |partition| end(users, partition));
    trim(&*queue);
    assert!(queue.sequences().start <= Sequence(20), "the other stream's first event holds the rest");
    apply(&*queue, tasks, |partition| end(tasks, partition));
    queue.pin("checkpoint", Some(Sequence(200)));
    trim(&*queue);
    assert!(queue.sequences().start <= Sequence(200), "the pin holds");
    let held = before.iter().filter(|event| event.at.2 >= Sequence(200));
    let next =
        four().all().map(|p| (p, held.clone().find(|e| e.at.0 == p).map_or(end(users, p), |e| e.at.1))).collect();
    let read = read_all(&*queue, Cursor { stream: users, next }, PLENTY).expect("what is pinned can be read");
    assert!(read.iter().eq(held));
    queue.pin("checkpoint", None);
    trim(&*queue);
    assert_eq!(queue.sequences(), Sequence(420)..Sequence(420), "all is applied and nothing holds it");
    assert_eq!(queue.usage().events, 0);
    let failure = queue.read(&from_start(users), PLENTY).expect_err("what was trimmed is not skipped");
    assert_eq!((failure.class, failure.code), (FailureClass::Halt, "history_trimmed"));
    let failure = queue.visit(Sequence(0), &mut |_| {}).expect_err("what was trimmed is not skipped");
    assert_eq!((failure.class, failure.code), (FailureClass::Halt, "history_trimmed"));
    assert_eq!(append(&*queue, &upserts(users, 0..1)), Sequence(420)..Sequence(421), "numbers go on");
}

fn trim(queue: &dyn Queue) {
    queue.trim().expect("an applied event can be dropped");
}

fn the_watch_tells_of_the_durable_end(make: Make<'_>) {
    let queue = make(KEEP);
    let stream = stream(&*queue, "users");
    let mut watch = queue.watch();
    assert_eq!(*watch.borrow_and_update(), Sequence(0));
    let _ = append(&*queue, &upserts(stream, 0..5));
    assert!(watch.has_changed().expect("the queue lives"));
    assert_eq!(*watch.borrow_and_update(), Sequence(5));
}

fn appenders_at_the_same_time_leave_no_gap(make: Make<'_>) {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 25;
    let queue = make(KEEP);
    let stream = stream(&*queue, "users");
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let queue = &queue;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let first = (thread * ROUNDS + round) * 10;
                    let durable = append(&**queue, &upserts(stream, first..first + 10));
                    assert_eq!(durable.end.0 - durable.start.0, 10, "a batch stays together");
                    assert!(queue.sequences().end >= durable.end, "what is acknowledged is visible");
                }
            });
        }
    });
    let read = everything(&*queue, stream);
    assert!(read.iter().map(|event| event.at.2.0).eq(0..THREADS * ROUNDS * 10));
    let mut keys: Vec<_> = read.iter().map(|event| event.bytes[0].clone()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len() as u64, THREADS * ROUNDS * 10);
    for batch in read.chunks(10) {
        assert!(batch.windows(2).all(|pair| pair[0].place_at + 40 == pair[1].place_at), "a batch keeps its order");
    }
}

fn a_full_queue_takes_more_once_events_are_applied(make: Make<'_>) {
    let queue = make(Retention { max_bytes: 64 * 1024, bytes: 1 << 30, ..LET_GO });
    let stream = stream(&*queue, "users");
    let mut appended = 0;
    let refused = loop {
        match queue.append(&upserts(stream, appended..appended + 50)) {
            Ok(durable) => appended = durable.until.0,
            Err(failure) => break failure,
        }
        assert!(appended < 1 << 20, "the cap is met at some time");
    };
    assert!(matches!(refused, AppendFailure::Full(FullReason::Cap)));
    assert_eq!(queue.sequences(), Sequence(0)..Sequence(appended), "nothing unapplied went, nothing refused came");
    assert_eq!(everything(&*queue, stream).len() as u64, appended);
    apply(&*queue, stream, |partition| queue.offsets(stream, partition).end);
    trim(&*queue);
    assert_eq!(append(&*queue, &upserts(stream, 0..50)).start, Sequence(appended));
}

fn an_unknown_stream_is_refused_whole(make: Make<'_>) {
    let queue = make(KEEP);
    let users = stream(&*queue, "users");
    let mut batch = upserts(users, 0..3);
    let index = batch.place("x");
    batch.delete(StreamId(900), &key(1), Place { index, at: 0 });
    assert!(matches!(queue.append(&batch), Err(AppendFailure::Failed(failure)) if failure.code == "unknown_stream"));
    assert_eq!(queue.sequences(), Sequence(0)..Sequence(0));
}

#[cfg(test)]
mod tests;
