//! What a running service says about itself: one [`StatusReport`] from the facts its parts publish.
//!
//! Owns no state but the last look, for rates. A stream's condition is the gravest thing known of it: its worker's halt, then its
//! source's trouble, then what either waits for.

use crate::capture::CaptureReport;
use crate::replay::into::Shadow;
use crate::service::{RunningSource, Service};
use crate::status::{
    BesideReport, CopyReport, EvolutionReport, LeftOutReport, LogReport, Paces, QueueReport, SourceReport,
    StatusReport, StreamCondition, StreamPhase, StreamReport, TargetReport, Trouble,
};
use crate::streams::RunningStream;
use crate::worker::{StreamProgressView, StreamState};
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::source::Condition;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Rates are taken over at least this long.
const RATE_SPAN: Duration = Duration::from_secs(1);

/// Looks at a service.
#[expect(missing_debug_implementations, reason = "parts hold connections and threads, not values")]
pub struct Overview {
    service: Arc<Service>,
    pipeline: String,
    last: Mutex<Look>,
    paces: Paces,
    paces_beside: Paces,
}

/// Totals at one moment, and the rates since the look before.
struct Look {
    at: Instant,
    totals: Vec<u64>,
    rates: Vec<f64>,
}

impl Overview {
    /// Of this service.
    pub fn new(service: Arc<Service>, pipeline: &str) -> Self {
        let look = Look { at: Instant::now(), totals: Vec::new(), rates: Vec::new() };
        Self {
            service,
            pipeline: pipeline.to_owned(),
            last: Mutex::new(look),
            paces: Paces::default(),
            paces_beside: Paces::default(),
        }
    }

    /// The report of now.
    pub fn report(&self) -> StatusReport {
        let captures: Vec<CaptureReport> = self.service.sources.iter().map(|source| source.capture.report()).collect();
        let running = self.service.streams.all();
        let views: Vec<StreamProgressView> = running.iter().map(|stream| stream.progress.view()).collect();
        let rates = self.rates(&views);
        let mut streams: Vec<StreamReport> = Vec::with_capacity(views.len());
        for ((stream, view), rate) in running.iter().zip(&views).zip(rates) {
            let mut report = self.stream(stream, view, &captures[stream.source]);
            report.rate = rate;
            report.forecast = self.paces.look(&report, self.service.sources[stream.source].kind, Instant::now());
            streams.push(report);
        }
        StatusReport {
            pipeline: self.pipeline.clone(),
            running: true,
            uptime_ms: Some(self.service.started.elapsed().as_millis() as u64),
            target: TargetReport {
                health: self.service.health.report(),
                ..target(&views, self.service.pulse.trouble())
            },
            sources: self
                .service
                .sources
                .iter()
                .zip(&captures)
                .map(|(source, capture)| report_source(source, capture))
                .collect(),
            streams,
            beside: self.service.shadows.all().iter().map(|shadow| self.beside(shadow)).collect(),
            http: self.service.door.report(),
            hooks: self.service.hooks.reports(),
            comparison: self.service.comparisons.under_way(),
        }
    }

    fn beside(&self, shadow: &Shadow) -> BesideReport {
        let report = |stream: &Arc<RunningStream>| {
            let (view, mapping) = (stream.progress.view(), &stream.mapping);
            let source = &self.service.sources[stream.source];
            let table = format!("{}.{}", mapping.table.schema, mapping.table.name);
            let ends = mapping.partitions.all().map(|partition| source.queue.offsets(stream.id, partition).end.0);
            let mut report = StreamReport::new(mapping.name.as_str(), source.name.as_str(), &table)
                .counted(ends.sum(), view.counts)
                .in_condition(gravest(&view, Some(&Condition::Following)));
            report.phase = phase(&view.state, &report.condition);
            report.ready = report.condition == StreamCondition::Following;
            report.lag_ms = view.lag_ms;
            report.copy = view.copy.map(CopyReport::from);
            report.forecast = self.paces_beside.look(&report, source.kind, Instant::now());
            report.held_by = stream.brake.held_by();
            // Decisions are about what is live.
            report.how_to.clear();
            report
        };
        BesideReport { schema: shadow.schema.to_string(), streams: shadow.streams.iter().map(report).collect() }
    }

