//! A report as text: a head line, a table of sources, a table of streams, and a block for each problem that says what to do.

use super::attached::{ComparisonReport, HookReport};
use super::condition::StreamCondition;
use super::health::HealthReport;
use super::measure::{bytes, count, span};
use super::report::{ControlReport, StatusReport, StreamReport};
use super::source::{QueueFull, SourceReport, WatchMode};
use super::table::Table;
use std::fmt::Write as _;

/// The whole report.
pub fn text(report: &StatusReport) -> String {
    let mut out = head(report);
    out.push('\n');
    if !report.sources.is_empty() {
        let _ = writeln!(out, "{}", sources(&report.sources));
    }
    if !report.streams.is_empty() {
        let _ = write!(out, "{}", streams(&report.streams));
    }
    for beside in &report.beside {
        let _ = write!(out, "\nReplayed into {}:\n{}", beside.schema, streams(&beside.streams));
    }
    for block in problems(report) {
        let _ = write!(out, "\n{block}");
    }
    out
}

/// One line for a service under way: what `run` shows on a terminal once the first load is in.
pub fn line(report: &StatusReport) -> String {
    let sum = |count: fn(&StreamReport) -> u64| report.streams.iter().map(count).sum::<u64>();
    let rate: f64 = report.streams.iter().map(|stream| stream.rate).sum();
    let mut line = format!(
        "{} applied · {} behind · {rate:.0}/s · {}",
        count(sum(|stream| stream.applied)),
        count(sum(|stream| stream.lag_events)),
        state(report)
    );
    let parked = sum(|stream| stream.dead_lettered);
    if parked > 0 {
        let _ = write!(line, " · {} parked", count(parked));
    }
    line
}

/// The most pressing word about all streams.
pub fn state(report: &StatusReport) -> String {
    if !report.target.reachable {
        return report.target.waiting_for.as_ref().map_or("waiting for the target".to_owned(), |trouble| {
            format!("waiting for the target: {}", trouble.code)
        });
    }
    if let Some(held) = report.streams.iter().find(|stream| stream.is_held_by_health())
        && !report.needs_decision()
    {
        return format!("{}: {}", held.name, health(held));
    }
    let pressing = ["halted", "held", "waiting", "starting", "copying", "stopped"];
    let found = pressing.into_iter().find_map(|word| {
        let stream = report.streams.iter().find(|stream| stream.condition.word() == word)?;
        Some(format!("{}: {word}", stream.name))
    });
    found.unwrap_or_else(|| "following".to_owned())
}

fn head(report: &StatusReport) -> String {
    let run = match (report.running, report.uptime_ms) {
        (true, Some(uptime)) => format!("running for {}", span(uptime)),
        (true, None) => "running".to_owned(),
        (false, _) => "not running".to_owned(),
    };
    let target = if report.target.reachable { "target reachable" } else { "target NOT reachable" };
    let http = report.http.as_ref().and_then(|http| http.address.as_ref());
    let http = http.map_or(String::new(), |address| format!(", http at {address}"));
    format!("{}: {run}, {target}{http}\n", report.pipeline)
}

fn sources(sources: &[SourceReport]) -> Table {
    let mut table = Table::new(&["SOURCE", "KIND", "QUEUE", "EVENTS", "SEGMENTS", "WATCH"]);
    for source in sources {
        let queue = match source.queue.full {
            None => bytes(source.queue.bytes),
            Some(QueueFull::Cap) => format!("{} FULL (cap)", bytes(source.queue.bytes)),
            Some(QueueFull::Disk) => format!("{} FULL (disk)", bytes(source.queue.bytes)),
        };
        let watch = match (source.watch, &source.polls_because) {
            (Some(WatchMode::Events), _) => "events".to_owned(),
            (Some(WatchMode::Polling), None) => "polling".to_owned(),
            (Some(WatchMode::Polling), Some(why)) => format!("polling ({why})"),
            (None, _) => source.log.as_ref().map_or("-", |_| "change stream").to_owned(),
        };
        table.row([
            source.name.clone(),
            source.kind.clone(),
            queue,
            count(source.queue.events),
            count(source.queue.segments),
            watch,
        ]);
    }
    table
}

