//! The state behind a target in memory, and the rules it keeps: the same as PostgreSQL's, written down a second time.

use super::fault::Fault;
use crate::checkpoints::{Admission, Checkpoint, Counts, Leftovers, OwnerNonce, Phase, QueueId, Rebinding};
use crate::failure::{Failure, FailureClass};
use crate::sink::{Applied, ApplyFailure, CopyVersion, RangeCounts, RangeState, SinkBatch};
use crate::snapshot::{Cohorts, KeyRange};
use landfall_schemas::ddl::BulkLoad;
use landfall_schemas::hash::KeyHash;
use landfall_schemas::mapping::{AddedColumn, StreamMapping};
use landfall_schemas::offset::{Generation, Offset, Version};
use landfall_schemas::rejection::RejectCode;
use landfall_schemas::row::{Row, RowOp, RowSet};
use landfall_schemas::stream::{SourceName, StreamName};
use landfall_schemas::table::TableShape;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Weak};

/// A stored row: each field as encoded, `None` for NULL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemoryRow {
    /// In the shape's order, the version left out.
    pub fields: Vec<Option<Vec<u8>>>,
    /// `_lf_version`.
    pub version: Version,
}

/// A stored dead letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemoryDeadLetter {
    /// Encoded key.
    pub key: Vec<u8>,
    /// Why.
    pub code: RejectCode,
    /// Its version.
    pub version: Version,
    /// Still waiting; neither retracted nor swept.
    pub waiting: bool,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) script: VecDeque<Fault>,
    owner: Weak<()>,
    generations: HashMap<SourceName, Vec<QueueId>>,
    pub(super) streams: HashMap<StreamName, Stream>,
}

#[derive(Debug)]
pub(super) struct Stream {
    mapping: StreamMapping,
    phase: Phase,
    pub(super) owned: Option<(QueueId, OwnerNonce)>,
    checkpoints: Vec<Checkpoint>,
    pub(super) rows: BTreeMap<Vec<Vec<u8>>, MemoryRow>,
    pub(super) added: Vec<AddedColumn>,
    /// Rows of the tables below, by table and whole key.
    below: BTreeMap<(u16, Vec<Vec<u8>>), MemoryRow>,
    dead: Vec<MemoryDeadLetter>,
    copies: BTreeMap<CopyVersion, Vec<RangeState>>,
    resync: bool,
}

impl State {
    pub(super) fn prepare(&mut self, stream: &StreamMapping, bulk: BulkLoad) {
        let phase = if bulk == BulkLoad::Expected { Phase::Bulk } else { Phase::Live };
        let start = |partition| Checkpoint { partition, next: Offset(0), counts: Counts::default() };
        self.streams.entry(stream.name.clone()).or_insert_with(|| Stream {
            mapping: stream.clone(),
            phase,
            owned: None,
            checkpoints: stream.partitions.all().map(start).collect(),
            rows: BTreeMap::new(),
            added: Vec::new(),
            below: BTreeMap::new(),
            dead: Vec::new(),
            copies: BTreeMap::new(),
            resync: false,
        });
    }

    pub(super) fn rows(&self, stream: &StreamName) -> Vec<MemoryRow> {
        self.streams.get(stream).map_or_else(Vec::new, |s| s.rows.values().cloned().collect())
    }

    pub(super) fn rows_below(&self, stream: &StreamName, table: u16) -> Vec<MemoryRow> {
        let Some(stream) = self.streams.get(stream) else { return Vec::new() };
        stream.below.iter().filter(|((of, _), _)| *of == table).map(|(_, row)| row.clone()).collect()
    }

    pub(super) fn dead_letters(&self, stream: &StreamName) -> Vec<MemoryDeadLetter> {
        self.streams.get(stream).map_or_else(Vec::new, |s| s.dead.clone())
    }

    pub(super) fn checkpoints(&self, stream: &StreamName) -> Vec<Checkpoint> {
        self.streams.get(stream).map_or_else(Vec::new, |s| s.checkpoints.clone())
    }

