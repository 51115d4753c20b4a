//! `deploy/docs/metrics.md`: every metric with its type, labels and help, from what is written when one of everything is told.

use super::ages::Ages;
use super::copies::Copies;
use super::meters::StreamMeters;
use super::process::Process;
use super::sheet::Sheet;
use super::told::Told;
use super::{Histogram, Metrics, Registry, TextFormat};
use crate::cli::golden;
use crate::status::{
    CopyReport, HealthReport, LogReport, MeasureReport, ParkedReport, QueueReport, SourceReport, StatusReport,
    StreamReport, TargetReport,
};
use crate::worker::PoolSeen;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::time::{Duration, Instant};

const OPENING: &str = "# Metrics

<!-- Written by a test from what the service tells; LANDFALL_BLESS=1 writes it anew. -->

`GET /metrics` tells these, as Prometheus text or as OpenMetrics by the `Accept` header ([HTTP](http.md) says who may ask). Gauges are read
from what `landfall status` shows, so the two cannot differ. Counters and histograms count since the process began, unless the help
says otherwise. Labels are names of the configuration or fixed words, never keys or values; the first 1,100 streams have series, `status`
tells of the others. A metric is left out while there is nothing to tell: no copy runs, no comparison was made, the source has no log.

Rules over them: `deploy/prometheus/alerts.yaml` and `recording.yaml`; panels: `deploy/grafana/landfall.json`.

";

/// One of everything.
#[derive(Debug)]
struct Example;

fn stream() -> StreamReport {
    let parked = ParkedReport { by_code: [("column_type".to_owned(), 1)].into(), oldest_seconds: 1 };
    StreamReport {
        lag_ms: Some(1),
        copy: Some(CopyReport { records: 2, estimate: 3 }),
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
        queue: QueueReport::default(),
        watch: None,
        log: Some(log),
        left_out: Vec::new(),
    }
}

impl Collector for Example {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let target = TargetReport { health: Some(health()), ..TargetReport::default() };
        let report =
            StatusReport { target, streams: vec![stream()], sources: vec![source()], ..StatusReport::default() };
        let (ages, copies, meters, now) = (Ages::default(), Copies::default(), StreamMeters::default(), Instant::now());
        // A pace needs two looks.
        copies.eta("users", Some(CopyReport { records: 1, estimate: 3 }), now);
        let compared = json!({ "streams": { "users": { "differences": 0, "through_ms": 1 } } });
        let told = Told {
            report: &report,
            streams: &report.streams,
            ready: true,
            pool: PoolSeen { size: 1, idle: 1, waiting: 0 },
            requests: vec![("/metrics", "200".to_owned(), 1)],
            ages: &ages,
            copies: &copies,
            compared: serde_json::from_value(compared).expect("what verify leaves"),
            meters: vec![("users", &meters)],
            all_meters: vec![&meters],
            syncs: vec![("store", Histogram::new(&[1.0]).seen())],
            max_bytes: 1,
            now: now + Duration::from_secs(10),
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

fn table(text: &str, ours: bool) -> String {
    let mut out = String::from("| metric | type | labels | it tells |\n|---|---|---|---|\n");
    let families = text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    for (family, help) in families.filter(|(family, _)| family.starts_with("landfall_") == ours) {
        let kind = text.lines().find_map(|line| line.strip_prefix("# TYPE ")?.strip_prefix(family)?.strip_prefix(' '));
        let labels: Vec<String> = labels(text, family).into_iter().map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() { "—".to_owned() } else { labels.join(", ") };
        let _ = writeln!(out, "| `{family}` | {} | {labels} | {} |", kind.unwrap_or("?"), help.trim_end_matches('.'));
    }
    out
}

#[test]
fn the_book_lists_every_metric() {
    let mut ours = Registry::with_prefix("landfall");
    ours.register_collector(Box::new(Example));
    let mut process = Registry::default();
    process.register_collector(Box::new(Process));
    let text = Metrics { ours, process }.text(TextFormat::Prometheus);
    let page = format!(
        "{OPENING}## Of the pipeline\n\n{}\nA histogram has `_bucket`, `_sum` and `_count`.\n\n## Of the process\n\n{}",
        table(&text, true),
        table(&text, false)
    );
    golden::check_in_repository("deploy/docs/metrics.md", &page);
}
