//! Damage done to the files behind the queue's back, byte by byte: always found, never skipped, never taken for a torn tail where
//! something was durable (faults Q1, Q2, Q7).

use super::life::ManualClock;
use super::*;
use crate::queue::conformance::fixture::{PLENTY, Plain, read_all};
use crate::queue::embedded::disk::faulty::{Dice, FaultyDisk};
use landfall_schemas::position::PositionUpdate;

pub(super) const PARTITIONS: u16 = 4;
/// Events of a batch.
pub(super) const BATCH: u64 = 12;

pub(super) fn open(disk: &FaultyDisk, segment_bytes: u64) -> Result<EmbeddedQueue, Failure> {
    let options = QueueOptions { segment_bytes, ..QueueOptions::new(KEEP) };
    EmbeddedQueue::open_on(Arc::new(disk.clone()), options, Arc::new(ManualClock::default()))
}

pub(super) fn register(queue: &EmbeddedQueue) -> StreamId {
    queue.register(&StreamName::new("users").unwrap(), PartitionCount::new(PARTITIONS).unwrap()).unwrap()
}

pub(super) fn append(queue: &EmbeddedQueue, round: u64) -> Durable {
    let mut batch = upserts(StreamId(0), round * BATCH..(round + 1) * BATCH);
    batch.reached(PositionUpdate { slot: b"file"[..].into(), value: Some(round.to_le_bytes().into()) });
    queue.append(&batch).unwrap()
}

/// A queue with this many batches, closed or left as a crash leaves it.
pub(super) fn filled(
    batches: u64,
    segment_bytes: u64,
    end: &dyn Fn(EmbeddedQueue, &FaultyDisk) -> FaultyDisk,
) -> FaultyDisk {
    let disk = FaultyDisk::default();
    let queue = open(&disk, segment_bytes).unwrap();
    register(&queue);
    for round in 0..batches {
        let _ = append(&queue, round);
    }
    end(queue, &disk)
}

pub(super) fn close(queue: EmbeddedQueue, disk: &FaultyDisk) -> FaultyDisk {
    queue.close().unwrap();
    disk.process_end()
}

pub(super) fn crash(queue: EmbeddedQueue, disk: &FaultyDisk) -> FaultyDisk {
    let left = disk.process_end();
    drop(queue);
    left
}

pub(super) fn events(queue: &EmbeddedQueue) -> Result<Vec<Plain>, Failure> {
    read_all(queue, from_start(StreamId(0)), PLENTY)
}

/// Everything a reader can see, or the failure that hides it.
pub(super) fn seen(disk: &FaultyDisk, segment_bytes: u64) -> Result<(Vec<Plain>, PositionTable, u64), Failure> {
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
