//! Places in a partition and versions of a row.
//!
//! Keeps promise 4 (contiguous) and 8 (a row's version never goes back). A checkpoint is the *next* offset; ranges are
//! half-open. Offsets of different partitions are never compared: order across partitions is the [`Sequence`].

use std::fmt;

/// Place of an event in its (stream, partition): 0, 1, 2, … without gaps. A checkpoint holds the next one to apply.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Offset(pub u64);

impl Offset {
    /// The offset `count` events later.
    pub fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of an event inside one source's queue, given at append, 48 bits: 0, 1, 2, … over all its streams.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Sequence(pub u64);

impl Sequence {
    /// One past the largest.
    pub const LIMIT: u64 = 1 << 48;

    /// The sequence `count` events later.
    pub fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }
}

/// A life of a source's queue as PostgreSQL counts them: 1..=32767, bound to the queue's UUID.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Generation(u16);

impl Generation {
    /// `None` outside 1..=32767 (the sign bit of `bigint` must stay clear, so that versions compare as integers).
    pub fn new(value: u16) -> Option<Self> {
        (1..=0x7fff).contains(&value).then_some(Self(value))
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }

    /// The version of the change with this sequence.
    pub fn version(self, sequence: Sequence) -> Version {
        debug_assert!(sequence.0 < Sequence::LIMIT, "a queue's sequence has 48 bits");
        Version((i64::from(self.0) << 48) | sequence.0 as i64)
    }
}

/// Version of a row, as stored in `_lf_version`: generation (16 bits) ‖ sequence (48 bits).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Version(pub i64);

/// A half-open range of one partition: `[from, until)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct OffsetRange {
    /// First offset inside.
    pub from: Offset,
    /// First offset after.
    pub until: Offset,
}

impl OffsetRange {
    /// Events in the range.
    pub fn len(self) -> u64 {
        self.until.0.saturating_sub(self.from.0)
    }

    /// No event in it.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}
