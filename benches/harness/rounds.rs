//! Interleaved rounds: baseline, ours, baseline, ours, …, baseline.
//!
//! Each run of ours is set against the mean of the two baselines around it, so that a drift of the machine falls on both
//! sides; neighbouring baselines set against each other are the A/A control: a ratio means nothing that it does not exceed.

use crate::measured::Measured;

/// Ours beside a baseline.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// One more than of ours: one around each; or as many, each just before its run of ours.
    pub baseline: Vec<Measured>,
    /// Ours.
    pub ours: Vec<Measured>,
}

/// The middle of some figures, with the smallest and the largest.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spread {
    /// Smallest.
    pub min: f64,
    /// The middle one (mean of two for an even number).
    pub median: f64,
    /// Largest.
    pub max: f64,
}

/// Runs `rounds` rounds. The first argument of a run is its number, for folders and tables.
pub fn interleaved(
    rounds: usize,
    mut baseline: impl FnMut() -> Measured,
    mut ours: impl FnMut() -> Measured,
) -> Comparison {
    let mut comparison = Comparison { baseline: vec![baseline()], ours: Vec::new() };
    for _ in 0..rounds {
        comparison.ours.push(ours());
        comparison.baseline.push(baseline());
    }
    comparison
}

impl Comparison {
    /// Rate of ours over rate of the baselines around it.
    pub fn ratio(&self) -> Spread {
        Spread::of(self.ours.iter().enumerate().map(|(at, ours)| ours.rate() / self.around(at, Measured::rate)))
    }

    fn around(&self, at: usize, of: impl Fn(&Measured) -> f64) -> f64 {
        match self.baseline.get(at + 1) {
            Some(after) if self.baseline.len() > self.ours.len() => f64::midpoint(of(&self.baseline[at]), of(after)),
            _ => of(&self.baseline[at]),
        }
    }

    /// The A/A control: each baseline's rate over the one before.
    pub fn control(&self) -> Spread {
        self.neighbours(Measured::rate)
    }

    /// Processor time of the baseline over that of ours, client and server together: what the ratio would be on a quiet
    /// machine whose processors are the limit.
    pub fn cpu_ratio(&self) -> Spread {
        Spread::of(self.ours.iter().enumerate().map(|(at, ours)| self.around(at, used) / used(ours)))
    }

    /// What the client needs beyond the baseline, as a share of all that the baseline needs: the cost of ours where the server does the same
    /// work for both, without the server's noise, which is several times the client's. With its A/A.
    pub fn client_cost(&self) -> (Spread, Spread) {
        let client = |run: &Measured| run.cpu.client / run.units;
        let ours = self.ours.iter().enumerate();
        let costs = ours.map(|(at, ours)| (client(ours) - self.around(at, client)) / self.around(at, used));
        let pairs = self.baseline.windows(2).map(|pair| (client(&pair[1]) - client(&pair[0])) / used(&pair[0]));
        (Spread::of(costs), Spread::of(pairs.chain((self.baseline.len() == 1).then_some(0.0))))
    }

    /// The A/A control of processor time.
    pub fn cpu_control(&self) -> Spread {
        self.neighbours(used)
    }

    fn neighbours(&self, of: impl Fn(&Measured) -> f64) -> Spread {
        let pairs = self.baseline.windows(2).map(|pair| of(&pair[1]) / of(&pair[0]));
        // One run alone has nothing to be set against.
        Spread::of(pairs.chain((self.baseline.len() == 1).then_some(1.0)))
    }
}

/// Processor time for a unit, client and server together.
fn used(run: &Measured) -> f64 {
    (run.cpu.client + run.cpu.server) / run.units
}

impl Spread {
    /// Of at least one figure.
    pub fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.collect();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = ((sorted.len() - 1) / 2, sorted.len() / 2);
        Self { min: sorted[0], median: f64::midpoint(sorted[low], sorted[high]), max: sorted[sorted.len() - 1] }
    }
}

#[cfg(test)]
mod tests {
    use super::{Spread, interleaved};
    use crate::measured::Measured;

    fn run(rate: f64) -> Measured {
        let mut run = Measured::of(1, || ());
        (run.units, run.seconds) = (rate, 1.0);
        run
    }

    #[test]
    fn ours_stands_between_two_baselines() {
        let mut baselines = [100.0, 200.0, 200.0].into_iter();
        let comparison = interleaved(2, || run(baselines.next().unwrap()), || run(150.0));
        assert_eq!(comparison.ratio(), Spread { min: 0.75, median: 0.875, max: 1.0 });
        assert_eq!(comparison.control(), Spread { min: 1.0, median: 1.5, max: 2.0 });
    }

    #[test]
    fn what_the_client_needs_beyond_is_a_share_of_all_that_is_needed() {
        let needing = |client: f64, server: f64| {
            let mut run = run(100.0);
            (run.cpu.client, run.cpu.server) = (client, server);
            run
        };
        let mut baselines = [needing(1.0, 9.0), needing(3.0, 5.0)].into_iter();
        let comparison = interleaved(1, || baselines.next().unwrap(), || needing(2.9, 70.0));
        let (cost, control) = comparison.client_cost();
        assert!((cost.median - 0.1).abs() < 1e-9, "0.9 beyond the mean of 2, of the mean of 9: {cost:?}");
        assert!((control.median - 0.2).abs() < 1e-9, "{control:?}");
    }
}
