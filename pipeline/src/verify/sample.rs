//! A sample: one record in so many, chosen by its hash, so that both sides choose the same without a word.
//!
//! What a sample shows is an interval for the share of records that differ, and never that all are equal: its verdict is at best UNKNOWN.

use super::fingerprint::RecordId;
use super::report::{SampleReport, Tallies};
use std::num::NonZeroU64;

/// Which records are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sample {
    /// All.
    #[default]
    All,
    /// One in so many.
    OneIn(NonZeroU64),
}

/// Standard deviations of a normal distribution within which 95 of 100 cases lie.
const DEVIATIONS: f64 = 1.959_964;

impl Sample {
    pub(super) fn takes(self, record: RecordId) -> bool {
        match self {
            Self::All => true,
            // Bits that no bucket is chosen by.
            Self::OneIn(many) => ((record.0 >> 32) as u64).is_multiple_of(many.get()),
        }
    }

    /// What the counted records show; `None` of all of them.
    pub(super) fn report(self, tallies: &Tallies) -> Option<SampleReport> {
        let Self::OneIn(many) = self else { return None };
        let (low, high) = interval(tallies.records() - tallies.equal, tallies.records());
        Some(SampleReport { one_in: many.get(), confidence: 0.95, differing_low: low, differing_high: high })
    }
}

/// Wilson's interval for a share (E. B. Wilson, 1927): within bounds and honest at the ends, where the usual one is not.
fn interval(differing: u64, of: u64) -> (f64, f64) {
    if of == 0 {
        return (0.0, 1.0);
    }
    let (count, share, z2) = (of as f64, differing as f64 / of as f64, DEVIATIONS * DEVIATIONS);
    let centre = share + z2 / (2.0 * count);
    let spread = DEVIATIONS * (share * (1.0 - share) / count + z2 / (4.0 * count * count)).sqrt();
    let scale = 1.0 + z2 / count;
    (((centre - spread) / scale).max(0.0), ((centre + spread) / scale).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_the_published_one_and_never_empty() {
        // Brown, Cai and DasGupta (2001): of 10 tries, 2 successes.
        let (low, high) = interval(2, 10);
        assert!((low - 0.0567).abs() < 0.0005 && (high - 0.5098).abs() < 0.0005, "{low} {high}");
        let (low, high) = interval(0, 1_000);
        assert!(low < 1e-9 && high > 0.003 && high < 0.005, "{low} {high}");
        assert_eq!(interval(0, 0), (0.0, 1.0));
    }

    #[test]
    fn about_one_in_so_many_is_taken_and_always_the_same() {
        let sample = Sample::OneIn(NonZeroU64::new(10).unwrap());
        let id = |n: u64| RecordId(xxhash_rust::xxh3::xxh3_128(&n.to_le_bytes()));
        let taken = (0..100_000).filter(|n| sample.takes(id(*n))).count();
        assert!((9_500..10_500).contains(&taken), "{taken}");
    }
}
