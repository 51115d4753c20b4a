//! From a chunk of a copy to a batch the sink can commit: rows under the copy's version, dead letters, and the range's step.
//!
//! Keeps promise 2 (a range is ticked off with its rows), 8 (rows carry the version of the barrier that the copy began with, so whatever
//! was captured since is newer) and 13. Which records are parked depends on the records alone.

use super::apply::Attempt;
use super::prepare::new_field;
use crate::traces::Name;
use crate::transform::{Encoded, Noticed, RowPlan};
use landfall_connectors::deadletter::{DeadLetter, ParkedOp};
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::sink::{CopyVersion, RangeCounts, RangeState, RangeStep, SinkBatch};
use landfall_connectors::snapshot::Chunk;
use landfall_schemas::event::{Change, Op};
use landfall_schemas::hash::KeyHash;
use landfall_schemas::mapping::{OnError, StreamMapping};
use landfall_schemas::offset::Offset;
use landfall_schemas::rejection::{RejectCode, Rejection};
use landfall_schemas::row::{Row, RowOp};
use landfall_schemas::stream::PartitionId;
use std::collections::HashSet;

/// What all chunks of a copy share.
#[derive(Clone, Debug)]
pub(super) struct CopyOrigin {
    pub(super) version: CopyVersion,
    /// Where the barrier stands in each partition: dead letters of the copy stand there too, in front of what was captured since.
    pub(super) barrier: Vec<(PartitionId, Offset)>,
}

impl CopyOrigin {
    fn place(&self, partition: PartitionId) -> Offset {
        let found = self.barrier.iter().find(|(known, _)| *known == partition);
        found.map_or(Offset(0), |(_, offset)| *offset)
    }
}

/// A chunk ready to be written.
pub(super) struct CopyBatch {
    pub(super) batch: SinkBatch,
    pub(super) chunk: Chunk,
    origin: CopyOrigin,
    /// For each row, the change it came from.
    changes: Vec<u32>,
    /// What was noticed of fields that no column takes.
    pub(super) noticed: Noticed,
}

impl CopyBatch {
    /// Prepares what was read behind `range`. Fails with `record_refused` when a record cannot be mapped and the stream says
    /// `on_error: halt`.
    pub(super) fn prepare(
        plan: &mut RowPlan,
        mapping: &StreamMapping,
        origin: &CopyOrigin,
        range: &RangeState,
        chunk: Chunk,
    ) -> Result<Self, Failure> {
        let (batch, noticed) = (SinkBatch::default(), Noticed::default());
        let mut this = Self { batch, chunk, origin: origin.clone(), changes: Vec::new(), noticed };
        let chunk = std::mem::take(&mut this.chunk);
        let mut filtered = 0;
        for (index, change) in chunk.records.changes().iter().enumerate() {
            match this.row(plan, mapping, &chunk, change) {
                Ok(Some(row)) => {
                    this.batch.rows.rows.push(row);
                    this.changes.push(index as u32);
                }
                // A row of it that stands is older than the copy, and swept.
                Ok(None) => filtered += 1,
                Err(reason) if reason.code == RejectCode::NewField => {
                    return Err(new_field(mapping, &reason, "of the copy"));
                }
                Err(reason) if mapping.on_error == OnError::Halt => {
                    let detail = format!(
                        "a record of {} cannot be mapped ({reason}) and the stream says on_error: halt; mend the record or the mapping, \
                         or set on_error: park",
                        mapping.name
                    );
                    return Err(Failure::new(FailureClass::Halt, "record_refused", detail));
                }
                Err(reason) => {
                    let letter = this.letter(mapping, &chunk, change, reason);
                    this.batch.dead.push(letter);
                }
            }
        }
        this.noticed = plan.noticed();
        let mut cohorts = range.cohorts.clone();
        cohorts.add(&chunk.cohorts);
        this.batch.range = Some(RangeStep {
            copy: origin.version,
            number: range.number,
            from: range.reached.clone(),
            to: chunk.next.clone(),
            cohorts,
            counts: RangeCounts {
                copied: range.counts.copied + this.batch.rows.rows.len() as u64,
                parked: range.counts.parked + this.batch.dead.len() as u64,
                filtered: range.counts.filtered + filtered,
            },
        });
        this.chunk = chunk;
        Ok(this)
    }

    /// The range as it stands once this batch is committed.
    pub(super) fn state_after(&self, range: &RangeState) -> RangeState {
        let Some(step) = &self.batch.range else { return range.clone() };
        RangeState {
            number: range.number,
            range: range.range.clone(),
            reached: step.to.clone(),
            done: step.to.is_none(),
            cohorts: step.cohorts.clone(),
            counts: step.counts,
        }
    }

    fn row(
        &mut self,
        plan: &mut RowPlan,
        mapping: &StreamMapping,
        chunk: &Chunk,
        change: &Change,
    ) -> Result<Option<Row>, Rejection> {
        if change.op == Op::Reject {
            let code = change.reject.unwrap_or(RejectCode::Malformed);
            return Err(Rejection::new(code, "", "a record", code.name()));
        }
        let (key, version) = (chunk.records.bytes(&change.key), self.origin.version);
        let record = chunk.records.bytes(&change.payload);
        let Some(encoded) = plan.upsert(key, record, version, &mut self.batch.rows)? else { return Ok(None) };
        let Encoded { fields, children } = encoded;
        let partition = mapping.partitions.of(KeyHash::of(key));
        let offset = self.origin.place(partition);
        Ok(Some(Row { op: RowOp::Upsert, fields, children, version, partition, offset }))
    }

    fn letter(&self, mapping: &StreamMapping, chunk: &Chunk, change: &Change, reason: Rejection) -> DeadLetter {
        let key = chunk.records.bytes(&change.key);
        let partition = mapping.partitions.of(KeyHash::of(key));
        DeadLetter {
            partition,
            offset: self.origin.place(partition),
            version: self.origin.version,
            key: key.to_vec(),
            op: if change.op == Op::Reject { ParkedOp::Reject } else { ParkedOp::Upsert },
            reason,
            sqlstate: None,
            place: chunk.records.places().get(change.place as usize).map_or_else(String::new, ToString::to_string),
            at: change.at,
            payload: chunk.records.bytes(&change.payload).to_vec(),
        }
    }
}

impl Attempt for CopyBatch {
    fn name(&self) -> Name {
        Name::Copy
    }

    fn batch(&self) -> &SinkBatch {
        &self.batch
    }

    fn events(&self) -> u64 {
        self.chunk.records.changes().len() as u64
    }

    fn park_refused(&mut self, mapping: &StreamMapping, refused: &[(usize, String)]) {
        for (index, sqlstate) in refused {
            let change = &self.chunk.records.changes()[self.changes[*index] as usize];
            let reason = Rejection::new(RejectCode::Refused, "", "a row that PostgreSQL accepts", sqlstate);
            let mut letter = self.letter(mapping, &self.chunk, change, reason);
            letter.sqlstate = Some(sqlstate.clone());
            self.batch.dead.push(letter);
        }
        let gone: HashSet<usize> = refused.iter().map(|(index, _)| *index).collect();
        let mut index = 0;
        self.batch.rows.rows.retain(|_| {
            index += 1;
            !gone.contains(&(index - 1))
        });
        let mut index = 0;
        self.changes.retain(|_| {
            index += 1;
            !gone.contains(&(index - 1))
        });
        if let Some(step) = &mut self.batch.range {
            step.counts.copied -= gone.len() as u64;
            step.counts.parked += gone.len() as u64;
        }
    }
}
