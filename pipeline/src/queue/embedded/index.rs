//! The sparse index of a segment: every so many bytes, where each cell stood.
//!
//! Built while the segment is written; kept as a side file once it is closed. The side file is a convenience: it is not synced,
//! and a missing or bad one is built anew from the frame headers.
//!
//! ```text
//!  0  magic "LFIX" · 4  CRC32 of bytes 8.. u32 · 8  queue id, 16 bytes · 24  segment u64 · 32  cells u32 · 36  entries u32
//! 40  entries × ( position u64 · sequence u64 ) · entries × cells × ( next offset − offset at the segment's begin, u32 )
//! ```

use super::frame::FrameHeader;
use super::streams::StreamTable;
use super::wire::Walk;
use landfall_connectors::checkpoints::QueueId;
use landfall_schemas::offset::Sequence;

const MAGIC: &[u8; 4] = b"LFIX";
/// An entry for this many bytes of segment …
const STEP: u64 = 256 * 1024;
/// … or for this many times its own size, so that the index of many partitions stays a fraction of the segment.
const STEP_PER_ENTRY: u64 = 32;

/// File name of a segment's index.
pub(super) fn file_name(number: u64) -> String {
    format!("{number:020}.idx")
}

/// Where each cell stood, every so many bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct SparseIndex {
    cells: usize,
    step: u64,
    entries: Vec<(u64, Sequence)>,
    deltas: Vec<u32>,
    /// Next offset of each cell behind the last frame noted, less the offset at the segment's begin.
    now: Vec<u32>,
}

impl SparseIndex {
    /// Of a segment that begins with this many cells.
    pub(super) fn new(cells: usize) -> Self {
        let step = STEP.max(STEP_PER_ENTRY * 4 * cells as u64);
        Self { cells, step, entries: Vec::new(), deltas: Vec::new(), now: vec![0; cells] }
    }

    /// Takes in a frame that stands at `position`.
    pub(super) fn note(&mut self, position: u64, header: &FrameHeader, streams: &StreamTable) {
        if self.entries.last().is_none_or(|(last, _)| position - last >= self.step) {
            self.entries.push((position, header.base));
            self.deltas.extend_from_slice(&self.now);
        }
        let Some(entry) = streams.get(header.stream) else { return };
        for part in &header.parts {
            if let Some(now) = self.now.get_mut(entry.first_cell + usize::from(part.partition)) {
                *now = now.saturating_add(part.count);
            }
        }
    }

    /// A frame boundary at or before the event of `cell` that is `delta` events behind the segment's begin.
    pub(super) fn find_offset(&self, cell: usize, delta: u64) -> Option<(u64, Sequence)> {
        if cell >= self.cells {
            return self.entries.first().copied();
        }
        let mut low = 0;
        let mut high = self.entries.len();
        while low < high {
            let middle = usize::midpoint(low, high);
            if u64::from(self.deltas[middle * self.cells + cell]) <= delta { low = middle + 1 } else { high = middle }
        }
        self.entries.get(low.saturating_sub(1)).copied()
    }

    /// A frame boundary at or before `sequence`.
    pub(super) fn find_sequence(&self, sequence: Sequence) -> Option<(u64, Sequence)> {
        let after = self.entries.partition_point(|(_, base)| *base <= sequence);
        self.entries.get(after.saturating_sub(1)).copied()
    }

    /// Bytes in memory.
    pub(super) fn size(&self) -> usize {
        self.entries.len() * 16 + self.deltas.len() * 4 + self.now.len() * 4
    }

    /// The side file.
    pub(super) fn encode(&self, id: QueueId, number: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(40 + self.size());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(id.0.as_bytes());
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&(self.cells as u32).to_le_bytes());
        out.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        for (position, sequence) in &self.entries {
            out.extend_from_slice(&position.to_le_bytes());
            out.extend_from_slice(&sequence.0.to_le_bytes());
        }
        for delta in &self.deltas {
            out.extend_from_slice(&delta.to_le_bytes());
        }
        let crc = crc32fast::hash(&out[8..]);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a side file; `None` if it is not whole, of another queue, segment or table.
    pub(super) fn decode(bytes: &[u8], id: QueueId, number: u64, cells: usize) -> Option<Self> {
        let mut walk = Walk::new(bytes);
        let magic = walk.take(4)?;
        let crc = walk.u32()?;
        if magic != MAGIC || crc != crc32fast::hash(&bytes[8..]) || walk.take(16)? != id.0.as_bytes() {
            return None;
        }
        if walk.u64()? != number || walk.u32()? as usize != cells {
            return None;
        }
        let mut index = Self::new(cells);
        let count = walk.u32()? as usize;
        for _ in 0..count {
            index.entries.push((walk.u64()?, Sequence(walk.u64()?)));
        }
        for _ in 0..count * cells {
            index.deltas.push(walk.u32()?);
        }
        walk.is_done().then_some(index)
    }
}
