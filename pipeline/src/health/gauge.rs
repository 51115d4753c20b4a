//! One measure, its limit, and whether it holds: at once when the limit is passed, no longer after a row of good looks.
//!
//! A look that fails begins no hold and ends none: a right that is missing must not stop a migration, and a server that is too busy to answer has
//! not been seen to be well.

use crate::status::{MeasureReport, Trouble};
use landfall_connectors::health::Measure;
use std::time::Duration;

/// So many looks in a row within the limit end a hold: what swings about its limit holds on and off this slowly at most.
pub(super) const CALM: u32 = 3;

/// A measure and what was seen of it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Gauge {
    measure: Measure,
    limit: f64,
    value: Option<f64>,
    trouble: Option<Trouble>,
    holds: bool,
    calm: u32,
    held: Duration,
}

/// What a look changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    Holds,
    Released,
    Unreadable,
    Readable,
}

impl Gauge {
    pub(super) fn new(measure: Measure, limit: f64) -> Self {
        Self { measure, limit, value: None, trouble: None, holds: false, calm: 0, held: Duration::ZERO }
    }

    pub(super) fn measure(&self) -> Measure {
        self.measure
    }

    pub(super) fn holds(&self) -> bool {
        self.holds
    }

    /// Takes what a look came to, `since` the look before.
    pub(super) fn see(&mut self, seen: Result<Option<f64>, Trouble>, since: Duration) -> Vec<Change> {
        if self.holds {
            self.held += since;
        }
        let (read, held) = (self.trouble.is_none(), self.holds);
        match seen {
            Err(trouble) => (self.value, self.trouble, self.calm) = (None, Some(trouble), 0),
            Ok(value) => {
                (self.value, self.trouble) = (value, None);
                self.judge(value.is_some_and(|value| value > self.limit));
            }
        }
        let told = [
            (!held && self.holds, Change::Holds),
            (held && !self.holds, Change::Released),
            (read && self.trouble.is_some(), Change::Unreadable),
            (!read && self.trouble.is_none(), Change::Readable),
        ];
        told.into_iter().filter(|(happened, _)| *happened).map(|(_, change)| change).collect()
    }

    fn judge(&mut self, over: bool) {
        self.calm = if over || !self.holds { 0 } else { self.calm + 1 };
        self.holds = over || (self.holds && self.calm < CALM);
    }

    pub(super) fn report(&self) -> MeasureReport {
        MeasureReport {
            measure: self.measure.word().to_owned(),
            limit: self.limit,
            value: self.value,
            holds: self.holds,
            held_seconds: self.held.as_secs_f64(),
            words: String::new(),
            trouble: self.trouble.clone(),
        }
        .in_words()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Duration = Duration::from_secs(1);

    fn gauge() -> Gauge {
        Gauge::new(Measure::LockWaits, 5.0)
    }

    fn trouble() -> Trouble {
        Trouble { code: "health_unreadable".into(), detail: String::new() }
    }

    #[test]
    fn it_holds_at_once_beyond_the_limit_and_not_at_it() {
        let mut gauge = gauge();
        assert_eq!(gauge.see(Ok(Some(5.0)), LOOK), []);
        assert_eq!(gauge.see(Ok(Some(6.0)), LOOK), [Change::Holds]);
        assert_eq!(gauge.see(Ok(Some(60.0)), LOOK), []);
        assert!(gauge.holds());
    }

    #[test]
    fn it_is_released_by_a_row_of_good_looks_and_by_nothing_less() {
        let mut gauge = gauge();
        gauge.see(Ok(Some(9.0)), LOOK);
        for swing in [1.0, 1.0, 9.0, 1.0, 1.0, 9.0] {
            assert_eq!(gauge.see(Ok(Some(swing)), LOOK), [], "{swing}");
            assert!(gauge.holds());
        }
        assert_eq!(gauge.see(Ok(Some(1.0)), LOOK), []);
        assert_eq!(gauge.see(Ok(None), LOOK), [], "nothing to measure is within the limit");
        assert_eq!(gauge.see(Ok(Some(5.0)), LOOK), [Change::Released]);
        assert_eq!(gauge.report().held_seconds, 9.0, "from the look that held to the one that released");
        assert_eq!(gauge.see(Ok(Some(9.0)), LOOK), [Change::Holds], "and holds again at once");
    }

    #[test]
    fn what_cannot_be_read_begins_no_hold_and_ends_none() {
        let mut gauge = gauge();
        assert_eq!(gauge.see(Err(trouble()), LOOK), [Change::Unreadable]);
        assert_eq!(gauge.see(Err(trouble()), LOOK), []);
        assert!(!gauge.holds() && gauge.report().trouble.is_some());
        assert_eq!(gauge.see(Ok(Some(6.0)), LOOK), [Change::Holds, Change::Readable]);
        gauge.see(Ok(Some(1.0)), LOOK);
        gauge.see(Ok(Some(1.0)), LOOK);
        for _ in 0..10 {
            gauge.see(Err(trouble()), LOOK);
        }
        assert!(gauge.holds(), "it was not seen to be well");
        gauge.see(Ok(Some(1.0)), LOOK);
        gauge.see(Ok(Some(1.0)), LOOK);
        assert!(gauge.holds(), "the row begins anew");
        assert_eq!(gauge.see(Ok(Some(1.0)), LOOK), [Change::Released]);
    }
}
