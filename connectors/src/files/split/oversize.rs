//! A record that is too large: followed to its end and hashed, its head kept.

use super::TOO_LARGE_HEAD;
use super::pieces::Follower;
use landfall_schemas::hash::RowHash;
use xxhash_rust::xxh3::Xxh3;

/// Such a record, as far as it was read.
pub(super) struct Oversize {
    pub(super) follower: Follower,
    /// Byte offset in the file.
    pub(super) at: u64,
    pub(super) len: u64,
    pub(super) head: Vec<u8>,
    hash: Xxh3,
}

impl Oversize {
    /// Begins with the bytes held so far, which `follower` has followed.
    pub(super) fn new(follower: Follower, at: u64, held: &[u8]) -> Self {
        let head = held[..held.len().min(TOO_LARGE_HEAD)].to_vec();
        Self { follower, at, len: 0, head, hash: Xxh3::new() }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
    }

    pub(super) fn hash(&self) -> RowHash {
        RowHash(self.hash.digest128())
    }
}

impl std::fmt::Debug for Oversize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oversize").field("at", &self.at).field("len", &self.len).finish_non_exhaustive()
    }
}
