//! What is remembered of the revision that was taken last, so that an unchanged file is not read again.
//!
//! Only a revision that is believed to stand still ([`Look`](crate::files::look::Look)) is covered after a restart. Losing
//! a fingerprint costs one reading. Never fails.

use crate::files::root::FileStat;
use landfall_schemas::position::{PositionTable, PositionUpdate};

/// The slot: version u8, settled u8, dev u64, ino u64, size u64, mtime i128, ctime i128, streams u64, digest u128; little
/// endian.
const SLOT: &[u8] = b"file";
const SLOT_BYTES: usize = 2 + 3 * 8 + 2 * 16 + 8 + 16;
const VERSION: u8 = 1;

/// A revision that was taken whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fingerprint {
    /// The file as it stood.
    pub(super) stat: FileStat,
    /// It was read long enough after its last change.
    pub(super) settled: bool,
    /// Of the streams' selections and keys: others must read it anew.
    pub(super) streams: u64,
    /// Of its content.
    pub(super) digest: u128,
}

impl Fingerprint {
    /// As the queue keeps it.
    pub(super) fn update(&self) -> PositionUpdate {
        let stat = &self.stat;
        let mut value = Vec::with_capacity(SLOT_BYTES);
        value.extend_from_slice(&[VERSION, u8::from(self.settled)]);
        for number in [stat.dev, stat.ino, stat.size] {
            value.extend_from_slice(&number.to_le_bytes());
        }
        value.extend_from_slice(&stat.mtime_ns.to_le_bytes());
        value.extend_from_slice(&stat.ctime_ns.to_le_bytes());
        value.extend_from_slice(&self.streams.to_le_bytes());
        value.extend_from_slice(&self.digest.to_le_bytes());
        PositionUpdate { slot: SLOT.into(), value: Some(value.into()) }
    }

    /// Forgets the fingerprint: the next revision is on its way.
    pub(super) fn forget() -> PositionUpdate {
        PositionUpdate { slot: SLOT.into(), value: None }
    }

    /// What the queue kept.
    pub(super) fn stored(positions: &PositionTable) -> Option<Stored> {
        positions
            .get(SLOT)
            .filter(|value| value.len() == SLOT_BYTES && value[0] == VERSION)
            .map(|value| Stored(value.into()))
    }
}

/// A fingerprint as the queue kept it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Stored(Box<[u8]>);

impl Stored {
    /// The file stands as it was taken, settled, for the same streams.
    pub(super) fn covers(&self, stat: &FileStat, streams: u64) -> bool {
        let digest = self.0[SLOT_BYTES - 16..].try_into().map_or(0, u128::from_le_bytes);
        let same = Fingerprint { stat: *stat, settled: true, streams, digest };
        same.update().value.as_deref() == Some(&*self.0)
    }
}