fn streams(streams: &[StreamReport]) -> Table {
    let mut table = Table::new(&[
        "STREAM", "TABLE", "PHASE", "STATE", "READY", "CAPTURED", "APPLIED", "PASSED", "PARKED", "QUEUED", "LAG",
        "RATE",
    ]);
    for stream in streams {
        table.row([
            stream.name.clone(),
            stream.table.clone(),
            stream.phase.word().to_owned(),
            match (&stream.condition, stream.is_paused()) {
                (StreamCondition::Held { .. } | StreamCondition::Halted(_), _) | (_, false) => condition(stream),
                (_, true) => "paused".to_owned(),
            },
            if stream.ready { "yes" } else { "no" }.to_owned(),
            count(stream.captured),
            count(stream.applied),
            count(stream.passed()),
            count(stream.dead_lettered),
            count(stream.queued),
            stream.lag_ms.map_or_else(|| "-".to_owned(), span),
            format!("{:.0}/s", stream.rate),
        ]);
    }
    table
}

/// `throttled (standby_lag)`
fn health(stream: &StreamReport) -> String {
    format!("throttled ({})", stream.held_by.join(", "))
}

fn condition(stream: &StreamReport) -> String {
    let word = doing(stream);
    match (&stream.condition, stream.is_held_by_health()) {
        (_, false) => word,
        (StreamCondition::Copying { .. }, true) => format!("{word}, {}", health(stream)),
        (_, true) => health(stream),
    }
}

fn doing(stream: &StreamReport) -> String {
    let eta = stream.forecast.as_ref().and_then(|forecast| forecast.eta_seconds);
    let left = eta.map_or_else(String::new, |eta| format!(", {} left", span((eta * 1_000.0) as u64)));
    match (&stream.condition, stream.copy) {
        (StreamCondition::Copying { .. }, Some(copy)) => {
            let about = if copy.exact { "" } else { "~" };
            format!("copying {} of {about}{}{left}", count(copy.records), count(copy.estimate))
        }
        (StreamCondition::Copying { bytes, total, .. }, None) if *total > 0 => {
            let percent = (*bytes as f64 / *total as f64 * 100.0).min(100.0);
            format!("copying {percent:.0} %{left}")
        }
        (StreamCondition::Waiting(trouble), _) => format!("waiting ({})", trouble.code),
        (StreamCondition::Halted(trouble), _) => format!("halted ({})", trouble.code),
        (other, _) => other.word().to_owned(),
    }
}

/// `app: log headroom 23h 10m, read lag 0s`: how long the service may be away, where the source says so.
fn logs(report: &StatusReport) -> Vec<String> {
    let seconds = |value: f64| span((value.max(0.0) * 1_000.0) as u64);
    let line = |source: &SourceReport| {
        let log = source.log.as_ref()?;
        let headroom = log.headroom_seconds.map_or_else(|| "unknown (the role may not read it)".to_owned(), seconds);
        let loss =
            log.seconds_to_loss.map_or_else(String::new, |left| format!(", LOST IN {} at this rate", seconds(left)));
        let lag = log.read_lag_seconds.map_or_else(|| "unknown".to_owned(), seconds);
        Some(format!("{}: log headroom {headroom}{loss}, read lag {lag}, reopened {}\n", source.name, log.reopened))
    };
    report.sources.iter().filter_map(line).collect()
}

