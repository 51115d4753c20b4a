//! A report for people: one table, then what differs and what stands in the way.

use super::report::{Finding, Service, StreamResult, VerifyReport};
use crate::status::measure::count;
use crate::status::table::Table;
use serde_json::Value;
use std::fmt::Write as _;

/// Rows that are listed of one stream; all are in the JSON.
const LISTED: usize = 20;

/// The report as text.
pub fn text(report: &VerifyReport) -> String {
    let mut table = Table::new(&[
        "stream",
        "verdict",
        "records",
        "missing",
        "extra",
        "different",
        "suspect",
        "parked",
        "not compared",
        "accuracy",
    ]);
    for stream in &report.streams {
        let all = &stream.tallies;
        let numbers = [all.records(), all.missing, all.extra, all.different, all.suspect, all.parked, all.not_compared];
        let named = [stream.stream.clone(), stream.verdict.word().to_owned()].into_iter();
        table.row(named.chain(numbers.map(count)).chain([percent(stream.accuracy)]));
    }
    let mut out = table.to_string();
    for stream in &report.streams {
        details(stream, &mut out);
    }
    if let Some(through) = report.verified_through_ms {
        let _ = writeln!(out, "\nverified through {} (source time)", moment(through));
    }
    if report.service == Service::None {
        let _ = writeln!(out, "no service was running; changes that were not captured yet count as differences");
    }
    if report.resumed {
        let _ = writeln!(out, "gone on with the run that began at {}", moment(report.started_ms));
    }
    out
}

fn details(stream: &StreamResult, out: &mut String) {
    if let Some(sample) = &stream.sample {
        let (low, high) = (sample.differing_low * 100.0, sample.differing_high * 100.0);
        let _ = writeln!(
            out,
            "\n{}: one record in {} was compared; with {:.0} % confidence {low:.4} % to {high:.4} % of all are not equal",
            stream.stream,
            count(sample.one_in),
            sample.confidence * 100.0
        );
    }
    if let Some(repair) = &stream.repair {
        let (asked, repaired) = (count(repair.asked), count(repair.repaired));
        let done = if repair.dry_run {
            format!("{asked} records would be captured again")
        } else {
            format!("{repaired} of {asked} records are repaired")
        };
        let _ = writeln!(out, "\n{}: {done}", stream.stream);
        if repair.not_nameable > 0 {
            let _ = writeln!(
                out,
                "  {} more cannot be named to the source by what the table holds",
                count(repair.not_nameable)
            );
        }
    }
    for reason in &stream.reasons {
        let _ = writeln!(out, "\n{}: {} [{}]", stream.stream, reason.detail, reason.code);
    }
    if !stream.findings.is_empty() {
        let _ = writeln!(out, "\n{}:", stream.stream);
    }
    for finding in stream.findings.iter().take(LISTED) {
        let _ = writeln!(out, "  {}", line(finding));
    }
    let more = stream.findings.len().saturating_sub(LISTED);
    if more > 0 {
        let _ = writeln!(out, "  and {} rows more (-o json names them)", count(more as u64));
    }
}

/// `different  public.users id=5: name, extra at /a/b`
fn line(finding: &Finding) -> String {
    let key: Vec<String> = match &finding.key {
        Value::Object(key) => key.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        other => vec![other.to_string()],
    };
    let columns: Vec<String> = finding
        .columns
        .iter()
        .map(|column| {
            let at = column.at.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
            let values = match (&column.source, &column.target) {
                (Some(source), Some(target)) => format!(" ({source} in the source, {target} in the target)"),
                _ => String::new(),
            };
            format!("{}{at}{values}", column.column)
        })
        .collect();
    let tail = if columns.is_empty() { String::new() } else { format!(": {}", columns.join(", ")) };
    format!("{}  {} {}{tail}", finding.kind.word(), finding.table, key.join(" "))
}

fn percent(accuracy: f64) -> String {
    if accuracy >= 100.0 { "100 %".to_owned() } else { format!("{accuracy:.4} %") }
}

/// Unix milliseconds as UTC.
pub(super) fn moment(ms: u64) -> String {
    i64::try_from(ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| ms.to_string(), |moment| moment.to_string())
}
