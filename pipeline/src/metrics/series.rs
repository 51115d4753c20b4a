//! Samples straight from a report: what each stream and each source says of itself.

use super::sheet::{Labels, Sheet, Value};
use crate::status::{
    HealthReport, HookReport, MeasureReport, QueueReport, SourceReport, StreamCondition, StreamReport,
};
use std::collections::BTreeMap;
use std::fmt;

/// Most reasons of dead letters that a stream has series for; the others count as `other`.
const MOST_REASONS: usize = 32;

/// Samples of a family.
pub(super) type Samples<'a> = Vec<(Labels<'a>, Value)>;

/// One sample a stream, of those that have the value.
pub(super) fn per_stream(streams: &[StreamReport], value: impl Fn(&StreamReport) -> Option<Value>) -> Samples<'_> {
    streams.iter().filter_map(|stream| Some((vec![("stream", stream.name.as_str())], value(stream)?))).collect()
}

/// One sample a source, of those that have the value.
pub(super) fn per_source(sources: &[SourceReport], value: impl Fn(&SourceReport) -> Option<Value>) -> Samples<'_> {
    sources.iter().filter_map(|source| Some((vec![("source", source.name.as_str())], value(source)?))).collect()
}

/// Limits of the target's health: only those that are set have series.
pub(super) fn health(sheet: &mut Sheet<'_>, report: Option<&HealthReport>) -> fmt::Result {
    let of = |value: fn(&MeasureReport) -> Option<Value>| -> Samples<'_> {
        let measures = report.iter().flat_map(|report| &report.measures);
        measures.filter_map(|one| Some((vec![("reason", one.measure.as_str())], value(one)?))).collect()
    };
    let holds = of(|one| Some(Value::from(one.holds)));
    sheet.gauge("target_health_holds", "A limit of the target's health holds writing back", &holds)?;
    let held = of(|one| Some(Value::Real(one.held_seconds)));
    sheet.counter(
        "target_health_held_seconds",
        "Time that a limit of the target's health has held, since this process began",
        &held,
    )?;
    let blind = of(|one| Some(Value::from(one.trouble.is_some())));
    sheet.gauge("target_health_unreadable", "What a limit of the target's health is about cannot be read", &blind)?;
    let value = of(|one| one.value.map(Value::Real));
    sheet.gauge(
        "target_health_value",
        "What was measured last: seconds, bytes, sessions, or the number of the query",
        &value,
    )?;
    let limit = of(|one| Some(Value::Real(one.limit)));
    sheet.gauge("target_health_limit", "The limit of the target's health", &limit)
}

/// What streams are doing.
pub(super) fn states(sheet: &mut Sheet<'_>, streams: &[StreamReport]) -> fmt::Result {
    let is = |state: fn(&StreamReport) -> bool| per_stream(streams, move |stream| Some(Value::from(state(stream))));
    sheet.gauge("stream_ready", "The stream follows and nothing stands in between", &is(|stream| stream.ready))?;
    let halted = is(|stream| matches!(stream.condition, StreamCondition::Halted(_)));
    sheet.gauge("stream_halted", "The stream needs an operator", &halted)?;
    let held = is(|stream| matches!(stream.condition, StreamCondition::Held { .. }));
    sheet.gauge("stream_held", "The deletion guard holds a revision of the stream", &held)?;
    sheet.gauge("stream_paused", "An operator paused the stream", &is(StreamReport::is_paused))?;
    let by_health = is(|stream| !stream.held_by.is_empty());
    sheet.gauge("stream_held_by_health", "The target's health holds the stream back", &by_health)
}

/// What became of each stream's events.
pub(super) fn accounts(sheet: &mut Sheet<'_>, streams: &[StreamReport]) -> fmt::Result {
    let captured = per_stream(streams, |stream| Some(Value::Whole(stream.captured)));
    sheet.counter("stream_captured_events", "Events captured, since the queue began", &captured)?;
    let mut settled: Samples<'_> = Vec::with_capacity(streams.len() * 5);
    for stream in streams {
        for (outcome, events) in outcomes(stream) {
            settled.push((vec![("stream", stream.name.as_str()), ("outcome", outcome)], Value::Whole(events)));
        }
    }
    sheet.gauge("stream_settled_events", "Events by what became of them", &settled)?;
    let queued = per_stream(streams, |stream| Some(Value::Whole(stream.queued)));
    sheet.gauge("stream_queued_events", "Events that wait in the queue", &queued)?;
    let difference = per_stream(streams, |stream| Some(Value::Signed(difference(stream))));
    sheet.gauge("accounting_difference_events", "Captured less settled less queued: always 0", &difference)?;
    parked(sheet, streams)
}

