//! Where the facts of a running service are, and how they are gathered when somebody looks.

use super::MOST_STREAMS;
use super::ages::Ages;
use super::requests::Requests;
use super::sheet::Sheet;
use super::told::Told;
use crate::queue::clock::{Clock, SystemClock};
use crate::service::Service;
use crate::status::readiness::readiness;
use crate::status::{StatusReport, StreamReport};
use crate::streams::RunningStream;
use crate::verify::LastComparison;
use crate::worker::PoolMeter;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// Where the facts are.
pub struct Facts {
    service: Arc<Service>,
    reports: watch::Receiver<Arc<StatusReport>>,
    pool: Arc<PoolMeter>,
    ages: Arc<Ages>,
    requests: Arc<Requests>,
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
        let streams = &report.streams[..report.streams.len().min(MOST_STREAMS)];
        let running = self.service.streams.all();
        // In both lists streams stand in the order in which they came.
        let same =
            |(running, report): &(&Arc<RunningStream>, &StreamReport)| running.mapping.name.as_str() == report.name;
        let pairs = running.iter().zip(streams).filter(same);
        let sources = self.service.sources.iter();
        let told = Told {
            report: &report,
            streams,
            ready: readiness(&report, |stream| self.ages.seconds(stream)).ready,
            pool: self.pool.seen(),
            requests: self.requests.all(),
            ages: &self.ages,
            compared: LastComparison::read(&self.state_dir),
            meters: pairs.map(|(running, report)| (report.name.as_str(), running.progress.meters())).collect(),
            all_meters: running.iter().map(|stream| stream.progress.meters()).collect(),
            syncs: sources.filter_map(|source| Some((source.name.as_str(), source.queue.syncs()?))).collect(),
            max_bytes: self.max_bytes,
            spans: self.service.traces.tally().map(|tally| tally.counts().to_vec()).unwrap_or_default(),
            now_seconds: SystemClock.now_ms() as f64 / 1_000.0,
        };
        told.write(&mut Sheet::new(encoder))
    }
}
