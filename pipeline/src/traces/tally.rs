//! What became of spans, since this life of the service began.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts.
#[derive(Debug, Default)]
pub struct Tally {
    sent: AtomicU64,
    dropped: AtomicU64,
}

impl Tally {
    pub(super) fn sent(&self, spans: usize) {
        self.sent.fetch_add(spans as u64, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self, spans: usize) {
        self.dropped.fetch_add(spans as u64, Ordering::Relaxed);
    }

    /// Taken by the collector, and given up: by outcome.
    pub fn counts(&self) -> [(&'static str, u64); 2] {
        [("sent", self.sent.load(Ordering::Relaxed)), ("dropped", self.dropped.load(Ordering::Relaxed))]
    }
}
