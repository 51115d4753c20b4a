//! From a change batch to frames, done by the appending thread before its turn comes.
//!
//! A batch becomes one frame per run of changes of the same stream. A control for every partition becomes one event in
//! each, in partition order: it takes as many sequences as the stream has partitions.

use super::frame::{self, Part, Shape};
use super::streams::StreamTable;
use super::{body, positions};
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_schemas::event::{Change, ChangeBatch};
use landfall_schemas::hash::KeyHash;
use landfall_schemas::position::PositionUpdate;
use landfall_schemas::stream::{PartitionCount, StreamId};

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

/// A frame that waits for its stamp.
#[derive(Debug)]
pub(super) struct EncodedFrame {
    /// Header (without stamp) and stored body.
    pub(super) bytes: Vec<u8>,
    pub(super) header_len: usize,
    pub(super) count: u32,
    /// Where the cells of its stream begin.
    pub(super) first_cell: usize,
    /// Base offsets are 0 until the stamp.
    pub(super) parts: Vec<Part>,
    /// The raw body, where it is not what `bytes` holds.
    pub(super) raw: Option<Vec<u8>>,
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
pub(super) fn encode(
    batch: &ChangeBatch,
    streams: &StreamTable,
    compression: Compression,
) -> Result<EncodedBatch, Failure> {
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
                run.encode(tail, if last { frame::LAST } else { 0 }, compression)?
            }
            None => bare(tail),
        };
        frames.push(frame);
        start = end;
    }
    let len = frames.iter().map(|frame| frame.bytes.len() as u64).sum();
    Ok(EncodedBatch { frames, positions: batch.positions().to_vec(), len })
}

/// A frame that only carries positions.
fn bare(positions: &[u8]) -> EncodedFrame {
    let header_len = frame::FIXED + positions.len();
    let mut bytes = vec![0; frame::FIXED];
    bytes.extend_from_slice(positions);
    let stream = StreamId(0);
    let shape = Shape { raw_len: 0, body_len: 0, body_crc: crc32fast::hash(&[]), count: 0, stream, flags: frame::LAST };
    frame::write_shape(&mut bytes, &shape, header_len, 0);
    EncodedFrame { bytes, header_len, count: 0, first_cell: 0, parts: Vec::new(), raw: None }
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
    fn encode(&self, positions: &[u8], flags: u8, compression: Compression) -> Result<EncodedFrame, Failure> {
        let (order, parts) = self.spread();
        let room = self.body_bound(order.len());
        if room > frame::MAX_BODY {
            return Err(too_large("its events pass 1 GiB"));
        }
        let header_len = frame::FIXED + parts.len() * frame::PART + positions.len();
        let mut bytes = Vec::with_capacity(header_len + room);
        bytes.resize(header_len - positions.len(), 0);
        bytes.extend_from_slice(positions);
        let mut raw = None;
        let raw_len;
        let mut flags = flags;
        if compression == Compression::Lz4 {
            let mut body = Vec::with_capacity(room);
            body::encode(self.batch, &order, &mut body);
            raw_len = body.len();
            if compress(&body, &mut bytes) {
                flags |= frame::COMPRESSED;
                raw = Some(body);
            } else {
                bytes.extend_from_slice(&body);
            }
        } else {
            body::encode(self.batch, &order, &mut bytes);
            raw_len = bytes.len() - header_len;
        }
        let stored = &bytes[header_len..];
        let count = order.len() as u32;
        let shape = Shape {
            raw_len,
            body_len: stored.len(),
            body_crc: crc32fast::hash(stored),
            count,
            stream: self.stream,
            flags,
        };
        frame::write_shape(&mut bytes, &shape, header_len, parts.len());
        Ok(EncodedFrame { bytes, header_len, count, first_cell: self.first_cell, parts, raw })
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

    /// No body of these events is longer.
    fn body_bound(&self, events: usize) -> usize {
        // Head, partition, place, at, code, hash and two lengths take at most this many bytes.
        const EVENT: usize = 1 + 3 + 5 + 10 + 2 + 16 + 5 + 5;
        let changes = &self.batch.changes()[self.from..self.until];
        let times =
            |change: &Change| if change.op.is_for_every_partition() { usize::from(self.partitions.get()) } else { 1 };
        let content: usize =
            changes.iter().map(|change| (change.key.len() + change.payload.len()) * times(change)).sum();
        let places: usize = self.batch.places().iter().map(|place| place.len() + 5).sum();
        content + places + events * EVENT + 16
    }
}

/// Appends `body` as an LZ4 block; `false`, and nothing appended, when it would not be shorter.
fn compress(body: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    out.resize(start + lz4_flex::block::get_maximum_output_size(body.len()), 0);
    match lz4_flex::block::compress_into(body, &mut out[start..]) {
        Ok(length) if length < body.len() => {
            out.truncate(start + length);
            true
        }
        _ => {
            out.truncate(start);
            false
        }
    }
}
