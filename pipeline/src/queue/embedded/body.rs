//! The body of a frame: its events.
//!
//! ```text
//! length of the description u32 · description · content
//! description: places: count varint, then per place: length varint · name
//!              events: op and flags u8 · partition varint · [place varint] · at varint · [reject code u16] · [row hash, 16 bytes]
//!                      · key length varint · payload length varint
//! content:     per event: key · payload
//! flags:       bits 0–3 op, 16 snapshot, 32 row hash, 64 reject code, 128 place (else the place of the event before)
//! ```
//!
//! Sequences and offsets are not stored: they follow from the header and the order. Content stands apart, since a batch holds it in
//! one piece: it is copied as such, and whoever wants the description alone does not pass over it.

use super::wire::{Walk, put_varint};
use landfall_schemas::event::{Change, ChangeBatch, Op};
use landfall_schemas::hash::RowHash;
use landfall_schemas::rejection::RejectCode;
use landfall_schemas::stream::PartitionId;
use std::ops::Range;

const OP: u8 = 15;
const SNAPSHOT: u8 = 16;
const ROW_HASH: u8 = 32;
const REJECT: u8 = 64;
const PLACE: u8 = 128;
/// Bytes that say how long the description is.
const LENGTH: usize = 4;
/// What describing an event takes at most, nearly always: to make room once.
const EVENT: usize = 32;

/// A body that is going to be written: the description, and where the content stands in the batch.
#[derive(Debug)]
pub(super) struct Body<'a> {
    batch: &'a ChangeBatch,
    description: Vec<u8>,
    content: Vec<Range<u32>>,
    len: usize,
}

impl<'a> Body<'a> {
    /// The events of a frame: `order` names each event's change in `batch` and its partition.
    pub(super) fn new(batch: &'a ChangeBatch, order: &[(u32, u16)]) -> Self {
        let description = Vec::with_capacity(LENGTH + EVENT + order.len() * EVENT);
        let mut body = Self { batch, description, content: Vec::new(), len: 0 };
        body.description.extend_from_slice(&[0; LENGTH]);
        let local = put_places(batch, order, &mut body.description);
        let mut place_before = u32::MAX;
        for &(index, partition) in order {
            let change = &batch.changes()[index as usize];
            let place = local[(change.place as usize).min(local.len() - 1)];
            let moved = (place != place_before).then_some(place);
            put_event(change, partition, moved, &mut body.description);
            place_before = place;
            body.add(&change.key);
            body.add(&change.payload);
        }
        let length = (body.description.len() - LENGTH) as u32;
        body.description[..LENGTH].copy_from_slice(&length.to_le_bytes());
        body.len += body.description.len();
        body
    }

    fn add(&mut self, range: &Range<u32>) {
        self.len += range.len();
        match self.content.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.content.push(range.clone()),
        }
    }

    /// Bytes of the whole body.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Writes the body into `out`, which is as long as it.
    pub(super) fn write(&self, out: &mut [u8]) {
        let (description, mut rest) = out.split_at_mut(self.description.len());
        description.copy_from_slice(&self.description);
        for range in &self.content {
            let bytes = self.batch.bytes(range);
            let (here, behind) = rest.split_at_mut(bytes.len());
            here.copy_from_slice(bytes);
            rest = behind;
        }
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

/// Writes the places that `order` uses; gives, for each place of the batch (and one more, for changes that name none), its
/// number here.
fn put_places(batch: &ChangeBatch, order: &[(u32, u16)], out: &mut Vec<u8>) -> Vec<u32> {
    const UNUSED: u32 = u32::MAX;
    let places = batch.places();
    let mut local = vec![UNUSED; places.len() + 1];
    let mut used: Vec<&str> = Vec::new();
    for &(index, _) in order {
        let place = (batch.changes()[index as usize].place as usize).min(places.len());
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
    len: usize,
}

impl<'a> BodyEvents<'a> {
    /// `None` when the places cannot be read.
    pub(super) fn new(body: &'a [u8]) -> Option<Self> {
        let mut walk = Walk::new(body);
        let content = LENGTH.checked_add(walk.u32()? as usize)?;
        walk.end_at(content)?;
        let count = walk.length()?;
        let mut places = Vec::with_capacity(count.min(body.len()));
        for _ in 0..count {
            places.push(range(&mut walk)?);
        }
        Some(Self { walk, places, place: 0..0, content, len: body.len() })
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
        let end = middle.checked_add(walk.length()?).filter(|end| *end <= self.len)?;
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
    use super::{Body, BodyEvents};
    use landfall_schemas::event::{ChangeBatch, Op, Place};
    use landfall_schemas::hash::RowHash;
    use landfall_schemas::key::RecordKey;
    use landfall_schemas::rejection::RejectCode;
    use landfall_schemas::stream::StreamId;

    fn key(text: &str) -> RecordKey {
        let mut key = RecordKey::default();
        key.string(text);
        key
    }

    fn body(batch: &ChangeBatch, order: &[(u32, u16)]) -> Vec<u8> {
        let body = Body::new(batch, order);
        let mut bytes = vec![0xee; body.len()];
        body.write(&mut bytes);
        bytes
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
    fn every_kind_of_event_comes_back_in_any_order_and_as_often_as_named() {
        let batch = batch();
        let order: Vec<(u32, u16)> = [0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 2, 0].into_iter().zip(250..).collect();
        let bytes = body(&batch, &order);
        let mut events = BodyEvents::new(&bytes).unwrap();
        for (index, partition) in order {
            let (event, change) = (events.next().unwrap(), &batch.changes()[index as usize]);
            let read = |range: &std::ops::Range<u32>| &bytes[range.start as usize..range.end as usize];
            assert_eq!((event.op, event.snapshot, event.partition.0), (change.op, change.snapshot, partition));
            assert_eq!((event.reject, event.row_hash, event.at), (change.reject, change.row_hash, change.at));
            assert_eq!(read(&event.key), batch.bytes(&change.key));
            assert_eq!(read(&event.payload), batch.bytes(&change.payload));
            assert_eq!(read(&event.place), batch.places()[change.place as usize].as_bytes());
        }
        assert!(events.next().is_none());
    }

    #[test]
    fn a_body_cut_anywhere_gives_fewer_events_and_never_a_place_outside_it() {
        let batch = batch();
        let order: Vec<(u32, u16)> = (0..8).map(|index| (index, 1)).collect();
        let bytes = body(&batch, &order);
        for cut in 0..bytes.len() {
            let Some(mut events) = BodyEvents::new(&bytes[..cut]) else { continue };
            let mut count = 0;
            while let Some(event) = events.next() {
                assert!(event.payload.end as usize <= cut && event.place.end as usize <= cut);
                count += 1;
            }
            assert!(count < 8, "the last event needs the last byte");
        }
    }
}
