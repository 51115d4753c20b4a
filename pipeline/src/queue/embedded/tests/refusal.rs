//! A disk that refuses: failed syncs, no room, unreadable files (faults Q4, Q5); and what may be dropped for good.

use super::damage::{BATCH, PARTITIONS, append, close, crash, events, filled, open, register, seen};
use super::life::ManualClock;
use super::*;
use crate::queue::conformance::fixture::{LET_GO, PLENTY};
use crate::queue::embedded::disk::faulty::{Dice, FaultyDisk};
use crate::queue::{AppendFailure, FullReason};
use landfall_schemas::offset::OffsetRange;
use landfall_schemas::position::PositionUpdate;

#[test]
fn a_failed_sync_is_final_and_its_batch_is_written_again_at_the_next_open() {
    let disk = filled(2, 1 << 20, &crash);
    let queue = open(&disk, 1 << 20).unwrap();
    disk.fail_sync_after(0);
    let refused = queue.append(&upserts(StreamId(0), 900..905));
    assert!(matches!(refused, Err(AppendFailure::Failed(failure)) if failure.code == "sync_failed"));
    let refused = queue.append(&upserts(StreamId(0), 905..906));
    assert!(matches!(refused, Err(AppendFailure::Failed(failure)) if failure.class == FailureClass::Fatal));
    assert_eq!(queue.read(&from_start(StreamId(0)), PLENTY).unwrap_err().code, "sync_failed");
    assert_eq!(queue.trim().unwrap_err().code, "sync_failed");
    assert_eq!(queue.close().unwrap_err().code, "sync_failed");
    // The page cache shows the batch, the disk never got it: once it is open again, it must survive the power.
    let disk = crash(queue, &disk);
    let queue = open(&disk, 1 << 20).unwrap();
    assert_eq!(events(&queue).unwrap().len() as u64, 2 * BATCH + 5);
    for seed in 0..12 {
        let after = disk.copy().power_cut(&mut Dice::new(seed));
        assert_eq!(seen(&after, 1 << 20).unwrap().0.len() as u64, 2 * BATCH + 5, "seed {seed}");
    }
}

#[test]
fn a_registration_that_met_a_failed_sync_is_durable_once_it_succeeds() {
    for syncs in 0..6 {
        let disk = filled(2, 1 << 20, &close);
        let name = StreamName::new("tasks").unwrap();
        let one = PartitionCount::new(1).unwrap();
        let queue = open(&disk, 1 << 20).unwrap();
        disk.fail_sync_after(syncs);
        let first = queue.register(&name, one);
        let disk = crash(queue, &disk);
        let queue = open(&disk, 1 << 20).unwrap();
        let stream = queue.register(&name, one).unwrap();
        assert!(first.is_err() || first == Ok(stream));
        for seed in 0..12 {
            let after = disk.copy().power_cut(&mut Dice::new(seed));
            let names = open(&after, 1 << 20).unwrap().streams();
            assert!(names.iter().any(|known| known.1 == name), "{syncs} syncs, seed {seed}");
        }
    }
}

#[test]
fn a_trim_that_met_a_failed_sync_leaves_a_queue_that_opens() {
    for syncs in 0..8 {
        let disk = FaultyDisk::default();
        let options = QueueOptions { segment_bytes: 600, ..QueueOptions::new(LET_GO) };
        let open = |disk: &FaultyDisk| {
            EmbeddedQueue::open_on(Arc::new(disk.clone()), options, Arc::new(ManualClock::default())).unwrap()
        };
        let queue = open(&disk);
        register(&queue);
        for round in 0..5 {
            let _ = append(&queue, round);
        }
        queue.close().unwrap();
        let range = |partition| OffsetRange { from: Offset(0), until: queue.offsets(StreamId(0), partition).end };
        let advances = (0..PARTITIONS).map(PartitionId).map(|partition| (partition, range(partition))).collect();
        queue.applied(StreamId(0), &Applied { advances });
        disk.fail_sync_after(syncs);
        let _ = queue.trim();
        let disk = crash(queue, &disk);
        // The power may also go while that queue is opened.
        for stop in 0..12 {
            let early = disk.copy();
            early.stop_after(stop);
            drop(EmbeddedQueue::open_on(Arc::new(early.clone()), options, Arc::new(ManualClock::default())));
            for seed in 0..8 {
                let _ = open(&early.copy().power_cut(&mut Dice::new(seed)));
            }
        }
        let queue = open(&disk);
        let held = queue.sequences();
        for seed in 0..12 {
            let after = disk.copy().power_cut(&mut Dice::new(seed));
            assert_eq!(open(&after).sequences(), held, "{syncs} syncs, seed {seed}");
        }
    }
}

