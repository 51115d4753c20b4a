//! The name of a revision's content: one hash over the keys and row hashes of its records, in file order.
//!
//! Does not look at records itself. The same records in the same order give the same name, however they were found.

use landfall_schemas::hash::RowHash;
use xxhash_rust::xxh3::Xxh3;

/// Bytes gathered before they are hashed: a long run costs a fraction of what as many short ones do, and this many stay in
/// the first-level cache.
const WAITING: usize = 4 << 10;

/// A hash that grows by records.
#[derive(Clone, Default)]
pub(super) struct Digest {
    hash: Xxh3,
    waiting: Vec<u8>,
}

impl Digest {
    /// Takes in one record.
    #[inline]
    pub(super) fn take(&mut self, key: &[u8], row: RowHash) {
        let row = row.0.to_le_bytes();
        if self.waiting.len() + key.len() + row.len() > WAITING {
            self.hash.update(&self.waiting);
            self.waiting.clear();
        }
        self.waiting.extend_from_slice(key);
        self.waiting.extend_from_slice(&row);
    }

    /// The name so far.
    pub(super) fn name(&self) -> u128 {
        let mut hash = self.hash.clone();
        hash.update(&self.waiting);
        hash.digest128()
    }
}

#[cfg(test)]
mod tests {
    use super::{Digest, WAITING};
    use landfall_schemas::hash::RowHash;
    use xxhash_rust::xxh3::xxh3_128;

    #[test]
    fn the_name_is_the_hash_of_all_that_was_taken_in_at_every_length() {
        let (mut digest, mut all) = (Digest::default(), Vec::new());
        for number in 0..3 * WAITING as u128 / 20 {
            let key = format!("s:{number}");
            digest.take(key.as_bytes(), RowHash(number * 7));
            all.extend_from_slice(key.as_bytes());
            all.extend_from_slice(&(number * 7).to_le_bytes());
            assert_eq!(digest.name(), xxh3_128(&all));
        }
    }
}
