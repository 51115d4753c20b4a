//! What one stream's worker counts as it goes: rows, commits, their times, and what had to be tried again.
//!
//! Counts of this process only, beside what the target keeps for ever (`landfall.checkpoints`). Nothing here is read by the data path.

use super::histogram::Histogram;
use landfall_connectors::failure::FailureClass;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Seconds from append to commit.
const LATENCY: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
/// Seconds that a transaction takes.
const COMMIT: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
/// Events of a batch: a lane takes 2,000 at most while following, 20,000 while loading.
const BATCH: &[f64] = &[1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 20_000.0];
/// An exchange with the target that takes longer is slow: a batch takes tens of milliseconds.
const SLOW: Duration = Duration::from_secs(1);

/// The classes of failure after which something is tried again.
pub(super) const RETRIED: [(FailureClass, &str); 4] = [
    (FailureClass::Transient, "transient"),
    (FailureClass::TooMuch, "too_much"),
    (FailureClass::Unknown, "unknown"),
    (FailureClass::Fenced, "fenced"),
];

/// Counters of one stream.
#[derive(Debug)]
pub struct StreamMeters {
    /// Rows in committed batches that were written.
    pub upserts: AtomicU64,
    /// Rows in committed batches that were taken away.
    pub deletes: AtomicU64,
    /// Seconds from append to commit, an event each.
    pub latency: Histogram,
    /// Events, a committed batch each.
    pub batches: Histogram,
    /// Seconds, a committed batch each.
    pub commits: Histogram,
    /// Exchanges of a batch with the target that took long.
    pub slow: AtomicU64,
    retries: [AtomicU64; RETRIED.len()],
}

impl Default for StreamMeters {
    fn default() -> Self {
        Self {
            upserts: AtomicU64::default(),
            deletes: AtomicU64::default(),
            latency: Histogram::new(LATENCY),
            batches: Histogram::new(BATCH),
            commits: Histogram::new(COMMIT),
            slow: AtomicU64::default(),
            retries: Default::default(),
        }
    }
}

impl StreamMeters {
    /// Something failed with this class and will be tried again, if it is one of those.
    pub(crate) fn failed(&self, class: FailureClass) {
        if let Some(at) = RETRIED.iter().position(|(retried, _)| *retried == class) {
            self.retries[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// An exchange of a batch with the target ended, well or not.
    pub(crate) fn exchanged(&self, took: Duration) {
        if took >= SLOW {
            self.slow.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A batch of so many events was committed.
    pub(crate) fn committed(&self, events: u64, took: Duration) {
        self.commits.observe(took.as_secs_f64(), 1);
        self.batches.observe(events as f64, 1);
    }

    /// Rows were written and taken away.
    pub(crate) fn wrote(&self, upserts: u64, deletes: u64) {
        self.upserts.fetch_add(upserts, Ordering::Relaxed);
        self.deletes.fetch_add(deletes, Ordering::Relaxed);
    }

    /// Tries again so far, in the order of [`RETRIED`].
    pub fn retries(&self) -> [u64; RETRIED.len()] {
        std::array::from_fn(|at| self.retries[at].load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_halts_is_not_tried_again_and_what_passes_is_counted_by_class() {
        let meters = StreamMeters::default();
        for class in [FailureClass::Transient, FailureClass::Halt, FailureClass::Transient, FailureClass::Fenced] {
            meters.failed(class);
        }
        assert_eq!(meters.retries(), [2, 0, 0, 1]);
        meters.exchanged(SLOW);
        meters.exchanged(SLOW / 2);
        assert_eq!(meters.slow.load(Ordering::Relaxed), 1);
    }
}
