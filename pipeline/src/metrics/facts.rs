//! The facts of a running service as families of samples.

use super::MOST_STREAMS;
use super::ages::Ages;
use super::copies::Copies;
use super::histogram::Seen;
use super::meters::{RETRIED, StreamMeters};
use super::requests::Requests;
use super::series::{self, Samples, per_source, per_stream};
use super::sheet::{Sheet, Value};
use crate::service::Service;
use crate::status::readiness::{Readiness, readiness};
use crate::status::{StatusReport, StreamReport};
use crate::streams::RunningStream;
use crate::verify::LastComparison;
use crate::worker::PoolMeter;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::sync::watch;

/// Where the facts are.
pub struct Facts {
    service: Arc<Service>,
    reports: watch::Receiver<Arc<StatusReport>>,
    pool: Arc<PoolMeter>,
    ages: Arc<Ages>,
    requests: Arc<Requests>,
    copies: Copies,
    state_dir: PathBuf,
    max_bytes: u64,
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts").finish_non_exhaustive()
    }
}

impl Facts {
    /// Of a service and its published reports.
    pub fn new(service: Arc<Service>, reports: watch::Receiver<Arc<StatusReport>>, pool: Arc<PoolMeter>) -> Self {
        Self {
            service,
            reports,
            pool,
            ages: Arc::default(),
            requests: Arc::default(),
            copies: Copies::default(),
            state_dir: PathBuf::new(),
            max_bytes: 0,
        }
    }

    /// With what the HTTP side knows itself.
    #[must_use]
    pub fn with(mut self, ages: &Arc<Ages>, requests: &Arc<Requests>) -> Self {
        (self.ages, self.requests) = (Arc::clone(ages), Arc::clone(requests));
        self
    }

    /// With what the configuration says: the state directory, and the cap of a queue.
    #[must_use]
    pub fn of(mut self, state_dir: PathBuf, max_bytes: u64) -> Self {
        (self.state_dir, self.max_bytes) = (state_dir, max_bytes);
        self
    }
}

impl Collector for Facts {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let report = Arc::clone(&self.reports.borrow());
        let sheet = &mut Sheet::new(encoder);
        let ready = readiness(&report, |stream| self.ages.seconds(stream));
        self.process(sheet, &report, &ready)?;
        let streams = &report.streams[..report.streams.len().min(MOST_STREAMS)];
        series::states(sheet, streams)?;
        series::accounts(sheet, streams)?;
        self.lags(sheet, streams)?;
        self.copies(sheet, streams)?;
        self.compared(sheet, streams)?;
        let running = self.service.streams.all();
        // In both lists streams stand in the order in which they came.
        let same =
            |(running, report): &(&Arc<RunningStream>, &StreamReport)| running.mapping.name.as_str() == report.name;
        let pairs: Vec<_> = running.iter().zip(streams).filter(same).collect();
        meters(sheet, &pairs)?;
        all_meters(sheet, &running)?;
        self.queues(sheet, &report)
    }
}

impl Facts {
    fn process(&self, sheet: &mut Sheet<'_>, report: &StatusReport, ready: &Readiness) -> fmt::Result {
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        sheet.gauge("build_info", "Which program runs", &[(version, Value::Whole(1))])?;
        sheet.gauge("ready", "Nothing stands between the sources and the target", &plain(Value::from(ready.ready)))?;
        sheet.gauge("target_reachable", "The target answers", &plain(Value::from(report.target.reachable)))?;
        let pool = self.pool.seen();
        sheet.gauge("pool_connections", "Writers of the pool", &plain(Value::Whole(pool.size)))?;
        sheet.gauge("pool_idle_connections", "Writers that nobody uses", &plain(Value::Whole(pool.idle)))?;
        sheet.gauge("pool_waiting", "Batches that wait for a writer", &plain(Value::Whole(pool.waiting)))?;
        let requests = self.requests.all();
        let requests: Vec<_> = requests
            .iter()
            .map(|(path, status, count)| (vec![("path", *path), ("status", status.as_str())], Value::Whole(*count)))
            .collect();
        sheet.counter("http_requests", "HTTP requests answered", &requests)
    }

    fn lags(&self, sheet: &mut Sheet<'_>, streams: &[StreamReport]) -> fmt::Result {
        let queue = per_stream(streams, |stream| Some(Value::Real(self.ages.seconds(&stream.name))));
        sheet.gauge("queue_lag_seconds", "Age of the oldest event that is not applied", &queue)?;
        let apply = per_stream(streams, |stream| stream.lag_ms.map(|lag| Value::Real(lag as f64 / 1_000.0)));
        sheet.gauge("apply_lag_seconds", "Age of the newest event when its batch was committed", &apply)
    }

