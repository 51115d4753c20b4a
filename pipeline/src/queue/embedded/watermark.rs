//! The watermark: how far the log is known to be durable, beside the log.
//!
//! It is a lower bound, written when a segment begins, when segments are dropped, at a clean close, and about once a second
//! between. Two slots, each in a disk page of its own, are written in turn, so that a torn write leaves the other one; the valid
//! one with the higher turn counts. It also names the first segment that must be there, and is durable *before* older ones are
//! unlinked, so that a missing segment is told from a dropped one.
//!
//! ```text
//! slots at 0 and 4096:
//!   0  magic "LFMK" · 4  CRC32 of bytes 8..64 u32 · 8  queue id, 16 bytes · 24  turn u64 · 32  first segment u64
//!  40  newest segment u64 · 48  durable bytes of it u64 · 56  one past the last durable sequence u64
//! ```

use super::disk::{Disk, DiskFile, put_whole, read_small, write_all};
use super::failures;
use landfall_connectors::checkpoints::QueueId;
use landfall_connectors::failure::Failure;
use landfall_schemas::offset::Sequence;
use std::io;
use std::sync::Arc;

const FILE: &str = "watermark";
const MAGIC: &[u8; 4] = b"LFMK";
/// A slot has a page of its own: a torn write cannot reach the other.
const PAGE: usize = 4096;
const SLOT: usize = 64;

/// What is durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    /// First segment that must be there.
    pub(super) first: u64,
    /// Newest segment known.
    pub(super) segment: u64,
    /// Durable bytes of it.
    pub(super) position: u64,
    /// One past the last durable sequence.
    pub(super) sequence: Sequence,
}

/// The side file and what it says.
#[derive(Debug)]
pub(super) struct Watermark {
    file: Arc<dyn DiskFile>,
    id: QueueId,
    turn: u64,
    mark: Mark,
}

impl Watermark {
    /// Reads it; `None` when there is none.
    pub(super) fn load(disk: &dyn Disk, id: QueueId) -> Result<Option<Self>, Failure> {
        let unusable = |error: io::Error| failures::unusable("read the watermark", &error);
        let Some(bytes) = read_small(disk, FILE, PAGE + SLOT).map_err(unusable)? else { return Ok(None) };
        let slots = [bytes.get(..SLOT), bytes.get(PAGE..PAGE + SLOT)];
        let best = slots.into_iter().flatten().filter_map(|slot| decode(slot, id)).max_by_key(|(turn, _)| *turn);
        let Some((turn, mark)) = best else {
            let what = "neither slot of the watermark belongs to this queue and passes its checksum";
            return Err(failures::damaged(FILE, 0..bytes.len() as u64, what));
        };
        Ok(Some(Self { file: disk.open(FILE).map_err(unusable)?, id, turn, mark }))
    }

    /// Makes it, whole or not at all.
    pub(super) fn create(disk: &dyn Disk, id: QueueId, mark: Mark) -> Result<Self, Failure> {
        let unusable = |error: io::Error| failures::unusable("write the watermark", &error);
        let mut bytes = vec![0; PAGE + SLOT];
        bytes[..SLOT].copy_from_slice(&encode(id, 0, mark));
        bytes[PAGE..].copy_from_slice(&encode(id, 1, mark));
        put_whole(disk, FILE, &bytes).map_err(unusable)?;
        Ok(Self { file: disk.open(FILE).map_err(unusable)?, id, turn: 1, mark })
    }

    /// What it says.
    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    /// Writes `mark` into the older slot and syncs. `Ok(false)`: the disk had no room or refused the write, the old mark stands.
    /// An error is a failed sync.
    pub(super) fn set(&mut self, mark: Mark) -> Result<bool, Failure> {
        fail::fail_point!("queue::watermark");
        let turn = self.turn + 1;
        let at = if turn.is_multiple_of(2) { 0 } else { PAGE as u64 };
        if let Err(error) = write_all(&*self.file, &[&encode(self.id, turn, mark)], at) {
            tracing::warn!(detail = %error, "the watermark was not written; the one before stands");
            return Ok(false);
        }
        self.file.sync().map_err(|error| failures::sync_failed(FILE, &error))?;
        self.turn = turn;
        self.mark = mark;
        Ok(true)
    }

    /// Writes `mark` into both slots, so that losing one later does not bring the old mark back. It counts once the first
    /// is durable.
    pub(super) fn set_both(&mut self, mark: Mark) -> Result<bool, Failure> {
        let counts = self.set(mark)?;
        if counts {
            self.set(mark)?;
        }
        Ok(counts)
    }
}

fn encode(id: QueueId, turn: u64, mark: Mark) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[..4].copy_from_slice(MAGIC);
    slot[8..24].copy_from_slice(id.0.as_bytes());
    for (value, at) in
        [turn, mark.first, mark.segment, mark.position, mark.sequence.0].into_iter().zip((24..).step_by(8))
    {
        slot[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    let crc = crc32fast::hash(&slot[8..]);
    slot[4..8].copy_from_slice(&crc.to_le_bytes());
    slot
}

fn decode(slot: &[u8], id: QueueId) -> Option<(u64, Mark)> {
    let mut walk = super::wire::Walk::new(slot);
    let magic = walk.take(4)?;
    let crc = walk.u32()?;
    if magic != MAGIC || crc != crc32fast::hash(&slot[8..]) || walk.take(16)? != id.0.as_bytes() {
        return None;
    }
    let turn = walk.u64()?;
    let mark =
        Mark { first: walk.u64()?, segment: walk.u64()?, position: walk.u64()?, sequence: Sequence(walk.u64()?) };
    Some((turn, mark))
}

/// Whether there is one.
pub(super) fn exists(disk: &dyn Disk) -> Result<bool, Failure> {
    let names = disk.list().map_err(|error| failures::unusable("list files", &error))?;
    Ok(names.iter().any(|name| name == FILE))
}
