//! How far something that has an end is, and when it will be done at the pace it has had.

use super::condition::StreamCondition;
use super::report::StreamReport;
use crate::worker::CopyProgress;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A pace over less says nothing.
const LEAST: Duration = Duration::from_secs(2);
/// How all forecasts are made: by the mean pace since what is forecast was first seen by the process that tells of it.
pub const PACE: &str = "mean_pace";

/// How far the copy of a stream from its source has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CopyReport {
    /// Records read and committed.
    pub records: u64,
    /// About how many there are.
    pub estimate: u64,
    /// There are exactly so many.
    #[serde(default)]
    pub exact: bool,
}

impl From<CopyProgress> for CopyReport {
    fn from(copy: CopyProgress) -> Self {
        Self { records: copy.records, estimate: copy.estimate, exact: copy.exact }
    }
}

/// How far the copy of a stream is. Of a copy that is counted in records, `records` are committed; of one that is counted in bytes, they are read.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ForecastReport {
    /// So much is done.
    pub done: u64,
    /// Of so much.
    pub total: u64,
    /// What both count: `records`, `rows` or `bytes`.
    pub unit: String,
    /// Whether the total is `exact` or an `estimate`.
    pub total_is: String,
    /// Where the total comes from: `collection_metadata`, `base`, `file_sizes` or `row_count`.
    pub total_from: String,
    /// Done of the total, 0 to 1.
    pub ratio: f64,
    /// The pace; `None` before anything was done within two seconds.
    pub per_second: Option<f64>,
    /// Seconds that are left; `None` before 1 % of what was left when it was first seen is done.
    pub eta_seconds: Option<f64>,
    /// How it is foreseen: `mean_pace`, the mean since this process first saw the copy.
    pub eta_method: String,
}

/// Paces of what is under way, by stream: when each was first seen, and how far it was.
#[derive(Debug, Default)]
pub struct Paces(Mutex<BTreeMap<String, (Instant, u64)>>);

impl Paces {
    /// The forecast of a stream's copy, if there is one. Call for every stream at every look: one that ends is forgotten.
    pub fn look(&self, stream: &StreamReport, source_kind: &str, now: Instant) -> Option<ForecastReport> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut forecast) = copied(stream, source_kind) else {
            seen.remove(&stream.name);
            return None;
        };
        let first = seen.entry(stream.name.clone()).or_insert((now, forecast.done));
        if forecast.done < first.1 {
            // Another copy began since.
            *first = (now, forecast.done);
        }
        let (since, from) = *first;
        let (span, done) = (now.saturating_duration_since(since), forecast.done - from);
        if span >= LEAST && done > 0 {
            let pace = done as f64 / span.as_secs_f64();
            let (of, left) = (forecast.total.saturating_sub(from), forecast.total.saturating_sub(forecast.done));
            forecast.per_second = Some(pace);
            forecast.eta_seconds = (done.saturating_mul(100) >= of).then(|| left as f64 / pace);
        }
        Some(forecast)
    }
}

/// How far a copy is, and nothing of when.
fn copied(stream: &StreamReport, source_kind: &str) -> Option<ForecastReport> {
    let StreamCondition::Copying { bytes, total, .. } = &stream.condition else { return None };
    let (done, total, (unit, total_is, total_from)) = match stream.copy {
        Some(copy) if copy.exact => (copy.records, copy.estimate, ("records", "exact", "base")),
        Some(copy) => (copy.records, copy.estimate, ("records", "estimate", "collection_metadata")),
        // A database says rows where files say bytes; half of the way is reading, half is handing out.
        None if source_kind == "sqlite" => (*bytes, *total, ("rows", "exact", "row_count")),
        None => (*bytes, *total, ("bytes", "exact", "file_sizes")),
    };
    (total > 0).then(|| ForecastReport {
        done,
        total,
        unit: unit.to_owned(),
        total_is: total_is.to_owned(),
        total_from: total_from.to_owned(),
        ratio: (done as f64 / total as f64).min(1.0),
        per_second: None,
        eta_seconds: None,
        eta_method: PACE.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(paces: &Paces, begin: Instant, seconds: u64, records: u64) -> ForecastReport {
        let mut stream = StreamReport::new("users", "app", "public.users");
        stream.condition = StreamCondition::Copying { records, bytes: 0, total: 0 };
        stream.copy = Some(CopyReport { records, estimate: 10_000, exact: false });
        paces.look(&stream, "mongodb", begin + Duration::from_secs(seconds)).expect("a copy")
    }

    #[test]
    fn what_is_left_takes_as_long_as_the_pace_says() {
        let (paces, begin) = (Paces::default(), Instant::now());
        assert_eq!(at(&paces, begin, 0, 1_000).per_second, None);
        assert_eq!(at(&paces, begin, 1, 1_100).per_second, None, "a second says nothing");
        let early = at(&paces, begin, 5, 1_050);
        assert_eq!((early.per_second, early.eta_seconds), (Some(10.0), None), "before 1 %");
        let later = at(&paces, begin, 10, 2_000);
        assert_eq!((later.ratio, later.per_second, later.eta_seconds), (0.2, Some(100.0), Some(80.0)));
        assert_eq!((later.unit.as_str(), later.total_is.as_str()), ("records", "estimate"));
        assert_eq!(at(&paces, begin, 11, 5).eta_seconds, None, "another copy");
        assert_eq!(paces.look(&StreamReport::new("users", "a", "t"), "mongodb", begin), None);
        assert_eq!(at(&paces, begin, 20, 9_000).eta_seconds, None, "the one before is forgotten");
    }

    #[test]
    fn files_are_copied_by_their_bytes_and_databases_by_their_rows() {
        let (paces, now) = (Paces::default(), Instant::now());
        let mut stream = StreamReport::new("users", "store", "public.users");
        stream.condition = StreamCondition::Copying { records: 3, bytes: 50, total: 200 };
        let of = |kind: &str| paces.look(&stream, kind, now).expect("a copy");
        assert_eq!((of("json_document").unit.as_str(), of("json_document").ratio), ("bytes", 0.25));
        assert_eq!((of("sqlite").unit.as_str(), of("sqlite").total_from.as_str()), ("rows", "row_count"));
    }
}
