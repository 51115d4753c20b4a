//! Damage done to the files behind the queue's back, byte by byte: always found, never skipped, never taken for a torn tail where
//! something was durable (faults Q1, Q2, Q4, Q5, Q7).

use super::life::ManualClock;
use super::*;
use crate::queue::conformance::fixture::{LET_GO, PLENTY, Plain, read_all};
use crate::queue::embedded::disk::faulty::{Dice, FaultyDisk};
use crate::queue::{AppendFailure, FullReason};
use landfall_schemas::offset::OffsetRange;
use landfall_schemas::position::PositionUpdate;

const PARTITIONS: u16 = 4;
/// Events of a batch.
const BATCH: u64 = 12;

fn open(disk: &FaultyDisk, segment_bytes: u64) -> Result<EmbeddedQueue, Failure> {
    let options = QueueOptions { segment_bytes, ..QueueOptions::new(KEEP) };
    EmbeddedQueue::open_on(Arc::new(disk.clone()), options, Arc::new(ManualClock::default()))
}

fn register(queue: &EmbeddedQueue) -> StreamId {
    queue.register(&StreamName::new("users").unwrap(), PartitionCount::new(PARTITIONS).unwrap()).unwrap()
}

fn append(queue: &EmbeddedQueue, round: u64) -> Durable {
    let mut batch = upserts(StreamId(0), round * BATCH..(round + 1) * BATCH);
    batch.reached(PositionUpdate { slot: b"file"[..].into(), value: Some(round.to_le_bytes().into()) });
    queue.append(&batch).unwrap()
}

/// A queue with this many batches, closed or left as a crash leaves it.
fn filled(batches: u64, segment_bytes: u64, end: &dyn Fn(EmbeddedQueue, &FaultyDisk) -> FaultyDisk) -> FaultyDisk {
    let disk = FaultyDisk::default();
    let queue = open(&disk, segment_bytes).unwrap();
    register(&queue);
    for round in 0..batches {
        let _ = append(&queue, round);
    }
    end(queue, &disk)
}

fn close(queue: EmbeddedQueue, disk: &FaultyDisk) -> FaultyDisk {
    queue.close().unwrap();
    disk.process_end()
}

fn crash(queue: EmbeddedQueue, disk: &FaultyDisk) -> FaultyDisk {
    let left = disk.process_end();
    drop(queue);
    left
}

fn events(queue: &EmbeddedQueue) -> Result<Vec<Plain>, Failure> {
    read_all(queue, from_start(StreamId(0)), PLENTY)
}

/// Everything a reader can see, or the failure that hides it.
fn seen(disk: &FaultyDisk, segment_bytes: u64) -> Result<(Vec<Plain>, PositionTable, u64), Failure> {
    let queue = open(disk, segment_bytes)?;
    let mut visited = 0;
    queue.visit(Sequence(0), &mut |_| visited += 1)?;
    Ok((events(&queue)?, queue.positions(), visited))
}

fn newest(disk: &FaultyDisk) -> String {
    disk.names().into_iter().rfind(|name| name.ends_with(".seg")).unwrap()
}

fn size(disk: &FaultyDisk, name: &str) -> usize {
    let mut size = 0;
    disk.edit(name, |bytes| size = bytes.len());
    size
}

fn is_halt(failure: &Failure) -> bool {
    failure.class == FailureClass::Halt && failure.code == "queue_damaged"
}

#[test]
fn a_flipped_bit_anywhere_in_a_closed_queue_halts_or_changes_nothing() {
    for compression in [Compression::Lz4, Compression::Off] {
        let options = QueueOptions { segment_bytes: 1_500, compression, ..QueueOptions::new(KEEP) };
        let disk = FaultyDisk::default();
        let queue = EmbeddedQueue::open_on(Arc::new(disk.clone()), options, Arc::new(ManualClock::default())).unwrap();
        register(&queue);
        for round in 0..9 {
            let _ = append(&queue, round);
        }
        flip_everything(&close(queue, &disk));
    }
}

fn flip_everything(disk: &FaultyDisk) {
    let whole = seen(&disk.copy(), 1_500).unwrap();
    assert_eq!(whole.0.len() as u64, 9 * BATCH);
    let names = disk.names();
    assert!(names.iter().filter(|name| name.ends_with(".seg")).count() >= 3, "several segments: {names:?}");
    let newest = newest(disk);
    for name in &names {
        for at in 0..size(disk, name) {
            for bit in [1u8, 0x80] {
                let copy = disk.copy();
                copy.edit(name, |bytes| bytes[at] ^= bit);
                match seen(&copy, 1_500) {
                    Ok(same) => {
                        assert_eq!(same, whole, "{name} byte {at}");
                        assert_ne!(name, &newest, "byte {at} of the newest segment is not covered");
                    }
                    Err(failure) => assert!(is_halt(&failure), "{name} byte {at}: {failure}"),
                }
            }
        }
    }
}

