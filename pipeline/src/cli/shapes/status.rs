//! Examples of what tells of the service: status, readiness, events.

use crate::status::readiness::{Readiness, Reason};
use crate::status::{
    BesideReport, ComparedReport, ComparingReport, ComparisonReport, ControlReport, CopyReport, EvolutionReport,
    ForecastReport, HealthReport, HookReport, HttpReport, LeftOutReport, LogReport, MeasureReport, PACE, ParkedReport,
    QueueFull, QueueReport, SourceReport, StatusReport, StreamCondition, StreamReport, TargetReport, Trouble,
    WatchMode,
};
use crate::timeline::{Entry, Level};
use serde_json::{Value, json};
use std::num::NonZeroU64;

pub(super) fn all() -> Vec<(&'static str, &'static str, Vec<Value>)> {
    let value = |report: StatusReport| serde_json::to_value(report).expect("a report is JSON");
    vec![
        (
            "status",
            "GET /api/v1/status, and the result of `landfall status`",
            vec![value(full()), value(bare()), value(StatusReport::default())],
        ),
        ("events", "GET /api/v1/events", vec![events()]),
        ("readyz", "GET /readyz", vec![readyz()]),
    ]
}

fn trouble() -> Trouble {
    Trouble { code: "mapping_changed".to_owned(), detail: "words".to_owned() }
}

fn forecast(eta_seconds: Option<f64>) -> ForecastReport {
    let word = str::to_owned;
    ForecastReport {
        done: 1,
        total: 2,
        unit: word("records"),
        total_is: word("estimate"),
        total_from: word("collection_metadata"),
        ratio: 0.5,
        per_second: eta_seconds,
        eta_seconds,
        eta_method: word(PACE),
    }
}

fn stream(condition: StreamCondition) -> StreamReport {
    StreamReport {
        condition,
        lag_ms: Some(1),
        partitions_halted: vec![1],
        how_to: vec!["landfall resume users".to_owned()],
        copy: Some(CopyReport { records: 1, estimate: 2, exact: false }),
        forecast: Some(forecast(Some(0.5))),
        control: Some(ControlReport {
            paused: false,
            rows_per_second: NonZeroU64::new(1),
            ignores_health: true,
            actor: "ada".to_owned(),
            reason: String::new(),
        }),
        held_by: vec!["standby_lag".to_owned()],
        parked: Some(ParkedReport { by_code: [("column_type".to_owned(), 1)].into(), oldest_seconds: 1 }),
        doubt: Some("b0b7".to_owned()),
        evolution: Some(EvolutionReport { columns: 1, misfits: 1, resting: Some(trouble()) }),
        compared: Some(ComparedReport { through_ms: Some(1), ..ComparedReport::default() }),
        comparing: Some(ComparingReport { ratio: Some(0.5), ..ComparingReport::default() }),
        ..StreamReport::new("users", "store", "public.users")
    }
}

fn health() -> HealthReport {
    let known = MeasureReport {
        measure: "standby_lag".to_owned(),
        limit: 30.5,
        value: Some(1.5),
        holds: true,
        held_seconds: 1.5,
        words: String::new(),
        trouble: None,
    };
    let unknown = MeasureReport { value: None, trouble: Some(trouble()), ..known.clone() };
    HealthReport { measures: vec![known, unknown] }
}

/// A stream with members that say nothing.
fn quiet() -> StreamReport {
    let control = ControlReport { paused: true, ..ControlReport::default() };
    StreamReport {
        forecast: Some(forecast(None)),
        control: Some(control),
        evolution: Some(EvolutionReport::default()),
        compared: Some(ComparedReport::default()),
        comparing: Some(ComparingReport::default()),
        ..StreamReport::new("users", "store", "public.users")
    }
}

fn conditions() -> Vec<StreamCondition> {
    vec![
        StreamCondition::Stopped,
        StreamCondition::Starting,
        StreamCondition::Copying { records: 1, bytes: 1, total: 1 },
        StreamCondition::Following,
        StreamCondition::Waiting(trouble()),
        StreamCondition::Held { revision: "9f2c".to_owned(), deletes: 1, of: 1, refused: false },
        StreamCondition::Halted(trouble()),
    ]
}

fn source(full: Option<QueueFull>, watch: Option<WatchMode>, log: Option<LogReport>) -> SourceReport {
    let left_out = log.iter().map(|_| LeftOutReport { name: "a".to_owned(), why: "b".to_owned() }).collect();
    let disk = full.map(|_| 1);
    let polls_because = full.map(|_| "watch_limit".to_owned());
    let queue = QueueReport { full, disk_free_bytes: disk, disk_reserve_bytes: disk, ..QueueReport::default() };
    SourceReport { name: "store".to_owned(), kind: "mongodb".to_owned(), queue, watch, polls_because, log, left_out }
}

fn full() -> StatusReport {
    let seconds = Some(1.5);
    let log = LogReport {
        headroom_seconds: seconds,
        seconds_to_loss: seconds,
        read_lag_seconds: seconds,
        ..LogReport::default()
    };
    let mut streams: Vec<StreamReport> = conditions().into_iter().map(stream).collect();
    streams.extend([quiet(), StreamReport::new("users", "store", "public.users")]);
    let hook = HookReport {
        on: vec!["halted".to_owned()],
        trouble: Some(trouble()),
        last_told_ms: Some(1),
        ..HookReport::default()
    };
    StatusReport {
        uptime_ms: Some(1),
        target: TargetReport { reachable: false, waiting_for: Some(trouble()), health: Some(health()) },
        sources: vec![
            source(Some(QueueFull::Cap), Some(WatchMode::Events), Some(log)),
            source(None, None, Some(LogReport::default())),
            source(None, None, None),
        ],
        // Those beside have the same shape.
        beside: vec![BesideReport { schema: "v2".to_owned(), streams: streams.clone() }],
        streams,
        http: Some(HttpReport { address: Some("127.0.0.1:1".to_owned()), trouble: Some(trouble()) }),
        hooks: vec![hook, HookReport::default()],
        comparison: Some(ComparisonReport { ratio: seconds, eta_seconds: seconds, ..ComparisonReport::default() }),
        ..StatusReport::default()
    }
}

/// What is there and says nothing.
fn bare() -> StatusReport {
    StatusReport {
        http: Some(HttpReport::default()),
        comparison: Some(ComparisonReport::default()),
        ..StatusReport::default()
    }
}

fn events() -> Value {
    let entry = |stream| Entry {
        at: "2026-01-01T00:00:00Z".to_owned(),
        level: Level::Info,
        code: "following".to_owned(),
        stream,
        detail: "words".to_owned(),
        told: None,
    };
    json!([entry(None), entry(Some("users".to_owned()))])
}

fn readyz() -> Value {
    let reason = |stream| Reason { code: "halted".to_owned(), stream, detail: "words".to_owned() };
    json!(Readiness { ready: false, reasons: vec![reason(None), reason(Some("users".to_owned()))] })
}
