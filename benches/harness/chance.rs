//! Seeded randomness: the same seed gives the same workload on every machine.

/// `SplitMix64` (Steele, Lea, Flood 2014): one multiplication chain per number, full period, good enough for workloads.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// A number below `bound`, which is above 0. (The bias of a bound below 2³² is under 2⁻³².)
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }
}

/// A bijection of 64 bits that leaves no pattern: spreads ordinals into random-looking keys.
pub fn mixed(number: u64) -> u64 {
    let z = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::Chance;

    #[test]
    fn a_seed_gives_its_numbers_again() {
        let (mut one, mut two) = (Chance::new(7), Chance::new(7));
        assert!((0..100).all(|_| one.draw() == two.draw()));
        assert_ne!(Chance::new(7).draw(), Chance::new(8).draw());
    }
}
