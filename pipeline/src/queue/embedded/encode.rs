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
use landfall_schemas::position::PositionUpdate;
use landfall_schemas::stream::StreamId;
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
                let body = Body { batch, changes: &changes[start..end], partitions };
                run(body, first_cell, (tail, if last { frame::LAST } else { 0 }), means)?
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

/// Encodes a run of changes into a frame whose stream's cells begin at `first_cell`.
fn run(
    body: Body<'_>,
    first_cell: usize,
    (positions, flags): (&[u8], u8),
    means: Means<'_>,
) -> Result<EncodedFrame, Failure> {
    let room = body.room();
    if room > frame::MAX_BODY {
        return Err(too_large("its events pass 1 GiB"));
    }
    let mut parts = Vec::new();
    let raw = fill(means.buffers, room, |out| {
        let written = body.write(out);
        parts = written.parts;
        Some(written.len)
    });
    let raw = raw.expect("a body fits into the room it asks for");
    let packed = match means.compression {
        Compression::Lz4 => compress(raw.bytes(), means.buffers),
        Compression::Off => None,
    };
    let stored = packed.as_ref().unwrap_or(&raw).bytes();
    let mut header = Vec::with_capacity(frame::FIXED + parts.len() * frame::PART + positions.len());
    header.resize(frame::FIXED + parts.len() * frame::PART, 0);
    header.extend_from_slice(positions);
    let count = parts.iter().map(|part| part.count).sum();
    let shape = Shape {
        raw_len: raw.len,
        body_len: stored.len(),
        body_crc: crc32fast::hash(stored),
        count,
        stream: body.changes[0].stream,
        flags: flags | if packed.is_some() { frame::COMPRESSED } else { 0 },
    };
    frame::write_shape(&mut header, &shape, parts.len());
    Ok(EncodedFrame { header, count, first_cell, parts, raw, packed })
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
