//! How many different values a path had, and which, while they are few.

use landfall_schemas::hash::KeyHash;
use std::collections::{BTreeMap, HashSet};

/// Distinct values of one path that are counted.
const MOST_DISTINCT: usize = 500_000;
/// Distinct short texts that are kept to be listed.
const MOST_LISTED: usize = 12;
/// Longest text that is listed.
const LONGEST_LISTED: usize = 40;

/// Distinct scalars of a path.
#[derive(Clone, Debug, Default)]
pub(super) struct Distinct {
    hashes: HashSet<u64>,
    /// Some came twice.
    pub(super) repeated: bool,
    /// No longer counted: some came twice, or they are too many.
    pub(super) overflowed: bool,
    /// Short texts, while they are few.
    listed: Option<BTreeMap<Box<str>, u64>>,
}

impl Distinct {
    pub(super) fn add(&mut self, encoded: &[u8], text: Option<&str>, first: bool) {
        if first {
            self.listed = Some(BTreeMap::new());
        }
        if !self.overflowed {
            let new = self.hashes.insert(KeyHash::of(encoded).0 as u64);
            self.repeated |= !new;
            // What came twice is no key: nothing more is asked of it.
            if self.repeated || self.hashes.len() > MOST_DISTINCT {
                self.overflowed = true;
                self.hashes = HashSet::new();
            }
        }
        match (text, &mut self.listed) {
            (Some(text), Some(listed)) if text.len() <= LONGEST_LISTED => {
                *listed.entry(text.into()).or_default() += 1;
                if listed.len() > MOST_LISTED {
                    self.listed = None;
                }
            }
            _ => self.listed = None,
        }
    }

    /// How many, while they were counted.
    pub(super) fn count(&self) -> usize {
        self.hashes.len()
    }

    /// The few texts that there are.
    pub(super) fn listed(&self) -> Vec<&str> {
        self.listed.iter().flatten().map(|(text, _)| &**text).collect()
    }
}
