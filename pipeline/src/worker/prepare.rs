//! From events to a batch the sink can commit: exactly `[from, until)` of each partition, each key at most once.
//!
//! A batch stops before a barrier (promise 4 holds on both sides of it). Last write wins inside a batch; what it overtakes counts as superseded. Every record is mapped, overtaken or not, so
//! that what is parked depends on the events alone and never on how they fell into batches (promise 19). A key that is
//! parked takes its later changes with it (promise 13). A record that the filter leaves out takes the row of its key with it.

use super::apply::Attempt;
use super::evolution::Evolution;
use crate::queue::{Cursor, ReadBatch, StoredEvent};
use crate::transform::{Encoded, RowPlan};
use hashbrown::HashTable;
use landfall_connectors::checkpoints::Phase;
use landfall_connectors::deadletter::{DeadLetter, ParkedOp};
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::sink::{Advance, SinkBatch};
use landfall_schemas::event::Op;
use landfall_schemas::hash::KeyHash;
use landfall_schemas::mapping::{OnError, StreamMapping};
use landfall_schemas::offset::{Generation, OffsetRange, Sequence};
use landfall_schemas::rejection::{RejectCode, Rejection};
use landfall_schemas::row::{Row, RowOp, RowSet};
use std::collections::HashSet;
use std::sync::Arc;

/// Turns events into batches for one lane.
pub(super) struct Preparer {
    mapping: Arc<StreamMapping>,
    plan: RowPlan,
    generation: Generation,
    parked: HashSet<KeyHash>,
    evolution: Arc<Evolution>,
}

/// A batch and what is needed to repeat or mend it.
pub(super) struct Prepared {
    pub(super) batch: SinkBatch,
    /// The events it was made from: dead letters for refused rows take their payload here.
    pub(super) events: ReadBatch,
    /// Keys this batch parks.
    pub(super) tainted: Vec<KeyHash>,
    /// Where the next read begins.
    pub(super) after: Cursor,
    /// The read was cut by its limit: there is more.
    pub(super) more: bool,
    /// The next event is not for this batch's way, and what it is.
    pub(super) stop: Option<Stop>,
    /// It has fields that wait for columns: it is to be prepared anew behind the next admission.
    pub(super) waits: bool,
    generation: Generation,
}

/// What a batch stops before.
#[derive(Clone, Debug)]
pub(super) enum Stop {
    /// In bulk: an event that is not for the bare heap.
    BulkOver,
    /// A barrier: all partitions arrive at it, then one acts.
    Barrier(Barrier),
}

/// A barrier that a lane has arrived at.
#[derive(Clone, Debug)]
pub(super) struct Barrier {
    /// `SnapshotBegin` or `Gone`.
    pub(super) op: Op,
    /// Its number in one of the partitions: the numbers of all partitions lie side by side.
    pub(super) sequence: Sequence,
    /// A few words for people.
    pub(super) how: String,
}

impl Prepared {
    /// What a lane has when there is nothing to read at its cursor.
    pub(super) fn nothing(cursor: &Cursor, generation: Generation) -> Self {
        Self {
            batch: SinkBatch::default(),
            events: ReadBatch::default(),
            tainted: Vec::new(),
            after: cursor.clone(),
            more: false,
            stop: None,
            waits: false,
            generation,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batch.advances.is_empty()
    }
}

/// The event a row came from.
fn event_of<'a>(events: &'a ReadBatch, row: &Row) -> Option<&'a StoredEvent> {
    events.events.iter().find(|event| event.partition == row.partition && event.offset == row.offset)
}

impl Attempt for Prepared {
    fn batch(&self) -> &SinkBatch {
        &self.batch
    }

    fn events(&self) -> u64 {
        self.events.events.len() as u64
    }

    fn appended(&self) -> Vec<(u64, u64)> {
        let of_a_frame = |events: &[StoredEvent]| (self.events.appended_ms(&events[0]), events.len() as u64);
        self.events.events.chunk_by(|one, next| one.frame == next.frame).map(of_a_frame).collect()
    }

