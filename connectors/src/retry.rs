//! Waiting before the next attempt: the one module around the `backoff` crate.
//!
//! Owns the pace of retries and nothing else: what may be retried is said by `FailureClass`, and a transaction whose
//! outcome is unknown is never wrapped in a retry (promise 9). `backoff` carries an unmaintained notice
//! (RUSTSEC-2025-0012), so no other file names it.

use backoff::SystemClock;
use backoff::backoff::Backoff;
use backoff::exponential::{ExponentialBackoff, ExponentialBackoffBuilder};
use std::time::Duration;

/// The first wait: long enough for a lock to be given up, short enough not to be seen.
pub const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait, before jitter: committing resumes within 30 s after a fault ends.
pub const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Each wait is this many times the one before.
const GROWTH: f64 = 2.0;
/// Waits are spread by this fraction, so that workers do not come back in step.
const JITTER: f64 = 0.3;

/// Waits that grow from [`FIRST_WAIT`] to [`LONGEST_WAIT`] and never end: when to give up is the caller's decision.
#[derive(Debug)]
pub struct Pace {
    waits: ExponentialBackoff<SystemClock>,
}

impl Pace {
    /// A pace that starts over from the first wait.
    pub fn new() -> Self {
        let waits = ExponentialBackoffBuilder::new()
            .with_initial_interval(FIRST_WAIT)
            .with_max_interval(LONGEST_WAIT)
            .with_multiplier(GROWTH)
            .with_randomization_factor(JITTER)
            .with_max_elapsed_time(None)
            .build();
        Self { waits }
    }

    /// How long to wait before the next attempt.
    pub fn next_wait(&mut self) -> Duration {
        self.waits.next_backoff().unwrap_or(LONGEST_WAIT)
    }

    /// An attempt went well: begin again with short waits.
    pub fn succeeded(&mut self) {
        self.waits.reset();
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_never_end() {
        let mut pace = Pace::new();
        let first = pace.next_wait();
        assert!(first <= FIRST_WAIT.mul_f64(1.0 + JITTER));
        let waits: Vec<_> = (0..100).map(|_| pace.next_wait()).collect();
        assert!(waits.iter().all(|wait| *wait <= LONGEST_WAIT.mul_f64(1.0 + JITTER)));
        assert!(waits[99] >= LONGEST_WAIT.mul_f64(1.0 - JITTER));
    }

    #[test]
    fn a_success_starts_over() {
        let mut pace = Pace::new();
        (0..20).for_each(|_| {
            pace.next_wait();
        });
        pace.succeeded();
        assert!(pace.next_wait() <= FIRST_WAIT.mul_f64(1.0 + JITTER));
    }
}