    pub(super) fn admit(
        &mut self,
        process: &Arc<()>,
        mapping: &StreamMapping,
        (queue, nonce): (QueueId, OwnerNonce),
    ) -> Result<Admission, Failure> {
        if self.owner.upgrade().is_some_and(|owner| !Arc::ptr_eq(&owner, process)) {
            return Err(Failure::new(FailureClass::Fenced, "other_owner", "another process runs this pipeline"));
        }
        self.owner = Arc::downgrade(process);
        let halt = |code| Failure::new(FailureClass::Halt, code, "as PostgreSQL's sink would say");
        let stream = self.streams.get_mut(&mapping.name).ok_or_else(|| halt("schema_missing"))?;
        if stream.mapping != *mapping {
            return Err(halt("mapping_changed"));
        }
        let started = stream.checkpoints.iter().any(|c| c.next > Offset(0));
        if started && stream.owned.is_some_and(|(owned, _)| owned != queue) {
            return Err(halt("queue_changed"));
        }
        let queues = self.generations.entry(mapping.source.clone()).or_default();
        let place = queues.iter().rposition(|q| *q == queue).unwrap_or_else(|| {
            queues.push(queue);
            queues.len() - 1
        });
        let generation = u16::try_from(place + 1).ok().and_then(Generation::new);
        stream.owned = Some((queue, nonce));
        let parked = stream.dead.iter().filter(|d| d.waiting && d.code.blocks_key());
        Ok(Admission {
            generation: generation.ok_or_else(|| halt("generations_exhausted"))?,
            phase: stream.phase,
            checkpoints: stream.checkpoints.clone(),
            parked: parked.map(|d| KeyHash::of(&d.key)).collect(),
            resync: stream.resync,
            added: stream.added.clone(),
        })
    }

    /// A generation is a queue's place here: the queue moves behind all others.
    pub(super) fn rebind(&mut self, mapping: &StreamMapping, to: Rebinding<'_>) -> Result<(), Failure> {
        let missing = || Failure::new(FailureClass::Halt, "schema_missing", "as PostgreSQL's sink would say");
        let stream = self.streams.get_mut(&mapping.name).ok_or_else(missing)?;
        if stream.owned.is_some_and(|(owned, _)| owned == to.queue) {
            return Ok(());
        }
        let queues = self.generations.entry(mapping.source.clone()).or_default();
        if queues.last() != Some(&to.queue) {
            queues.push(to.queue);
        }
        stream.phase = Phase::Live;
        stream.owned = Some((to.queue, to.owner));
        for checkpoint in &mut stream.checkpoints {
            (checkpoint.next, checkpoint.counts) = (Offset(0), Counts::default());
        }
        stream.resync = to.leftovers == Leftovers::Compared;
        if stream.resync {
            stream.dead.iter_mut().for_each(|dead| dead.waiting = false);
        }
        Ok(())
    }

    pub(super) fn finish_bulk(&mut self, mapping: &StreamMapping, owner: OwnerNonce) -> Result<(), Failure> {
        let stream = self.streams.get_mut(&mapping.name);
        let owned = stream.filter(|s| s.owned.is_some_and(|(_, nonce)| nonce == owner));
        let stream = owned.ok_or_else(|| Failure::new(FailureClass::Fenced, "other_owner", "another owner"))?;
        stream.phase = Phase::Live;
        Ok(())
    }

    pub(super) fn ranges(&self, stream: &StreamName, copy: CopyVersion) -> Vec<RangeState> {
        self.streams.get(stream).and_then(|s| s.copies.get(&copy)).cloned().unwrap_or_default()
    }

