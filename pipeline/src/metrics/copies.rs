//! When a copy will be done at the pace it has had: the records that are left, by the records a second since it was first seen.

use crate::status::CopyReport;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A pace over less says nothing.
const LEAST: Duration = Duration::from_secs(2);

/// Copies under way: when each was first seen, and how far it was.
#[derive(Debug, Default)]
pub(super) struct Copies(Mutex<BTreeMap<String, (Instant, u64)>>);

impl Copies {
    /// Seconds until a stream's copy is done; `None` while there is none or nothing is known. Call for every stream at every look: one that
    /// ends is forgotten.
    pub(super) fn eta(&self, stream: &str, copy: Option<CopyReport>, now: Instant) -> Option<f64> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(copy) = copy else {
            seen.remove(stream);
            return None;
        };
        let first = seen.entry(stream.to_owned()).or_insert((now, copy.records));
        if copy.records < first.1 {
            // Another copy began since.
            *first = (now, copy.records);
        }
        let (since, records) = *first;
        let span = now.saturating_duration_since(since);
        let done = copy.records - records;
        if span < LEAST || done == 0 {
            return None;
        }
        let pace = done as f64 / span.as_secs_f64();
        Some(copy.estimate.saturating_sub(copy.records) as f64 / pace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_takes_as_long_as_the_pace_says() {
        let copies = Copies::default();
        let begin = Instant::now();
        let at = |seconds: u64, records: u64| {
            let copy = CopyReport { records, estimate: 1_000 };
            copies.eta("users", Some(copy), begin + Duration::from_secs(seconds))
        };
        assert_eq!(at(0, 100), None);
        assert_eq!(at(1, 110), None, "a second says nothing");
        assert_eq!(at(10, 200), Some(80.0));
        assert_eq!(at(11, 5), None, "another copy");
        assert_eq!(copies.eta("users", None, begin), None);
        assert_eq!(at(20, 900), None, "the one before is forgotten");
    }
}