    fn copies(&self, sheet: &mut Sheet<'_>, streams: &[StreamReport]) -> fmt::Result {
        let now = Instant::now();
        let records = per_stream(streams, |stream| stream.copy.map(|copy| Value::Whole(copy.records)));
        sheet.gauge("copy_records", "Records of a copy under way that are committed", &records)?;
        let estimate = per_stream(streams, |stream| stream.copy.map(|copy| Value::Whole(copy.estimate)));
        sheet.gauge("copy_estimated_records", "About how many records the copy has", &estimate)?;
        let eta = per_stream(streams, |stream| self.copies.eta(&stream.name, stream.copy, now).map(Value::Real));
        sheet.gauge("copy_eta_seconds", "Seconds until the copy is done, at its pace so far", &eta)
    }

    fn compared(&self, sheet: &mut Sheet<'_>, streams: &[StreamReport]) -> fmt::Result {
        let last = LastComparison::read(&self.state_dir);
        let of = |stream: &StreamReport| last.streams.get(&stream.name).copied();
        let through = |stream: &StreamReport| of(stream)?.through_ms.map(|through| through as f64 / 1_000.0);
        let now = now_seconds();
        let differences = per_stream(streams, |stream| of(stream).map(|one| Value::Whole(one.differences)));
        sheet.gauge(
            "verify_differences",
            "Records that the last comparison found missing, extra or different",
            &differences,
        )?;
        let at = per_stream(streams, |stream| through(stream).map(Value::Real));
        sheet.gauge("verified_timestamp_seconds", "Source time that the last comparison covers, Unix time", &at)?;
        let lag = per_stream(streams, |stream| through(stream).map(|through| Value::Real((now - through).max(0.0))));
        sheet.gauge("verify_lag_seconds", "Time since what the last comparison covers", &lag)
    }

    fn queues(&self, sheet: &mut Sheet<'_>, report: &StatusReport) -> fmt::Result {
        series::sources(sheet, &report.sources)?;
        let cap = per_source(&report.sources, |_| Some(Value::Whole(self.max_bytes)));
        sheet.gauge("queue_max_bytes", "Most bytes a queue may have", &cap)?;
        let sources = &self.service.sources;
        let syncs: Vec<(_, Seen)> = sources
            .iter()
            .filter_map(|source| Some((vec![("source", source.name.as_str())], source.queue.syncs()?)))
            .collect();
        sheet.histogram("queue_sync_duration_seconds", "Time that a sync of the queue takes", &syncs)
    }
}

/// What the worker of each stream counts.
fn meters(sheet: &mut Sheet<'_>, streams: &[(&Arc<RunningStream>, &StreamReport)]) -> fmt::Result {
    let mut rows: Samples<'_> = Vec::with_capacity(streams.len() * 2);
    let mut latency: Vec<(_, Seen)> = Vec::with_capacity(streams.len());
    for (running, report) in streams {
        let meters = running.progress.meters();
        for (operation, rows_of) in [("upsert", &meters.upserts), ("delete", &meters.deletes)] {
            let labels = vec![("stream", report.name.as_str()), ("operation", operation)];
            rows.push((labels, Value::Whole(rows_of.load(Ordering::Relaxed))));
        }
        latency.push((vec![("stream", report.name.as_str())], meters.latency.seen()));
    }
    sheet.counter("rows_written", "Rows of committed batches, since this process began", &rows)?;
    sheet.histogram("event_latency_seconds", "Time from capture to commit of an event", &latency)
}

/// What the workers of all streams count together.
fn all_meters(sheet: &mut Sheet<'_>, streams: &[Arc<RunningStream>]) -> fmt::Result {
    let none = StreamMeters::default();
    let (mut batches, mut commits) = (none.batches.seen(), none.commits.seen());
    let (mut retries, mut slow) = ([0; RETRIED.len()], 0);
    for meters in streams.iter().map(|stream| stream.progress.meters()) {
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
    let retries: Vec<_> =
        RETRIED.iter().zip(retries).map(|((_, class), count)| (vec![("class", *class)], Value::Whole(count))).collect();
    sheet.counter("retries", "Failures after which the same was tried again", &retries)?;
    sheet.counter(
        "slow_statements",
        "Batches that were with the target for a second or longer",
        &plain(Value::Whole(slow)),
    )
}

fn plain(value: Value) -> Samples<'static> {
    vec![(Vec::new(), value)]
}

fn now_seconds() -> f64 {
    use crate::queue::clock::{Clock, SystemClock};
    SystemClock.now_ms() as f64 / 1_000.0
}