#[test]
fn trimming_makes_room_on_a_full_disk() {
    let disk = FaultyDisk::default();
    let options = QueueOptions { segment_bytes: 1_000, ..QueueOptions::new(LET_GO) };
    let queue = EmbeddedQueue::open_on(Arc::new(disk.clone()), options, Arc::new(ManualClock::default())).unwrap();
    let stream = register(&queue);
    for round in 0..8 {
        let _ = append(&queue, round);
    }
    let range = |partition| OffsetRange { from: Offset(0), until: queue.offsets(stream, partition).end };
    let advances = (0..PARTITIONS).map(PartitionId).map(|partition| (partition, range(partition))).collect();
    disk.limit_room(Some(0));
    assert!(matches!(queue.append(&upserts(stream, 0..30)), Err(AppendFailure::Full(FullReason::Disk))));
    queue.applied(stream, &Applied { advances });
    queue.trim().unwrap();
    assert_eq!(queue.append(&upserts(stream, 0..30)).unwrap().from, Sequence(8 * BATCH));
}

#[test]
fn the_reserve_of_a_disk_is_left_alone_by_events_and_not_by_positions() {
    const RESERVE: u64 = 10_000;
    let disk = FaultyDisk::default();
    let retention = Retention { disk_reserve: Some(RESERVE), ..LET_GO };
    let options = QueueOptions { segment_bytes: 1_000, ..QueueOptions::new(retention) };
    let queue = EmbeddedQueue::open_on(Arc::new(disk.clone()), options, Arc::new(ManualClock::default())).unwrap();
    let stream = register(&queue);
    disk.limit_room(Some(RESERVE + 20_000));
    let refused = |round: u64| match queue.append(&upserts(stream, round * 20..(round + 1) * 20)) {
        Ok(_) => false,
        Err(AppendFailure::Full(FullReason::Disk)) => true,
        Err(other) => panic!("{other:?}"),
    };
    let rounds = (0..1_000).find(|round| refused(*round)).expect("the reserve is reached");
    let room = queue.usage().disk.expect("the disk says what is left");
    // Headers and indexes of segments may take of it.
    assert!(room.reserve == RESERVE && room.free + 500 >= RESERVE, "{room:?}");
    assert!(room.free < RESERVE + 4_000, "what is refused would not have fitted: {room:?}");
    assert_eq!(events(&queue).unwrap().len() as u64, rounds * 20);
    // Somebody else takes most of the rest: where a source stands is saved all the same.
    disk.limit_room(Some(5_000));
    let mut batch = ChangeBatch::default();
    batch.reached(PositionUpdate { slot: b"file"[..].into(), value: Some([7; 2_000].into()) });
    let _ = queue.append(&batch).unwrap();
    assert!(refused(rounds));
    // Applied events make room, as far as it is theirs.
    let range = |partition| OffsetRange { from: Offset(0), until: queue.offsets(stream, partition).end };
    let advances = (0..PARTITIONS).map(PartitionId).map(|partition| (partition, range(partition))).collect();
    queue.applied(stream, &Applied { advances });
    let room = |queue: &EmbeddedQueue| queue.usage().disk.expect("the disk says what is left");
    assert!(room(&queue).is_short());
    assert!(!refused(rounds), "an append drops what is applied before it gives up");
    disk.limit_room(None);
    assert!(!refused(rounds + 1));
}

#[test]
fn a_disk_that_something_else_fills_gets_what_is_applied_though_nothing_is_appended() {
    let disk = FaultyDisk::default();
    let retention = Retention { disk_reserve: Some(10_000), floor: Duration::ZERO, ..KEEP };
    let options = QueueOptions { segment_bytes: 1_000, ..QueueOptions::new(retention) };
    let queue = EmbeddedQueue::open_on(Arc::new(disk.clone()), options, Arc::new(ManualClock::default())).unwrap();
    let stream = register(&queue);
    for round in 0..20 {
        let _ = append(&queue, round);
    }
    // An empty first segment goes in any case.
    queue.trim().unwrap();
    let held = queue.usage().bytes;
    disk.limit_room(Some(8_000));
    queue.trim().unwrap();
    assert_eq!(queue.usage().bytes, held, "what is not applied stays, however short the disk is");
    let range = |partition| OffsetRange { from: Offset(0), until: queue.offsets(stream, partition).end };
    let advances = (0..PARTITIONS).map(PartitionId).map(|partition| (partition, range(partition))).collect();
    queue.applied(stream, &Applied { advances });
    queue.trim().unwrap();
    let usage = queue.usage();
    assert!(usage.disk.is_some_and(|room| !room.is_short()), "{usage:?}");
    assert!(usage.bytes > 0 && usage.bytes < held, "as much as the reserve needs, and no more: {usage:?} of {held}");
}

