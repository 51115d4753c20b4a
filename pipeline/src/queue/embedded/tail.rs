//! The end of the log, where one thread at a time writes.
//!
//! Keeps promises 1 and 18. A group of batches is stamped, written with one call and synced once; only then is it published.
//! A write that fails for want of room is taken back by cutting the file to where it was. A failed sync, or a cut that fails,
//! breaks the queue: what is on disk is unknown until it is opened anew.

use super::cache::CachedFrame;
use super::disk::{DiskFile, Space, write_all};
use super::encode::{EncodedBatch, EncodedFrame};
use super::failures;
use super::frame::{self, FrameHeader, Seal, Stamp};
use super::gate::Outcome;
use super::log::Log;
use super::retention::Need;
use super::watermark::Mark;
use crate::queue::{AppendFailure, DiskRoom, Durable, FullReason};
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_schemas::offset::Sequence;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// The watermark is renewed about this often while appends go on, in milliseconds: it bounds what an unclean end leaves unproven.
const MARK_EVERY_MS: u64 = 1_000;
/// Batches that carry only positions may pass the cap by this much, so that a shutdown can still save where it stands.
const RESERVE: u64 = 1 << 20;
/// Frames are kept in memory for readers that are no further behind than this many events.
const NEAR: u64 = 20_000;

/// The newest segment, as its writer knows it.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) number: u64,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) seal: Seal,
    pub(super) header_len: u64,
    /// Where the next frame goes.
    pub(super) position: u64,
    pub(super) next: Sequence,
    /// Next offset of each cell.
    pub(super) cells: Vec<u64>,
    pub(super) newest_ms: u64,
    /// When the watermark was written.
    pub(super) marked_ms: u64,
}

/// Upper bounds for the time a sync takes, in seconds: from a cache that lies to a disk that dies.
pub(super) const SYNC_SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// A group that is written and not yet published.
struct Written {
    batches: Vec<EncodedBatch>,
    /// Where each frame of all batches stands, and its header.
    frames: Vec<(u64, FrameHeader)>,
    durable: Vec<Durable>,
}

impl Log {
    /// Makes a group of batches durable; answers for each.
    pub(super) fn commit(&self, batches: Vec<EncodedBatch>) -> Vec<Outcome> {
        let count = batches.len();
        let mut tail = self.tail();
        if let Err(failure) = self.make_ready(&mut tail) {
            return (0..count).map(|_| Err(again(&failure))).collect();
        }
        let mut refused = Vec::with_capacity(count);
        let mut admitted = Vec::with_capacity(count);
        let mut bytes = 0;
        for batch in batches {
            let fits = self.has_room(&mut tail, bytes, &batch);
            refused.push(fits.err());
            if refused.last().is_some_and(Option::is_none) {
                bytes += batch.len;
                admitted.push(batch);
            }
        }
        let written = if admitted.is_empty() { Ok(Vec::new()) } else { self.write_group(&mut tail, admitted) };
        let mut durable = written.as_ref().map(|durable| durable.iter()).unwrap_or_default();
        let mut outcomes = Vec::with_capacity(count);
        for refusal in refused {
            outcomes.push(match (refusal, &written) {
                (Some(failure), _) => Err(failure),
                (None, Err(failure)) => Err(again(failure)),
                (None, Ok(_)) => Ok(*durable.next().expect("each admitted batch of a written group is durable")),
            });
        }
        outcomes
    }

    fn make_ready(&self, tail: &mut Tail) -> Result<(), AppendFailure> {
        self.catalog().usable().map_err(AppendFailure::Failed)?;
        if tail.position - tail.header_len >= self.options.segment_limit() {
            self.roll(tail, None)?;
        }
        Ok(())
    }

    /// Whether `batch` fits under the cap behind `bytes` of the same group; trims when it does not.
    fn has_room(&self, tail: &mut Tail, bytes: u64, batch: &EncodedBatch) -> Result<(), AppendFailure> {
        let events: u64 = batch.frames.iter().map(|frame| u64::from(frame.count)).sum();
        if tail.next.0 + events >= Sequence::LIMIT {
            let detail = "the queue has numbered 2^48 events: move the directory away and resync";
            return Err(AppendFailure::Failed(Failure::new(FailureClass::Halt, "sequence_exhausted", detail)));
        }
        let needed = bytes + batch.len;
        let (limit, _) = self.limit(events);
        if self.catalog().bytes() + needed <= limit {
            return Ok(());
        }
        // What is already admitted to this group keeps the tail where it is: only a group of one may roll.
        if bytes == 0 {
            self.make_room(tail, Need { bytes: needed, limit })?;
        }
        let (limit, reason) = self.limit(events);
        if self.catalog().bytes() + needed <= limit { Ok(()) } else { Err(AppendFailure::Full(reason)) }
    }

    /// Most bytes that segments may have now, and what says so. What carries no events may use the reserve of the disk: a
    /// shutdown still saves where it stands.
    pub(super) fn limit(&self, events: u64) -> (u64, FullReason) {
        let cap = self.options.retention.max_bytes;
        if events == 0 {
            return (cap.saturating_add(RESERVE), FullReason::Cap);
        }
        let held = self.catalog().bytes();
        let disk = self.disk_room().map(|room| held.saturating_add(room.free).saturating_sub(room.reserve));
        match disk {
            Some(disk) if disk < cap => (disk, FullReason::Disk),
            _ => (cap, FullReason::Cap),
        }
    }

