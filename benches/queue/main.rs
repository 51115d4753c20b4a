//! The embedded queue beside the bare disk: durable appends, sequential reads, reopening.
//!
//! `cargo bench -p landfall-benches --bench queue [-- DIR]`. Each figure stands beside a raw baseline of the same run, taken in
//! turns; medians. Targets: append ≥ 0.8 of write + fdatasync of the same bytes, read ≥ 0.6 of plain reads (both without
//! compression), reopening 5 M events in ≤ 0.2 s and ≤ 20 MB.

use landfall_pipeline::queue::clock::SystemClock;
use landfall_pipeline::queue::embedded::{Compression, EmbeddedQueue, QueueOptions};
use landfall_pipeline::queue::{Cursor, Queue, ReadLimit, Retention};
use landfall_schemas::event::{ChangeBatch, Place};
use landfall_schemas::key::RecordKey;
use landfall_schemas::offset::Offset;
use landfall_schemas::stream::{PartitionCount, StreamId, StreamName};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Changes of a batch.
const BATCH: u64 = 1_000;
/// Bytes of a record.
const RECORD: usize = 300;
/// Batches appended per turn.
const APPENDS: u64 = 200;
/// Turns, for the median.
const TURNS: usize = 7;
/// Events for reopening.
const RETAINED: u64 = 5_000_000;
/// Set for the child process that reopens a queue and says how long it took and what it holds.
const REOPEN: &str = "LANDFALL_BENCH_REOPEN";