#[test]
fn a_disk_without_a_reserve_of_its_own_keeps_a_twentieth_and_a_large_one_no_more_than_is_useful() {
    let disk = FaultyDisk::default();
    let retention = Retention { disk_reserve: None, ..KEEP };
    let clock = Arc::new(ManualClock::default());
    let queue = EmbeddedQueue::open_on(Arc::new(disk.clone()), QueueOptions::new(retention), clock).unwrap();
    assert_eq!(queue.usage().disk.map(|room| room.reserve), Some(256 << 20));
    disk.be_of(1_000_000);
    assert_eq!(queue.usage().disk.map(|room| room.reserve), Some(50_000));
}

#[test]
fn positions_may_still_be_saved_when_the_cap_is_reached() {
    let retention = Retention { max_bytes: 6_000, ..KEEP };
    let disk = Arc::new(FaultyDisk::default());
    let queue = EmbeddedQueue::open_on(disk, QueueOptions::new(retention), Arc::new(ManualClock::default())).unwrap();
    let stream = register(&queue);
    let mut round = 0;
    while queue.append(&upserts(stream, round * 20..(round + 1) * 20)).is_ok() {
        round += 1;
    }
    let mut batch = ChangeBatch::default();
    batch.reached(PositionUpdate { slot: b"file"[..].into(), value: Some([7; 2_000].into()) });
    assert_eq!(queue.append(&batch).unwrap().from, queue.sequences().end);
    assert_eq!(queue.positions().get(b"file"), Some(&[7; 2_000][..]));
}

#[test]
fn a_full_disk_takes_nothing_and_loses_nothing_wherever_it_fills() {
    for segment_bytes in [600, 1 << 20] {
        let disk = filled(3, segment_bytes, &close);
        let whole = seen(&disk.copy(), segment_bytes).unwrap().0;
        for room in 0..1_500 {
            let copy = disk.copy();
            let queue = open(&copy, segment_bytes).unwrap();
            copy.limit_room(Some(room));
            let outcome = queue.append(&upserts(StreamId(0), 100..130));
            let kept = match outcome {
                Ok(_) => whole.len() + 30,
                Err(AppendFailure::Full(FullReason::Disk)) => whole.len(),
                Err(other) => panic!("room {room}: {other:?}"),
            };
            assert_eq!(events(&queue).unwrap().len(), kept);
            copy.limit_room(None);
            let durable = append(&queue, 20);
            assert_eq!(durable.from.0, kept as u64, "appending goes on when there is room again");
            let copy = crash(queue, &copy).power_cut(&mut Dice::new(room));
            let read = seen(&copy, segment_bytes).unwrap().0;
            assert_eq!(read.len() as u64, kept as u64 + BATCH);
            assert_eq!(read[..whole.len()], whole);
        }
    }
}

#[test]
fn a_segment_that_cannot_be_read_is_not_taken_for_damage() {
    let disk = filled(9, 1_500, &close);
    let first = disk.names().into_iter().filter(|name| name.ends_with(".seg")).nth(1).unwrap();
    let queue = open(&disk, 1_500).unwrap();
    disk.refuse_reads(&first);
    let failure = events(&queue).unwrap_err();
    assert_eq!((failure.class, failure.code), (FailureClass::Transient, "queue_unreadable"));
    drop(queue);
    let failure = open(&disk, 1_500).unwrap_err();
    assert_eq!((failure.class, failure.code), (FailureClass::Halt, "queue_unusable"));
}

#[test]
fn a_removed_stream_holds_nothing_back_and_its_name_starts_anew() {
    let disk = FaultyDisk::default();
    let options = QueueOptions { segment_bytes: 600, ..QueueOptions::new(LET_GO) };
    let open = || EmbeddedQueue::open_on(Arc::new(disk.clone()), options, Arc::new(ManualClock::default())).unwrap();
    let queue = open();
    let users = register(&queue);
    for round in 0..5 {
        let _ = append(&queue, round);
    }
    let tasks = queue.register(&StreamName::new("tasks").unwrap(), PartitionCount::new(1).unwrap()).unwrap();
    let _ = queue.append(&upserts(tasks, 0..30)).unwrap();
    let range = OffsetRange { from: Offset(0), until: Offset(30) };
    queue.applied(tasks, &Applied { advances: vec![(PartitionId(0), range)] });
    queue.trim().unwrap();
    assert_eq!(queue.sequences().start, Sequence(0));
    queue.unregister(users).unwrap();
    drop(queue);
    let queue = open();
    assert!(matches!(queue.append(&upserts(users, 0..1)), Err(AppendFailure::Failed(_))), "it takes no more events");
    queue.applied(tasks, &Applied { advances: vec![(PartitionId(0), range)] });
    queue.trim().unwrap();
    assert_eq!(queue.sequences(), Sequence(90)..Sequence(90));
    let again = register(&queue);
    assert_ne!(again, users);
    assert_eq!(queue.offsets(again, PartitionId(0)), Offset(0)..Offset(0));
    assert_eq!(queue.streams().len(), 2);
}
