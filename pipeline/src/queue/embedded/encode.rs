//! From a change batch to frames, done by the appending thread before its turn comes.
//!
//! A batch becomes one frame per run of changes of the same stream. A control for every partition becomes one event in
//! each, in partition order: it takes as many sequences as the stream has partitions.

use super::body::Body;
use super::buffers::Buffers;
use super::frame::{self, Part, Shape};
use super::positions;
use super::streams::StreamTable;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_schemas::event::{Change, ChangeBatch};
use landfall_schemas::hash::KeyHash;
use landfall_schemas::position::PositionUpdate;
use landfall_schemas::stream::{PartitionCount, StreamId};
use std::sync::Arc;

/// Most bytes of position updates in one batch: bounds a frame's header.
const MAX_POSITIONS: usize = 64 << 20;

/// Whether bodies are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Compression {
    /// LZ4 blocks, unless they come out longer.
    #[default]
    Lz4,
    /// Stored as they are: for measuring.
    Off,
}

/// What encoding works with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means<'a> {
    pub(super) compression: Compression,
    pub(super) buffers: &'a Buffers,
}

/// A buffer and how much of it counts.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) buffer: Arc<[u8]>,
    pub(super) len: usize,
}

impl Filled {
    fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

/// A frame that waits for its stamp.
#[derive(Debug)]
pub(super) struct EncodedFrame {
    /// Without stamp.
    pub(super) header: Vec<u8>,
    pub(super) count: u32,
    /// Where the cells of its stream begin.
    pub(super) first_cell: usize,
    /// Base offsets are 0 until the stamp.
    pub(super) parts: Vec<Part>,
    pub(super) raw: Filled,
    /// The body as it is stored, where that is not the raw one.
    pub(super) packed: Option<Filled>,
}

impl EncodedFrame {
    /// The body as it is stored.
    pub(super) fn stored(&self) -> &[u8] {
        self.packed.as_ref().unwrap_or(&self.raw).bytes()
    }

    /// Bytes of the whole frame.
    pub(super) fn len(&self) -> u64 {
        (self.header.len() + self.stored().len()) as u64
    }
}

/// A batch that waits for its turn.
#[derive(Debug)]
pub(super) struct EncodedBatch {
    pub(super) frames: Vec<EncodedFrame>,
    pub(super) positions: Vec<PositionUpdate>,
    /// Bytes of all frames.
    pub(super) len: u64,
}

/// Encodes `batch`, which is not empty.
pub(super) fn encode(batch: &ChangeBatch, streams: &StreamTable, means: Means<'_>) -> Result<EncodedBatch, Failure> {
    let mut tail = Vec::new();
    for update in batch.positions() {
        positions::put(&update.slot, update.value.as_deref(), &mut tail)?;
    }
    if tail.len() > MAX_POSITIONS {
        return Err(too_large("its source positions pass 64 MiB"));
    }
    let mut frames = Vec::new();
    let changes = batch.changes();
    let mut start = 0;
    while start < changes.len() || frames.is_empty() {
        let end = run_end(changes, start);
        let last = end == changes.len();
        let tail = if last { &tail[..] } else { &[] };
        let frame = match changes.get(start) {
            Some(first) => {
                let (partitions, first_cell) = streams.open(first.stream)?;
                let run = Run { batch, from: start, until: end, stream: first.stream, partitions, first_cell };
                run.encode(tail, if last { frame::LAST } else { 0 }, means)?
            }
            None => bare(tail),
        };
        frames.push(frame);
        start = end;
    }
    let len = frames.iter().map(EncodedFrame::len).sum();
    Ok(EncodedBatch { frames, positions: batch.positions().to_vec(), len })
}

/// A frame that only carries positions.
fn bare(positions: &[u8]) -> EncodedFrame {
    let mut header = vec![0; frame::FIXED];
    header.extend_from_slice(positions);
    let stream = StreamId(0);
    let shape = Shape { raw_len: 0, body_len: 0, body_crc: crc32fast::hash(&[]), count: 0, stream, flags: frame::LAST };
    frame::write_shape(&mut header, &shape, 0);
    let raw = Filled { buffer: Arc::default(), len: 0 };
    EncodedFrame { header, count: 0, first_cell: 0, parts: Vec::new(), raw, packed: None }
}

fn run_end(changes: &[Change], start: usize) -> usize {
    let Some(first) = changes.get(start) else { return start };
    let run = changes[start..].iter().take_while(|change| change.stream == first.stream).count();
    start + run
}

fn too_large(what: &str) -> Failure {
    let detail = format!("a batch does not fit into the queue: {what}");
    Failure::new(FailureClass::Halt, "batch_too_large", detail)
}

/// Neighbouring changes of one stream.
struct Run<'a> {
    batch: &'a ChangeBatch,
    from: usize,
    until: usize,
    stream: StreamId,
    partitions: PartitionCount,
    first_cell: usize,
}