    pub(super) fn plan(
        &mut self,
        stream: &StreamName,
        owner: OwnerNonce,
        (copy, ranges): (CopyVersion, &[KeyRange]),
    ) -> Result<(), Failure> {
        let stream = self.streams.get_mut(stream).filter(|s| s.owned.is_some_and(|(_, nonce)| nonce == owner));
        let stream = stream.ok_or_else(|| Failure::new(FailureClass::Fenced, "other_owner", "another owner"))?;
        let state = |(number, range): (u32, &KeyRange)| RangeState {
            number,
            range: range.clone(),
            reached: None,
            done: false,
            cohorts: Cohorts::default(),
            counts: RangeCounts::default(),
        };
        stream.copies.entry(copy).or_insert_with(|| (0..).zip(ranges).map(state).collect());
        Ok(())
    }

    pub(super) fn apply(
        &mut self,
        mapping: &StreamMapping,
        (nonce, phase): (OwnerNonce, Phase),
        batch: &SinkBatch,
    ) -> Result<Applied, ApplyFailure> {
        let stream = self
            .streams
            .get_mut(&mapping.name)
            .ok_or_else(|| Failure::new(FailureClass::Halt, "schema_drift", "no such table"))?;
        if batch.settlement.is_some() {
            // Letters have no numbers here: what settles them is proven on PostgreSQL.
            let detail = "the target in memory settles no dead letters";
            return Err(Failure::new(FailureClass::Fatal, "settlement_unsupported", detail).into());
        }
        let refused = unstorable(mapping, batch);
        if !refused.is_empty() {
            return Err(ApplyFailure::Refused(refused));
        }
        if !stream.stands(nonce, batch) {
            return Err(Failure::new(FailureClass::Fenced, "checkpoint_moved", "not where this owner left it").into());
        }
        stream.write(mapping, phase, batch);
        Ok(Applied { advances: batch.advances.iter().map(|a| (a.partition, a.range)).collect() })
    }
}

impl Stream {
    /// The compare of the compare-and-set.
    fn stands(&self, nonce: OwnerNonce, batch: &SinkBatch) -> bool {
        let owned = self.owned.is_some_and(|(_, owner)| owner == nonce);
        let range = batch.range.as_ref().is_none_or(|step| {
            let known = self.copies.get(&step.copy).and_then(|ranges| ranges.get(step.number as usize));
            known.is_some_and(|range| !range.done && range.reached == step.from)
        });
        owned
            && range
            && batch
                .advances
                .iter()
                .all(|a| self.checkpoints.get(usize::from(a.partition.0)).is_some_and(|c| c.next == a.range.from))
    }

    fn write(&mut self, mapping: &StreamMapping, phase: Phase, batch: &SinkBatch) {
        if let Some(version) = batch.sweep {
            self.rows.retain(|_, row| row.version >= version);
            self.below.retain(|_, row| row.version >= version);
            for dead in self.dead.iter_mut().filter(|dead| dead.version < version) {
                dead.waiting = false;
            }
        }
        let keeps_equal = phase == Phase::Live && batch.range.is_none();
        let keeps_root = keeps_equal && mapping.children.is_empty();
        for row in &batch.rows.rows {
            let (key, fields) = keyed(&mapping.table, batch.rows.fields(row));
            match (row.op, self.rows.get_mut(&key)) {
                (_, Some(stands)) if stands.version >= row.version => {}
                (RowOp::Delete, Some(_)) => drop(self.rows.remove(&key)),
                (RowOp::Delete, None) => {}
                (RowOp::Upsert, Some(stands)) if keeps_root && stands.fields == fields => {}
                (RowOp::Upsert, _) => drop(self.rows.insert(key.clone(), MemoryRow { fields, version: row.version })),
            }
            self.write_below(mapping, (row, &key), &batch.rows, keeps_equal);
        }
        for dead in &batch.dead {
            self.dead.push(MemoryDeadLetter {
                key: dead.key.clone(),
                code: dead.code(),
                version: dead.version,
                waiting: true,
            });
        }
        for dead in self.dead.iter_mut().filter(|d| !d.code.blocks_key() && batch.retracted.contains(&d.key)) {
            dead.waiting = false;
        }
        for advance in &batch.advances {
            let checkpoint = &mut self.checkpoints[usize::from(advance.partition.0)];
            checkpoint.next = advance.range.until;
            checkpoint.counts.add(advance.counts);
        }
        if let Some(step) = &batch.range
            && let Some(range) = self.copies.get_mut(&step.copy).and_then(|ranges| ranges.get_mut(step.number as usize))
        {
            range.reached.clone_from(&step.to);
            range.done = step.to.is_none();
            range.cohorts = step.cohorts.clone();
            range.counts = step.counts;
        }
    }
}