fn outcomes(stream: &StreamReport) -> [(&'static str, u64); 5] {
    [
        ("applied", stream.applied),
        ("superseded", stream.superseded),
        ("filtered", stream.filtered),
        ("dead_lettered", stream.dead_lettered),
        ("discarded", stream.discarded),
    ]
}

fn difference(stream: &StreamReport) -> i64 {
    let settled: u64 = outcomes(stream).iter().map(|(_, events)| events).sum();
    let difference = i128::from(stream.captured) - i128::from(settled) - i128::from(stream.queued);
    i64::try_from(difference).unwrap_or(i64::MAX)
}

fn parked(sheet: &mut Sheet<'_>, streams: &[StreamReport]) -> fmt::Result {
    let mut letters: Samples<'_> = Vec::new();
    for stream in streams {
        let Some(parked) = &stream.parked else { continue };
        for (reason, count) in by_reason(&parked.by_code) {
            letters.push((vec![("stream", stream.name.as_str()), ("reason", reason)], Value::Whole(count)));
        }
    }
    sheet.gauge("parked_events", "Dead letters that wait, by reason", &letters)?;
    let oldest = |stream: &StreamReport| stream.parked.as_ref().map_or(0, |parked| parked.oldest_seconds);
    let oldest = per_stream(streams, |stream| Some(Value::Whole(oldest(stream))));
    sheet.gauge("oldest_parked_seconds", "Age of the oldest dead letter that waits; 0 without any", &oldest)
}

/// The reasons that have series of their own, and the sum of the others.
fn by_reason(by_code: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    let mut reasons: Vec<(&str, u64)> = Vec::new();
    let mut other = 0;
    for (code, count) in by_code {
        // Codes are words of ours, or come from PostgreSQL: nothing else becomes a label.
        let word = code.len() <= 40 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        match word && reasons.len() < MOST_REASONS {
            true => reasons.push((code, *count)),
            false => other += count,
        }
    }
    if other > 0 {
        reasons.push(("other", other));
    }
    reasons
}

/// Queues and logs.
pub(super) fn sources(sheet: &mut Sheet<'_>, sources: &[SourceReport]) -> fmt::Result {
    let queue = |value: fn(&SourceReport) -> u64| per_source(sources, move |source| Some(Value::Whole(value(source))));
    sheet.gauge("queue_bytes", "Bytes of the queue on disk", &queue(|source| source.queue.bytes))?;
    sheet.gauge("queue_events", "Events the queue retains", &queue(|source| source.queue.events))?;
    sheet.gauge("queue_segments", "Segments of the queue", &queue(|source| source.queue.segments))?;
    let full = queue(|source| u64::from(source.queue.full.is_some()));
    sheet.gauge("queue_full", "The queue takes nothing more", &full)?;
    let disk = |value: fn(&QueueReport) -> Option<u64>| {
        per_source(sources, move |source| value(&source.queue).map(Value::Whole))
    };
    let (free, reserve) = (disk(|queue| queue.disk_free_bytes), disk(|queue| queue.disk_reserve_bytes));
    sheet.gauge("queue_disk_free_bytes", "Bytes that are free on the file system under the queue", &free)?;
    sheet.gauge("queue_disk_reserve_bytes", "Bytes of them that events leave free", &reserve)?;
    let log = |value: fn(&crate::status::LogReport) -> Option<f64>| {
        per_source(sources, move |source| {
            value(source.log.as_ref()?).filter(|value| value.is_finite()).map(Value::Real)
        })
    };
    let read = log(|log| log.read_lag_seconds);
    sheet.gauge("read_lag_seconds", "Time between the newest change of the source and what is captured", &read)?;
    let headroom = log(|log| log.headroom_seconds);
    sheet.gauge("log_headroom_seconds", "Log of the source between its oldest entry and capture", &headroom)?;
    let loss = log(|log| log.seconds_to_loss);
    sheet.gauge("log_seconds_to_loss", "Time until capture falls off the log, at the present trend", &loss)
}

/// How hooks fare. A hook is named by its place in the configuration.
pub(super) fn hooks(sheet: &mut Sheet<'_>, hooks: &[HookReport]) -> fmt::Result {
    let numbers: Vec<String> = hooks.iter().map(|hook| hook.hook.to_string()).collect();
    let named = || hooks.iter().zip(&numbers).map(|(hook, number)| (hook, vec![("hook", number.as_str())]));
    let mut events: Samples<'_> = Vec::with_capacity(hooks.len() * 3);
    for (hook, labels) in named() {
        for (outcome, count) in [("delivered", hook.told), ("failed", hook.failed), ("dropped", hook.dropped)] {
            let mut labels = labels.clone();
            labels.push(("outcome", outcome));
            events.push((labels, Value::Whole(count)));
        }
    }
    sheet.counter("hook_events", "Events of a hook, by what became of them, since this process began", &events)?;
    let waiting: Samples<'_> = named().map(|(hook, labels)| (labels, Value::Whole(hook.waiting))).collect();
    sheet.gauge("hook_waiting_events", "Events that wait for a hook", &waiting)?;
    let failing: Samples<'_> = named().map(|(hook, labels)| (labels, Value::from(hook.failing))).collect();
    sheet.gauge("hook_failing", "The hook was told of nothing since its last trouble", &failing)?;
    let last = |(hook, labels): (&HookReport, _)| Some((labels, Value::Real(hook.last_told_ms? as f64 / 1_000.0)));
    let last: Samples<'_> = named().filter_map(last).collect();
    sheet.gauge("hook_last_success_timestamp_seconds", "When the hook took an event last, Unix time", &last)
}

/// What became of spans.
pub(super) fn spans(sheet: &mut Sheet<'_>, counts: &[(&'static str, u64)]) -> fmt::Result {
    let spans: Samples<'_> =
        counts.iter().map(|(outcome, count)| (vec![("outcome", *outcome)], Value::Whole(*count))).collect();
    sheet.counter("trace_spans", "Spans of sampled batches, by what became of them, since this process began", &spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_words_and_their_number_is_bounded() {
        let mut by_code: BTreeMap<String, u64> = (0..100).map(|number| (format!("code_{number:03}"), 1)).collect();
        by_code.insert("a\"} evil".to_owned(), 5);
        let reasons = by_reason(&by_code);
        assert_eq!(reasons.len(), MOST_REASONS + 1);
        assert_eq!(reasons.last(), Some(&("other", 73)));
    }

    #[test]
    fn the_difference_is_what_the_identity_misses() {
        let mut stream = StreamReport::new("a", "b", "c");
        (stream.captured, stream.applied, stream.queued) = (10, 6, 4);
        assert_eq!(difference(&stream), 0);
        stream.discarded = 3;
        assert_eq!(difference(&stream), -3);
    }
}
