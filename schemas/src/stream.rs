//! Streams and their partitions.
//!
//! Owns the names and small numbers by which every other room speaks of a stream. Knows nothing of where a stream
//! comes from or lands. Keeps promise 8 (per-key order): a key's partition depends on the key alone and on the stream's
//! fixed partition count, so all changes of a key stand in one partition, in order.

use crate::hash::KeyHash;
use std::fmt;
use std::sync::Arc;

/// A stream's name as the user wrote it: 1 to 63 bytes of `[A-Za-z0-9_.-]`, starting with a letter or `_`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct StreamName(Arc<str>);

impl StreamName {
    /// Checks `name`; the error says what a stream may be called.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        check_name(name).map(|()| Self(Arc::from(name)))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A source's name as the user wrote it; same alphabet as [`StreamName`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SourceName(Arc<str>);

impl SourceName {
    /// Checks `name`; the error says what a source may be called.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        check_name(name).map(|()| Self(Arc::from(name)))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a stream or source may not be called that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("use 1 to 63 characters of A-Z a-z 0-9 _ . - starting with a letter or _")]
pub struct InvalidName;

fn check_name(name: &str) -> Result<(), InvalidName> {
    let bytes = name.as_bytes();
    let first = bytes.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_');
    let rest = bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if first && rest && bytes.len() <= 63 { Ok(()) } else { Err(InvalidName) }
}

/// A stream's number inside one source's queue: given at registration, never reused, stored with each event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct StreamId(pub u16);

/// A partition of a stream, `0..PartitionCount`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct PartitionId(pub u16);

/// How many partitions a stream has: fixed for the stream's life, 1 to 256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct PartitionCount(u16);

impl PartitionCount {
    /// What a stream gets unless a test asks otherwise.
    pub const DEFAULT: Self = Self(16);

    /// `None` outside 1..=256.
    pub fn new(count: u16) -> Option<Self> {
        (1..=256).contains(&count).then_some(Self(count))
    }

    /// The count.
    pub fn get(self) -> u16 {
        self.0
    }

    /// All partitions, in order.
    pub fn all(self) -> impl ExactSizeIterator<Item = PartitionId> {
        (0..self.0).map(PartitionId)
    }

    /// The partition of a key.
    pub fn of(self, key: KeyHash) -> PartitionId {
        // The high half: the low half also picks hash-table slots elsewhere.
        PartitionId(((key.0 >> 64) as u64 % u64::from(self.0)) as u16)
    }
}
