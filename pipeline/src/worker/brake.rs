//! The brake of one stream: pause and throttle, as operators set them, live, and the target's health.
//!
//! Owns when a batch may be committed, never which: a batch that waits is committed later as it is, so nothing depends on the
//! clock but the pace (promise 19). Capture is never held. Until the stored control is known nothing is committed: a stream
//! that was paused stays paused over a restart. The rate is kept by debt: a batch goes when what went before is paid for, so
//! lanes of a stream share it and a batch may hold one second's rows at most. Of pause, rate and health the strictest holds.

use crate::health::Health;
use crate::queue::clock::Clock;
use landfall_connectors::control::Control;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Longest sleep at a stretch: a clock that is set back costs no more than this.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// Shared between a stream's lanes and whoever sets it.
#[derive(Debug)]
pub struct Brake {
    control: watch::Sender<Option<Control>>,
    paid: Mutex<Paid>,
    clock: Arc<dyn Clock>,
    health: Arc<Health>,
}

/// Until when the rows committed so far last at the rate, and how long the last batch of them does.
#[derive(Clone, Copy, Debug, Default)]
struct Paid {
    until_ms: u64,
    span_ms: u64,
}

impl Brake {
    /// A brake that holds until it is set.
    pub fn new(clock: Arc<dyn Clock>, health: Arc<Health>) -> Self {
        Self { control: watch::Sender::new(None), paid: Mutex::default(), clock, health }
    }

    /// Sets it.
    pub fn set(&self, control: Control) {
        self.control.send_replace(Some(control));
    }

    /// How it is set; `None` before the target was asked.
    pub fn control(&self) -> Option<Control> {
        self.control.borrow().clone()
    }

    /// Whether an operator paused the stream.
    pub fn is_paused(&self) -> bool {
        self.control.borrow().as_ref().is_some_and(|control| control.paused)
    }

    /// Whether nothing at all may be committed for now.
    pub(super) fn holds(&self) -> bool {
        self.control.borrow().as_ref().is_none_or(|control| self.stops(control))
    }

    /// Measures of the target's health that hold the stream back.
    pub fn held_by(&self) -> Vec<String> {
        let heeds = self.control.borrow().as_ref().is_some_and(|control| !control.ignores_health);
        if heeds { self.health.reasons() } else { Vec::new() }
    }

    /// A batch was with the target for so long.
    pub(super) fn exchanged(&self, took: Duration) {
        self.health.exchanged(took);
    }

    fn stops(&self, control: &Control) -> bool {
        control.paused || (self.health.holds() && !control.ignores_health)
    }

    /// `events`, or fewer when a throttled second holds fewer.
    pub(super) fn at_most(&self, events: usize) -> usize {
        let rate = self.control.borrow().as_ref().and_then(|control| control.rows_per_second);
        rate.map_or(events, |rate| events.min(usize::try_from(rate.get()).unwrap_or(events)))
    }

    /// Waits until a batch of `rows` may be committed. Cancel-safe.
    pub(super) async fn release(&self, rows: u64) {
        let (mut changes, mut health) = (self.control.subscribe(), self.health.changes());
        loop {
            let Err(nap) = self.try_release(rows) else { return };
            tokio::select! {
                // The senders live in `self`.
                _ = changes.changed() => {}
                _ = health.changed() => {}
                () = tokio::time::sleep(nap) => {}
            }
        }
    }

