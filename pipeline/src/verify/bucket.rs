//! Two spills compared: buckets by their sums, unequal ones record by record, a bounded part of a bucket at a time.

use super::fingerprint::{KeptKey, RecordId};
use super::record_state::{History, Judgement, Rule, SourceFold, TargetState, judge};
use super::spill::{self, BUCKETS, Entry, Spilled, disk};
use landfall_connectors::failure::Failure;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

/// Bytes of entries that are held at once, both sides together. A larger bucket is read several times, a part of its records each time.
const HELD: u64 = 24 << 20;

/// The part of an order that numbers entries.
const NUMBER: u64 = (1 << 48) - 1;

/// How many records fared how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    pub(super) equal: u64,
    pub(super) parked: u64,
    pub(super) not_compared: u64,
    /// Buckets whose sums were equal.
    pub(super) buckets_equal: u64,
}

/// A record that is to be looked at again.
#[derive(Clone, Debug)]
pub(super) struct Suspicion {
    pub(super) record: RecordId,
    pub(super) key: KeptKey,
    /// As it stood when it was read first.
    pub(super) target: TargetState,
}

/// A side: its file and what is remembered of it.
#[derive(Debug)]
pub(super) struct Side<'a> {
    file: File,
    spilled: &'a Spilled,
}

impl<'a> Side<'a> {
    pub(super) fn open(path: &Path, spilled: &'a Spilled) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| disk(&error))?;
        Ok(Self { file, spilled })
    }
}

#[derive(Default)]
struct Pair {
    /// Entries of the source with their order: chunks come last first.
    source: Vec<(u64, (spill::Kind, super::fingerprint::Sum))>,
    target: TargetState,
    key: Vec<u8>,
}

/// Compares everything; each record that differs now goes to `suspect`.
pub(super) fn compare(
    source: &Side<'_>,
    target: &Side<'_>,
    how: (Rule, History),
    suspect: &mut dyn FnMut(Suspicion),
) -> Result<Counts, Failure> {
    let mut counts = Counts::default();
    for bucket in 0..BUCKETS {
        let (of_source, of_target) = (&source.spilled.tallies[bucket], &target.spilled.tallies[bucket]);
        // Entries of lines repeat keys: only the records themselves can be counted, and a sum may agree by no accident alone.
        if of_source.agrees(of_target) {
            counts.equal += of_source.entries;
            counts.buckets_equal += 1;
            continue;
        }
        let parts = (of_source.bytes + of_target.bytes).div_ceil(HELD).max(1);
        for part in 0..parts {
            let mut pairs: HashMap<RecordId, Pair> = HashMap::new();
            let within = |record: RecordId| (record.0 as u64) % parts == part;
            gather(source, bucket, &within, &mut pairs, add_source)?;
            gather(target, bucket, &within, &mut pairs, add_target)?;
            for (record, pair) in pairs {
                settle((record, pair), how, &mut counts, suspect);
            }
        }
    }
    Ok(counts)
}

fn gather(
    side: &Side<'_>,
    bucket: usize,
    within: &dyn Fn(RecordId) -> bool,
    pairs: &mut HashMap<RecordId, Pair>,
    add: fn(&mut Pair, &Entry<'_>),
) -> Result<(), Failure> {
    spill::read(&side.file, side.spilled, bucket, &mut |entry| {
        if within(entry.record) {
            let pair = pairs.entry(entry.record).or_default();
            if pair.key.is_empty() {
                pair.key.extend_from_slice(entry.key);
            }
            add(pair, &entry);
        }
    })
}

fn add_source(pair: &mut Pair, entry: &Entry<'_>) {
    pair.source.push((entry.order, (entry.kind, entry.sum)));
}

fn add_target(pair: &mut Pair, entry: &Entry<'_>) {
    pair.target.add(entry.kind, entry.sum, entry.order.cast_signed());
}

fn settle(
    (record, mut pair): (RecordId, Pair),
    (rule, history): (Rule, History),
    counts: &mut Counts,
    suspect: &mut dyn FnMut(Suspicion),
) {
    // As they were met, whatever their chains are.
    pair.source.sort_unstable_by_key(|(order, _)| order & NUMBER);
    let mut fold = SourceFold::default();
    for (order, (kind, sum)) in &pair.source {
        let _ = fold.add(rule, (order >> 48) as u16, (order & NUMBER, *kind, *sum));
    }
    match judge(rule, history, &fold, &pair.target) {
        Judgement::Nothing => {}
        Judgement::Equal => {
            counts.equal += 1;
            counts.parked += fold.duplicates;
        }
        Judgement::Parked => counts.parked += 1,
        Judgement::NotCompared => counts.not_compared += 1,
        Judgement::Suspect | Judgement::Unnamed | Judgement::Doubtful => {
            // What was stored comes back.
            let key = KeptKey::load(&pair.key).unwrap_or(KeptKey::Encoded(Box::default()));
            suspect(Suspicion { record, key, target: pair.target });
        }
    }
}