impl Stream {
    /// The rows of one parent: a set.
    fn write_below(
        &mut self,
        mapping: &StreamMapping,
        (row, key): (&Row, &[Vec<u8>]),
        set: &RowSet,
        keeps_equal: bool,
    ) {
        if self.rows.get(key).is_some_and(|stands| stands.version > row.version) {
            return;
        }
        let shapes: Vec<&TableShape> = mapping.child_tables().map(|child| &child.table).collect();
        let of_set = set.children(row).iter().map(|child| {
            let (key, fields) = keyed(shapes[usize::from(child.table)], &set.buffer[child.fields.clone()]);
            ((child.table, key), fields)
        });
        let wanted: BTreeMap<_, _> = of_set.collect();
        self.below.retain(|(table, of_row), stands| {
            !of_row.starts_with(key) || stands.version >= row.version || wanted.contains_key(&(*table, of_row.clone()))
        });
        for (place, fields) in wanted {
            match self.below.get(&place) {
                Some(stands) if stands.version >= row.version => {}
                Some(stands) if keeps_equal && stands.fields == fields => {}
                _ => drop(self.below.insert(place, MemoryRow { fields, version: row.version })),
            }
        }
    }
}

/// A row's key, and its fields without the version.
fn keyed(shape: &TableShape, encoded: &[u8]) -> (Vec<Vec<u8>>, Vec<Option<Vec<u8>>>) {
    let mut fields = split(encoded);
    fields.truncate(shape.columns.len() - 1);
    (fields[..shape.key_columns].iter().flatten().cloned().collect(), fields)
}

/// Rows PostgreSQL would not store, with its SQLSTATE: text that is not UTF-8.
fn unstorable(mapping: &StreamMapping, batch: &SinkBatch) -> Vec<(usize, String)> {
    let bad = |shape: &TableShape, encoded: &[u8]| {
        let mut columns = shape.columns.iter().zip(split(encoded));
        columns.any(|(c, f)| c.ty.is_text() && f.is_some_and(|text| std::str::from_utf8(&text).is_err()))
    };
    let shapes: Vec<&TableShape> = mapping.child_tables().map(|child| &child.table).collect();
    let set = &batch.rows;
    let refused = |row: &Row| {
        let mut below = set.children(row).iter();
        bad(&mapping.table, set.fields(row))
            || below.any(|child| bad(shapes[usize::from(child.table)], &set.buffer[child.fields.clone()]))
    };
    let rows = set.rows.iter().enumerate();
    rows.filter(|(_, row)| refused(row)).map(|(n, _)| (n, "22021".to_owned())).collect()
}

/// `length i32 | bytes` …, −1 for NULL.
fn split(mut encoded: &[u8]) -> Vec<Option<Vec<u8>>> {
    let mut out = Vec::new();
    while let Some((length, rest)) = encoded.split_first_chunk::<4>() {
        match usize::try_from(i32::from_be_bytes(*length)) {
            Ok(length) => {
                out.push(Some(rest[..length].to_vec()));
                encoded = &rest[length..];
            }
            Err(_) => {
                out.push(None);
                encoded = rest;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::conformance::sink::{MemoryRig, suite};

    #[tokio::test]
    async fn the_target_in_memory_passes_the_suite_of_sinks() {
        suite(&MemoryRig::default()).await;
    }
}
