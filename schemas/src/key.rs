//! The encoded key of a record: injective, type-tagged, numerically normalised, so that 5 and "5" stay two records and
//! 5, 5.0 and 5e0 are one.
//!
//! | tag  | value                                                             |
//! |------|-------------------------------------------------------------------|
//! | `s:` | string                                                            |
//! | `n:` | number as an exact decimal in one normal form                     |
//! | `T:` `F:` | true, false (no value behind the colon)                      |
//! | `x:` | array or object: canonical JSON, member order kept, numbers normalised |
//! | `p:` | place: file generation and byte offset (`key: position`, and rejects whose key cannot be read) |
//! | `h:` | SHA-256 (hex) of an encoding longer than [`RecordKey::MAX_BYTES`] |
//!
//! The text is what an untyped key column holds, so it is valid UTF-8 without U+0000; how strings that hold U+0000 are
//! escaped is said at [`RecordKey::string`].

use crate::hash::KeyHash;

/// An encoded key. Cheap to clear and refill: capture keeps one and rewrites it for each record.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct RecordKey(Vec<u8>);

impl RecordKey {
    /// Longest encoding; a longer one is replaced by its hash. Fits a btree key and leaves room for a parent's.
    pub const MAX_BYTES: usize = 1_024;

    /// The encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its hash.
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(&self.0)
    }

    /// Makes the key of a place: for `key: position` and for what has no readable key.
    pub fn place(&mut self, generation: &str, at: u64) {
        use std::io::Write;
        self.0.clear();
        // Writing to a Vec cannot fail.
        let _ = write!(self.0, "p:{generation}:{at:016}");
    }
}