    fn park_refused(&mut self, _mapping: &StreamMapping, refused: &[(usize, String)]) {
        let mut letters = Vec::with_capacity(refused.len());
        for (index, sqlstate) in refused {
            let row = &self.batch.rows.rows[*index];
            let Some(event) = event_of(&self.events, row) else { continue };
            let left_out = row.op == RowOp::Delete && event.op == Op::Upsert;
            let advance = self.batch.advances.iter_mut().find(|advance| advance.partition == row.partition);
            if let Some(Advance { counts, .. }) = advance {
                *(if left_out { &mut counts.filtered } else { &mut counts.applied }) -= 1;
                counts.dead_lettered += 1;
            }
            let reason = Rejection::new(RejectCode::Refused, "", "a row that PostgreSQL accepts", sqlstate);
            let mut letter = dead_letter(&self.events, event, self.generation, reason);
            letter.sqlstate = Some(sqlstate.clone());
            self.tainted.push(KeyHash::of(&letter.key));
            letters.push(letter);
        }
        let gone: HashSet<usize> = refused.iter().map(|(index, _)| *index).collect();
        let mut index = 0;
        self.batch.rows.rows.retain(|_| {
            index += 1;
            !gone.contains(&(index - 1))
        });
        self.batch.dead.extend(letters);
    }
}

impl Preparer {
    pub(super) fn new(
        mapping: Arc<StreamMapping>,
        generation: Generation,
        parked: HashSet<KeyHash>,
        evolution: Arc<Evolution>,
    ) -> Self {
        let plan = RowPlan::new(&mapping);
        Self { mapping, plan, generation, parked, evolution }
    }

    /// Forgets the keys that a batch parked which is not going to be committed as it is.
    pub(super) fn forget(&mut self, tainted: &[KeyHash]) {
        for key in tainted {
            self.parked.remove(key);
        }
    }

    /// Remembers keys parked since the batch was prepared.
    pub(super) fn remember(&mut self, tainted: &[KeyHash]) {
        self.parked.extend(tainted);
    }

    /// Prepares what was read at `cursor`. In bulk it stops before the first event that is not for the bare heap.
    pub(super) fn prepare(&mut self, cursor: &Cursor, events: ReadBatch, phase: Phase) -> Result<Prepared, Failure> {
        let mut prepared = Prepared { events, ..Prepared::nothing(cursor, self.generation) };
        let events = std::mem::take(&mut prepared.events);
        let mut latest = Latest::default();
        let fits = |event: &StoredEvent| match phase {
            Phase::Live => !event.op.is_barrier(),
            Phase::Bulk => for_bare_heap(event),
        };
        let taken = events.events.iter().position(|event| !fits(event)).unwrap_or(events.events.len());
        prepared.stop = events.events.get(taken).map(|event| stop_at(&events, event));
        let bytes: usize = events.events[..taken].iter().map(|event| event.payload.len()).sum();
        self.plan.watch(self.evolution.watch());
        prepared.batch.rows.buffer.reserve(bytes);
        prepared.batch.rows.rows.reserve(taken);
        for event in &events.events[..taken] {
            self.one(&events, event, phase, (&mut prepared, &mut latest))?;
        }
        prepared.waits = self.evolution.takes(self.plan.noticed());
        prepared.events = events;
        prepared.events.keep_first(taken);
        prepared.after.advance(&prepared.events);
        // A bare heap has no key to lock by, and is read in no order.
        if phase == Phase::Live {
            sort_by_key(&mut prepared.batch.rows);
        }
        Ok(prepared)
    }

