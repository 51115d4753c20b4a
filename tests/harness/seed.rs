//! Seeded randomness: SplitMix64 (Steele, Lea, Flood 2014). The seed and the commit reproduce a run.

/// A generator. Copy it with [`Seed::fork`] to give parts of a test streams of their own.
#[derive(Clone, Debug)]
pub struct Seed(u64);

impl Seed {
    /// From a number that the test prints.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From the environment variable `SEED`, else `default`.
    pub fn from_env(default: u64) -> (Self, u64) {
        let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(default);
        (Self(seed), seed)
    }

    /// An independent generator.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.draw())
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; `bound` is at least 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The bias of the remainder is below 2⁻³² for the bounds tests use.
        self.draw() % bound.max(1)
    }

    /// A number in `from..until`.
    pub fn range(&mut self, from: u64, until: u64) -> u64 {
        from + self.below(until - from)
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of `choices`, which is not empty.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::Seed;

    #[test]
    fn the_sequence_is_the_published_one() {
        let mut seed = Seed::new(1_234_567);
        assert_eq!(seed.draw(), 6_457_827_717_110_365_317);
        assert_eq!(seed.draw(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn ranges_keep_their_bounds() {
        let mut seed = Seed::new(7);
        assert!((0..1_000).all(|_| (3..9).contains(&seed.range(3, 9))));
    }
}
