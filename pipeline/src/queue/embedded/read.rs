//! Reading from a cursor, and visiting everything.
//!
//! Keeps promise 4: per partition a batch is exactly `[cursor, next)`, in sequence order, never past the durable end. Readers keep
//! no state here; hints make the next small read start where the last one ended.

use super::body::{BodyEvent, BodyEvents};
use super::catalog::{Catalog, Spot};
use super::failures;
use super::frame::FrameHeader;
use super::log::Log;
use super::scan::{self, Found, Scanner};
use crate::queue::{Cursor, Frame, ReadBatch, ReadLimit, StoredEvent};
use landfall_connectors::failure::Failure;
use landfall_connectors::source::Recorded;
use landfall_schemas::offset::{Offset, Sequence};
use std::sync::atomic::Ordering;

/// Most events a read makes room for at once.
const RESERVED: usize = 4_096;
/// Partitions of a stream, at most.
const PARTITIONS: usize = 256;

/// What a read is after.
struct Wanted {
    chosen: [bool; PARTITIONS],
    /// Next offset to give out.
    next: [u64; PARTITIONS],
    /// Durable end when the read began.
    end: [u64; PARTITIONS],
    /// Partitions that have more.
    pending: usize,
}

/// Where to look for an event whose place is not known.
enum Start {
    At(Spot),
    In { segment: u64, cell: usize, delta: u64, fallback: Spot },
}

impl Wanted {
    fn new(cursor: &Cursor) -> Self {
        let mut wanted = Self { chosen: [false; PARTITIONS], next: [0; PARTITIONS], end: [0; PARTITIONS], pending: 0 };
        for (partition, offset) in &cursor.next {
            // A partition past the table is refused when the cursor is admitted.
            let index = usize::from(partition.0).min(PARTITIONS - 1);
            wanted.chosen[index] = true;
            wanted.next[index] = offset.0;
        }
        wanted
    }

    /// Events between the cursor and the end.
    fn left(&self) -> usize {
        let left: u64 = self.next.iter().zip(&self.end).map(|(next, end)| end.saturating_sub(*next)).sum();
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    /// Whether every event of a frame of the stream is wanted, comes next, and finds room: nearly always, for a reader of all
    /// partitions.
    fn takes_all(&self, header: &FrameHeader, room: ReadLimit) -> bool {
        let all = header.parts.iter().all(|part| {
            let index = usize::from(part.partition);
            self.chosen[index] && part.base == self.next[index] && part.base + u64::from(part.count) <= self.end[index]
        });
        all && header.count as usize <= room.events && header.raw_len as usize <= room.bytes
    }

    /// Notes that all events of a frame were taken; `false` when `offsets`, counted up by them, do not agree with its header.
    fn took_all(&mut self, header: &FrameHeader, offsets: &[u64; PARTITIONS]) -> bool {
        for part in &header.parts {
            let index = usize::from(part.partition);
            self.next[index] = part.base + u64::from(part.count);
            if offsets[index] != self.next[index] {
                return false;
            }
            self.pending -= usize::from(self.next[index] == self.end[index]);
        }
        true
    }

    /// Whether a frame of the stream holds something wanted.
    fn touches(&self, header: &FrameHeader) -> bool {
        header.parts.iter().any(|part| {
            let index = usize::from(part.partition);
            self.chosen[index]
                && part.base + u64::from(part.count) > self.next[index]
                && self.next[index] < self.end[index]
        })
    }
}

impl Log {
    /// See [`crate::queue::Queue::read`].
    pub(super) fn read(&self, cursor: &Cursor, limit: ReadLimit) -> Result<ReadBatch, Failure> {
        let mut batch = ReadBatch::default();
        let mut wanted = Wanted::new(cursor);
        let (starts, until) = self.starts(cursor, &mut wanted)?;
        let Some(spot) = self.earliest_of(starts)? else {
            self.read_until.store(until.0, Ordering::Relaxed);
            batch.next.clone_from(&cursor.next);
            return Ok(batch);
        };
        let mut scanner = Scanner::new(self, spot, until)?;
        let mut room = limit;
        batch.events.reserve(wanted.left().min(limit.events).min(RESERVED));
        let mut resume = scanner.spot();
        while wanted.pending > 0 {
            let Some(found) = scanner.next()? else { break };
            resume = scanner.spot();
            if found.header.stream != cursor.stream || !wanted.touches(&found.header) {
                continue;
            }
            let body = scanner.body(&found)?;
            let before = batch.events.len();
            let went_on = pick(&scanner, (&found, &body), &mut wanted, (&mut batch, &mut room))?;
            let taken = batch.events.len() - before;
            if taken > 0 {
                batch.frames.push(Frame { bytes: body.clone(), appended_ms: found.header.appended_ms });
            }
            let all = taken == found.header.count as usize;
            scanner.done_with(&found, body, if all { scan::Wanted::NoMore } else { scan::Wanted::Again });
            if !went_on {
                resume = found.spot;
                break;
            }
        }
        batch.next = cursor.next.iter().map(|(p, _)| (*p, Offset(wanted.next[usize::from(p.0)]))).collect();
        self.hints.put(cursor.stream, &batch.next, resume);
        self.read_until.store(resume.sequence.0, Ordering::Relaxed);
        Ok(batch)
    }