#[test]
fn a_flipped_bit_after_a_crash_takes_no_more_than_the_last_batch() {
    let disk = filled(5, 1 << 20, &crash);
    let whole = seen(&disk.copy(), 1 << 20).unwrap();
    let newest = newest(&disk);
    let mut cut = 0;
    for at in 0..size(&disk, &newest) {
        let copy = disk.copy();
        copy.edit(&newest, |bytes| bytes[at] ^= 4);
        match seen(&copy, 1 << 20) {
            Ok((events, positions, _)) => {
                assert_eq!(events, whole.0[..4 * BATCH as usize], "byte {at}: all but the last, which nothing proves");
                assert_eq!(positions.get(b"file"), Some(&3u64.to_le_bytes()[..]));
                cut += 1;
            }
            Err(failure) => assert!(is_halt(&failure), "byte {at}: {failure}"),
        }
    }
    assert!(cut > 0, "the last batch has bytes");
}

#[test]
fn a_torn_tail_is_cut_before_the_first_append_at_every_byte() {
    let disk = filled(4, 1 << 20, &crash);
    let whole = seen(&disk.copy(), 1 << 20).unwrap().0;
    let newest = newest(&disk);
    let two = size(&filled(2, 1 << 20, &crash), &newest);
    for len in two..size(&disk, &newest) {
        let torn = disk.copy();
        torn.edit(&newest, |bytes| bytes.truncate(len));
        let queue = open(&torn, 1 << 20).unwrap();
        let left = events(&queue).unwrap();
        assert_eq!(left.len() as u64 % BATCH, 0, "batches stay whole");
        assert_eq!(left, whole[..left.len()]);
        let durable = append(&queue, 7);
        assert_eq!(durable.from.0, left.len() as u64, "numbers go on behind the cut");
        let after = crash(queue, &torn).power_cut(&mut Dice::new(len as u64));
        assert_eq!(seen(&after, 1 << 20).unwrap().0.len(), left.len() + BATCH as usize);
    }
}

#[test]
fn garbage_behind_the_end_is_cut() {
    for end in [close as fn(EmbeddedQueue, &FaultyDisk) -> FaultyDisk, crash] {
        let disk = filled(3, 1 << 20, &end);
        let whole = seen(&disk.copy(), 1 << 20).unwrap();
        let newest = newest(&disk);
        for garbage in [vec![0; 5_000], b"LFfr".repeat(90), vec![0xff; 3]] {
            let copy = disk.copy();
            copy.edit(&newest, |bytes| bytes.extend_from_slice(&garbage));
            assert_eq!(seen(&copy, 1 << 20).unwrap(), whole);
        }
        // A frame of the same segment is no frame at another place.
        let copy = disk.copy();
        copy.edit(&newest, |bytes| bytes.extend_from_within(bytes.len() / 2..));
        assert_eq!(seen(&copy, 1 << 20).unwrap(), whole);
    }
}

#[test]
fn a_closed_queue_cut_at_any_byte_halts() {
    let disk = filled(3, 1 << 20, &close);
    let newest = newest(&disk);
    for len in 0..size(&disk, &newest) {
        let copy = disk.copy();
        copy.edit(&newest, |bytes| bytes.truncate(len));
        assert!(is_halt(&open(&copy, 1 << 20).unwrap_err()), "cut at {len}");
    }
    let several = filled(9, 1_500, &close);
    let older = several.names().into_iter().filter(|name| name.ends_with(".seg")).nth(1).unwrap();
    for len in (0..size(&several, &older)).step_by(7) {
        let copy = several.copy();
        copy.edit(&older, |bytes| bytes.truncate(len));
        assert!(is_halt(&open(&copy, 1_500).unwrap_err()), "an older segment cut at {len}");
    }
}

#[test]
fn the_message_names_the_segment_and_the_bytes_of_the_damaged_frame() {
    let disk = filled(3, 1 << 20, &close);
    let newest = newest(&disk);
    let first_end = size(&filled(1, 1 << 20, &crash), &newest);
    let second_end = size(&filled(2, 1 << 20, &crash), &newest);
    disk.edit(&newest, |bytes| bytes[first_end + 200] ^= 1);
    let failure = open(&disk, 1 << 20).unwrap_err();
    assert!(failure.detail.starts_with(&format!("{newest}, bytes {first_end}..{second_end}:")), "{failure}");
}

#[test]
fn a_missing_or_older_file_halts() {
    let disk = filled(9, 1_500, &close);
    for name in disk.names() {
        let copy = disk.copy();
        copy.lose_file(&name);
        let opened = open(&copy, 1_500);
        if name.ends_with(".idx") {
            assert_eq!(events(&opened.unwrap()).unwrap().len() as u64, 9 * BATCH, "an index is built anew");
        } else {
            assert!(is_halt(&opened.unwrap_err()), "{name} is missing");
        }
    }
    let older = filled(2, 1 << 20, &close);
    let newest = newest(&older);
    let mut old_bytes = Vec::new();
    older.edit(&newest, |bytes| old_bytes.clone_from(bytes));
    let queue = open(&older, 1 << 20).unwrap();
    let _ = append(&queue, 2);
    let later = close(queue, &older);
    later.edit(&newest, |bytes| *bytes = old_bytes);
    assert!(is_halt(&open(&later, 1 << 20).unwrap_err()), "an older copy of the newest segment");
    let foreign = filled(9, 1_500, &close);
    for name in disk.names().iter().filter(|name| !name.ends_with(".idx")) {
        let copy = disk.copy();
        let mut theirs = Vec::new();
        foreign.edit(name, |bytes| theirs.clone_from(bytes));
        copy.edit(name, |bytes| *bytes = theirs);
        assert!(is_halt(&open(&copy, 1_500).unwrap_err()), "{name} of another queue");
    }
}

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