    fn try_release(&self, rows: u64) -> Result<(), Duration> {
        let control = self.control.borrow().clone();
        let Some(control) = control.filter(|control| !self.stops(control)) else { return Err(LONGEST_NAP) };
        let Some(rate) = control.rows_per_second else { return Ok(()) };
        let now = self.clock.now_ms();
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        // More than one batch ahead of now: the clock was set back.
        paid.until_ms = paid.until_ms.min(now.saturating_add(paid.span_ms));
        if paid.until_ms > now {
            return Err(Duration::from_millis(paid.until_ms - now).min(LONGEST_NAP));
        }
        let span_ms = rows.saturating_mul(1_000).div_ceil(rate.get());
        *paid = Paid { until_ms: now.saturating_add(span_ms), span_ms };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HealthLimits;
    use landfall_connectors::health::Measure;
    use std::num::NonZeroU64;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Debug, Default)]
    struct Hands(AtomicU64);

    impl Clock for Hands {
        fn now_ms(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn brake(control: Option<Control>) -> (Arc<Hands>, Brake) {
        let hands = Arc::new(Hands::default());
        hands.0.store(1_000_000, Ordering::Relaxed);
        let brake = Brake::new(Arc::clone(&hands) as Arc<dyn Clock>, Arc::default());
        if let Some(control) = control {
            brake.set(control);
        }
        (hands, brake)
    }

    fn rate(rows: u64) -> Control {
        Control { rows_per_second: NonZeroU64::new(rows), ..Control::default() }
    }

    #[test]
    fn nothing_is_released_before_the_stored_control_is_known_nor_while_paused() {
        let (_, brake) = brake(None);
        assert!(brake.try_release(1).is_err());
        brake.set(Control { paused: true, ..Control::default() });
        assert!(brake.try_release(1).is_err() && brake.is_paused());
        brake.set(Control::default());
        assert_eq!(brake.try_release(1_000_000), Ok(()));
        assert_eq!(brake.try_release(1_000_000), Ok(()), "no limit");
    }

    #[test]
    fn rows_are_released_at_the_rate() {
        let (hands, brake) = brake(Some(rate(100)));
        let mut released = 0;
        for _ in 0..10_000 {
            if brake.try_release(20).is_ok() {
                released += 20;
            }
            hands.0.fetch_add(1, Ordering::Relaxed);
        }
        assert_eq!(released, 1_000, "10 s at 100 a second");
        assert_eq!((brake.at_most(2_000), brake.at_most(30)), (100, 30));
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nothing_for_longer_than_a_batch() {
        let (hands, brake) = brake(Some(rate(10)));
        assert_eq!(brake.try_release(10), Ok(()));
        hands.0.store(5, Ordering::Relaxed);
        assert!(brake.try_release(10).is_err());
        hands.0.store(1_005, Ordering::Relaxed);
        assert_eq!(brake.try_release(10), Ok(()));
    }

    /// A target whose lock waits pass their limit, and whether they do.
    fn suffering() -> (Arc<Health>, impl Fn(f64)) {
        let limits = HealthLimits { limits: vec![(Measure::LockWaits, 5.0)], query: None };
        let health = Arc::new(Health::new(&limits));
        let seen = Arc::clone(&health);
        let look = move |locks: f64| seen.note([(Measure::LockWaits, Ok(Some(locks)))].into(), Duration::from_secs(1));
        (health, look)
    }

    #[test]
    fn of_pause_rate_and_health_the_strictest_holds() {
        let (hands, look) = (Arc::new(Hands::default()), suffering());
        let ((health, look), clock) = (look, Arc::clone(&hands) as Arc<dyn Clock>);
        let brake = Brake::new(clock, health);
        look(9.0);
        assert!(brake.try_release(1).is_err() && brake.held_by().is_empty(), "the stored control is not known yet");
        brake.set(rate(10));
        assert!(brake.try_release(1).is_err() && brake.holds());
        assert_eq!(brake.held_by(), ["lock_waits"]);
        brake.set(Control { ignores_health: true, ..rate(10) });
        assert_eq!((brake.try_release(10), brake.held_by()), (Ok(()), Vec::new()), "ignored");
        assert!(brake.try_release(10).is_err(), "and the rate still counts");
        brake.set(Control { ignores_health: true, paused: true, ..Control::default() });
        assert!(brake.try_release(1).is_err(), "and the pause");
        brake.set(Control::default());
        (0..3).for_each(|_| look(0.0));
        assert!(!brake.holds() && brake.try_release(1_000).is_ok());
    }

    #[tokio::test]
    async fn who_waits_hears_that_the_target_is_well_again() {
        let (health, look) = suffering();
        let brake = Brake::new(Arc::new(Hands::default()), health);
        brake.set(Control::default());
        look(9.0);
        let well = async {
            tokio::task::yield_now().await;
            (0..3).for_each(|_| look(0.0));
        };
        let waits = tokio::time::timeout(Duration::from_millis(500), brake.release(5));
        assert!(tokio::join!(waits, well).0.is_ok());
    }

    #[tokio::test]
    async fn who_waits_hears_of_a_change_at_once() {
        let (_, brake) = brake(Some(Control { paused: true, ..Control::default() }));
        let resumed = async {
            tokio::task::yield_now().await;
            brake.set(Control::default());
        };
        let waits = tokio::time::timeout(Duration::from_millis(500), brake.release(5));
        assert!(tokio::join!(waits, resumed).0.is_ok());
    }
}
