//! A report and how it is said: as a table, as JSON, and in one line.

use super::*;
use landfall_connectors::checkpoints::Counts;
use landfall_connectors::control::Control;
use std::num::NonZeroU64;

fn trouble(code: &str, detail: &str) -> Trouble {
    Trouble { code: code.to_owned(), detail: detail.to_owned() }
}

fn counts(applied: u64, superseded: u64, dead_lettered: u64) -> Counts {
    Counts { applied, superseded, filtered: 0, dead_lettered, discarded: 0 }
}

fn throttled() -> StreamReport {
    StreamReport {
        phase: StreamPhase::Live,
        ready: true,
        lag_ms: Some(40),
        rate: 812.4,
        ..StreamReport::new("users", "store", "public.users")
            .counted(1_204_311, counts(1_204_000, 300, 2))
            .in_condition(StreamCondition::Following)
            .controlled(&Control {
                paused: false,
                rows_per_second: NonZeroU64::new(1_000),
                actor: "ada".to_owned(),
                reason: "nightly reports".to_owned(),
                ignores_health: true,
            })
    }
}

fn paused() -> StreamReport {
    StreamReport::new("audit", "store", "public.audit")
        .counted(70, counts(40, 0, 0))
        .in_condition(StreamCondition::Following)
        .controlled(&Control {
            paused: true,
            actor: "ada".to_owned(),
            reason: "a long vacuum".to_owned(),
            ..Control::default()
        })
}

fn hook() -> HookReport {
    HookReport {
        hook: 1,
        kind: "post".into(),
        on: vec!["halted".into(), "recovered".into()],
        told: 3,
        failed: 1,
        dropped: 0,
        waiting: 0,
        last_told_ms: Some(1_764_000_000_000),
        failing: true,
        trouble: Some(trouble("hook_failed", "the receiver: answered 500; given up, tried 5 times")),
    }
}

fn health() -> HealthReport {
    let one = |measure: &str, limit: f64, value: Option<f64>, holds: bool| MeasureReport {
        measure: measure.to_owned(),
        limit,
        value,
        holds,
        held_seconds: if holds { 12.5 } else { 0.0 },
        words: String::new(),
        trouble: None,
    };
    let blind = MeasureReport {
        trouble: Some(trouble("health_unreadable", "target.health.query takes longer than 1 s (SQLSTATE 57014)")),
        ..one("query", 100.0, None, false)
    };
    let measures = vec![one("standby_lag", 30.0, Some(45.0), true), one("lock_waits", 5.0, Some(0.0), false), blind];
    HealthReport { measures: measures.into_iter().map(MeasureReport::in_words).collect() }
}

fn held() -> StreamReport {
    StreamReport {
        phase: StreamPhase::Live,
        ready: true,
        held_by: vec!["standby_lag".to_owned()],
        ..StreamReport::new("tasks", "store", "public.tasks")
            .counted(70, counts(40, 0, 0))
            .in_condition(StreamCondition::Following)
    }
}

fn copied() -> StreamReport {
    StreamReport {
        phase: StreamPhase::Copying,
        forecast: Some(ForecastReport {
            done: 430,
            total: 1_000,
            unit: "bytes".to_owned(),
            total_is: "exact".to_owned(),
            total_from: "file_sizes".to_owned(),
            ratio: 0.43,
            per_second: Some(10.0),
            eta_seconds: Some(57.0),
            eta_method: PACE.to_owned(),
        }),
        comparing: Some(ComparingReport { stage: Stage::Reading, rows: 10, ..ComparingReport::default() }),
        ..StreamReport::new("kyc", "events", "public.kyc").in_condition(StreamCondition::Copying {
            records: 10,
            bytes: 430,
            total: 1_000,
        })
    }
}

