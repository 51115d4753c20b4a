//! Whether a copy lost a cohort: what was read of each kind of key against what the source counts of it.
//!
//! While the source is written to, the two may differ by what was captured since the copy began: each key that changed accounts for
//! one record of its kind. A difference beyond that is looked at again until capture has caught up with the count; what is left then is a loss
//! and the stream halts, naming the kind. Kinds whose keys have one encoding (`5` as int, long, double or decimal) are compared together.

use super::copy::{CopyEnd, Copying};
use landfall_connectors::checkpoints::Checkpoints;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::sink::{RangeState, Ranges, Sink};
use landfall_connectors::snapshot::Cohorts;
use landfall_schemas::hash::KeyHash;
use landfall_schemas::offset::Sequence;
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

/// How long capture may need to catch up with a count.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// Distinct keys remembered; beyond that every event counts as a key of its own, which only makes the comparison milder.
const MOST_KEYS: usize = 1_000_000;

/// Compares until it agrees, is a loss, or the service stops.
pub(super) async fn compare<T: Sink + Checkpoints + Ranges + 'static>(
    copying: &Copying<'_, T>,
    ranges: &[RangeState],
) -> Result<CopyEnd, Failure> {
    let mut read = Cohorts::default();
    ranges.iter().for_each(|range| read.add(&range.cohorts));
    let became: u64 = ranges.iter().map(|range| range.counts.read()).sum();
    if read.0.values().sum::<u64>() != became {
        let detail = "records read and what became of them do not add up; report this";
        return Err(Failure::new(FailureClass::Fatal, "copy_accounting", detail));
    }
    let read = by_tag(&read);
    let applier = copying.applier;
    let until = Instant::now() + PATIENCE;
    loop {
        let asked = copying.asking(|| copying.source.snapshot.cohorts(applier.stream)).await?;
        let Some(there) = asked else { return Ok(CopyEnd::Stopped) };
        let there = by_tag(&there);
        let Some((tag, was, is)) = unexplained(&read, &there, &changed(copying)?) else {
            return Ok(CopyEnd::Complete);
        };
        if Instant::now() >= until {
            let detail = format!(
                "the copy of stream {} read {was} records with keys of kind {}, the source counts {is}, and what was captured since does \
                 not explain it; nothing was made live; look for another writer of the table's ranges, then start over with \
                 `schema apply` on an empty table",
                applier.mapping.name,
                kind_of(tag)
            );
            return Err(Failure::new(FailureClass::Halt, "snapshot_incomplete", detail));
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = applier.stop.cancelled() => return Ok(CopyEnd::Stopped),
        }
    }
}

/// A kind whose counts differ by more than what changed.
fn unexplained(
    read: &BTreeMap<u8, u64>,
    there: &BTreeMap<u8, u64>,
    changed: &BTreeMap<u8, u64>,
) -> Option<(u8, u64, u64)> {
    let of = |counts: &BTreeMap<u8, u64>, tag| counts.get(&tag).copied().unwrap_or_default();
    // A key too long for its encoding does not tell its kind: it may explain any.
    let hashed = of(changed, b'h');
    let tags: HashSet<u8> = read.keys().chain(there.keys()).copied().collect();
    let found = tags.into_iter().find(|tag| of(read, *tag).abs_diff(of(there, *tag)) > of(changed, *tag) + hashed);
    found.map(|tag| (tag, of(read, tag), of(there, tag)))
}

/// How many keys of each tag were captured since the copy began.
fn changed<T: Sink>(copying: &Copying<'_, T>) -> Result<BTreeMap<u8, u64>, Failure> {
    let (queue, stream) = (&copying.applier.queue, copying.applier.stream);
    let mut keys: HashSet<KeyHash> = HashSet::new();
    let mut counts = BTreeMap::new();
    let begun = (copying.origin.version.0 as u64) & (Sequence::LIMIT - 1);
    // Behind it: what a base counts as captured with may be trimmed by now.
    queue.visit(Sequence(begun + 1), &mut |recorded| {
        if recorded.stream == stream
            && !recorded.op.is_for_every_partition()
            && let Some(tag) = recorded.key.first()
            && (keys.len() >= MOST_KEYS || keys.insert(KeyHash::of(recorded.key)))
        {
            *counts.entry(fold(*tag)).or_default() += 1;
        }
    })?;
    Ok(counts)
}

fn by_tag(cohorts: &Cohorts) -> BTreeMap<u8, u64> {
    let mut counts = BTreeMap::new();
    for (kind, count) in &cohorts.0 {
        *counts.entry(tag_of(kind)).or_default() += count;
    }
    counts
}

/// Both truth values and both ends of the order have one kind each.
fn fold(tag: u8) -> u8 {
    match tag {
        b'F' => b'T',
        b'M' => b'm',
        other => other,
    }
}

/// The tag that encoded keys of a kind begin with (see `schemas::key`). Kinds we do not know share one.
fn tag_of(kind: &str) -> u8 {
    match kind {
        "objectId" => b'o',
        "string" | "symbol" => b's',
        "int" | "long" | "double" | "decimal" => b'n',
        "uuid" | "binData" => b'b',
        "date" => b'd',
        "timestamp" => b't',
        "null" => b'z',
        "bool" => b'T',
        "minKey" | "maxKey" => b'm',
        _ => b'x',
    }
}

fn kind_of(tag: u8) -> &'static str {
    match tag {
        b'o' => "objectId",
        b's' => "string",
        b'n' => "number",
        b'b' => "binData",
        b'd' => "date",
        b't' => "timestamp",
        b'z' => "null",
        b'T' => "bool",
        b'm' => "minKey or maxKey",
        _ => "object or other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(u8, u64)]) -> BTreeMap<u8, u64> {
        of.iter().copied().collect()
    }

    #[test]
    fn a_kind_that_was_not_read_is_a_loss_however_busy_another_kind_is() {
        let (read, there) = (counts(&[(b'o', 100)]), counts(&[(b'o', 120), (b's', 1)]));
        assert_eq!(unexplained(&read, &there, &counts(&[(b'o', 500)])), Some((b's', 0, 1)));
        assert_eq!(unexplained(&read, &there, &counts(&[(b'o', 500), (b's', 1)])), None);
        assert_eq!(unexplained(&read, &there, &counts(&[(b'o', 19), (b's', 1)])), Some((b'o', 100, 120)));
    }

    #[test]
    fn numbers_of_all_widths_are_one_kind() {
        let mut cohorts = Cohorts::default();
        ["int", "long", "double", "decimal", "decimal"].iter().for_each(|kind| cohorts.count(kind));
        assert_eq!(by_tag(&cohorts), counts(&[(b'n', 5)]));
    }
}
