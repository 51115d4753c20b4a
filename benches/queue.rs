//! The queue alone: durable append beside `write` + `fdatasync`, sequential read beside `read`, reopening with many events.

use landfall_benches::measured::Measured;
use landfall_benches::memory;
use landfall_benches::queue_load::{batches, open, payload, read_all, visit_all};
use landfall_benches::raw_log::{RawLog, syncs_per_second};
use landfall_benches::raw_read;
use landfall_benches::report::{self, Target, Title};
use landfall_benches::rounds::interleaved;
use landfall_benches::run_dir;
use landfall_benches::sizes::Sizes;
use landfall_pipeline::queue::Queue;
use landfall_pipeline::queue::embedded::Compression;
use landfall_schemas::event::ChangeBatch;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Events of a batch: what a source that has much to say hands out at once.
const BATCH: u64 = 1_000;
/// Events of the append and read runs.
const EVENTS: u64 = 500_000;
/// Argument of a child that reopens a queue: its memory is its own.
const REOPEN: &str = "--reopen";
/// Argument of a child that fills a queue and dies without closing it.
const FILL: &str = "--fill";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == REOPEN) {
        return reopen_here(Path::new(&arguments[at + 1]));
    }
    if let Some(at) = arguments.iter().position(|argument| argument == FILL) {
        let events = arguments[at + 2].parse().expect("a number of events");
        return fill_here(Path::new(&arguments[at + 1]), events);
    }
    let sizes = Sizes::read();
    let events = if sizes.quick { 20_000 } else { EVENTS };
    let file = run_dir::bench_dir().join("syncs");
    report::figure("fdatasync of 8 KiB", (syncs_per_second(&file), "/s"), Target::None, "this disk, now");
    let _ = std::fs::remove_file(file);
    for (name, size, compression, target) in [
        ("queue append, uncompressed", BATCH, Compression::Off, Target::AtLeast(0.8)),
        ("queue append, LZ4 (as shipped)", BATCH, Compression::Lz4, Target::None),
        ("queue append ×100, uncompressed", 100, Compression::Off, Target::None),
    ] {
        append(sizes, name, (events * size / BATCH, size, compression), target);
    }
    read(sizes, events, ("queue read, uncompressed", Compression::Off, Target::AtLeast(0.6)));
    read(sizes, events, ("queue read, LZ4 (as shipped)", Compression::Lz4, Target::None));
    reopen(sizes);
}

fn append(sizes: Sizes, name: &str, (events, size, compression): (u64, u64, Compression), target: Target) {
    let prepare = || {
        let (queue, stream) = open(&run_dir::fresh("queue-append"), compression);
        (queue, batches(stream, events, size))
    };
    // The raw log writes as many bytes per batch as the uncompressed queue does, whatever the compression.
    let bytes = stored_per_batch(size);
    let raw = || {
        let folder = run_dir::fresh("queue-raw");
        let mut log = RawLog::create(&folder.join("log"));
        // As for the queue, each batch has bytes of its own, made beforehand: one buffer written again and again would stay in the cache.
        let noise = |batch: u64| (0..bytes).map(|at| ((at + batch) * 31 % 251) as u8).collect::<Vec<u8>>();
        let batches: Vec<Vec<u8>> = (0..events / size).map(noise).collect();
        Measured::of(events, || batches.iter().for_each(|batch| log.append(batch)))
    };
    let ours = || {
        let (queue, batches) = prepare();
        let measured = Measured::of(events, || append_all(&queue, &batches));
        assert_eq!(queue.usage().events, events);
        measured
    };
    let runs = interleaved(sizes.rounds, raw, ours);
    let note = format!("batches of {size} events, {bytes} B each; baseline: write + fdatasync of as many bytes");
    report::comparison(Title { name, unit: "events", target, note: &note }, &runs);
}

fn append_all(queue: &impl Queue, batches: &[ChangeBatch]) {
    for batch in batches {
        let _ = queue.append(batch).expect("a bench's own disk has room");
    }
}

/// Bytes that a batch takes in the uncompressed queue.
fn stored_per_batch(size: u64) -> u64 {
    let (queue, stream) = open(&run_dir::fresh("queue-probe"), Compression::Off);
    let before = queue.usage().bytes;
    let batches = batches(stream, size * 10, size);
    append_all(&queue, &batches);
    let stored = (queue.usage().bytes - before) / 10;
    assert!(stored >= payload(&batches[0]), "nothing is left out");
    stored
}

fn read(sizes: Sizes, events: u64, (name, compression, target): (&str, Compression, Target)) {
    let folder = run_dir::fresh("queue-read");
    let (queue, stream) = open(&folder, compression);
    append_all(&queue, &batches(stream, events, BATCH));
    let files = raw_read::files_below(&folder);
    let raw = || {
        Measured::of(events, || {
            raw_read::read_all(&files);
        })
    };
    let ours = || Measured::of(events, || assert_eq!(read_all(&queue, stream), events));
    let note = "lane reads of 2 000 events, from the page cache; baseline: read() of the same files";
    report::comparison(Title { name, unit: "events", target, note }, &interleaved(sizes.rounds, raw, ours));
    let visit = || Measured::of(events, || assert_eq!(visit_all(&queue), events));
    let name = format!("{} (visit)", name.replace("read", "scan"));
    let note = "every event once, without its record, as a file index does";
    let title = Title { name: &name, unit: "events", target: Target::None, note };
    report::comparison(title, &interleaved(sizes.rounds, raw, visit));
}

/// Fills a queue in a child that dies, reopens it in another, and once more.
fn reopen(sizes: Sizes) {
    let folder = run_dir::fresh("queue-reopen");
    let this = std::env::current_exe().expect("this program has a path");
    let filled = Command::new(&this).arg(FILL).arg(&folder).arg(sizes.retained.to_string()).status();
    assert!(!filled.expect("this program can be started").success(), "the filling child dies");
    for when in ["after a crash", "after a close"] {
        let said = Command::new(&this).arg(REOPEN).arg(&folder).output().expect("this program can be started");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let mut numbers = text.split_whitespace().map(|word| word.parse::<f64>().expect("the child prints numbers"));
        let mut next = || numbers.next().expect("the child prints three numbers");
        let (seconds, rss, events) = (next(), next(), next());
        assert!(events >= sizes.retained as f64 * 0.99, "the queue holds what was appended");
        let note = format!("{events} events retained, default LZ4; whole process for memory");
        let name = format!("queue reopen {when}");
        report::figure(&name, (seconds, "s"), Target::AtMost(0.2), &note);
        report::figure(&format!("{name}: RSS"), (rss / 1e6, "MB"), Target::AtMost(20.0), &note);
    }
    let _ = std::fs::remove_dir_all(folder);
}

fn fill_here(folder: &Path, events: u64) {
    let (queue, stream) = open(folder, Compression::Lz4);
    let batches = batches(stream, 10_000.min(events), BATCH);
    let appended = |queue: &dyn Queue| queue.usage().events;
    while appended(&queue) < events {
        append_all(&queue, &batches);
    }
    std::process::abort();
}

fn reopen_here(folder: &Path) {
    let begun = Instant::now();
    let (queue, _) = open(folder, Compression::Lz4);
    let seconds = begun.elapsed().as_secs_f64();
    let rss = memory::peak_rss(std::process::id()).unwrap_or_default();
    report::print(&format!("{seconds} {rss} {}\n", queue.usage().events));
}
