//! What readers see: the chain of segments, the streams, and how far everything is durable.
//!
//! Changed only when something became durable (or was dropped), under one short lock, so that nobody reads past the durable end
//! (promise 4).

use super::failures;
use super::frame::FrameHeader;
use super::index::SparseIndex;
use super::streams::{StreamTable, unknown};
use landfall_connectors::failure::Failure;
use landfall_schemas::offset::{Offset, Sequence};
use landfall_schemas::position::{PositionTable, PositionUpdate};
use landfall_schemas::stream::{PartitionId, StreamId};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// One segment of the chain.
#[derive(Clone, Debug)]
pub(super) struct SegmentEntry {
    pub(super) number: u64,
    /// First sequence.
    pub(super) base: Sequence,
    /// Next offset of each cell where it begins.
    pub(super) cells: Arc<[u64]>,
    /// Where its first frame stands.
    pub(super) header_len: u64,
    /// Durable bytes.
    pub(super) len: u64,
    /// Bytes of its index file.
    pub(super) index_len: u64,
    /// Newest append time in it and all before, Unix milliseconds.
    pub(super) newest_ms: u64,
}

/// A frame's place in the log, with the sequence at which it begins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Spot {
    pub(super) segment: u64,
    pub(super) position: u64,
    pub(super) sequence: Sequence,
}

/// The durable state of the log.
#[derive(Debug)]
pub(super) struct Catalog {
    /// Oldest first, never empty; the last one takes writes.
    pub(super) segments: VecDeque<SegmentEntry>,
    pub(super) streams: Arc<StreamTable>,
    /// Next offset of each cell.
    pub(super) cells: Vec<u64>,
    pub(super) positions: PositionTable,
    pub(super) end: Sequence,
    /// Index of the newest segment.
    pub(super) index: SparseIndex,
    /// Applied until, per cell, as far as told.
    pub(super) applied: Vec<u64>,
    pub(super) pins: BTreeMap<String, Sequence>,
    /// Set when the log cannot be trusted any more in this process (promise 18).
    pub(super) broken: Option<Failure>,
}

impl Catalog {
    /// Fails once the log is broken.
    pub(super) fn usable(&self) -> Result<(), Failure> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    pub(super) fn first(&self) -> &SegmentEntry {
        self.segments.front().expect("the chain always has the segment that takes writes")
    }

    pub(super) fn newest(&self) -> &SegmentEntry {
        self.segments.back().expect("the chain always has the segment that takes writes")
    }

    /// Takes in a frame that became durable at `position` of the newest segment.
    pub(super) fn take_frame(&mut self, position: u64, header: &FrameHeader) {
        self.index.note(position, header, &self.streams);
        if let Some(entry) = self.streams.get(header.stream) {
            for part in &header.parts {
                self.cells[entry.first_cell + usize::from(part.partition)] = part.base + u64::from(part.count);
            }
        }
        self.end = header.until();
        let newest = self.segments.back_mut().expect("the chain always has the segment that takes writes");
        newest.len = position + header.len();
        newest.newest_ms = newest.newest_ms.max(header.appended_ms);
    }

    pub(super) fn take_positions(&mut self, updates: &[PositionUpdate]) {
        updates.iter().for_each(|update| self.positions.apply(update));
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len + segment.index_len).sum()
    }

    /// Earliest retained and next offset of a partition.
    pub(super) fn offsets(&self, stream: StreamId, partition: PartitionId) -> Option<Range<Offset>> {
        let cell = self.streams.cell(stream, partition)?;
        Some(Offset(self.earliest(cell))..Offset(self.cells[cell]))
    }

    /// A stream that came after the first segment began has its first event retained.
    pub(super) fn earliest(&self, cell: usize) -> u64 {
        self.first().cells.get(cell).copied().unwrap_or(0)
    }

    /// The segment that holds event `offset` of a cell, as an index into the chain.
    pub(super) fn segment_of_offset(&self, cell: usize, offset: u64) -> usize {
        let begins = |segment: &SegmentEntry| segment.cells.get(cell).copied().unwrap_or(0) <= offset;
        self.segments.partition_point(begins).saturating_sub(1)
    }

    /// The segment that holds `sequence`, as an index into the chain.
    pub(super) fn segment_of_sequence(&self, sequence: Sequence) -> usize {
        self.segments.partition_point(|segment| segment.base <= sequence).saturating_sub(1)
    }

    /// The segment by this number, if it is still there, with whether it takes writes.
    pub(super) fn segment(&self, number: u64) -> Option<(&SegmentEntry, bool)> {
        let index = usize::try_from(number.checked_sub(self.first().number)?).ok()?;
        self.segments.get(index).map(|entry| (entry, index + 1 == self.segments.len()))
    }

    /// Checks that a reader may stand at `offset`; gives the cell.
    pub(super) fn admit(&self, stream: StreamId, partition: PartitionId, offset: Offset) -> Result<usize, Failure> {
        let cell = self.streams.cell(stream, partition).ok_or_else(|| unknown(stream))?;
        let name = self.streams.get(stream).map_or("", |entry| entry.name.as_str());
        let what = format_args!("offset {offset} of stream {name}, partition {}", partition.0);
        if offset.0 < self.earliest(cell) {
            return Err(failures::history_trimmed(what, self.earliest(cell)));
        }
        if offset.0 > self.cells[cell] {
            return Err(failures::behind(what, self.cells[cell]));
        }
        Ok(cell)
    }
}