    fn one(
        &mut self,
        events: &ReadBatch,
        event: &StoredEvent,
        phase: Phase,
        (prepared, latest): (&mut Prepared, &mut Latest),
    ) -> Result<(), Failure> {
        let key = events.bytes(event, &event.key);
        let step = step_of(&mut prepared.batch.advances, event);
        let hash = (!event.op.is_for_every_partition()).then(|| KeyHash::of(key));
        if let Some(hash) = hash
            && !matches!(event.op, Op::Retract | Op::Touched)
            && self.parked.contains(&hash)
        {
            prepared.batch.advances[step].counts.dead_lettered += 1;
            let reason = Rejection::new(RejectCode::Behind, "", "its turn", "an earlier dead letter of the key");
            prepared.batch.dead.push(dead_letter(events, event, self.generation, reason));
            return Ok(());
        }
        let written = match event.op {
            Op::SnapshotEnd | Op::SnapshotBegin | Op::Gone | Op::Touched => None,
            Op::Retract => {
                prepared.batch.retracted.push(key.to_vec());
                None
            }
            Op::Reject => {
                let code = event.reject.unwrap_or(RejectCode::Malformed);
                Some(Err(Rejection::new(code, "", "a record", code.name())))
            }
            Op::Upsert | Op::Delete => Some(self.row(events, event, (phase, &mut prepared.batch))),
        };
        match (written, hash) {
            (Some(Ok((fate, row))), Some(hash)) => {
                let overtaken = row.and_then(|row| latest.put(&mut prepared.batch.rows.rows, (hash, fate), row));
                let counts = &mut prepared.batch.advances[step].counts;
                counts.applied += u64::from(fate == Fate::Applied);
                counts.filtered += u64::from(fate == Fate::Filtered);
                if overtaken == Some(Fate::Applied) {
                    counts.applied -= 1;
                    counts.superseded += 1;
                }
            }
            (Some(Err(reason)), Some(hash)) => self.park(events, event, (hash, reason), prepared)?,
            _ => prepared.batch.advances[step].counts.superseded += 1,
        }
        Ok(())
    }

    /// The row of an event and what it counts as; in bulk there is none to take away for a record that is left out.
    fn row(
        &mut self,
        events: &ReadBatch,
        event: &StoredEvent,
        (phase, batch): (Phase, &mut SinkBatch),
    ) -> Result<(Fate, Option<Row>), Rejection> {
        let key = events.bytes(event, &event.key);
        let version = self.generation.version(event.sequence);
        let put = if event.op == Op::Delete {
            None
        } else {
            self.plan.upsert(key, events.bytes(event, &event.payload), version, &mut batch.rows)?
        };
        let fate = if event.op == Op::Upsert && put.is_none() { Fate::Filtered } else { Fate::Applied };
        let (op, encoded) = match put {
            Some(encoded) => (RowOp::Upsert, encoded),
            None if phase == Phase::Bulk => return Ok((fate, None)),
            None => (RowOp::Delete, self.plan.delete(key, version, &mut batch.rows)?),
        };
        let Encoded { fields, children } = encoded;
        let row = Row { op, fields, children, version, partition: event.partition, offset: event.offset };
        Ok((fate, Some(row)))
    }

    fn park(
        &mut self,
        events: &ReadBatch,
        event: &StoredEvent,
        why: (KeyHash, Rejection),
        prepared: &mut Prepared,
    ) -> Result<(), Failure> {
        let (hash, reason) = why;
        let place = String::from_utf8_lossy(events.bytes(event, &event.place));
        if reason.code == RejectCode::NewField {
            return Err(new_field(&self.mapping, &reason, &format!("at byte {} of {place}", event.at)));
        }
        if self.mapping.on_error == OnError::Halt {
            let detail = format!(
                "a record at byte {} of {place} cannot be mapped ({reason}) and the stream says on_error: halt; mend the record or \
                 the mapping, or set on_error: park",
                event.at
            );
            return Err(Failure::new(FailureClass::Halt, "record_refused", detail));
        }
        let step = step_of(&mut prepared.batch.advances, event);
        prepared.batch.advances[step].counts.dead_lettered += 1;
        if reason.code.blocks_key() && self.parked.insert(hash) {
            prepared.tainted.push(hash);
        }
        prepared.batch.dead.push(dead_letter(events, event, self.generation, reason));
        Ok(())
    }
}

fn stop_at(events: &ReadBatch, event: &StoredEvent) -> Stop {
    if !event.op.is_barrier() {
        return Stop::BulkOver;
    }
    let how = String::from_utf8_lossy(events.bytes(event, &event.payload)).into_owned();
    Stop::Barrier(Barrier { op: event.op, sequence: event.sequence, how })
}

