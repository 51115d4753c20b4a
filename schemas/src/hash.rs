//! Hashes of keys and of raw records.
//!
//! 128 bits of XXH3: for telling changed from unchanged and for spreading keys, not against an adversary. At 100 M keys
//! the odds that any two share a hash are below 10⁻²².

/// Hash of an encoded [`RecordKey`](crate::key::RecordKey).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct KeyHash(pub u128);

impl KeyHash {
    /// Of the encoded key.
    pub fn of(key: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(key))
    }
}

/// Hash of a record's raw bytes exactly as they stand in the source.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RowHash(pub u128);

impl RowHash {
    /// Of the raw record.
    pub fn of(raw: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(raw))
    }
}
