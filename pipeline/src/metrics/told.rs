//! What is told when somebody looks, as families of samples: names, help and labels of nearly all metrics stand here and in `series`.

use super::ages::Ages;
use super::histogram::Seen;
use super::meters::{RETRIED, StreamMeters};
use super::series::{self, Samples, per_source, per_stream};
use super::sheet::{Sheet, Value};
use crate::status::{ForecastReport, StatusReport, StreamReport};
use crate::verify::LastComparison;
use crate::worker::PoolSeen;
use std::fmt;
use std::sync::atomic::Ordering;

/// Everything that is told, gathered.
pub(super) struct Told<'a> {
    pub(super) report: &'a StatusReport,
    /// Those that have series of their own.
    pub(super) streams: &'a [StreamReport],
    pub(super) ready: bool,
    pub(super) pool: PoolSeen,
    /// Path, status, how many.
    pub(super) requests: Vec<(&'static str, String, u64)>,
    pub(super) ages: &'a Ages,
    pub(super) compared: LastComparison,
    /// What the workers of labelled streams count.
    pub(super) meters: Vec<(&'a str, &'a StreamMeters)>,
    /// What all workers count.
    pub(super) all_meters: Vec<&'a StreamMeters>,
    /// Syncs of the queues, by source.
    pub(super) syncs: Vec<(&'a str, Seen)>,
    pub(super) max_bytes: u64,
    /// What became of spans, by outcome; empty: nothing is traced.
    pub(super) spans: Vec<(&'static str, u64)>,
    /// Unix time.
    pub(super) now_seconds: f64,
}

impl Told<'_> {
    /// All of it.
    pub(super) fn write(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        self.process(sheet)?;
        series::health(sheet, self.report.target.health.as_ref())?;
        series::states(sheet, self.streams)?;
        series::accounts(sheet, self.streams)?;
        self.lags(sheet)?;
        self.copies(sheet)?;
        self.compared(sheet)?;
        self.comparing(sheet)?;
        self.meters(sheet)?;
        self.all_meters(sheet)?;
        self.queues(sheet)?;
        series::hooks(sheet, &self.report.hooks)?;
        series::spans(sheet, &self.spans)
    }

    fn process(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        sheet.gauge("build_info", "Which program runs", &[(version, Value::Whole(1))])?;
        sheet.gauge("ready", "Nothing stands between the sources and the target", &plain(Value::from(self.ready)))?;
        sheet.gauge("target_reachable", "The target answers", &plain(Value::from(self.report.target.reachable)))?;
        let pool = self.pool;
        sheet.gauge("pool_connections", "Writers of the pool", &plain(Value::Whole(pool.size)))?;
        sheet.gauge("pool_idle_connections", "Writers that nobody uses", &plain(Value::Whole(pool.idle)))?;
        sheet.gauge("pool_waiting", "Batches that wait for a writer", &plain(Value::Whole(pool.waiting)))?;
        let requests: Vec<_> = self
            .requests
            .iter()
            .map(|(path, status, count)| (vec![("path", *path), ("status", status.as_str())], Value::Whole(*count)))
            .collect();
        sheet.counter("http_requests", "HTTP requests answered", &requests)
    }

    fn lags(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let queue = per_stream(self.streams, |stream| Some(Value::Real(self.ages.seconds(&stream.name))));
        sheet.gauge("queue_lag_seconds", "Age of the oldest event that is not applied", &queue)?;
        let apply = per_stream(self.streams, |stream| stream.lag_ms.map(|lag| Value::Real(lag as f64 / 1_000.0)));
        sheet.gauge("apply_lag_seconds", "Age of the newest event when its batch was committed", &apply)
    }

    fn copies(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let records = per_stream(self.streams, |stream| stream.copy.map(|copy| Value::Whole(copy.records)));
        sheet.gauge("copy_records", "Records of a copy under way that are committed", &records)?;
        let estimate = per_stream(self.streams, |stream| stream.copy.map(|copy| Value::Whole(copy.estimate)));
        sheet.gauge("copy_estimated_records", "About how many records the copy has", &estimate)?;
        let of = |value: fn(&ForecastReport) -> Option<f64>| {
            per_stream(self.streams, move |stream| value(stream.forecast.as_ref()?).map(Value::Real))
        };
        let ratio = of(|forecast| Some(forecast.ratio));
        sheet.gauge("copy_progress_ratio", "How much of a copy under way is done, of 1", &ratio)?;
        let eta = of(|forecast| forecast.eta_seconds);
        sheet.gauge("copy_eta_seconds", "Seconds until the copy is done, at its pace so far", &eta)
    }

    /// A comparison under way.
    fn comparing(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let run = self.report.comparison.as_ref();
        let running = plain(Value::from(run.is_some()));
        sheet.gauge("verify_running", "A comparison is under way", &running)?;
        let ratio = per_stream(self.streams, |stream| stream.comparing.as_ref()?.ratio.map(Value::Real));
        sheet.gauge("verify_progress_ratio", "How much a comparison under way has read, of 1", &ratio)?;
        let suspects = per_stream(self.streams, |stream| Some(Value::Whole(stream.comparing.as_ref()?.suspects)));
        sheet.gauge("verify_suspect_records", "Records that a comparison under way looks at again", &suspects)?;
        let eta = run.and_then(|run| run.eta_seconds).map(Value::Real).map(plain).unwrap_or_default();
        sheet.gauge("verify_eta_seconds", "Seconds until a comparison under way has read everything, at its pace", &eta)
    }

    fn compared(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let of = |stream: &StreamReport| self.compared.streams.get(&stream.name).copied();
        let through = |stream: &StreamReport| of(stream)?.through_ms.map(|through| through as f64 / 1_000.0);
        let differences = per_stream(self.streams, |stream| of(stream).map(|one| Value::Whole(one.differences)));
        sheet.gauge(
            "verify_differences",
            "Records that the last comparison found missing, extra or different",
            &differences,
        )?;
        let at = per_stream(self.streams, |stream| through(stream).map(Value::Real));
        sheet.gauge("verified_timestamp_seconds", "Source time that the last comparison covers, Unix time", &at)?;
        let lag = per_stream(self.streams, |stream| {
            through(stream).map(|through| Value::Real((self.now_seconds - through).max(0.0)))
        });
        sheet.gauge("verify_lag_seconds", "Time since what the last comparison covers", &lag)
    }

    /// What the worker of each stream counts.
    fn meters(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let mut rows: Samples<'_> = Vec::with_capacity(self.meters.len() * 2);
        let mut latency: Vec<(_, Seen)> = Vec::with_capacity(self.meters.len());
        for (stream, meters) in &self.meters {
            for (operation, rows_of) in [("upsert", &meters.upserts), ("delete", &meters.deletes)] {
                let labels = vec![("stream", *stream), ("operation", operation)];
                rows.push((labels, Value::Whole(rows_of.load(Ordering::Relaxed))));
            }
            latency.push((vec![("stream", *stream)], meters.latency.seen()));
        }
        sheet.counter("rows_written", "Rows of committed batches, since this process began", &rows)?;
        sheet.histogram("event_latency_seconds", "Time from capture to commit of an event", &latency)
    }

    /// What the workers of all streams count together.
    fn all_meters(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let none = StreamMeters::default();
        let (mut batches, mut commits) = (none.batches.seen(), none.commits.seen());
        let (mut retries, mut slow) = ([0; RETRIED.len()], 0);
        for meters in &self.all_meters {
            batches.add(&meters.batches.seen());
            commits.add(&meters.commits.seen());
            retries.iter_mut().zip(meters.retries()).for_each(|(sum, more)| *sum += more);
            slow += meters.slow.load(Ordering::Relaxed);
        }
        sheet.histogram("batch_events", "Events of a committed batch", &[(Vec::new(), batches)])?;
        sheet.histogram(
            "commit_duration_seconds",
            "Time that the transaction of a batch takes",
            &[(Vec::new(), commits)],
        )?;
        let retries: Vec<_> = RETRIED
            .iter()
            .zip(retries)
            .map(|((_, class), count)| (vec![("class", *class)], Value::Whole(count)))
            .collect();
        sheet.counter("retries", "Failures after which the same was tried again", &retries)?;
        sheet.counter(
            "slow_statements",
            "Batches that were with the target for a second or longer",
            &plain(Value::Whole(slow)),
        )
    }

    fn queues(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        series::sources(sheet, &self.report.sources)?;
        let cap = per_source(&self.report.sources, |_| Some(Value::Whole(self.max_bytes)));
        sheet.gauge("queue_max_bytes", "Most bytes a queue may have", &cap)?;
        let syncs: Vec<(_, Seen)> =
            self.syncs.iter().map(|(source, seen)| (vec![("source", *source)], seen.clone())).collect();
        sheet.histogram("queue_sync_duration_seconds", "Time that a sync of the queue takes", &syncs)
    }
}

fn plain(value: Value) -> Samples<'static> {
    vec![(Vec::new(), value)]
}
