//! How far a run is: counted stream by stream by both sides, read by whoever shows it.

use crate::status::{ComparingReport, Stage};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A side that is still read is not called done, whatever the estimate of its size was.
const NOT_DONE: f64 = 0.99;

/// Counters of a run. Clones count the same.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Mutex<Vec<Arc<Counted>>>>);

/// What is counted of one stream.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    stream: String,
    records: AtomicU64,
    rows: AtomicU64,
    expected_records: AtomicU64,
    expected_rows: AtomicU64,
    suspects: AtomicU64,
    begun: AtomicBool,
    source_read: AtomicBool,
    target_read: AtomicBool,
    ended: AtomicBool,
}

/// What the counters say together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reached {
    /// Records read of the sources.
    pub records: u64,
    /// Rows read of the target.
    pub rows: u64,
    /// About how many rows there are; 0: not known.
    pub expected: u64,
    /// Records that are being looked at again.
    pub suspects: u64,
}

impl Progress {
    /// What it says now.
    pub fn reached(&self) -> Reached {
        let mut sum = Reached::default();
        for stream in self.streams() {
            sum.records += stream.records.load(Ordering::Relaxed);
            sum.rows += stream.rows.load(Ordering::Relaxed);
            sum.expected += stream.expected_rows.load(Ordering::Relaxed);
            sum.suspects += stream.suspects.load(Ordering::Relaxed);
        }
        sum
    }

    /// The counters of a stream.
    pub(crate) fn of(&self, stream: &str) -> Arc<Counted> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.iter().find(|known| known.stream == stream) {
            return Arc::clone(known);
        }
        let new = Arc::new(Counted { stream: stream.to_owned(), ..Counted::default() });
        all.push(Arc::clone(&new));
        new
    }

    /// All, in the order in which they were named first.
    pub(super) fn streams(&self) -> Vec<Arc<Counted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How much of everything was read, of 1: streams count by their size. `None` while the size of one is not known.
    pub(super) fn ratio(&self) -> Option<f64> {
        let (mut done, mut all) = (0.0, 0.0);
        for stream in self.streams() {
            let size = stream.expected_rows.load(Ordering::Relaxed).max(1) as f64;
            done += stream.ratio()? * size;
            all += size;
        }
        (all > 0.0).then(|| done / all)
    }
}

impl Counted {
    pub(super) fn stream(&self) -> &str {
        &self.stream
    }

    pub(crate) fn record(&self) {
        self.records.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn row(&self) {
        self.rows.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn expect(&self, (records, rows): (u64, u64)) {
        self.expected_records.store(records, Ordering::Relaxed);
        self.expected_rows.store(rows, Ordering::Relaxed);
    }

    /// Its source begins to be read, or begins again.
    pub(super) fn begins(&self) {
        self.records.store(0, Ordering::Relaxed);
        self.begun.store(true, Ordering::Relaxed);
    }

    pub(super) fn source_is_read(&self) {
        self.source_read.store(true, Ordering::Relaxed);
    }

    pub(super) fn target_is_read(&self) {
        self.target_read.store(true, Ordering::Relaxed);
    }

    pub(super) fn looks_again_at(&self, suspects: u64) {
        self.suspects.store(suspects, Ordering::Relaxed);
    }

    /// Nothing more is done about it.
    pub(super) fn ends(&self) {
        self.suspects.store(0, Ordering::Relaxed);
        self.ended.store(true, Ordering::Relaxed);
    }

    /// How much of both sides was read, of 1.
    fn ratio(&self) -> Option<f64> {
        let side = |read: &AtomicBool, done: &AtomicU64, of: &AtomicU64| {
            if read.load(Ordering::Relaxed) || self.ended.load(Ordering::Relaxed) {
                return Some(1.0);
            }
            let (done, of) = (done.load(Ordering::Relaxed), of.load(Ordering::Relaxed));
            (of > 0).then(|| (done as f64 / of as f64).min(NOT_DONE))
        };
        let source = side(&self.source_read, &self.records, &self.expected_records)?;
        let target = side(&self.target_read, &self.rows, &self.expected_rows)?;
        Some(f64::midpoint(source, target))
    }

    fn stage(&self) -> Stage {
        let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        match (is(&self.ended), is(&self.source_read) && is(&self.target_read), is(&self.begun)) {
            (true, ..) => Stage::Done,
            (false, true, _) => Stage::LookingAgain,
            (false, false, true) => Stage::Reading,
            (false, false, false) => Stage::Waiting,
        }
    }

    pub(super) fn report(&self) -> ComparingReport {
        let number = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ComparingReport {
            stage: self.stage(),
            records: number(&self.records),
            rows: number(&self.rows),
            expected_records: number(&self.expected_records),
            expected_rows: number(&self.expected_rows),
            suspects: number(&self.suspects),
            ratio: self.ratio(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_as_far_as_its_two_sides_and_the_run_as_its_streams_by_their_size() {
        let progress = Progress::default();
        let (large, small) = (progress.of("large"), progress.of("small"));
        large.expect((300, 300));
        assert_eq!(progress.ratio(), None, "the size of the other is not known");
        small.expect((100, 100));
        assert_eq!((progress.ratio(), small.report().stage), (Some(0.0), Stage::Waiting));
        large.begins();
        (0..300).for_each(|_| large.record());
        assert_eq!((large.report().ratio, large.report().stage), (Some(0.495), Stage::Reading), "not called done");
        large.source_is_read();
        large.target_is_read();
        assert_eq!((large.report().ratio, large.report().stage), (Some(1.0), Stage::LookingAgain));
        assert_eq!(progress.ratio(), Some(0.75));
        small.ends();
        assert_eq!((progress.ratio(), small.report().stage), (Some(1.0), Stage::Done), "lost sides hold nothing up");
        assert_eq!(progress.reached(), Reached { records: 300, expected: 400, ..Reached::default() });
    }
}
