//! `deploy/docs/metrics.md`: every metric with its type, labels and help, from what is written when one of everything is told.

use super::ages::Ages;
use super::meters::StreamMeters;
use super::process::Process;
use super::sheet::Sheet;
use super::told::Told;
use super::{Histogram, Metrics, Registry, TextFormat};
use crate::cli::golden;
use crate::status::{
    ComparingReport, ComparisonReport, CopyReport, ForecastReport, HealthReport, HookReport, LogReport, MeasureReport,
    PACE, ParkedReport, QueueReport, SourceReport, StatusReport, StreamReport, TargetReport,
};
use crate::verify::LastComparison;
use crate::worker::PoolSeen;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

const OPENING: &str = "# Metrics

<!-- Written by a test from what the service tells; LANDFALL_BLESS=1 writes it anew. -->

`GET /metrics` tells these, as Prometheus text or as OpenMetrics by the `Accept` header ([HTTP](http.md) says who may ask). Gauges are read
from what `landfall status` shows, so the two cannot differ. Counters and histograms count since the process began, unless the help
says otherwise. Labels are names of the configuration or fixed words, never keys or values; the first 1,100 streams have series, `status`
tells of the others. A metric is left out while there is nothing to tell (*told* says which are always there once a stream follows): no copy runs, no comparison was made or is under way, the source has no log, there are no hooks, nothing is traced. A hook
is named by its place in the configuration, from 1; `status` says what it is.

Rules over them: `deploy/prometheus/alerts.yaml` and `recording.yaml`; panels: `deploy/grafana/landfall.json`.

";

/// What is told in the book's two cases.
#[derive(Debug)]
enum Example {
    /// One of everything.
    Full,
    /// A stream that follows a file, and nothing else.
    Plain,
}

fn stream() -> StreamReport {
    let parked = ParkedReport { by_code: [("column_type".to_owned(), 1)].into(), oldest_seconds: 1 };
    StreamReport {
        lag_ms: Some(1),
        copy: Some(CopyReport { records: 2, estimate: 3, exact: false }),
        forecast: Some(forecast()),
        comparing: Some(ComparingReport { ratio: Some(0.5), ..ComparingReport::default() }),
        parked: Some(parked),
        ..StreamReport::new("users", "store", "public.users")
    }
}

fn health() -> HealthReport {
    let measure = "standby_lag".to_owned();
    let (words, trouble) = (String::new(), None);
    let one = MeasureReport { measure, limit: 30.0, value: Some(1.0), holds: false, held_seconds: 0.0, words, trouble };
    HealthReport { measures: vec![one] }
}

fn forecast() -> ForecastReport {
    ForecastReport {
        done: 2,
        total: 3,
        unit: "records".to_owned(),
        total_is: "estimate".to_owned(),
        total_from: "collection_metadata".to_owned(),
        ratio: 0.5,
        per_second: Some(1.0),
        eta_seconds: Some(1.0),
        eta_method: PACE.to_owned(),
    }
}

fn full() -> StatusReport {
    StatusReport {
        streams: vec![stream()],
        sources: vec![source()],
        comparison: Some(ComparisonReport { eta_seconds: Some(1.0), ..ComparisonReport::default() }),
        target: TargetReport { health: Some(health()), ..TargetReport::default() },
        hooks: vec![HookReport { hook: 1, last_told_ms: Some(1), ..HookReport::default() }],
        ..StatusReport::default()
    }
}

fn plain() -> StatusReport {
    let stream = StreamReport { lag_ms: Some(1), ..StreamReport::new("users", "store", "public.users") };
    let source = SourceReport { log: None, queue: QueueReport::default(), ..source() };
    StatusReport { streams: vec![stream], sources: vec![source], ..StatusReport::default() }
}

fn source() -> SourceReport {
    let log = LogReport {
        headroom_seconds: Some(1.0),
        seconds_to_loss: Some(1.0),
        read_lag_seconds: Some(1.0),
        ..LogReport::default()
    };
    SourceReport {
        name: "store".to_owned(),
        kind: "mongodb".to_owned(),
        queue: QueueReport { disk_free_bytes: Some(1), disk_reserve_bytes: Some(1), ..QueueReport::default() },
        watch: None,
        polls_because: None,
        log: Some(log),
        left_out: Vec::new(),
    }
}

impl Collector for Example {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let is_full = matches!(self, Self::Full);
        let report = if is_full { full() } else { plain() };
        let (ages, meters) = (Ages::default(), StreamMeters::default());
        let compared = json!({ "streams": { "users": { "differences": 0, "through_ms": 1 } } });
        let told = Told {
            report: &report,
            streams: &report.streams,
            ready: true,
            pool: PoolSeen { size: 1, idle: 1, waiting: 0 },
            requests: vec![("/metrics", "200".to_owned(), 1)],
            ages: &ages,
            compared: if is_full {
                serde_json::from_value(compared).expect("what verify leaves")
            } else {
                LastComparison::default()
            },
            meters: vec![("users", &meters)],
            all_meters: vec![&meters],
            syncs: vec![("store", Histogram::new(&[1.0]).seen())],
            max_bytes: 1,
            spans: if is_full { vec![("sent", 1), ("dropped", 0)] } else { Vec::new() },
            now_seconds: 2.0,
        };
        told.write(&mut Sheet::new(encoder))
    }
}

/// The label names of a family's samples.
fn labels<'t>(text: &'t str, family: &str) -> BTreeSet<&'t str> {
    let samples = text.lines().filter_map(|line| line.split_once('{'));
    let own = samples.filter(|(name, _)| name.strip_prefix(family).is_some_and(|end| ["", "_bucket"].contains(&end)));
    let names = own.flat_map(|(_, rest)| rest.split('}').next().unwrap_or_default().split(','));
    names.filter_map(|label| label.split('=').next()).filter(|name| *name != "le").collect()
}

/// What a registry of ours and one of the process tell.
fn told(example: Example) -> String {
    let mut ours = Registry::with_prefix("landfall");
    ours.register_collector(Box::new(example));
    let mut process = Registry::default();
    process.register_collector(Box::new(Process));
    Metrics { ours, process }.text(TextFormat::Prometheus)
}

fn table(ours: bool) -> String {
    let (text, plain) = (told(Example::Full), told(Example::Plain));
    let mut out = String::from("| metric | type | labels | told | it tells |\n|---|---|---|---|---|\n");
    let families = text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    for (family, help) in families.filter(|(family, _)| family.starts_with("landfall_") == ours) {
        let kind = text.lines().find_map(|line| line.strip_prefix("# TYPE ")?.strip_prefix(family)?.strip_prefix(' '));
        let labels: Vec<String> = labels(&text, family).into_iter().map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() { "—".to_owned() } else { labels.join(", ") };
        let when = if plain.contains(&format!("# HELP {family} ")) { "always" } else { "when there is" };
        let (kind, help) = (kind.unwrap_or("?"), help.trim_end_matches('.'));
        let _ = writeln!(out, "| `{family}` | {kind} | {labels} | {when} | {help} |");
    }
    out
}

#[test]
fn the_book_lists_every_metric() {
    let page = format!(
        "{OPENING}## Of the pipeline\n\n{}\nA histogram has `_bucket`, `_sum` and `_count`.\n\n## Of the process\n\n{}",
        table(true),
        table(false)
    );
    golden::check_in_repository("deploy/docs/metrics.md", &page);
}
