//! The body of a frame: its events.
//!
//! ```text
//! content · description · length of the description u32
//! content:     per event: key · payload
//! description: places: count varint, then per place: length varint · name
//!              events: op and flags u8 · partition varint · [place varint] · at varint · [reject code u16] · [row hash, 16 bytes]
//!                      · key length varint · payload length varint
//! flags:       bits 0–3 op, 16 snapshot, 32 row hash, 64 reject code, 128 place (else the place of the event before)
//! ```
//!
//! Sequences and offsets are not stored: they follow from the header and the order. Content stands apart, since a batch holds it in
//! one piece: it is copied as such, in one stream. It stands first, so that it is copied before anybody looks at a key: hashing keys where the
//! source left them, cold and far from each other, waits for memory once per key.

use super::frame::Part;
use super::wire::{Walk, put_varint};
use landfall_schemas::event::{Change, ChangeBatch, Op};
use landfall_schemas::hash::{KeyHash, RowHash};
use landfall_schemas::rejection::RejectCode;
use landfall_schemas::stream::{PartitionCount, PartitionId};
use std::ops::Range;

const OP: u8 = 15;
const SNAPSHOT: u8 = 16;
const ROW_HASH: u8 = 32;
const REJECT: u8 = 64;
const PLACE: u8 = 128;
/// Bytes that say how long the description is.
const LENGTH: usize = 4;
/// What a varint of 32 bits takes at most.
const VARINT: usize = 5;
/// What describing an event takes at most: flags, partition, place, at, reject code, row hash, two lengths.
const EVENT: usize = 1 + 3 + VARINT + 10 + 2 + 16 + 2 * VARINT;
/// What it takes mostly: to make room once.
const USUAL_EVENT: usize = 16;

/// Neighbouring changes of one stream, which become the events of a frame: a control for every partition becomes one in each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body<'a> {
    pub(super) batch: &'a ChangeBatch,
    pub(super) changes: &'a [Change],
    pub(super) partitions: PartitionCount,
}

/// What was written.
#[derive(Debug)]
pub(super) struct Written {
    /// Bytes of the body.
    pub(super) len: usize,
    /// Events of each partition that has any; base offsets are 0.
    pub(super) parts: Vec<Part>,
}

impl Body<'_> {
    /// Bytes that the body takes at most.
    pub(super) fn room(&self) -> usize {
        let mut room = LENGTH + VARINT;
        for change in self.changes {
            room += self.copies(change) * (change.key.len() + change.payload.len() + EVENT);
        }
        room + self.batch.places().iter().map(|name| VARINT + name.len()).sum::<usize>() + VARINT
    }

    /// Writes the body to the front of `out`, which has [`Body::room`].
    pub(super) fn write(&self, out: &mut [u8]) -> Written {
        let content = self.put_content(out);
        let mut description = Vec::with_capacity(LENGTH + (self.changes.len() + 2) * USUAL_EVENT);
        let parts = self.describe(&out[..content], &mut description);
        let length = description.len() as u32;
        description.extend_from_slice(&length.to_le_bytes());
        let len = content + description.len();
        out[content..len].copy_from_slice(&description);
        Written { len, parts }
    }

    /// Copies keys and payloads; gives their bytes. What stands side by side in the batch is copied at once.
    fn put_content(&self, out: &mut [u8]) -> usize {
        let (mut len, mut run) = (0, 0..0);
        let mut flush = |run: &Range<u32>| {
            let bytes = self.batch.bytes(run);
            out[len..len + bytes.len()].copy_from_slice(bytes);
            len += bytes.len();
            len
        };
        for change in self.changes {
            for _ in 0..self.copies(change) {
                for range in [&change.key, &change.payload] {
                    if run.end == range.start {
                        run.end = range.end;
                    } else {
                        flush(&run);
                        run = range.clone();
                    }
                }
            }
        }
        flush(&run)
    }

    /// Describes the events whose content was copied; gives how many go to each partition.
    fn describe(&self, mut content: &[u8], out: &mut Vec<u8>) -> Vec<Part> {
        let local = put_places(self.batch, self.changes, out);
        let mut counts = vec![0_u32; usize::from(self.partitions.get())];
        let mut place_before = u32::MAX;
        for change in self.changes {
            let place = local[(change.place as usize).min(local.len() - 1)];
            let moved = (place != place_before).then_some(place);
            place_before = place;
            if change.op.is_for_every_partition() {
                for (index, partition) in self.partitions.all().enumerate() {
                    put_event(change, partition.0, moved.filter(|_| index == 0), out);
                    counts[usize::from(partition.0)] += 1;
                }
            } else {
                let key = &content[..change.key.len()];
                let partition = self.partitions.of(KeyHash::of(key));
                put_event(change, partition.0, moved, out);
                counts[usize::from(partition.0)] += 1;
            }
            content = &content[self.copies(change) * (change.key.len() + change.payload.len())..];
        }
        let parts = counts.into_iter().enumerate().filter(|(_, count)| *count > 0);
        parts.map(|(partition, count)| Part { partition: partition as u16, count, base: 0 }).collect()
    }

    /// How many events a change becomes.
    fn copies(&self, change: &Change) -> usize {
        if change.op.is_for_every_partition() { usize::from(self.partitions.get()) } else { 1 }
    }
}

