//! Whether a pipeline is ready, and what stands in the way: one answer for load balancers, cutovers and people.
//!
//! Ready means that every stream follows its source, that nothing holds it, and that what was captured is applied soon. Made from a
//! [`StatusReport`] and the age of what waits, so that `/readyz` never says what `status` does not.

use super::condition::StreamCondition;
use super::report::{StatusReport, StreamReport};
use super::source::QueueFull;
use serde::{Deserialize, Serialize};

/// A stream whose oldest event waits for longer is behind: rows that are read are not what the source says.
const LAG_SECONDS: f64 = 60.0;

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Readiness {
    /// Nothing stands in the way.
    pub ready: bool,
    /// What does.
    pub reasons: Vec<Reason>,
}

/// Something that stands in the way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reason {
    /// `starting`, `halted`, `held`, `fenced`, `target_unreachable`, `queue_full`, `disk_reserve`, `lag`, `not_compared`, `paused` or `waiting`.
    pub code: String,
    /// Of which stream; `None`: of all.
    pub stream: Option<String>,
    /// In words, with the name of the state where there is one.
    pub detail: String,
}

/// The readiness that a report shows. `age` tells how old a stream's oldest event is that is not applied, in seconds.
pub fn readiness(report: &StatusReport, age: impl Fn(&str) -> f64) -> Readiness {
    let mut reasons = Vec::new();
    let mut say = |code: &str, stream: Option<&str>, detail: String| {
        reasons.push(Reason { code: code.to_owned(), stream: stream.map(str::to_owned), detail });
    };
    let waits_for = report.target.waiting_for.as_ref();
    match waits_for {
        _ if !report.running || (!report.target.reachable && waits_for.is_none()) => {
            say("starting", None, "the service starts".to_owned());
        }
        Some(trouble) => say("target_unreachable", None, format!("{}: {}", trouble.code, trouble.detail)),
        None => {}
    }
    for source in &report.sources {
        match source.queue.full {
            Some(QueueFull::Cap) => {
                say("queue_full", None, format!("the queue of source {} is at queue.max_bytes", source.name));
            }
            Some(QueueFull::Disk) => {
                say(
                    "disk_reserve",
                    None,
                    format!("the disk under the queue of source {} has nothing left but its reserve", source.name),
                );
            }
            None => {}
        }
    }
    for stream in &report.streams {
        let age = age(&stream.name);
        for (code, detail) in of_stream(stream, age) {
            // What all streams wait for was said once.
            let said = matches!(&stream.condition, StreamCondition::Waiting(trouble)
                if code == "waiting" && waits_for.is_some_and(|target| target.code == trouble.code));
            if !said {
                say(code, Some(&stream.name), detail);
            }
        }
    }
    Readiness { ready: reasons.is_empty(), reasons }
}

