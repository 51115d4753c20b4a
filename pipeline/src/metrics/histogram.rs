//! A histogram that costs an observer two additions, and that can be added up with others when somebody looks.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of values by upper bound.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One more than there are bounds: the last takes what is above them all.
    buckets: Box<[AtomicU64]>,
    /// Bits of an `f64`.
    sum: AtomicU64,
}

/// A histogram as it was at a moment.
#[derive(Clone, PartialEq, Debug)]
pub struct Seen {
    /// Upper bound and how many values fell under it and above the one before; the last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// Sum of all values.
    pub sum: f64,
}

impl Histogram {
    /// Of these upper bounds, which ascend.
    pub fn new(bounds: &'static [f64]) -> Self {
        let buckets = std::iter::repeat_with(AtomicU64::default).take(bounds.len() + 1).collect();
        Self { bounds, buckets, sum: AtomicU64::new(0.0_f64.to_bits()) }
    }

    /// Takes in `times` values of this size.
    pub fn observe(&self, value: f64, times: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.buckets[bucket].fetch_add(times, Ordering::Relaxed);
        let more = value * times as f64;
        let add = |sum: u64| Some((f64::from_bits(sum) + more).to_bits());
        // The closure always gives something: this cannot fail.
        let _ = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// What it holds now. Values that are taken in meanwhile may be in one number and not in another.
    pub fn seen(&self) -> Seen {
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets = self.bounds.iter().copied().chain([f64::INFINITY]).zip(counts).collect();
        Seen { buckets, sum: f64::from_bits(self.sum.load(Ordering::Relaxed)) }
    }
}

impl Seen {
    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// Adds what another one of the same bounds holds.
    pub fn add(&mut self, other: &Self) {
        self.sum += other.sum;
        for ((_, mine), (_, theirs)) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Histogram;

    #[test]
    fn a_value_falls_under_the_first_bound_that_is_not_less() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        for value in [0.0, 1.0, 1.5, 2.0, 9.0] {
            histogram.observe(value, 1);
        }
        histogram.observe(0.5, 10);
        let mut seen = histogram.seen();
        assert_eq!(seen.buckets, [(1.0, 12), (2.0, 2), (f64::INFINITY, 1)]);
        assert_eq!((seen.count(), seen.sum), (15, 18.5));
        seen.add(&histogram.seen());
        assert_eq!((seen.count(), seen.sum), (30, 37.0));
    }
}