impl Run<'_> {
    fn encode(&self, positions: &[u8], flags: u8, means: Means<'_>) -> Result<EncodedFrame, Failure> {
        let (order, parts) = self.spread();
        let body = Body::new(self.batch, &order);
        if body.len() > frame::MAX_BODY {
            return Err(too_large("its events pass 1 GiB"));
        }
        let raw = fill(means.buffers, body.len(), |out| {
            body.write(out);
            Some(body.len())
        });
        let raw = raw.expect("a body is as long as it says");
        let packed = match means.compression {
            Compression::Lz4 => compress(raw.bytes(), means.buffers),
            Compression::Off => None,
        };
        let stored = packed.as_ref().unwrap_or(&raw).bytes();
        let mut header = Vec::with_capacity(frame::FIXED + parts.len() * frame::PART + positions.len());
        header.resize(frame::FIXED + parts.len() * frame::PART, 0);
        header.extend_from_slice(positions);
        let count = order.len() as u32;
        let shape = Shape {
            raw_len: raw.len,
            body_len: stored.len(),
            body_crc: crc32fast::hash(stored),
            count,
            stream: self.stream,
            flags: flags | if packed.is_some() { frame::COMPRESSED } else { 0 },
        };
        frame::write_shape(&mut header, &shape, parts.len());
        Ok(EncodedFrame { header, count, first_cell: self.first_cell, parts, raw, packed })
    }

    /// The events, each with its partition, and how many go to each partition.
    fn spread(&self) -> (Vec<(u32, u16)>, Vec<Part>) {
        let mut order = Vec::with_capacity(self.until - self.from);
        let mut counts = vec![0u32; usize::from(self.partitions.get())];
        for (index, change) in self.batch.changes().iter().enumerate().take(self.until).skip(self.from) {
            if change.op.is_for_every_partition() {
                for partition in self.partitions.all() {
                    order.push((index as u32, partition.0));
                    counts[usize::from(partition.0)] += 1;
                }
            } else {
                let partition = self.partitions.of(KeyHash::of(self.batch.bytes(&change.key)));
                order.push((index as u32, partition.0));
                counts[usize::from(partition.0)] += 1;
            }
        }
        let parts = counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let parts = parts.map(|(partition, &count)| Part { partition: partition as u16, count, base: 0 }).collect();
        (order, parts)
    }
}

/// A buffer of `room` bytes, filled by `write`, which says how many bytes count; `None`, and the buffer given back, when it does not.
fn fill(buffers: &Buffers, room: usize, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<Filled> {
    let mut buffer = buffers.take(room);
    let out = Arc::get_mut(&mut buffer).expect("a buffer that was just taken has one owner");
    match write(&mut out[..room]) {
        Some(len) => Some(Filled { buffer, len }),
        None => {
            buffers.give(buffer);
            None
        }
    }
}

/// `body` as an LZ4 block; `None` when it would not be shorter.
fn compress(body: &[u8], buffers: &Buffers) -> Option<Filled> {
    fill(buffers, lz4_flex::block::get_maximum_output_size(body.len()), |out| {
        let length = lz4_flex::block::compress_into(body, out).ok()?;
        (length < body.len()).then_some(length)
    })
}
