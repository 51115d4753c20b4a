//! Whether a batch is sampled: one draw of a seeded sequence against a share.

use std::sync::atomic::{AtomicU64, Ordering};

/// The golden ratio in 64 bits: the step of the sequence (splitmix64, Steele, Lea and Flood 2014).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Draws. Shared by all threads: one addition each.
#[derive(Debug)]
pub(super) struct Draw {
    state: AtomicU64,
    /// Draws below this are sampled; `None`: all.
    below: Option<u64>,
}

impl Draw {
    /// So many of 1.
    pub(super) fn new(ratio: f64) -> Self {
        let mut seed = [0; 8];
        // An unseeded sequence is as even as a seeded one.
        let _ = getrandom::fill(&mut seed);
        Self::seeded(ratio, u64::from_le_bytes(seed))
    }

    pub(super) fn seeded(ratio: f64, seed: u64) -> Self {
        let below = (ratio < 1.0).then_some((ratio * u64::MAX as f64) as u64);
        Self { state: AtomicU64::new(seed), below }
    }

    /// Whether the next one is sampled.
    pub(super) fn next(&self) -> bool {
        let Some(below) = self.below else { return true };
        let mut z = self.state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31) < below
    }
}

#[cfg(test)]
mod tests {
    use super::Draw;

    #[test]
    fn a_share_of_many_is_sampled_and_the_ends_are_none_and_all() {
        let sampled = |ratio: f64| {
            let draw = Draw::seeded(ratio, 7);
            (0..100_000).filter(|_| draw.next()).count()
        };
        assert_eq!((sampled(0.0), sampled(1.0)), (0, 100_000));
        let tenth = sampled(0.1);
        assert!((9_500..10_500).contains(&tenth), "{tenth}");
    }
}
