//! A report for an auditor: one page that needs nothing but itself, no script, no picture from elsewhere.
//!
//! What was compared, with which program and mapping; what each side amounts to; when which side was read; what differs. Everything that comes
//! from outside is escaped.

use super::render::moment;
use super::report::{Finding, Service, StreamResult, VerifyReport};
use crate::status::measure::count;
use std::fmt::Write as _;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{border:1px solid #ccc;padding:.25rem .6rem;text-align:left;vertical-align:top}\
td.n{text-align:right;font-variant-numeric:tabular-nums}code{font-size:13px;word-break:break-all}.equal{color:#0a6b2d}.different{color:#a40000}\
.unknown{color:#8a5a00}.bar{position:relative;height:1rem;background:#eee;width:30rem}.bar i{position:absolute;top:0;bottom:0;background:#58a}";

/// The page.
pub fn page(report: &VerifyReport) -> String {
    let mut out = String::from("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    let name = escaped(&report.pipeline);
    let _ = write!(out, "<title>Comparison of {name}</title><style>{STYLE}</style></head><body>");
    let _ = write!(out, "<h1>Comparison of {name}: {}</h1>", verdict(report.verdict));
    let through = report.verified_through_ms.map_or_else(|| "nothing".to_owned(), moment);
    let service = match report.service {
        Service::Running => "a running service was asked how far it is",
        Service::None => "no service was running; changes that were not captured yet count as differences",
    };
    let server = report.server_version.map_or_else(|| "not reached".to_owned(), |version| version.to_string());
    facts(
        &mut out,
        &[
            ("Verified through (source time)", through),
            ("Records equal", format!("{} of {}", count(report.tallies.equal), count(report.tallies.records()))),
            ("Accuracy", format!("{:.4} %", report.accuracy)),
            ("Begun", moment(report.started_ms)),
            ("Ended", moment(report.ended_ms)),
            ("Changes meanwhile", service.to_owned()),
            ("Landfall", report.version.clone()),
            ("PostgreSQL", server),
        ],
    );
    out.push_str("<h2>Streams</h2><table><tr>");
    for head in
        ["stream", "verdict", "equal", "missing", "extra", "different", "suspect", "parked", "not compared", "accuracy"]
    {
        let _ = write!(out, "<th>{head}</th>");
    }
    out.push_str("</tr>");
    for stream in &report.streams {
        let all = &stream.tallies;
        let _ = write!(out, "<tr><td>{}</td><td>{}</td>", escaped(&stream.stream), verdict(stream.verdict));
        for number in [all.equal, all.missing, all.extra, all.different, all.suspect, all.parked, all.not_compared] {
            let _ = write!(out, "<td class=\"n\">{}</td>", count(number));
        }
        let _ = write!(out, "<td class=\"n\">{:.4} %</td></tr>", stream.accuracy);
    }
    out.push_str("</table>");
    report.streams.iter().for_each(|stream| details(&mut out, stream, report));
    out.push_str("</body></html>\n");
    out
}

fn verdict(verdict: super::Verdict) -> String {
    let class = format!("{verdict:?}").to_lowercase();
    format!("<span class=\"{class}\">{}</span>", verdict.word())
}

fn facts(out: &mut String, facts: &[(&str, String)]) {
    out.push_str("<table>");
    for (name, value) in facts {
        let _ = write!(out, "<tr><th>{name}</th><td>{}</td></tr>", escaped(value));
    }
    out.push_str("</table>");
}

fn details(out: &mut String, stream: &StreamResult, report: &VerifyReport) {
    let _ = write!(out, "<h2>{}</h2>", escaped(&stream.stream));
    let applied = stream.applied_events.map_or_else(|| "unknown".to_owned(), count);
    facts(
        out,
        &[
            ("Source", stream.source.clone()),
            ("Table", stream.table.clone()),
            ("Mapping (SHA-256)", stream.mapping.clone()),
            ("Events applied when the target was read", applied),
            ("Times that suspects were looked at again", stream.rounds.to_string()),
        ],
    );
    out.push_str("<table><tr><th>side</th><th>rows</th><th>digest</th><th>read</th><th>timeline</th></tr>");
    for (name, side) in [("source", &stream.read_source), ("target", &stream.read_target)] {
        let Some(side) = side else {
            let _ = write!(out, "<tr><td>{name}</td><td colspan=\"4\">not read</td></tr>");
            continue;
        };
        let span = report.ended_ms.saturating_sub(report.started_ms).max(1) as f64;
        let share = |ms: u64| (ms.saturating_sub(report.started_ms) as f64 / span * 100.0).clamp(0.0, 100.0);
        let (from, until) = (share(side.started_ms), share(side.ended_ms));
        let _ = write!(
            out,
            "<tr><td>{name}</td><td class=\"n\">{}</td><td><code>{}</code></td><td>{} – {}</td>\
             <td><div class=\"bar\"><i style=\"left:{from:.1}%;width:{:.1}%\"></i></div></td></tr>",
            count(side.rows),
            escaped(&side.digest),
            moment(side.started_ms),
            moment(side.ended_ms),
            (until - from).max(0.5)
        );
    }
    out.push_str("</table>");
    if let Some(sample) = &stream.sample {
        let _ = write!(
            out,
            "<p>One record in {} was compared; with {:.0} % confidence between {:.4} % and {:.4} % of all records are not equal.</p>",
            count(sample.one_in),
            sample.confidence * 100.0,
            sample.differing_low * 100.0,
            sample.differing_high * 100.0
        );
    }
    for reason in &stream.reasons {
        let _ = write!(out, "<p>{} <code>{}</code></p>", escaped(&reason.detail), escaped(&reason.code));
    }
    if !stream.findings.is_empty() {
        out.push_str("<table><tr><th>how</th><th>table</th><th>key</th><th>columns</th></tr>");
        stream.findings.iter().for_each(|finding| row(out, finding));
        out.push_str("</table>");
    }
    if stream.findings_left_out > 0 {
        let _ = write!(out, "<p>{} records more differ.</p>", count(stream.findings_left_out));
    }
}

fn row(out: &mut String, finding: &Finding) {
    let columns: Vec<String> = finding
        .columns
        .iter()
        .map(|column| {
            let values = match (&column.source, &column.target) {
                (Some(source), Some(target)) => format!(": {source} → {target}"),
                _ => String::new(),
            };
            escaped(&format!("{}{}{values}", column.column, column.at.as_deref().unwrap_or_default()))
        })
        .collect();
    let _ = write!(
        out,
        "<tr><td>{}</td><td>{}</td><td><code>{}</code></td><td>{}</td></tr>",
        finding.kind.word(),
        escaped(&finding.table),
        escaped(&finding.key.to_string()),
        columns.join("<br>")
    );
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::report::{ColumnFinding, FindingKind};
    use serde_json::json;

    #[test]
    fn nothing_of_a_store_becomes_markup() {
        let evil = "<script>alert('x')</script>\"&";
        let column = ColumnFinding {
            column: evil.into(),
            at: Some(evil.into()),
            source: Some(json!(evil)),
            target: Some(json!(null)),
        };
        let finding = Finding {
            kind: FindingKind::Different,
            table: evil.into(),
            key: json!({ evil: evil }),
            columns: vec![column],
        };
        let stream = StreamResult {
            stream: evil.into(),
            reasons: vec![crate::status::Trouble { code: evil.into(), detail: evil.into() }],
            findings: vec![finding],
            ..StreamResult::default()
        };
        let page = page(&VerifyReport { pipeline: evil.into(), ..VerifyReport::default() }.of(vec![stream]));
        assert!(!page.contains("<script") && !page.contains("alert('"), "{page}");
        assert!(page.contains("&lt;script&gt;"));
        assert!(!page.contains("http"), "the page needs nothing from elsewhere");
    }
}
