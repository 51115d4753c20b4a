//! A rewritten document: the source's diff beside splitting and hashing alone, and beside a scan for newlines.
//!
//! The source is driven by hand: no watch, no thread, no queue inside the clock. The file is in the page cache on both sides.

use landfall_benches::by_hand;
use landfall_benches::document::{Document, Layout};
use landfall_benches::line_scan;
use landfall_benches::measured::Measured;
use landfall_benches::raw_split;
use landfall_benches::report::{self, Target, Title};
use landfall_benches::rounds::interleaved;
use landfall_benches::run_dir;
use landfall_benches::sizes::Sizes;
use landfall_benches::users_pipeline::Source as Store;
use landfall_connectors::files::document::{DocumentConfig, DocumentSource};
use landfall_connectors::files::root::Symlinks;
use landfall_connectors::source::{Cadence, Source};
use landfall_pipeline::queue::Queue;
use landfall_pipeline::queue::embedded::EmbeddedQueue;
use landfall_schemas::event::ChangeBatch;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of a record, about: to turn bytes into records.
const RECORD_BYTES: u64 = 300;
/// One record in so many is changed.
const CHANGED_ONE_IN: u64 = 1_000;
/// Rounds per round of the sizes: a run takes a tenth of a second.
const TIMES: usize = 5;

fn main() {
    let sizes = Sizes::read();
    let compact = Rewritten::new(sizes, Layout::Compact);
    compact.compare(
        sizes,
        "document diff, 0.1 % changed",
        (Target::AtLeast(0.8), "splitting into raw values and xxh3_128"),
        |path| {
            raw_split::split_and_hash(path);
        },
    );
    drop(compact);
    let lines = Rewritten::new(sizes, Layout::RecordPerLine);
    lines.compare(
        sizes,
        "document diff, a record per line",
        (Target::AtLeast(0.5), "read in 1 MiB chunks and memchr for newlines"),
        |path| {
            line_scan::newlines(path);
        },
    );
}

/// A document that stands, and the two revisions it changes between.
struct Rewritten {
    folder: PathBuf,
    bytes: u64,
    records: u64,
    changes: u64,
    source: std::cell::RefCell<DocumentSource>,
    queue: Arc<EmbeddedQueue>,
    turn: std::cell::Cell<u64>,
}

impl Rewritten {
    fn new(sizes: Sizes, layout: Layout) -> Self {
        let folder = run_dir::fresh("document");
        let records = sizes.document_bytes / RECORD_BYTES;
        let changes = records / CHANGED_ONE_IN;
        let bytes = Document { records, changed: 0, layout }.write(&folder.join("0.json"));
        Document { records, changed: changes, layout }.write(&folder.join("1.json"));
        fs::copy(folder.join("0.json"), folder.join("users.json")).expect("a bench's own disk has room");
        let (queue, source) = open(&folder);
        let this = Self { folder, bytes, records, changes, source: source.into(), queue, turn: 0.into() };
        let first = by_hand::until_caught_up(&mut *this.source.borrow_mut());
        this.make_durable(&first);
        this
    }

    fn compare(&self, sizes: Sizes, name: &str, (target, what): (Target, &str), baseline: impl Fn(&Path)) {
        let path = self.folder.join("users.json");
        let baseline = || Measured::of(self.records, || baseline(&path));
        let runs = interleaved(sizes.rounds * TIMES, baseline, || self.rewrite());
        let note = format!(
            "{} MB of {} B a record, rewritten by rename; baseline: {what}, of the same file",
            self.bytes / 1_000_000,
            self.bytes / self.records
        );
        report::comparison(Title { name, unit: "records", target, note: &note }, &runs);
    }

    /// Puts the other revision in its place and takes it in.
    fn rewrite(&self) -> Measured {
        self.turn.set(1 - self.turn.get());
        let next = self.folder.join(format!("{}.json", self.turn.get()));
        fs::copy(next, self.folder.join("next")).expect("a bench's own disk has room");
        fs::rename(self.folder.join("next"), self.folder.join("users.json")).expect("a rename needs no room");
        let mut batches = Vec::new();
        let measured =
            Measured::of(self.records, || batches = by_hand::until_caught_up(&mut *self.source.borrow_mut()));
        let changes: usize = batches.iter().map(|batch| batch.changes().len()).sum();
        assert_eq!(changes as u64, self.changes, "what changed and nothing else");
        self.make_durable(&batches);
        measured
    }

    fn make_durable(&self, batches: &[ChangeBatch]) {
        for batch in batches {
            let _ = self.queue.append(batch).expect("a bench's own disk has room");
        }
        self.source.borrow_mut().durable(self.queue.sequences().end).expect("the source hears of it");
    }
}

fn open(folder: &Path) -> (Arc<EmbeddedQueue>, DocumentSource) {
    let pipeline = by_hand::pipeline(&folder.join("pipeline"), Store::Document);
    let (queue, start) = by_hand::start(folder, &pipeline);
    let config = DocumentConfig {
        root: folder.to_owned(),
        file: "users.json".into(),
        cadence: Cadence::default(),
        symlinks: Symlinks::Refuse,
    };
    (queue, DocumentSource::open(config, start).expect("the bench's own document opens"))
}
