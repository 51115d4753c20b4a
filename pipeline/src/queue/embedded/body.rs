//! The body of a frame: its events.
//!
//! ```text
//! places: count varint, then per place: length varint · name
//! event:  op and flags u8 · partition varint · [place varint] · at varint · [reject code u16] · [row hash, 16 bytes]
//!         · key length varint · payload length varint · key · payload
//! flags:  bits 0–2 op, 8 snapshot, 16 row hash, 32 reject code, 64 place (else the place of the event before)
//! ```
//!
//! Sequences and offsets are not stored: they follow from the header and the order.

use super::wire::{Walk, put_varint};
use landfall_schemas::event::{ChangeBatch, Op};
use landfall_schemas::hash::RowHash;
use landfall_schemas::rejection::RejectCode;
use landfall_schemas::stream::PartitionId;
use std::ops::Range;

const OP: u8 = 7;
const SNAPSHOT: u8 = 8;
const ROW_HASH: u8 = 16;
const REJECT: u8 = 32;
const PLACE: u8 = 64;

/// Writes the events of a frame: `order` names each event's change in `batch` and its partition.
pub(super) fn encode(batch: &ChangeBatch, order: &[(u32, u16)], out: &mut Vec<u8>) {
    let local = put_places(batch, order, out);
    let mut place_before = u32::MAX;
    for &(index, partition) in order {
        let change = &batch.changes()[index as usize];
        let mut head = change.op as u8;
        if change.snapshot {
            head |= SNAPSHOT;
        }
        if change.row_hash.is_some() {
            head |= ROW_HASH;
        }
        if change.reject.is_some() {
            head |= REJECT;
        }
        let place = local[(change.place as usize).min(local.len() - 1)];
        if place != place_before {
            head |= PLACE;
        }
        out.push(head);
        put_varint(out, u64::from(partition));
        if place != place_before {
            put_varint(out, u64::from(place));
            place_before = place;
        }
        put_varint(out, change.at);
        if let Some(code) = change.reject {
            out.extend_from_slice(&(code as u16).to_le_bytes());
        }
        if let Some(hash) = change.row_hash {
            out.extend_from_slice(&hash.0.to_le_bytes());
        }
        let (key, payload) = (batch.bytes(&change.key), batch.bytes(&change.payload));
        put_varint(out, key.len() as u64);
        put_varint(out, payload.len() as u64);
        out.extend_from_slice(key);
        out.extend_from_slice(payload);
    }
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
}

impl<'a> BodyEvents<'a> {
    /// `None` when the places cannot be read.
    pub(super) fn new(body: &'a [u8]) -> Option<Self> {
        let mut walk = Walk::new(body);
        let count = walk.length()?;
        let mut places = Vec::with_capacity(count.min(body.len()));
        for _ in 0..count {
            places.push(range(&mut walk)?);
        }
        Some(Self { walk, places, place: 0..0 })
    }

    /// The next event; `None` when the bytes end or are none.
    #[inline]
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
        let (key_len, payload_len) = (walk.length()?, walk.length()?);
        let start = walk.at();
        walk.take(key_len)?;
        let middle = walk.at();
        walk.take(payload_len)?;
        Some(BodyEvent {
            op,
            snapshot: head & SNAPSHOT != 0,
            partition,
            reject,
            row_hash,
            place: self.place.clone(),
            at,
            key: start as u32..middle as u32,
            payload: middle as u32..walk.at() as u32,
        })
    }
}

fn range(walk: &mut Walk<'_>) -> Option<Range<u32>> {
    let length = walk.length()?;
    let start = walk.at();
    walk.take(length)?;
    Some(start as u32..walk.at() as u32)
}