    /// Checks the cursor and says where each partition's next event may stand.
    fn starts(&self, cursor: &Cursor, wanted: &mut Wanted) -> Result<(Vec<Start>, Sequence), Failure> {
        let catalog = self.catalog();
        catalog.usable()?;
        let mut starts = Vec::with_capacity(cursor.next.len());
        for &(partition, offset) in &cursor.next {
            let cell = catalog.admit(cursor.stream, partition, offset)?;
            let end = catalog.cells[cell];
            wanted.end[usize::from(partition.0)] = end;
            if offset.0 == end {
                continue;
            }
            wanted.pending += 1;
            let start = match self.hints.get(cursor.stream, partition, offset.0) {
                Some(spot) if spot.segment >= catalog.first().number => Start::At(spot),
                _ => look_up(&catalog, cell, offset.0),
            };
            starts.push(start);
        }
        Ok((starts, catalog.end))
    }

    fn earliest_of(&self, starts: Vec<Start>) -> Result<Option<Spot>, Failure> {
        let mut earliest: Option<Spot> = None;
        for start in starts {
            let spot = match start {
                Start::At(spot) => spot,
                Start::In { segment, cell, delta, fallback } => {
                    let index = self.closed_index(segment)?;
                    let found = index.find_offset(cell, delta);
                    found.map_or(fallback, |(position, sequence)| Spot { segment, position, sequence })
                }
            };
            earliest = Some(earliest.map_or(spot, |earliest| earliest.min(spot)));
        }
        Ok(earliest)
    }

