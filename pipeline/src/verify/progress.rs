//! How far a run is, for people: counted by both sides, read by whoever shows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of a run. Clones count the same.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    records: AtomicU64,
    rows: AtomicU64,
    expected: AtomicU64,
    suspects: AtomicU64,
}

/// What the counters say.
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
        let Counters { records, rows, expected, suspects } = &*self.0;
        let [records, rows, expected, suspects] =
            [records, rows, expected, suspects].map(|count| count.load(Ordering::Relaxed));
        Reached { records, rows, expected, suspects }
    }

    pub(crate) fn record(&self) {
        self.0.records.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn row(&self) {
        self.0.rows.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn expect(&self, rows: u64) {
        self.0.expected.fetch_add(rows, Ordering::Relaxed);
    }

    pub(super) fn looks_again_at(&self, suspects: u64) {
        self.0.suspects.store(suspects, Ordering::Relaxed);
    }
}