    /// What the file system has left; `None` where it does not say.
    pub(super) fn disk_room(&self) -> Option<DiskRoom> {
        let Space { total, free } = self.disk.space().ok()?;
        Some(DiskRoom::of((total, free), &self.options.retention))
    }

    fn write_group(&self, tail: &mut Tail, batches: Vec<EncodedBatch>) -> Result<Vec<Durable>, AppendFailure> {
        let start = tail.position;
        let written = stamp_group(tail, batches, self.clock.now_ms());
        let frames = written.batches.iter().flat_map(|batch| &batch.frames);
        let parts: Vec<&[u8]> = frames.flat_map(|frame| [&frame.header[..], frame.stored()]).collect();
        fail::fail_point!("queue::before_write");
        if let Err(error) = write_all(&*tail.file, &parts, start) {
            return Err(self.take_back(tail, start, &error));
        }
        fail::fail_point!("queue::after_write");
        fail::fail_point!("queue::before_sync");
        let began = Instant::now();
        let synced = tail.file.sync();
        self.syncs.observe(began.elapsed().as_secs_f64(), 1);
        if let Err(error) = synced {
            let failure = failures::sync_failed(&super::segment::file_name(tail.number), &error);
            return Err(AppendFailure::Failed(self.break_with(failure)));
        }
        fail::fail_point!("queue::after_sync");
        let durable = written.durable.clone();
        self.publish(tail, written);
        self.renew_mark(tail).map_err(AppendFailure::Failed)?;
        Ok(durable)
    }

    /// Undoes a write that failed, so that nothing of it is in the queue; breaks the queue when that is not certain.
    fn take_back(&self, tail: &mut Tail, start: u64, error: &io::Error) -> AppendFailure {
        {
            let catalog = self.catalog();
            tail.position = start;
            tail.next = catalog.end;
            tail.newest_ms = catalog.newest().newest_ms;
            tail.cells.clone_from(&catalog.cells);
        }
        let undone = tail.file.truncate(start).and_then(|()| tail.file.sync());
        if undone.is_ok() && failures::is_full(error) {
            return AppendFailure::Full(FullReason::Disk);
        }
        let failure = failures::write_failed(&super::segment::file_name(tail.number), error);
        AppendFailure::Failed(self.break_with(failure))
    }

    /// Shows readers what became durable.
    fn publish(&self, tail: &Tail, written: Written) {
        let near = self.read_until.load(Ordering::Relaxed).saturating_add(NEAR) >= tail.next.0;
        let mut catalog = self.catalog_mut();
        for (position, header) in &written.frames {
            catalog.take_frame(*position, header);
        }
        for batch in &written.batches {
            catalog.take_positions(&batch.positions);
        }
        let end = catalog.end;
        drop(catalog);
        let frames = written.batches.into_iter().flat_map(|batch| batch.frames);
        for (EncodedFrame { raw, packed, .. }, (position, header)) in frames.zip(written.frames) {
            if let Some(packed) = packed {
                self.frames.buffers.give(packed.buffer);
            }
            if near {
                let frame = CachedFrame { header: Arc::new(header), body: raw.buffer };
                self.frames.put(tail.number, position, frame);
            } else {
                self.frames.buffers.give(raw.buffer);
            }
        }
        self.durable.send_replace(end);
    }

    /// Writes the watermark when it is time.
    fn renew_mark(&self, tail: &mut Tail) -> Result<(), Failure> {
        // The clock may jump back; then the watermark is written once and the new time counts.
        if tail.newest_ms.abs_diff(tail.marked_ms) < MARK_EVERY_MS {
            return Ok(());
        }
        self.mark_now(tail)
    }

    /// Writes the watermark, unless it says so already.
    pub(super) fn mark_now(&self, tail: &mut Tail) -> Result<(), Failure> {
        tail.marked_ms = tail.newest_ms;
        let mut watermark = self.watermark();
        let had = watermark.mark();
        let mark = Mark { first: had.first, segment: tail.number, position: tail.position, sequence: tail.next };
        if mark == had {
            return Ok(());
        }
        watermark.set(mark).map(|_| ()).map_err(|failure| self.break_with(failure))
    }
}

/// Gives each frame its place, sequence and offsets, and moves the tail behind them.
fn stamp_group(tail: &mut Tail, mut batches: Vec<EncodedBatch>, now_ms: u64) -> Written {
    let group_start = tail.position;
    let mut frames = Vec::new();
    let mut durable = Vec::new();
    tail.newest_ms = tail.newest_ms.max(now_ms);
    for batch in &mut batches {
        let from = tail.next;
        for frame in &mut batch.frames {
            for part in &mut frame.parts {
                let cell = frame.first_cell + usize::from(part.partition);
                part.base = tail.cells[cell];
                tail.cells[cell] += u64::from(part.count);
            }
            let stamp = Stamp { position: tail.position, base: tail.next, appended_ms: now_ms, durable: group_start };
            let header = &mut frame.header[..];
            frame::write_stamp(header, &tail.seal, stamp, &frame.parts);
            let read = FrameHeader::parse(header, &tail.seal, tail.position);
            frames.push((tail.position, read.expect("a header that was just written can be read")));
            tail.position += frame.len();
            tail.next = tail.next.plus(u64::from(frame.count));
        }
        durable.push(Durable { from, until: tail.next });
    }
    Written { batches, frames, durable }
}

/// The same failure for another batch of the group.
fn again(failure: &AppendFailure) -> AppendFailure {
    match failure {
        AppendFailure::Full(reason) => AppendFailure::Full(*reason),
        AppendFailure::Failed(failure) => AppendFailure::Failed(failure.clone()),
    }
}