fn of_stream(stream: &StreamReport, age: f64) -> Vec<(&'static str, String)> {
    let mut reasons = Vec::new();
    match &stream.condition {
        StreamCondition::Following => {}
        StreamCondition::Stopped | StreamCondition::Starting => {
            reasons.push(("starting", "the stream is not admitted yet".to_owned()));
        }
        StreamCondition::Copying { .. } => reasons.push(("starting", "the stream is being copied".to_owned())),
        StreamCondition::Held { revision, deletes, of, .. } => {
            reasons.push(("held", format!("revision {revision} would delete {deletes} of {of} records")));
        }
        StreamCondition::Waiting(trouble) => {
            let code = match trouble.code.as_str() {
                _ if stream.doubt.is_some() => "not_compared",
                "other_owner" | "fenced" => "fenced",
                _ => "waiting",
            };
            reasons.push((code, format!("{}: {}", trouble.code, trouble.detail)));
        }
        StreamCondition::Halted(trouble) => {
            let code = if trouble.code == "other_owner" { "fenced" } else { "halted" };
            reasons.push((code, format!("{}: {}", trouble.code, trouble.detail)));
        }
    }
    if let Some(control) = stream.control.as_ref().filter(|control| control.paused) {
        reasons.push(("paused", format!("paused by {}", control.actor)));
    } else if reasons.is_empty() && age > LAG_SECONDS {
        let held = match stream.held_by.is_empty() {
            true => String::new(),
            false => format!("; held by the target's health: {}", stream.held_by.join(", ")),
        };
        reasons.push(("lag", format!("the oldest event that is not applied waits for {age:.0} s{held}")));
    }
    if reasons.is_empty() && !stream.ready {
        reasons.push(("waiting", "the stream is not ready".to_owned()));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::super::report::{ControlReport, TargetReport, Trouble};
    use super::super::source::SourceReport;
    use super::*;

    fn trouble(code: &str) -> Trouble {
        Trouble { code: code.to_owned(), detail: "so it is".to_owned() }
    }

    fn report(streams: Vec<StreamReport>) -> StatusReport {
        let target = TargetReport { reachable: true, ..TargetReport::default() };
        StatusReport { running: true, target, streams, ..StatusReport::default() }
    }

    fn stream(condition: StreamCondition) -> StreamReport {
        let ready = condition == StreamCondition::Following;
        StreamReport { ready, ..StreamReport::new("users", "store", "public.users").in_condition(condition) }
    }

    fn codes(report: &StatusReport, age: f64) -> Vec<String> {
        let found = readiness(report, |_| age);
        assert_eq!(found.ready, found.reasons.is_empty());
        found.reasons.into_iter().map(|reason| reason.code).collect()
    }

    #[test]
    fn each_state_has_its_reason_and_following_has_none() {
        let held = StreamCondition::Held { revision: "ab".into(), deletes: 5, of: 6, refused: false };
        let cases = [
            (StreamCondition::Following, vec![]),
            (StreamCondition::Starting, vec!["starting"]),
            (StreamCondition::Copying { records: 1, bytes: 1, total: 2 }, vec!["starting"]),
            (held, vec!["held"]),
            (StreamCondition::Waiting(trouble("source_missing")), vec!["waiting"]),
            (StreamCondition::Halted(trouble("mapping_changed")), vec!["halted"]),
            (StreamCondition::Halted(trouble("other_owner")), vec!["fenced"]),
        ];
        for (condition, wanted) in cases {
            assert_eq!(codes(&report(vec![stream(condition.clone())]), 0.0), wanted, "{condition:?}");
        }
        let mut doubted = stream(StreamCondition::Waiting(trouble("not_compared")));
        doubted.doubt = Some("name".into());
        assert_eq!(codes(&report(vec![doubted]), 0.0), ["not_compared"]);
    }

    #[test]
    fn a_stream_that_is_behind_or_paused_is_not_ready() {
        let following = || stream(StreamCondition::Following);
        assert_eq!(codes(&report(vec![following()]), 61.0), ["lag"]);
        let mut paused = following();
        let mut held = following();
        held.held_by = vec!["standby_lag".to_owned()];
        assert_eq!(codes(&report(vec![held.clone()]), 5.0), [""; 0], "a hold alone is no lag");
        let late = readiness(&report(vec![held]), |_| 61.0);
        assert!(late.reasons[0].code == "lag" && late.reasons[0].detail.ends_with("health: standby_lag"));
        paused.control = Some(ControlReport { paused: true, actor: "ada".into(), ..ControlReport::default() });
        assert_eq!(codes(&report(vec![paused]), 61.0), ["paused"]);
    }

    #[test]
    fn a_target_that_is_away_is_said_once_and_a_full_queue_by_its_cause() {
        let waiting = || stream(StreamCondition::Waiting(trouble("connection_lost")));
        let mut away = report(vec![waiting(), waiting()]);
        away.target = TargetReport { waiting_for: Some(trouble("connection_lost")), ..TargetReport::default() };
        assert_eq!(codes(&away, 0.0), ["target_unreachable"]);
        let mut full = report(vec![stream(StreamCondition::Following)]);
        let source = |full| SourceReport {
            name: "store".into(),
            kind: "json_document".into(),
            queue: super::super::source::QueueReport { full: Some(full), ..Default::default() },
            watch: None,
            polls_because: None,
            log: None,
            left_out: Vec::new(),
        };
        full.sources = vec![source(QueueFull::Cap), source(QueueFull::Disk)];
        assert_eq!(codes(&full, 0.0), ["queue_full", "disk_reserve"]);
        assert_eq!(codes(&StatusReport::default(), 0.0), ["starting"]);
    }
}
