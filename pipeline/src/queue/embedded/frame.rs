//! The frame: what one append wrote of one stream, behind a header that a reader can skip by.
//!
//! The header's checksum is seeded with the queue's id, the segment's number and the frame's own place in the file, so that
//! a frame is valid only where it was written, and no record's content can pass for one. Its base sequence chains it to its
//! predecessor. `durable` says how far the segment was synced when the frame was written: a later frame thereby proves
//! its predecessors, which is what tells damage from a torn tail. Positions stand behind the last frame of their batch; a batch
//! whose last frame (flag 2) is missing was torn.
//!
//! ```text
//!   0  magic "LFfr"                   24  first sequence u64          60  directory: parts ×
//!   4  CRC32 of 8..header length      32  appended, u64 ms                partition u16 · events u32 · first offset u64
//!   8  header length u32              40  durable until, u64           …  positions ─ positions.rs
//!  12  body length u32                48  events u32                   …  body ─ body.rs, LZ4 block if flag 1
//!  16  raw body length u32            52  stream u16
//!  20  CRC32 of the body u32          54  parts u16
//!                                     56  flags u8 · 3 zero bytes
//! ```

use super::wire::Walk;
use landfall_connectors::checkpoints::QueueId;
use landfall_schemas::offset::Sequence;
use landfall_schemas::stream::StreamId;
use std::ops::Range;

pub(super) const MAGIC: &[u8; 4] = b"LFfr";
/// Bytes before the directory; no header is shorter.
pub(super) const FIXED: usize = 60;
/// Bytes of a directory entry.
pub(super) const PART: usize = 14;
/// The body is an LZ4 block.
pub(super) const COMPRESSED: u8 = 1;
/// Last frame of its batch.
pub(super) const LAST: u8 = 2;
/// Longest body, raw or stored: keeps every length in 32 bits.
pub(super) const MAX_BODY: usize = 1 << 30;

/// The events of one partition in a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Part {
    pub(super) partition: u16,
    pub(super) count: u32,
    /// Offset of the first.
    pub(super) base: u64,
}

/// A frame's header, read.
#[derive(Clone, Debug)]
pub(super) struct FrameHeader {
    pub(super) header_len: u32,
    pub(super) body_len: u32,
    pub(super) raw_len: u32,
    pub(super) body_crc: u32,
    pub(super) base: Sequence,
    pub(super) appended_ms: u64,
    pub(super) durable: u64,
    pub(super) count: u32,
    pub(super) stream: StreamId,
    pub(super) flags: u8,
    pub(super) parts: Vec<Part>,
}

/// What the checksums of a segment's frames are seeded with.
#[derive(Clone, Debug)]
pub(super) struct Seal(crc32fast::Hasher);

impl Seal {
    pub(super) fn new(id: QueueId, segment: u64) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(id.0.as_bytes());
        hasher.update(&segment.to_le_bytes());
        Self(hasher)
    }

    fn crc(&self, position: u64, header: &[u8]) -> u32 {
        let mut hasher = self.0.clone();
        hasher.update(&position.to_le_bytes());
        hasher.update(&header[8..]);
        hasher.finalize()
    }
}

/// What is known of a frame only when its turn to be written comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub(super) position: u64,
    pub(super) base: Sequence,
    pub(super) appended_ms: u64,
    pub(super) durable: u64,
}

/// What is known of a frame when it is encoded.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) raw_len: usize,
    pub(super) body_len: usize,
    pub(super) body_crc: u32,
    pub(super) count: u32,
    pub(super) stream: StreamId,
    pub(super) flags: u8,
}

/// Writes `shape` into a header, in which directory and positions have their room already.
pub(super) fn write_shape(bytes: &mut [u8], shape: &Shape, parts: usize) {
    let header_len = bytes.len() as u32;
    bytes[..4].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&header_len.to_le_bytes());
    bytes[12..16].copy_from_slice(&(shape.body_len as u32).to_le_bytes());
    bytes[16..20].copy_from_slice(&(shape.raw_len as u32).to_le_bytes());
    bytes[20..24].copy_from_slice(&shape.body_crc.to_le_bytes());
    bytes[48..52].copy_from_slice(&shape.count.to_le_bytes());
    bytes[52..54].copy_from_slice(&shape.stream.0.to_le_bytes());
    bytes[54..56].copy_from_slice(&(parts as u16).to_le_bytes());
    bytes[56] = shape.flags;
}

/// Completes a header: the stamp, the base offset of each part, the checksum.
pub(super) fn write_stamp(header: &mut [u8], seal: &Seal, stamp: Stamp, parts: &[Part]) {
    header[24..32].copy_from_slice(&stamp.base.0.to_le_bytes());
    header[32..40].copy_from_slice(&stamp.appended_ms.to_le_bytes());
    header[40..48].copy_from_slice(&stamp.durable.to_le_bytes());
    for (part, bytes) in parts.iter().zip(header[FIXED..].chunks_exact_mut(PART)) {
        bytes[..2].copy_from_slice(&part.partition.to_le_bytes());
        bytes[2..6].copy_from_slice(&part.count.to_le_bytes());
        bytes[6..14].copy_from_slice(&part.base.to_le_bytes());
    }
    let crc = seal.crc(stamp.position, header);
    header[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// Length of the header that seems to begin here, from its first [`FIXED`] bytes; `None` when none can.
pub(super) fn announced_len(bytes: &[u8]) -> Option<usize> {
    let mut walk = Walk::new(bytes);
    let magic = walk.take(4)?;
    walk.u32()?;
    let length = walk.u32()? as usize;
    (magic == MAGIC && (FIXED..=MAX_BODY).contains(&length)).then_some(length)
}

impl FrameHeader {
    /// Reads and checks a header; `bytes` is exactly as long as it announces. `None`: it is not valid at this place.
    pub(super) fn parse(bytes: &[u8], seal: &Seal, position: u64) -> Option<Self> {
        let mut walk = Walk::new(bytes);
        walk.take(4)?;
        if walk.u32()? != seal.crc(position, bytes) {
            return None;
        }
        let (header_len, body_len, raw_len) = (walk.u32()?, walk.u32()?, walk.u32()?);
        let body_crc = walk.u32()?;
        let (base, appended_ms, durable) = (Sequence(walk.u64()?), walk.u64()?, walk.u64()?);
        let (count, stream, parts) = (walk.u32()?, StreamId(walk.u16()?), walk.u16()?);
        let flags = walk.u8()?;
        walk.take(3)?;
        let parts = (0..parts)
            .map(|_| Some(Part { partition: walk.u16()?, count: walk.u32()?, base: walk.u64()? }))
            .collect::<Option<_>>()?;
        let lengths = [body_len, raw_len].into_iter().all(|length| length as usize <= MAX_BODY);
        lengths.then_some(Self {
            header_len,
            body_len,
            raw_len,
            body_crc,
            base,
            appended_ms,
            durable,
            count,
            stream,
            flags,
            parts,
        })
    }

    /// Bytes of the whole frame.
    pub(super) fn len(&self) -> u64 {
        u64::from(self.header_len) + u64::from(self.body_len)
    }

    /// One past its last sequence.
    pub(super) fn until(&self) -> Sequence {
        self.base.plus(u64::from(self.count))
    }

    /// Where its positions stand in the header.
    pub(super) fn positions(&self) -> Range<usize> {
        FIXED + self.parts.len() * PART..self.header_len as usize
    }

    pub(super) fn is_last(&self) -> bool {
        self.flags & LAST != 0
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.flags & COMPRESSED != 0
    }
}