pub(in crate::status) fn report() -> StatusReport {
    let projects = StreamReport {
        phase: StreamPhase::Live,
        ..StreamReport::new("projects", "store", "public.projects").counted(500, counts(500, 0, 0)).in_condition(
            StreamCondition::Held { revision: "9f2c44d1".to_owned(), deletes: 480, of: 500, refused: false },
        )
    };
    let log = StreamReport {
        phase: StreamPhase::Bulk,
        partitions_halted: vec![3, 11],
        ..StreamReport::new("log", "events", "public.log")
            .counted(90_000, counts(40_000, 0, 0))
            .in_condition(StreamCondition::Halted(trouble("history_lost", "logs/a.ndjson shrank from 900 to 10 bytes")))
    };
    let wait = StreamReport::new("late", "store", "public.late").in_condition(StreamCondition::Waiting(trouble(
        "unparsable",
        "data/db.json: not JSON at byte 812; it is read again when it changes",
    )));
    let queue = QueueReport { bytes: 1_300_000, events: 1_294_811, segments: 2, ..QueueReport::default() };
    StatusReport {
        pipeline: "flux".to_owned(),
        running: true,
        uptime_ms: Some(7_980_000),
        target: TargetReport { reachable: true, waiting_for: None, health: Some(health()) },
        sources: vec![
            SourceReport {
                name: "store".into(),
                kind: "json_document".into(),
                queue: queue.clone(),
                watch: Some(WatchMode::Events),
                polls_because: None,
                log: None,
                left_out: Vec::new(),
            },
            SourceReport {
                name: "events".into(),
                kind: "json_lines".into(),
                queue: QueueReport { full: Some(QueueFull::Cap), ..queue },
                watch: Some(WatchMode::Polling),
                polls_because: Some("watch_limit".to_owned()),
                log: None,
                left_out: Vec::new(),
            },
        ],
        beside: Vec::new(),
        streams: vec![throttled(), projects, log, copied(), wait, paused(), held()],
        http: Some(HttpReport {
            address: None,
            trouble: Some(trouble(
                "http_address_taken",
                "127.0.0.1:8650 cannot be listened on: address in use; it is tried again",
            )),
        }),
        hooks: vec![hook()],
        comparison: Some(ComparisonReport {
            started_ms: 1_764_000_000_000,
            ratio: Some(0.437),
            eta_seconds: Some(70.0),
            eta_method: PACE.to_owned(),
        }),
    }
}

#[test]
fn the_text_is_a_table_and_a_block_for_each_problem() {
    crate::cli::golden::check("status.txt", &render::text(&report()));
}

#[test]
fn the_numbers_of_a_line_add_up() {
    let mut seen = report();
    seen.streams[0].filtered = 5;
    seen.streams[0].queued -= 5;
    let text = render::text(&seen);
    let rows: Vec<Vec<&str>> =
        text.lines().map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()).collect();
    let head = rows.iter().position(|cells| cells.first() == Some(&"STREAM")).expect("a head");
    let at = |name: &str| rows[head].iter().position(|cell| *cell == name).expect("a column");
    let number = |row: &[&str], name: &str| row[at(name)].replace(',', "").parse::<u64>().expect("a number");
    for row in &rows[head + 1..=head + seen.streams.len()] {
        let settled: u64 = ["APPLIED", "PASSED", "PARKED", "QUEUED"].iter().map(|name| number(row, name)).sum();
        assert_eq!(number(row, "CAPTURED"), settled, "{row:?}");
    }
}

#[test]
fn the_json_is_stable() {
    let json = serde_json::to_string_pretty(&report()).expect("a report is JSON");
    crate::cli::golden::check("status.json", &(json.clone() + "\n"));
    assert_eq!(serde_json::from_str::<StatusReport>(&json).expect("and reads back"), report());
}

#[test]
fn a_stopped_pipeline_says_so() {
    let report = StatusReport {
        pipeline: "flux".to_owned(),
        target: TargetReport {
            reachable: false,
            waiting_for: Some(trouble("connection_refused", "nobody listens at localhost:5432")),
            health: None,
        },
        ..StatusReport::default()
    };
    crate::cli::golden::check("status_stopped.txt", &render::text(&report));
}

#[test]
fn the_identity_is_exact() {
    for stream in report().streams {
        assert!(stream.identity_holds(), "{}", stream.name);
    }
    let mut broken = report().streams.remove(0);
    broken.queued += 1;
    assert!(!broken.identity_holds());
}

#[test]
fn only_what_waits_for_an_operator_needs_a_decision() {
    assert!(report().needs_decision());
    let mut quiet = report();
    quiet.streams.retain(|stream| !stream.condition.needs_decision());
    assert_eq!(quiet.streams.len(), 5);
    assert!(!quiet.needs_decision());
    let refused = StreamCondition::Held { revision: "a".into(), deletes: 1, of: 1, refused: true };
    assert!(!refused.needs_decision());
    assert_eq!(decision::how_to("users", &refused), ["landfall accept users a"]);
}

#[test]
fn the_line_names_the_most_pressing_state() {
    assert_eq!(render::line(&report()), "1,244,580 applied · 50,069 behind · 812/s · log: halted · 2 parked");
}

#[test]
fn numbers_are_readable() {
    assert_eq!(measure::bytes(1_023), "1023 B");
    assert_eq!(measure::bytes(1_572_864), "1.5 MiB");
    assert_eq!(measure::count(999), "999");
    assert_eq!(measure::count(1_000_000), "1,000,000");
    assert_eq!(measure::span(999), "999ms");
    assert_eq!(measure::span(90_061_000), "1d 1h");
}