fn problems(report: &StatusReport) -> Vec<String> {
    let mut blocks = logs(report);
    if let Some(trouble) = &report.target.waiting_for {
        blocks.push(format!("target: {}\n  {}\n", trouble.code, trouble.detail));
    }
    blocks.extend(report.target.health.iter().flat_map(HealthReport::text));
    if let Some(trouble) = report.http.as_ref().and_then(|http| http.trouble.as_ref()) {
        blocks.push(format!("http: {}\n  {}\n", trouble.code, trouble.detail));
    }
    blocks.extend(report.comparison.iter().map(ComparisonReport::text));
    blocks.extend(report.hooks.iter().filter_map(HookReport::text));
    for source in &report.sources {
        if let Some(full) = source.queue.full {
            let advice = match full {
                QueueFull::Cap => "Capture waits until events are applied and trimmed, or queue.max_bytes is raised.",
                QueueFull::Disk => {
                    "Capture waits until the file system of the state directory has room beside queue.disk_reserve."
                }
            };
            blocks.push(format!("{}: the queue is full\n  {advice}\n", source.name));
        }
    }
    for source in &report.sources {
        blocks.extend(
            source.left_out.iter().map(|one| format!("{}: {:?} is left out: {}\n", source.name, one.name, one.why)),
        );
    }
    blocks.extend(report.streams.iter().filter_map(problem));
    let parked =
        |stream: &StreamReport| Some(format!("{} has parked: {}\n", stream.name, stream.parked.as_ref()?.text()));
    blocks.extend(report.streams.iter().filter_map(parked));
    let evolved = |stream: &StreamReport| Some(stream.evolution.as_ref()?.text(&stream.name));
    blocks.extend(report.streams.iter().filter_map(evolved));
    blocks
}

/// Who braked a stream, how and why.
fn braked(stream: &str, control: &ControlReport) -> String {
    let why = if control.reason.is_empty() { String::new() } else { format!(": {}", control.reason) };
    let limit = control.rows_per_second.map(|rate| format!("at most {} rows a second", count(rate.get())));
    let ignored = match control.ignores_health {
        true => format!("{stream} ignores the target's health, as {} said{why}\n", control.actor),
        false => String::new(),
    };
    ignored
        + &match (control.paused, limit) {
            (false, None) => String::new(),
            (true, None) => {
                format!("{stream} is paused by {}{why}\n  Capture goes on; nothing is applied.\n", control.actor)
            }
            (true, Some(limit)) => format!(
                "{stream} is paused by {}{why}\n  Capture goes on; nothing is applied. Once it is resumed: {limit}.\n",
                control.actor
            ),
            (false, Some(limit)) => format!("{stream} is throttled by {}{why}\n  {limit}.\n", control.actor),
        }
}

fn problem(stream: &StreamReport) -> Option<String> {
    let mut block = match &stream.condition {
        StreamCondition::Waiting(trouble) => {
            format!("{} waits: {}\n  {}\n", stream.name, trouble.code, trouble.detail)
        }
        StreamCondition::Halted(trouble) => {
            format!("{} is halted: {}\n  {}\n", stream.name, trouble.code, trouble.detail)
        }
        StreamCondition::Held { revision, deletes, of, refused } => format!(
            "{} is held: revision {revision} would delete {} of {} records\n  {}\n",
            stream.name,
            count(*deletes),
            count(*of),
            if *refused {
                "It was refused; the next revision of the source is awaited. Nothing was deleted."
            } else {
                "Nothing was deleted. Look at the source first: was the file emptied, replaced or not mounted?"
            }
        ),
        _ if !stream.partitions_halted.is_empty() => format!("{} stands still in part\n", stream.name),
        _ if stream.control.is_some() => String::new(),
        _ => return None,
    };
    if !stream.partitions_halted.is_empty() {
        let list: Vec<_> = stream.partitions_halted.iter().map(u16::to_string).collect();
        let _ = writeln!(block, "  Partitions halted: {}", list.join(", "));
    }
    if let Some(control) = &stream.control {
        let _ = write!(block, "{}", braked(&stream.name, control));
    }
    for command in &stream.how_to {
        let _ = writeln!(block, "  → {command}");
    }
    Some(block)
}
