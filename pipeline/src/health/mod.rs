//! Holding back while the target suffers: limits of its health, looked at every second, and whether they hold the batches of its streams.
//!
//! Owns the verdict and its reasons ([`gauge`]); the brakes of the streams read it, and what is committed stays as it is: a batch waits, none is
//! given up. A limit that is passed holds everything rather than slowing it down: batches take milliseconds, so a hold that comes and goes is a
//! slow rate that finds itself, and a floor under it would keep a standby behind that lags because of us. Capture, errands and repairs are not
//! held. Without a limit nothing is looked at. Depends on the clock for the pace alone (promise 19).

mod gauge;

use crate::assemble::Target;
use crate::config::HealthLimits;
use crate::service::Service;
use crate::status::{HealthReport, Trouble};
use gauge::{Change, Gauge};
use landfall_connectors::failure::Failure;
use landfall_connectors::health::Measure;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Between two looks: a hold comes within about a second, and a look costs the server a millisecond.
const LOOK: Duration = Duration::from_secs(1);

/// What holds until the first look.
const FIRST_LOOK: &str = "first_look";

/// The verdict on a target, shared by the brakes of its streams.
#[derive(Debug, Default)]
pub struct Health {
    holds: watch::Sender<bool>,
    seen: Mutex<Seen>,
    /// Longest time that a batch was with the target since the last look, in microseconds; 0: none was.
    slowest: AtomicU64,
}

#[derive(Debug, Default)]
struct Seen {
    gauges: Vec<Gauge>,
    /// A look has come to something, be it that nothing can be read.
    once: bool,
}

impl Health {
    /// With these limits; where there are any, nothing is written before the first look.
    pub fn new(limits: &HealthLimits) -> Self {
        let gauges: Vec<Gauge> = limits.limits.iter().map(|(measure, limit)| Gauge::new(*measure, *limit)).collect();
        let holds = watch::Sender::new(!gauges.is_empty());
        Self { holds, seen: Mutex::new(Seen { gauges, once: false }), slowest: AtomicU64::new(0) }
    }

    /// Whether a limit holds, or nothing was looked at yet.
    pub(crate) fn holds(&self) -> bool {
        *self.holds.borrow()
    }

    /// Hears when that changes.
    pub(crate) fn changes(&self) -> watch::Receiver<bool> {
        self.holds.subscribe()
    }

    /// What holds, by its word.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.once && !seen.gauges.is_empty() {
            return vec![FIRST_LOOK.to_owned()];
        }
        seen.gauges.iter().filter(|gauge| gauge.holds()).map(|gauge| gauge.measure().word().to_owned()).collect()
    }

    /// A batch was with the target for so long.
    pub(crate) fn exchanged(&self, took: Duration) {
        self.slowest.fetch_max(u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
    }

    /// What is shown; `None`: there is no limit.
    pub fn report(&self) -> Option<HealthReport> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let measures = seen.gauges.iter().map(Gauge::report).collect();
        (!seen.gauges.is_empty()).then_some(HealthReport { measures })
    }

    /// Takes what a look came to; what it does not tell of stays as it was.
    pub(crate) fn note(&self, mut look: BTreeMap<Measure, Result<Option<f64>, Trouble>>, since: Duration) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.once = true;
        for gauge in &mut seen.gauges {
            let Some(look) = look.remove(&gauge.measure()) else { continue };
            let changes = gauge.see(look, since);
            changes.into_iter().for_each(|change| say(change, gauge));
        }
        let holds = seen.gauges.iter().any(Gauge::holds);
        drop(seen);
        self.holds.send_if_modified(|before| std::mem::replace(before, holds) != holds);
    }

    /// The longest of our own batches since this was asked last.
    fn slowest(&self) -> Option<f64> {
        Some(self.slowest.swap(0, Ordering::Relaxed)).filter(|micros| *micros > 0).map(|micros| micros as f64 / 1e6)
    }
}

/// One line in the log for each change.
fn say(change: Change, gauge: &Gauge) {
    let (report, reason) = (gauge.report(), gauge.measure().word());
    match change {
        Change::Holds => tracing::warn!(code = "throttled_by_health", reason, "writing is held: {}", report.words),
        Change::Released => tracing::info!(code = "health_released", reason, "no longer held: {}", report.words),
        Change::Unreadable => tracing::warn!(code = "health_unreadable", reason, "{}", report.words),
        Change::Readable => tracing::info!(code = "health_readable", reason, "can be read again: {}", report.words),
    }
}

/// Looks until the service stops. Without a limit there is nothing to look at.
pub(crate) async fn look_after(
    service: Arc<Service>,
    target: Arc<Target>,
    limits: HealthLimits,
) -> Result<(), Failure> {
    let measures: Vec<Measure> = limits.limits.iter().map(|(measure, _)| *measure).collect();
    let health = Arc::clone(&service.health);
    let looking =
        async {
            let mut probe = target.health_probe(&measures, limits.query.as_deref());
            let mut last = Instant::now();
            while !measures.is_empty() {
                let mut seen: BTreeMap<Measure, Result<Option<f64>, Trouble>> = BTreeMap::new();
                if probe.asks() {
                    match probe.look().await {
                        Ok(readings) => seen.extend(readings.into_iter().map(|reading| {
                            (reading.measure, reading.value.map_err(|failure| Trouble::from(&failure)))
                        })),
                        Err(failure) => seen.extend(measures.iter().map(|one| (*one, Err(Trouble::from(&failure))))),
                    }
                }
                // Measured here, whatever the server says.
                seen.insert(Measure::CommitTime, Ok(health.slowest()));
                health.note(seen, last.elapsed());
                last = Instant::now();
                tokio::time::sleep(LOOK).await;
            }
        };
    tokio::select! {
        () = looking => {}
        () = service.supervisor.stop().cancelled() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> Health {
        let limits = vec![(Measure::LockWaits, 5.0), (Measure::CommitTime, 2.0)];
        Health::new(&HealthLimits { limits, query: None })
    }

    fn look(health: &Health, locks: f64) {
        let seen = [(Measure::LockWaits, Ok(Some(locks))), (Measure::CommitTime, Ok(health.slowest()))];
        health.note(seen.into(), LOOK);
    }

    #[test]
    fn each_measure_holds_by_itself_and_all_have_to_let_go() {
        let health = health();
        assert!(health.holds() && health.reasons() == ["first_look"], "nothing is written before the first look");
        look(&health, 1.0);
        assert!(!health.holds() && health.reasons().is_empty());
        health.exchanged(Duration::from_secs(1));
        health.exchanged(Duration::from_secs(3));
        health.exchanged(Duration::from_secs(1));
        look(&health, 6.0);
        assert_eq!(health.reasons(), ["lock_waits", "commit_time"]);
        look(&health, 6.0);
        look(&health, 6.0);
        look(&health, 6.0);
        assert_eq!(health.reasons(), ["lock_waits"], "batches that are held are not slow");
        (0..3).for_each(|_| look(&health, 0.0));
        assert!(!health.holds());
    }

    #[test]
    fn without_a_limit_nothing_holds_and_nothing_is_shown() {
        let health = Health::new(&HealthLimits::default());
        health.exchanged(Duration::from_secs(300));
        look(&health, 1e9);
        assert!(!health.holds() && health.report().is_none());
    }
}