/// Writes what describes an event. `place`: its place's number, unless it is the one of the event before.
#[inline]
fn put_event(change: &Change, partition: u16, place: Option<u32>, out: &mut Vec<u8>) {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    out.push(
        change.op as u8
            | flag(change.snapshot, SNAPSHOT)
            | flag(change.row_hash.is_some(), ROW_HASH)
            | flag(change.reject.is_some(), REJECT)
            | flag(place.is_some(), PLACE),
    );
    put_varint(out, u64::from(partition));
    if let Some(place) = place {
        put_varint(out, u64::from(place));
    }
    put_varint(out, change.at);
    if let Some(code) = change.reject {
        out.extend_from_slice(&(code as u16).to_le_bytes());
    }
    if let Some(hash) = change.row_hash {
        out.extend_from_slice(&hash.0.to_le_bytes());
    }
    put_varint(out, change.key.len() as u64);
    put_varint(out, change.payload.len() as u64);
}

/// Writes the places that `changes` use; gives, for each place of the batch (and one more, for changes that name none), its
/// number here.
fn put_places(batch: &ChangeBatch, changes: &[Change], out: &mut Vec<u8>) -> Vec<u32> {
    const UNUSED: u32 = u32::MAX;
    let places = batch.places();
    let mut local = vec![UNUSED; places.len() + 1];
    let mut used: Vec<&str> = Vec::new();
    for change in changes {
        let place = (change.place as usize).min(places.len());
        if local[place] == UNUSED {
            local[place] = used.len() as u32;
            used.push(places.get(place).map_or("", |name| name));
        }
    }
    put_varint(out, used.len() as u64);
    for name in used {
        put_varint(out, name.len() as u64);
        out.extend_from_slice(name.as_bytes());
    }
    local
}

/// An event as it stands in a body; ranges are into the body.
#[derive(Clone, Debug)]
pub(super) struct BodyEvent {
    pub(super) op: Op,
    pub(super) snapshot: bool,
    pub(super) partition: PartitionId,
    pub(super) reject: Option<RejectCode>,
    pub(super) row_hash: Option<RowHash>,
    pub(super) place: Range<u32>,
    pub(super) at: u64,
    pub(super) key: Range<u32>,
    pub(super) payload: Range<u32>,
}

/// Walks over the events of a body.
#[derive(Debug)]
pub(super) struct BodyEvents<'a> {
    walk: Walk<'a>,
    places: Vec<Range<u32>>,
    place: Range<u32>,
    /// Where the next event's content begins.
    content: usize,
    /// Where all content ends.
    description: usize,
}

impl<'a> BodyEvents<'a> {
    /// `None` when the places cannot be read.
    pub(super) fn new(body: &'a [u8]) -> Option<Self> {
        let (rest, length) = body.split_last_chunk::<LENGTH>()?;
        let description = rest.len().checked_sub(u32::from_le_bytes(*length) as usize)?;
        let mut walk = Walk::between(rest, description)?;
        let count = walk.length()?;
        let mut places = Vec::with_capacity(count.min(body.len()));
        for _ in 0..count {
            places.push(range(&mut walk)?);
        }
        Some(Self { walk, places, place: 0..0, content: 0, description })
    }

    /// The next event; `None` when the bytes end or are none.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<BodyEvent> {
        let walk = &mut self.walk;
        let head = walk.u8()?;
        let op = Op::from_byte(head & OP)?;
        let partition = PartitionId(u16::try_from(walk.varint()?).ok()?);
        if head & PLACE != 0 {
            self.place = self.places.get(walk.length()?)?.clone();
        }
        let at = walk.varint()?;
        let reject = if head & REJECT != 0 { Some(RejectCode::from_u16(walk.u16()?)?) } else { None };
        let row_hash = if head & ROW_HASH != 0 { Some(RowHash(walk.u128()?)) } else { None };
        let start = self.content;
        let middle = start.checked_add(walk.length()?)?;
        let end = middle.checked_add(walk.length()?).filter(|end| *end <= self.description)?;
        self.content = end;
        Some(BodyEvent {
            op,
            snapshot: head & SNAPSHOT != 0,
            partition,
            reject,
            row_hash,
            place: self.place.clone(),
            at,
            key: start as u32..middle as u32,
            payload: middle as u32..end as u32,
        })
    }
}

