//! What readers need not fetch twice: bodies of recent frames, open segments, and where a cursor goes on.
//!
//! All of it is bounded, none of it is needed: a reader that finds nothing here goes to the disk.

use super::buffers::Buffers;
use super::catalog::Spot;
use super::disk::DiskFile;
use super::frame::{FrameHeader, Seal};
use super::index::SparseIndex;
use landfall_schemas::offset::Offset;
use landfall_schemas::stream::{PartitionId, StreamId};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

/// Raw bodies kept: several lanes read the same tail, and it is a few batches wide.
const FRAME_BYTES: usize = 8 << 20;
/// A frame counts at least this much, so that tiny frames are bounded too.
const FRAME_FLOOR: usize = 512;
/// Segments held open for reading, with their indexes (2 MiB each at the very most).
const OPEN_SEGMENTS: usize = 6;
/// Remembered cursors: lanes of some dozens of streams.
const HINTS: usize = 2_048;

/// A frame, read and decompressed.
#[derive(Clone, Debug)]
pub(super) struct CachedFrame {
    pub(super) header: Arc<FrameHeader>,
    /// The raw body leads it; what stands behind is nothing.
    pub(super) body: Arc<[u8]>,
}

/// Frames read or written lately that somebody else is going to read; first in, first out.
#[derive(Debug, Default)]
pub(super) struct FrameCache {
    held: Mutex<HeldFrames>,
    pub(super) buffers: Buffers,
}

#[derive(Debug, Default)]
struct HeldFrames {
    frames: HashMap<(u64, u64), CachedFrame>,
    order: VecDeque<(u64, u64)>,
    bytes: usize,
}

impl FrameCache {
    pub(super) fn get(&self, segment: u64, position: u64) -> Option<CachedFrame> {
        self.held().frames.get(&(segment, position)).cloned()
    }

    pub(super) fn put(&self, segment: u64, position: u64, frame: CachedFrame) {
        let cost = |frame: &CachedFrame| frame.body.len().max(FRAME_FLOOR);
        if cost(&frame) > FRAME_BYTES / 2 {
            return;
        }
        let mut held = self.held();
        held.bytes += cost(&frame);
        if let Some(old) = held.frames.insert((segment, position), frame) {
            held.bytes -= cost(&old);
        } else {
            held.order.push_back((segment, position));
        }
        while held.bytes > FRAME_BYTES {
            let Some(oldest) = held.order.pop_front() else { break };
            if let Some(gone) = held.frames.remove(&oldest) {
                held.bytes -= cost(&gone);
                self.buffers.give(gone.body);
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, HeldFrames> {
        self.held.lock().expect("nobody panics while holding the frame cache")
    }
}

/// A segment open for reading.
#[derive(Debug)]
pub(super) struct OpenSegment {
    pub(super) number: u64,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) seal: Seal,
    /// Of a closed segment, once it was asked for.
    pub(super) index: OnceLock<Arc<SparseIndex>>,
}

/// Segments opened lately; the least recently used one is closed.
#[derive(Debug, Default)]
pub(super) struct OpenSegments {
    held: Mutex<Vec<Arc<OpenSegment>>>,
}

impl OpenSegments {
    pub(super) fn get(&self, number: u64) -> Option<Arc<OpenSegment>> {
        let mut held = self.held();
        let at = held.iter().position(|segment| segment.number == number)?;
        let found = held.remove(at);
        held.push(found.clone());
        Some(found)
    }

    pub(super) fn put(&self, segment: Arc<OpenSegment>) {
        let mut held = self.held();
        held.retain(|other| other.number != segment.number);
        if held.len() >= OPEN_SEGMENTS {
            held.remove(0);
        }
        held.push(segment);
    }

    /// Closes what was dropped, so that its space comes back.
    pub(super) fn close_before(&self, first: u64) {
        self.held().retain(|segment| segment.number >= first);
    }

    fn held(&self) -> MutexGuard<'_, Vec<Arc<OpenSegment>>> {
        self.held.lock().expect("nobody panics while holding the open segments")
    }
}

/// Where the event at an offset, or a frame before it, stands: so that small sequential reads do not search.
///
/// An offset's place never changes, so a hint is never wrong; a slot is overwritten by whatever falls into it.
pub(super) struct Hints {
    slots: Mutex<Vec<Option<Hint>>>,
}

#[derive(Clone, Copy)]
struct Hint {
    stream: StreamId,
    partition: PartitionId,
    offset: u64,
    spot: Spot,
}

impl Hints {
    pub(super) fn new() -> Self {
        Self { slots: Mutex::new(vec![None; HINTS]) }
    }

    pub(super) fn get(&self, stream: StreamId, partition: PartitionId, offset: u64) -> Option<Spot> {
        let slots = self.slots.lock().expect("nobody panics while holding the hints");
        let hint = slots[Self::slot(stream, partition, offset)]?;
        (hint.stream == stream && hint.partition == partition && hint.offset == offset).then_some(hint.spot)
    }

    pub(super) fn put(&self, stream: StreamId, next: &[(PartitionId, Offset)], spot: Spot) {
        let mut slots = self.slots.lock().expect("nobody panics while holding the hints");
        for &(partition, Offset(offset)) in next {
            let slot = &mut slots[Self::slot(stream, partition, offset)];
            let further = slot.as_ref().is_some_and(|hint| {
                hint.stream == stream && hint.partition == partition && hint.offset == offset && hint.spot > spot
            });
            if !further {
                *slot = Some(Hint { stream, partition, offset, spot });
            }
        }
    }

    fn slot(stream: StreamId, partition: PartitionId, offset: u64) -> usize {
        let mixed = (u64::from(stream.0) << 16 | u64::from(partition.0)) ^ offset.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % HINTS
    }
}

impl std::fmt::Debug for Hints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hints").finish_non_exhaustive()
    }
}
