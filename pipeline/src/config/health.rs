//! `target.health`: limits beyond which the service holds itself back. Each may be left out, and is off then.
//!
//! Owns which numbers make sense. Nothing is asked here: whether the role may see what a limit is about, and whether the query gives a number, is
//! said by `landfall check` and by the running service.

use super::section::{Reading, Section};
use super::tree::{Node, Value};
use landfall_connectors::health::Measure;
use std::time::Duration;

/// Shorter lags are what a healthy standby has.
const LEAST_LAG: Duration = Duration::from_millis(100);
/// A batch takes milliseconds; less says nothing.
const LEAST_COMMIT: Duration = Duration::from_millis(10);
/// Beyond this no limit protects anybody.
const LONGEST: Duration = Duration::from_secs(86_400);
/// More sessions than any server has.
const MOST_SESSIONS: u64 = 100_000;
/// A query that is asked every second is short.
const MOST_SQL: usize = 4_096;
/// What a `health` without any limit should hold.
const EXAMPLE: &str = "`standby_lag: 30s`, `lock_waits: 5` or another limit, or leave `health` out";

/// Limits of a target's health.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct HealthLimits {
    /// What is measured, and beyond which number nothing is written; in seconds where it is a time.
    pub limits: Vec<(Measure, f64)>,
    /// The query that gives [`Measure::Query`], one statement without its semicolon.
    pub query: Option<String>,
}

/// `target.health`. `Some` of no limits: not asked for.
pub(super) fn health(node: Option<&Node>, reading: &mut Reading<'_>) -> Option<HealthLimits> {
    let Some(node) = node else { return Some(HealthLimits::default()) };
    let mut section = Section::open(node, "target.health", reading)?;
    let mut limits = Vec::new();
    let mut whole = true;
    let mut take = |measure: Measure, found: Option<Option<f64>>| match found {
        Some(Some(limit)) => limits.push((measure, limit)),
        Some(None) => whole = false,
        None => {}
    };
    let lag = section.get("standby_lag").map(|node| seconds(node, "health.standby_lag", LEAST_LAG, reading));
    take(Measure::StandbyLag, lag);
    let bytes = section.get("standby_lag_bytes");
    let bytes = bytes.map(|node| reading.size(node, "health.standby_lag_bytes", 1).map(|bytes| bytes as f64));
    take(Measure::StandbyLagBytes, bytes);
    let locks = section.get("lock_waits").map(|node| sessions(node, "health.lock_waits", 0, reading));
    take(Measure::LockWaits, locks);
    let active = section.get("active_sessions").map(|node| sessions(node, "health.active_sessions", 1, reading));
    take(Measure::ActiveSessions, active);
    let commit = section.get("commit_time").map(|node| seconds(node, "health.commit_time", LEAST_COMMIT, reading));
    take(Measure::CommitTime, commit);
    let query = section.get("query").map(|node| query(node, reading));
    take(Measure::Query, query.as_ref().map(|query| query.as_ref().map(|(_, limit)| *limit)));
    let said = !section.is_empty();
    section.close(reading);
    if !said {
        reading.problems.add(node.at, "target.health sets no limit", EXAMPLE);
        return None;
    }
    whole.then_some(HealthLimits { limits, query: query.flatten().map(|(sql, _)| sql) })
}

fn seconds(node: &Node, what: &str, least: Duration, reading: &mut Reading<'_>) -> Option<f64> {
    reading.duration(node, what, least..=LONGEST).map(|limit| limit.as_secs_f64())
}

fn sessions(node: &Node, what: &str, least: u64, reading: &mut Reading<'_>) -> Option<f64> {
    reading.number(node, what, least..=MOST_SESSIONS).map(|limit| limit as f64)
}

/// `target.health.query`.
fn query(node: &Node, reading: &mut Reading<'_>) -> Option<(String, f64)> {
    let mut section = Section::open(node, "target.health.query", reading)?;
    let sql = section.need("sql", "sql: \"SELECT …\"", reading).and_then(|node| statement(node, reading));
    let limit = section.need("limit", "limit: 100", reading).and_then(|node| decimal(node, reading));
    section.close(reading);
    sql.zip(limit)
}

fn statement(node: &Node, reading: &mut Reading<'_>) -> Option<String> {
    let text = reading.text(node, "health.query.sql")?;
    let sql = text.value.trim().trim_end_matches(';').trim_end();
    let word = sql.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let what = if sql.len() > MOST_SQL {
        "health.query.sql is longer than 4,096 bytes"
    } else if sql.contains('\0') {
        "health.query.sql holds a character that PostgreSQL takes in no text"
    } else if !["select", "with", "values", "table"].iter().any(|one| word.eq_ignore_ascii_case(one)) {
        "health.query.sql is not a SELECT"
    } else {
        return Some(sql.to_owned());
    };
    reading.problems.add(
        text.at,
        what,
        "one SELECT that gives one number, like `\"SELECT count(*) FROM public.jobs\"`",
    );
    None
}

/// A number that may have a fraction and a sign.
fn decimal(node: &Node, reading: &mut Reading<'_>) -> Option<f64> {
    let value = match &node.value {
        // Words like `inf` are numbers to the parser.
        Value::Scalar { text, plain: true } if text.bytes().any(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    let value = value.filter(|value: &f64| value.is_finite());
    if value.is_none() {
        reading.problems.add(node.at, "health.query.limit must be a number", "a number like `100` or `0.75`");
    }
    value
}
