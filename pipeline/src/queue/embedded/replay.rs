//! Walking over the newest segment at open: what is whole, and what proves it.
//!
//! Works batch by batch: a batch counts when its last frame is whole and everything chains. Changes nothing on disk.

use super::frame::{self, FrameHeader, Seal};
use super::index::SparseIndex;
use super::positions;
use super::segment::SegmentHeader;
use super::streams::StreamTable;
use super::window::Window;
use landfall_schemas::offset::Sequence;
use landfall_schemas::position::{PositionTable, PositionUpdate};
use std::io;

/// What one call fetches when looking for frames behind a broken one.
const SEARCH: usize = 64 * 1024;

/// What the newest segment says.
#[derive(Debug)]
pub(super) struct Replay {
    streams: StreamTable,
    seal: Seal,
    window: Window,
    /// End of the last whole batch.
    pub(super) end: u64,
    pub(super) sequence: Sequence,
    pub(super) cells: Vec<u64>,
    pub(super) positions: PositionTable,
    pub(super) index: SparseIndex,
    pub(super) newest_ms: u64,
    /// Everything before this was durable, as far as whole frames prove.
    pub(super) proven: u64,
}

/// How the walk ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TailEnd {
    /// At the end of the file, behind a whole batch.
    Clean,
    /// At something that is not a whole batch.
    Broken {
        /// Where the first bad frame begins.
        at: u64,
        /// Where the next whole frame header behind it begins.
        resumes: Option<u64>,
        /// How far headers behind it prove the segment durable.
        proves: u64,
    },
}

/// A frame of a batch that is not complete yet.
struct Open {
    position: u64,
    header: FrameHeader,
    positions: Vec<PositionUpdate>,
}

impl Replay {
    pub(super) fn new(header: &SegmentHeader, seal: Seal, positions: PositionTable, window: Window) -> Self {
        Self {
            streams: header.streams.clone(),
            seal,
            window,
            end: header.len,
            sequence: header.base,
            cells: header.cells.clone(),
            positions,
            index: SparseIndex::new(header.cells.len()),
            newest_ms: header.newest_ms,
            proven: 0,
        }
    }

    /// Walks to the end or to the first bad frame.
    pub(super) fn run(&mut self) -> io::Result<TailEnd> {
        let mut open: Vec<Open> = Vec::new();
        let mut position = self.end;
        let mut next = self.sequence;
        while position < self.window.len() {
            let Some((header, positions)) = self.frame(position, next)? else { break };
            let start = position;
            position += header.len();
            next = header.until();
            self.proven = self.proven.max(header.durable);
            let last = header.is_last();
            open.push(Open { position: start, header, positions });
            if last {
                if !self.take(&open) {
                    position = start;
                    break;
                }
                open.clear();
                self.end = position;
            }
        }
        if self.end == self.window.len() {
            return Ok(TailEnd::Clean);
        }
        let (resumes, proves) = self.search(position + 1)?;
        Ok(TailEnd::Broken { at: position, resumes, proves })
    }

    /// The frame at `position`, if it is whole and goes on at `next`.
    fn frame(&mut self, position: u64, next: Sequence) -> io::Result<Option<(FrameHeader, Vec<PositionUpdate>)>> {
        let Some((header, bytes)) = self.header(position)? else { return Ok(None) };
        let updates = positions::decode(&bytes[header.positions()]);
        let end = position + header.len();
        let (Some(updates), true) = (updates, header.base == next && end <= self.window.len()) else {
            return Ok(None);
        };
        let body_crc = self.body_crc(position + u64::from(header.header_len), header.body_len as usize)?;
        Ok((body_crc == header.body_crc).then_some((header, updates)))
    }

    /// The header at `position`, if one is there, with its bytes.
    fn header(&mut self, position: u64) -> io::Result<Option<(FrameHeader, Vec<u8>)>> {
        let fixed = self.window.bytes(position, frame::FIXED)?;
        let Some(length) = fixed.and_then(frame::announced_len) else { return Ok(None) };
        let Some(bytes) = self.window.bytes(position, length)? else { return Ok(None) };
        let header = FrameHeader::parse(bytes, &self.seal, position);
        Ok(header.map(|header| (header, bytes.to_vec())))
    }

    fn body_crc(&mut self, mut position: u64, mut left: usize) -> io::Result<u32> {
        let mut hasher = crc32fast::Hasher::new();
        while left > 0 {
            let count = left.min(SEARCH);
            let Some(bytes) = self.window.bytes(position, count)? else { break };
            hasher.update(bytes);
            position += count as u64;
            left -= count;
        }
        Ok(hasher.finalize())
    }

    /// Takes in a batch; `false`, and nothing taken, when its offsets do not go on.
    fn take(&mut self, batch: &[Open]) -> bool {
        let mut cells = self.cells.clone();
        for frame in batch {
            let Some(entry) = self.streams.get(frame.header.stream) else {
                if frame.header.count == 0 { continue } else { return false }
            };
            for part in &frame.header.parts {
                let index = entry.first_cell + usize::from(part.partition);
                if part.partition >= entry.partitions.get() || cells[index] != part.base {
                    return false;
                }
                cells[index] += u64::from(part.count);
            }
        }
        self.cells = cells;
        for frame in batch {
            self.index.note(frame.position, &frame.header, &self.streams);
            frame.positions.iter().for_each(|update| self.positions.apply(update));
            self.sequence = frame.header.until();
            self.newest_ms = self.newest_ms.max(frame.header.appended_ms);
        }
        true
    }

    /// Looks for frame headers from `from` on: the first one's place, and how far they prove the segment durable.
    fn search(&mut self, from: u64) -> io::Result<(Option<u64>, u64)> {
        let (mut first, mut proves) = (None, 0);
        let mut position = from;
        while position + frame::FIXED as u64 <= self.window.len() {
            let left = usize::try_from(self.window.len() - position).unwrap_or(usize::MAX);
            let count = left.min(SEARCH);
            let Some(bytes) = self.window.bytes(position, count)? else { break };
            let hits: Vec<u64> =
                memchr::memmem::find_iter(bytes, frame::MAGIC).map(|at| position + at as u64).collect();
            for hit in hits {
                if let Some((header, _)) = self.header(hit)? {
                    first = first.or(Some(hit));
                    proves = proves.max(header.durable);
                }
            }
            // Overlaps, so that no magic number is cut in two.
            position += (count - (frame::MAGIC.len() - 1)) as u64;
        }
        Ok((first, proves))
    }
}
