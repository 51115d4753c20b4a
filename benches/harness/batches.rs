//! Prepared batches: what a lane would hand to the sink, made before the clock starts.
//!
//! Keys are spread over partitions and lanes as the product spreads them; inside a batch each key stands once (the last
//! change wins) and rows are sorted by key.

use crate::bare_table::BareTable;
use crate::mix::Change;
use crate::users_table::BARE_USERS;
use landfall_connectors::checkpoints::Counts;
use landfall_connectors::sink::{Advance, SinkBatch};
use landfall_schemas::hash::KeyHash;
use landfall_schemas::offset::{Generation, Offset, OffsetRange, Sequence};
use landfall_schemas::row::{Row, RowOp};
use landfall_schemas::stream::{PartitionCount, PartitionId};
use std::collections::HashMap;

/// One change on its way.
struct Event {
    change: Change,
    partition: PartitionId,
    offset: Offset,
    sequence: Sequence,
}

/// Batches of `size` events on users for each of `lanes` lanes.
pub fn batches(changes: &[Change], lanes: usize, size: usize) -> Vec<Vec<SinkBatch>> {
    batches_for(&BARE_USERS, changes, lanes, size)
}

/// Batches of `size` events on rows of `table` for each of `lanes` lanes.
pub fn batches_for(table: &BareTable, changes: &[Change], lanes: usize, size: usize) -> Vec<Vec<SinkBatch>> {
    let count = PartitionCount::DEFAULT;
    let mut next = vec![0_u64; usize::from(count.get())];
    let mut waiting: Vec<Vec<Event>> = (0..lanes).map(|_| Vec::with_capacity(size)).collect();
    let mut done: Vec<Vec<SinkBatch>> = (0..lanes).map(|_| Vec::new()).collect();
    for (number, change) in changes.iter().enumerate() {
        let partition = count.of(KeyHash::of(&change.user.record_key()));
        let offset = Offset(next[usize::from(partition.0)]);
        next[usize::from(partition.0)] += 1;
        let lane = usize::from(partition.0) % lanes;
        waiting[lane].push(Event { change: *change, partition, offset, sequence: Sequence(number as u64) });
        if waiting[lane].len() == size {
            done[lane].push(batch(table, &waiting[lane]));
            waiting[lane].clear();
        }
    }
    for (lane, rest) in waiting.iter().enumerate().filter(|(_, rest)| !rest.is_empty()) {
        done[lane].push(batch(table, rest));
    }
    done
}

fn batch(table: &BareTable, events: &[Event]) -> SinkBatch {
    let mut batch = SinkBatch::default();
    let generation = Generation::new(1).expect("1 is a generation");
    let mut last: HashMap<String, usize> = HashMap::with_capacity(events.len());
    for event in events {
        let version = generation.version(event.sequence);
        let start = batch.rows.buffer.len();
        if event.change.delete {
            (table.delete)(event.change.user, version.0, &mut batch.rows.buffer);
        } else {
            (table.write)(event.change.user, version.0, &mut batch.rows.buffer);
        }
        let op = if event.change.delete { RowOp::Delete } else { RowOp::Upsert };
        let fields = start..batch.rows.buffer.len();
        let row = Row { op, fields, children: 0..0, version, partition: event.partition, offset: event.offset };
        let overtaken = last.get(&event.change.user.id()).copied();
        match overtaken {
            Some(earlier) => batch.rows.rows[earlier] = row,
            None => {
                last.insert(event.change.user.id(), batch.rows.rows.len());
                batch.rows.rows.push(row);
            }
        }
        step(&mut batch.advances, event, overtaken.is_some());
    }
    let buffer = &batch.rows.buffer;
    batch.rows.rows.sort_by_key(|row| key(&buffer[row.fields.clone()]));
    batch
}

/// The first field: `length i32 be | bytes`.
fn key(fields: &[u8]) -> &[u8] {
    let (length, rest) = fields.split_first_chunk::<4>().expect("a row has a key");
    &rest[..i32::from_be_bytes(*length) as usize]
}

fn step(advances: &mut Vec<Advance>, event: &Event, overtook: bool) {
    let known = advances.iter().position(|advance| advance.partition == event.partition);
    let at = known.unwrap_or_else(|| {
        let range = OffsetRange { from: event.offset, until: event.offset };
        advances.push(Advance { partition: event.partition, range, counts: Counts::default() });
        advances.len() - 1
    });
    advances[at].range.until = event.offset.plus(1);
    advances[at].counts.applied += u64::from(!overtook);
    advances[at].counts.superseded += u64::from(overtook);
}

#[cfg(test)]
mod tests {
    use super::batches;
    use crate::mix::Mix;

    #[test]
    fn every_event_is_in_one_batch_and_counted_once() {
        let mix = Mix::steady(500, 5_000, 3);
        let lanes = batches(&mix.changes, 2, 1_000);
        let total: u64 = lanes.iter().flatten().flat_map(|batch| &batch.advances).map(|a| a.counts.total()).sum();
        assert_eq!(total, 5_000);
        for advance in lanes.iter().flatten().flat_map(|batch| &batch.advances) {
            assert_eq!(advance.range.len(), advance.counts.total());
        }
    }
}