    fn stream(&self, stream: &RunningStream, view: &StreamProgressView, capture: &CaptureReport) -> StreamReport {
        let source = &self.service.sources[stream.source];
        let mapping = &stream.mapping;
        let table = format!("{}.{}", mapping.table.schema, mapping.table.name);
        let ends = mapping.partitions.all().map(|partition| source.queue.offsets(stream.id, partition).end.0);
        let condition = capture.conditions.iter().find(|(id, _)| *id == stream.id).map(|(_, condition)| condition);
        let condition = gravest(view, condition);
        let mut report = StreamReport::new(mapping.name.as_str(), source.name.as_str(), &table)
            .counted(ends.sum(), view.counts)
            .in_condition(condition);
        report.phase = phase(&view.state, &report.condition);
        if report.condition == StreamCondition::Following
            && let Some(doubt) = self.service.doubt(stream)
        {
            report = report.in_condition(StreamCondition::Waiting((&doubt).into()));
            report.doubt = view.resync.map(|doubt| doubt.to_string());
        }
        report.ready = report.condition == StreamCondition::Following;
        report.lag_ms = view.lag_ms;
        report.copy = view.copy.map(CopyReport::from);
        report.parked = self.service.letterbox.of(mapping.name.as_str());
        report.compared = self.service.comparisons.of(mapping.name.as_str());
        report.comparing = self.service.comparisons.comparing(mapping.name.as_str());
        let (columns, resting) = (view.added as u64, view.fields_rest.as_ref().map(Trouble::from));
        let evolution = EvolutionReport { columns, misfits: view.misfits, resting };
        report.evolution = evolution.says_something().then_some(evolution);
        if let Some(control) = stream.brake.control() {
            report = report.controlled(&control);
        }
        report.held_by = stream.brake.held_by();
        if matches!(view.state, StreamState::Halted(_)) {
            report.partitions_halted = mapping.partitions.all().map(|partition| partition.0).collect();
        }
        report
    }

    fn rates(&self, views: &[StreamProgressView]) -> Vec<f64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let span = last.at.elapsed();
        if span >= RATE_SPAN {
            let totals: Vec<u64> = views.iter().map(|view| view.counts.total()).collect();
            let rate = |(now, before): (&u64, &u64)| now.saturating_sub(*before) as f64 / span.as_secs_f64();
            // A stream that came since the last look had nothing then.
            let before = last.totals.iter().chain(std::iter::repeat(&0));
            let rates = totals.iter().zip(before).map(rate).collect();
            *last = Look { at: Instant::now(), totals, rates };
        }
        let mut rates = last.rates.clone();
        rates.resize(views.len(), 0.0);
        rates
    }
}

fn gravest(view: &StreamProgressView, source: Option<&Condition>) -> StreamCondition {
    match (&view.state, source) {
        (StreamState::Halted(failure), _) => StreamCondition::Halted(failure.into()),
        (_, Some(trouble @ (Condition::Halted(_) | Condition::Held { .. } | Condition::Waiting { .. }))) => {
            trouble.into()
        }
        (StreamState::Waiting(_, failure) | StreamState::Starting(Some(failure)), _) => {
            StreamCondition::Waiting(failure.into())
        }
        (StreamState::Starting(None), _) | (_, None) => StreamCondition::Starting,
        (StreamState::Applying(_), Some(_)) if let Some(copy) = view.copy => {
            StreamCondition::Copying { records: copy.records, bytes: 0, total: 0 }
        }
        (StreamState::Applying(_), Some(source)) => source.into(),
    }
}

fn phase(worker: &StreamState, condition: &StreamCondition) -> StreamPhase {
    match (worker, condition) {
        (_, StreamCondition::Copying { .. }) => StreamPhase::Copying,
        (StreamState::Applying(phase) | StreamState::Waiting(phase, _), _) => (*phase).into(),
        (StreamState::Starting(_) | StreamState::Halted(_), _) => StreamPhase::Prepared,
    }
}

fn target(views: &[StreamProgressView], silent: Option<Trouble>) -> TargetReport {
    let passing =
        |failure: &&Failure| failure.class == FailureClass::Transient || failure.class == FailureClass::Unknown;
    let waiting = views.iter().find_map(|view| match &view.state {
        StreamState::Waiting(_, failure) | StreamState::Starting(Some(failure)) => Some(failure).filter(passing),
        StreamState::Starting(None) | StreamState::Applying(_) | StreamState::Halted(_) => None,
    });
    let admitted = views.iter().any(|view| !matches!(view.state, StreamState::Starting(_)));
    let waiting_for = waiting.map(Trouble::from).or(silent);
    TargetReport { reachable: waiting_for.is_none() && admitted, waiting_for, health: None }
}

fn report_source(source: &RunningSource, capture: &CaptureReport) -> SourceReport {
    SourceReport {
        name: source.name.to_string(),
        kind: source.kind.to_owned(),
        queue: QueueReport::of(source.queue.usage(), capture.full),
        watch: None,
        polls_because: None,
        log: capture.gauges.as_ref().map(LogReport::from),
        left_out: source.left_out.all().into_iter().map(|(name, why)| LeftOutReport { name, why }).collect(),
    }
    .noticing(capture.noticing)
}