fn main() {
    if let Ok(dir) = std::env::var(REOPEN) {
        return reopen_here(Path::new(&dir));
    }
    let asked = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let dir =
        asked.map_or_else(std::env::temp_dir, PathBuf::from).join(format!("landfall-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("the bench directory can be made");
    let batches: Vec<ChangeBatch> = (0..APPENDS).map(batch).collect();
    appends(&dir, &batches);
    reads(&dir, &batches);
    reopening(&dir, &batches);
    std::fs::remove_dir_all(&dir).expect("the bench directory can be removed");
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").expect("the terminal takes a line");
}

/// Records that compress about as well as those of a product.
fn batch(number: u64) -> ChangeBatch {
    let mut batch = ChangeBatch::default();
    let index = batch.place("data/events.ndjson");
    let mut key = RecordKey::default();
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for i in 0..BATCH {
        mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9).wrapping_add(i);
        let mut record = format!(
            "{{\"id\":\"{mixed:016x}\",\"owner\":{},\"title\":\"task number {}\",\"state\":\"open\",\"createdAt\":\"2025-03-{:02}T10:00:00Z\",\"tags\":[\"a{}\",\"b{}\"],\"note\":\"",
            mixed % 1_000,
            number * BATCH + i,
            mixed % 28 + 1,
            mixed % 17,
            mixed % 23,
        );
        while record.len() < RECORD - 2 {
            record.push_str(
                ["lorem ", "ipsum ", "dolor ", "sit ", "amet "][(mixed.rotate_left(record.len() as u32) % 5) as usize],
            );
        }
        record.truncate(RECORD - 2);
        record.push_str("\"}");
        key.place("k", number * BATCH + i);
        batch.upsert(StreamId(0), &key, (record.as_bytes(), None), Place { index, at: i * RECORD as u64 });
    }
    batch
}

fn open(dir: &Path, compression: Compression) -> EmbeddedQueue {
    let hour = Duration::from_secs(3_600);
    let retention = Retention { age: hour, bytes: 1 << 40, floor: hour, max_bytes: 1 << 40 };
    let options = QueueOptions { compression, ..QueueOptions::new(retention) };
    let queue = EmbeddedQueue::open(dir, options, Arc::new(SystemClock)).expect("the queue opens");
    let name = StreamName::new("events").expect("a valid name");
    queue.register(&name, PartitionCount::DEFAULT).expect("the stream is registered");
    queue
}

fn fill(queue: &EmbeddedQueue, batches: &[ChangeBatch]) -> Duration {
    let started = Instant::now();
    for batch in batches {
        let _ = queue.append(batch).expect("there is room");
    }
    started.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Writes and syncs `bytes` once per batch.
fn raw_appends(path: &Path, bytes: &[u8]) -> Duration {
    let file = File::create(path).expect("a file can be made");
    let started = Instant::now();
    for number in 0..APPENDS {
        file.write_all_at(bytes, number * bytes.len() as u64).expect("there is room");
        file.sync_data().expect("the disk syncs");
    }
    started.elapsed()
}

fn appends(dir: &Path, batches: &[ChangeBatch]) {
    let probe = dir.join("probe");
    let queue = open(&probe, Compression::Off);
    let before = queue.usage().bytes;
    let _ = fill(&queue, &batches[..1]);
    let frame = vec![0xa5; (queue.usage().bytes - before) as usize];
    let (mut raw, mut plain, mut lz4) = (Vec::new(), Vec::new(), Vec::new());
    let mut stored = 0;
    for turn in 0..TURNS {
        raw.push(raw_appends(&dir.join("raw"), &frame));
        for (compression, times) in [(Compression::Off, &mut plain), (Compression::Lz4, &mut lz4)] {
            let place = dir.join(format!("append-{turn}"));
            let queue = open(&place, compression);
            times.push(fill(&queue, batches));
            stored = queue.usage().bytes / (APPENDS * BATCH);
            drop(queue);
            std::fs::remove_dir_all(&place).expect("a queue can be removed");
        }
    }
    let rate = |time: Duration| (APPENDS * BATCH) as f64 / time.as_secs_f64();
    let (raw, plain, lz4) = (rate(median(raw)), rate(median(plain)), rate(median(lz4)));
    say(&format!("append, durable per {BATCH} x {RECORD} B, one thread, frames of {} B:", frame.len()));
    say(&format!("  raw write + fdatasync  {:>9.0} events/s, {:.0} syncs/s", raw, raw / BATCH as f64));
    say(&format!("  queue, uncompressed    {plain:>9.0} events/s  ratio {:.2}", plain / raw));
    say(&format!("  queue, LZ4             {lz4:>9.0} events/s  ratio {:.2}  ({stored} B/event on disk)", lz4 / raw));
}

/// Reads all segment files by plain calls.
fn raw_read(dir: &Path) -> (Duration, u64) {
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    let started = Instant::now();
    for entry in std::fs::read_dir(dir).expect("the queue is there") {
        let path = entry.expect("the queue is there").path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            let file = File::open(path).expect("a segment opens");
            let mut at = 0;
            loop {
                let read = file.read_at(&mut buffer, at).expect("a segment can be read");
                if read == 0 {
                    break;
                }
                at += read as u64;
            }
            bytes += at;
        }
    }
    (started.elapsed(), bytes)
}

fn queue_read(queue: &EmbeddedQueue, events: usize) -> (Duration, u64) {
    let stream = StreamId(0);
    let mut cursor = Cursor { stream, next: PartitionCount::DEFAULT.all().map(|p| (p, Offset(0))).collect() };
    let mut count = 0;
    let started = Instant::now();
    loop {
        let batch = queue.read(&cursor, ReadLimit { events, bytes: 64 << 20 }).expect("the queue can be read");
        if batch.events.is_empty() {
            return (started.elapsed(), count);
        }
        count += batch.events.len() as u64;
        cursor.advance(&batch);
    }
}

fn reads(dir: &Path, batches: &[ChangeBatch]) {
    for compression in [Compression::Off, Compression::Lz4] {
        let place = dir.join(format!("read-{compression:?}"));
        let queue = open(&place, compression);
        for _ in 0..5 {
            fill(&queue, batches);
        }
        say(&format!("sequential read, {} events, {compression:?}:", queue.usage().events));
        let mut raw = Vec::new();
        let mut by_size: Vec<(usize, Vec<Duration>)> = [200, 2_000, 20_000].map(|size| (size, Vec::new())).into();
        let (mut bytes, mut count) = (0, 0);
        for _ in 0..TURNS {
            let (time, read) = raw_read(&place);
            raw.push(time);
            bytes = read;
            for (size, times) in &mut by_size {
                let (time, events) = queue_read(&queue, *size);
                times.push(time);
                count = events;
            }
        }
        let raw = median(raw);
        say(&format!("  plain reads            {:>9.0} MB/s", bytes as f64 / 1e6 / raw.as_secs_f64()));
        for (size, times) in by_size {
            let time = median(times);
            say(&format!(
                "  queue, {size:>6} a read   {:>9.0} MB/s {:>9.0} events/s  ratio {:.2}",
                bytes as f64 / 1e6 / time.as_secs_f64(),
                count as f64 / time.as_secs_f64(),
                raw.as_secs_f64() / time.as_secs_f64()
            ));
        }
        drop(queue);
        std::fs::remove_dir_all(&place).expect("a queue can be removed");
    }
}

fn reopening(dir: &Path, batches: &[ChangeBatch]) {
    let place = dir.join("reopen");
    let queue = open(&place, Compression::Off);
    while queue.usage().events < RETAINED {
        fill(&queue, batches);
    }
    let usage = queue.usage();
    // Without the destructor's watermark, as after a kill; the memory goes with this process.
    std::mem::ManuallyDrop::new(queue);
    say(&format!(
        "reopen, {} events, {} segments, {} MB, not closed:",
        usage.events,
        usage.segments,
        usage.bytes >> 20
    ));
    for _ in 0..3 {
        let program = std::env::current_exe().expect("this program has a path");
        let ended = std::process::Command::new(program).env(REOPEN, &place).status().expect("it can be started");
        assert!(ended.success());
    }
}

fn reopen_here(dir: &Path) {
    let before = resident();
    let started = Instant::now();
    let queue = open(dir, Compression::Off);
    let time = started.elapsed();
    let now = resident();
    say(&format!(
        "  {:.3} s, {:.1} MB resident, {:.1} MB before, {} events",
        time.as_secs_f64(),
        now as f64 / 1e6,
        before as f64 / 1e6,
        queue.usage().events
    ));
    std::mem::ManuallyDrop::new(queue);
}

/// Resident bytes of this process.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("the second figure");
    pages * 4096
}