/// Whether an event may be copied into a heap without key: a first sight of its key, or nothing to write at all.
fn for_bare_heap(event: &StoredEvent) -> bool {
    match event.op {
        Op::Upsert => event.snapshot,
        Op::Reject | Op::Retract => true,
        Op::Delete | Op::SnapshotEnd | Op::SnapshotBegin | Op::Gone | Op::Touched => false,
    }
}

/// The step of the event's partition, grown to cover the event.
fn step_of(advances: &mut Vec<Advance>, event: &StoredEvent) -> usize {
    let until = event.offset.plus(1);
    if let Some(at) = advances.iter().position(|advance| advance.partition == event.partition) {
        advances[at].range.until = until;
        return at;
    }
    let range = OffsetRange { from: event.offset, until };
    advances.push(Advance { partition: event.partition, range, counts: Default::default() });
    advances.len() - 1
}

pub(crate) fn dead_letter(
    events: &ReadBatch,
    event: &StoredEvent,
    generation: Generation,
    reason: Rejection,
) -> DeadLetter {
    DeadLetter {
        partition: event.partition,
        offset: event.offset,
        version: generation.version(event.sequence),
        key: events.bytes(event, &event.key).to_vec(),
        op: match event.op {
            Op::Upsert => ParkedOp::Upsert,
            Op::Delete => ParkedOp::Delete,
            Op::Reject | Op::Retract | Op::SnapshotEnd | Op::SnapshotBegin | Op::Gone | Op::Touched => ParkedOp::Reject,
        },
        reason,
        sqlstate: None,
        place: String::from_utf8_lossy(events.bytes(event, &event.place)).into_owned(),
        at: event.at,
        payload: events.bytes(event, &event.payload).to_vec(),
    }
}

/// What a change with a row counts as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Applied,
    Filtered,
}

/// The latest row of each key inside one batch.
#[derive(Default)]
struct Latest(HashTable<(KeyHash, u32, Fate)>);

impl Latest {
    /// Puts a row in; gives what the earlier one that it overtook was counted as.
    fn put(&mut self, rows: &mut Vec<Row>, (hash, fate): (KeyHash, Fate), row: Row) -> Option<Fate> {
        let at = rows.len() as u32;
        let found = self.0.entry(hash.0 as u64, |(known, ..)| *known == hash, |(known, ..)| known.0 as u64);
        match found {
            hashbrown::hash_table::Entry::Occupied(mut earlier) => {
                let (_, at, was) = earlier.get_mut();
                rows[*at as usize] = row;
                Some(std::mem::replace(was, fate))
            }
            hashbrown::hash_table::Entry::Vacant(free) => {
                free.insert((hash, at, fate));
                rows.push(row);
                None
            }
        }
    }
}

/// Sorts the rows by key: the same order on every connection, so that two never wait for each other.
pub(crate) fn sort_by_key(set: &mut RowSet) {
    let buffer = &set.buffer;
    set.rows.sort_unstable_by(|a, b| key_field(buffer, a).cmp(key_field(buffer, b)));
}

/// The first field of a row without its length.
fn key_field<'a>(buffer: &'a [u8], row: &Row) -> &'a [u8] {
    let fields = &buffer[row.fields.clone()];
    let length = fields.first_chunk::<4>().map_or(0, |length| i32::from_be_bytes(*length).max(0) as usize);
    fields.get(4..4 + length).unwrap_or_default()
}
/// The stream wants to know of a field that nothing maps before anything is written behind it.
pub(super) fn new_field(mapping: &StreamMapping, reason: &Rejection, which: &str) -> Failure {
    let detail = format!(
        "a record {which} has a field at {} that nothing maps, and stream {} says evolve: halt; map it (or set evolve: rest), run \
         `landfall schema apply --accept-mapping-change`, and start again",
        reason.path, mapping.name
    );
    Failure::new(FailureClass::Halt, "new_field", detail)
}