fn range(walk: &mut Walk<'_>) -> Option<Range<u32>> {
    let length = walk.length()?;
    let start = walk.at();
    walk.take(length)?;
    Some(start as u32..walk.at() as u32)
}

#[cfg(test)]
mod tests {
    use super::{Body, BodyEvents, Part};
    use landfall_schemas::event::{ChangeBatch, Op, Place};
    use landfall_schemas::hash::{KeyHash, RowHash};
    use landfall_schemas::key::RecordKey;
    use landfall_schemas::rejection::RejectCode;
    use landfall_schemas::stream::{PartitionCount, StreamId};

    fn key(text: &str) -> RecordKey {
        let mut key = RecordKey::default();
        key.string(text);
        key
    }

    fn body(batch: &ChangeBatch) -> (Vec<u8>, Vec<Part>) {
        let body = Body { batch, changes: batch.changes(), partitions: PartitionCount::DEFAULT };
        let mut bytes = vec![0xee; body.room()];
        let written = body.write(&mut bytes);
        bytes.truncate(written.len);
        (bytes, written.parts)
    }

    fn batch() -> ChangeBatch {
        let (stream, mut batch) = (StreamId(3), ChangeBatch::default());
        let (first, other) = (batch.place("a.json"), batch.place("b.json"));
        batch.upsert(stream, &key("one"), (b"{}", Some(RowHash(7))), Place { index: first, at: 300 }).snapshot = true;
        batch.delete(stream, &key("two"), Place { index: first, at: 0 });
        batch.reject(stream, &key("three"), (b"{", None, RejectCode::Malformed), Place { index: other, at: 1 << 40 });
        for op in [Op::Retract, Op::SnapshotEnd, Op::SnapshotBegin, Op::Touched] {
            batch.control(stream, op, &key("four"), Place { index: other, at: 5 });
        }
        batch.gone(stream, "dropped", Place { index: first, at: 6 });
        batch
    }

    #[test]
    fn every_kind_of_event_comes_back_in_order_and_those_for_every_partition_once_in_each() {
        let batch = batch();
        let (bytes, parts) = body(&batch);
        let mut events = BodyEvents::new(&bytes).unwrap();
        let mut counts = [0; 16];
        for change in batch.changes() {
            let all = change.op.is_for_every_partition();
            for number in 0..if all { 16 } else { 1 } {
                let event = events.next().unwrap();
                let read = |range: &std::ops::Range<u32>| &bytes[range.start as usize..range.end as usize];
                let hash = KeyHash::of(batch.bytes(&change.key));
                let partition = if all { number } else { PartitionCount::DEFAULT.of(hash).0 };
                assert_eq!((event.op, event.snapshot, event.partition.0), (change.op, change.snapshot, partition));
                assert_eq!((event.reject, event.row_hash, event.at), (change.reject, change.row_hash, change.at));
                assert_eq!(read(&event.key), batch.bytes(&change.key));
                assert_eq!(read(&event.payload), batch.bytes(&change.payload));
                assert_eq!(read(&event.place), batch.places()[change.place as usize].as_bytes());
                counts[usize::from(partition)] += 1;
            }
        }
        assert!(events.next().is_none());
        let counted: Vec<u32> = parts.iter().map(|part| part.count).collect();
        assert_eq!(counted, counts.into_iter().filter(|count| *count > 0).collect::<Vec<u32>>());
    }

    #[test]
    fn a_place_nobody_uses_and_events_of_the_greatest_size_fit_into_the_room() {
        let mut batch = ChangeBatch::default();
        let unused = batch.place("unused");
        let index = batch.place(&"long/".repeat(1_000));
        assert_ne!(unused, index);
        let place = Place { index, at: u64::MAX };
        batch.reject(StreamId(1), &key("k"), (b"[", Some(RowHash(u128::MAX)), RejectCode::Malformed), place).snapshot =
            true;
        let (bytes, _) = body(&batch);
        let event = BodyEvents::new(&bytes).unwrap().next().unwrap();
        assert_eq!((event.at, event.place.len()), (u64::MAX, 5_000));
    }

    #[test]
    fn a_body_cut_anywhere_gives_fewer_events_and_never_a_place_outside_it() {
        let batch = batch();
        let (bytes, parts) = body(&batch);
        let all: u32 = parts.iter().map(|part| part.count).sum();
        for cut in 0..bytes.len() {
            let Some(mut events) = BodyEvents::new(&bytes[..cut]) else { continue };
            let mut count = 0;
            while let Some(event) = events.next() {
                assert!(event.payload.end as usize <= cut && event.place.end as usize <= cut);
                count += 1;
            }
            assert!(count < all, "the last event needs the last byte");
        }
    }
}
