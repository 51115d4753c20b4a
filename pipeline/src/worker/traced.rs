//! What the span of a batch says: of which stream, how much of what, and what became of it. Numbers, names of the configuration and codes.

use super::apply::{Attempt, Outcome};
use crate::traces::OpenSpan;
use landfall_connectors::checkpoints::Phase;
use landfall_connectors::sink::SinkBatch;
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::row::RowOp;
use std::time::Duration;

/// One exchange with the target has ended.
pub(super) fn tried(span: &mut OpenSpan, tries: u64, took: Duration) {
    span.say("landfall.tries", tries);
    span.say("landfall.exchange_us", u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
}

/// Everything else, once it is known how the batch ended.
pub(super) fn describe(
    span: &mut OpenSpan,
    (mapping, phase): (&StreamMapping, Phase),
    (prepared, outcome): (&impl Attempt, &Outcome),
) {
    let batch = prepared.batch();
    span.say("landfall.stream", mapping.name.to_string());
    span.say("landfall.phase", if phase == Phase::Bulk { "bulk" } else { "live" });
    span.say("landfall.events", covered(batch).unwrap_or_else(|| prepared.events()));
    if let [only] = batch.advances.as_slice() {
        span.say("landfall.partition", u64::from(only.partition.0));
    }
    span.say("landfall.partitions", batch.advances.len() as u64);
    let deletes = batch.rows.rows.iter().filter(|row| row.op == RowOp::Delete).count();
    span.say("landfall.rows_upserted", (batch.rows.rows.len() - deletes) as u64);
    span.say("landfall.rows_deleted", deletes as u64);
    span.say("landfall.rows_below", batch.rows.children.len() as u64);
    span.say("landfall.dead_letters", batch.dead.len() as u64);
    span.say("landfall.bytes", batch.rows.buffer.len() as u64);
    span.say("landfall.outcome", word(outcome));
    if let Outcome::Halt(failure) = outcome {
        span.fail(failure.code);
    }
}

/// Events that the checkpoints move over, if any are moved: what was read behind a stop is not among them.
fn covered(batch: &SinkBatch) -> Option<u64> {
    let of = |advance: &landfall_connectors::sink::Advance| advance.range.until.0 - advance.range.from.0;
    (!batch.advances.is_empty()).then(|| batch.advances.iter().map(of).sum())
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Committed { .. } => "committed",
        Outcome::Shrink => "shrunk",
        Outcome::Readmit => "readmitted",
        Outcome::Halt(_) => "halted",
        Outcome::Stopped => "stopped",
    }
}