    /// See [`crate::queue::Queue::visit`].
    pub(super) fn visit(&self, from: Sequence, visit: &mut dyn FnMut(Recorded<'_>)) -> Result<(), Failure> {
        let (segment, fallback, newest, until) = {
            let catalog = self.catalog();
            catalog.usable()?;
            let what = format_args!("event {} of the source", from.0);
            if from < catalog.first().base {
                return Err(failures::history_trimmed(what, catalog.first().base.0));
            }
            if from > catalog.end {
                return Err(failures::behind(what, catalog.end.0));
            }
            let index = catalog.segment_of_sequence(from);
            let entry = &catalog.segments[index];
            let fallback = Spot { segment: entry.number, position: entry.header_len, sequence: entry.base };
            let is_newest = index + 1 == catalog.segments.len();
            let newest = is_newest.then(|| catalog.index.find_sequence(from));
            (entry.number, fallback, newest, catalog.end)
        };
        if from == until {
            return Ok(());
        }
        let found = match newest {
            Some(found) => found,
            None => self.closed_index(segment)?.find_sequence(from),
        };
        let spot = found.map_or(fallback, |(position, sequence)| Spot { segment, position, sequence });
        let mut scanner = Scanner::new(self, spot, until)?;
        while let Some(found) = scanner.next()? {
            if found.header.count > 0 && found.header.until() > from {
                let body = scanner.body(&found)?;
                show(&found.header, &body, from, visit).ok_or_else(|| {
                    scanner.damage(found.spot.position..scanner.spot().position, "a frame cannot be read")
                })?;
                scanner.done_with(&found, body, scan::Wanted::NoMore);
            }
        }
        Ok(())
    }
}

/// Takes the wanted events of a frame; `false` when a limit was met before its end.
fn pick(
    scanner: &Scanner<'_>,
    from: (&Found, &[u8]),
    wanted: &mut Wanted,
    into: (&mut ReadBatch, &mut ReadLimit),
) -> Result<bool, Failure> {
    let (found, body) = from;
    let (batch, room) = into;
    let mut offsets = [0u64; PARTITIONS];
    for part in &found.header.parts {
        offsets[usize::from(part.partition)] = part.base;
    }
    let taken = match BodyEvents::new(raw(&found.header, body)) {
        None => Err("the places of a frame cannot be read"),
        Some(events) if wanted.takes_all(&found.header, *room) => pick_all(&found.header, events, &mut offsets, batch)
            .filter(|_| wanted.took_all(&found.header, &offsets))
            .map(|bytes| {
                room.events -= found.header.count as usize;
                room.bytes = room.bytes.saturating_sub(bytes);
                true
            })
            .ok_or("a frame's events are not those its header counts"),
        Some(events) => pick_some((&found.header, events), &mut offsets, wanted, (batch, room)),
    };
    taken.map_err(|what| scanner.damage(found.spot.position..scanner.spot().position, what))
}

/// Takes every event of a frame, counting `offsets` up; gives the bytes of their records, `None` when they cannot be read.
fn pick_all(
    header: &FrameHeader,
    mut events: BodyEvents<'_>,
    offsets: &mut [u64; PARTITIONS],
    batch: &mut ReadBatch,
) -> Option<usize> {
    let mut bytes = 0;
    let frame = batch.frames.len() as u32;
    for number in 0..u64::from(header.count) {
        let event = events.next()?;
        bytes += event.payload.len();
        let offset = offsets.get_mut(usize::from(event.partition.0))?;
        batch.events.push(stored(event, (*offset, number), header.base, frame));
        *offset += 1;
    }
    Some(bytes)
}

/// Takes those events of a frame that are wanted, while there is room.
fn pick_some(
    (header, mut events): (&FrameHeader, BodyEvents<'_>),
    offsets: &mut [u64; PARTITIONS],
    wanted: &mut Wanted,
    (batch, room): (&mut ReadBatch, &mut ReadLimit),
) -> Result<bool, &'static str> {
    let frame = batch.frames.len() as u32;
    for number in 0..u64::from(header.count) {
        let event = events.next().ok_or("an event of a frame cannot be read")?;
        let index = usize::from(event.partition.0);
        let offset = offsets.get_mut(index).ok_or("an event names no partition")?;
        let mine = *offset;
        *offset += 1;
        if !wanted.chosen[index] || mine < wanted.next[index] || mine >= wanted.end[index] {
            continue;
        }
        if mine != wanted.next[index] {
            return Err("offsets are missing before this frame");
        }
        let bytes = event.payload.len();
        if !batch.events.is_empty() && (room.events == 0 || bytes > room.bytes) {
            return Ok(false);
        }
        // A first event that passes a limit comes alone.
        room.events = if bytes > room.bytes { 0 } else { room.events.saturating_sub(1) };
        room.bytes = room.bytes.saturating_sub(bytes);
        wanted.next[index] += 1;
        if wanted.next[index] == wanted.end[index] {
            wanted.pending -= 1;
        }
        batch.events.push(stored(event, (mine, number), header.base, frame));
    }
    Ok(true)
}

fn look_up(catalog: &Catalog, cell: usize, offset: u64) -> Start {
    let index = catalog.segment_of_offset(cell, offset);
    let entry = &catalog.segments[index];
    let delta = offset - entry.cells.get(cell).copied().unwrap_or(0);
    let fallback = Spot { segment: entry.number, position: entry.header_len, sequence: entry.base };
    if index + 1 < catalog.segments.len() {
        return Start::In { segment: entry.number, cell, delta, fallback };
    }
    let found = catalog.index.find_offset(cell, delta);
    Start::At(found.map_or(fallback, |(position, sequence)| Spot { segment: entry.number, position, sequence }))
}

fn stored(event: BodyEvent, at: (u64, u64), base: Sequence, frame: u32) -> StoredEvent {
    let (offset, number) = at;
    StoredEvent {
        partition: event.partition,
        offset: Offset(offset),
        sequence: base.plus(number),
        op: event.op,
        snapshot: event.snapshot,
        reject: event.reject,
        frame,
        key: event.key,
        payload: event.payload,
        place: event.place,
        at: event.at,
    }
}

/// The body in its buffer.
fn raw<'a>(header: &FrameHeader, buffer: &'a [u8]) -> &'a [u8] {
    buffer.get(..header.raw_len as usize).unwrap_or(buffer)
}

/// Shows the events of a frame from `from` on; `None` when they cannot be read.
fn show(header: &FrameHeader, body: &[u8], from: Sequence, visit: &mut dyn FnMut(Recorded<'_>)) -> Option<()> {
    let body = raw(header, body);
    let mut events = BodyEvents::new(body)?;
    for number in 0..u64::from(header.count) {
        let event = events.next()?;
        let sequence = header.base.plus(number);
        if sequence >= from {
            let key = body.get(event.key.start as usize..event.key.end as usize)?;
            let BodyEvent { op, snapshot, reject, row_hash, .. } = event;
            visit(Recorded { sequence, stream: header.stream, op, snapshot, key, row_hash, reject });
        }
    }
    Some(())
}
