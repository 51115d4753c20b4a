//! One revision compared with the index: which records are new, changed, twice there, or gone.
//!
//! Changes nothing in the index but adding [`Kind::New`] slots for keys met for the first time (so that a second record
//! with the same key is found out); [`Diff::end`] takes back those that were not captured. A record is looked for at the
//! ordinal where it stood last, then a few ordinals further, then by key. Where only some records of a revision are looked at, by key.

use super::digest::Digest;
use super::{Class, FileIndex, Kind, SlotId, fold};
use landfall_schemas::hash::RowHash;
use landfall_schemas::key::RecordKey;
use std::collections::HashMap;

/// Ordinals behind the expected one at which a record is looked for by its hash.
const LOOK_AHEAD: usize = 8;
/// Ordinals behind the expected one at which a slot found by key is looked for before all are ranked.
const RANK_AHEAD: usize = 64;
/// Wrong guesses in a row after which records are no longer guessed: a reformatted file is not hashed twice.
const MAX_WRONG_GUESSES: u32 = 8;

/// What a record is, compared with what was captured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Captured as it stands.
    Unchanged,
    /// New or changed: to be captured under this slot.
    Changed(SlotId),
    /// Its key stands earlier in this revision: to be rejected, as one of this group.
    Duplicate {
        /// The slot of the key's duplicates.
        group: SlotId,
        /// The slot of the record that stands.
        first: SlotId,
    },
}

/// One revision of one stream, compared.
pub struct Diff {
    cursor: usize,
    seen: Vec<u64>,
    order: Vec<u32>,
    ranks: Option<Vec<u32>>,
    wrong_guesses: u32,
    digest: Digest,
    kept: u64,
    added: Vec<SlotId>,
    groups: HashMap<SlotId, RowHash>,
    nameless: HashMap<u128, u64>,
    scope: Scope,
}

/// What is going to be met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scope {
    /// Every record, in the revision's order.
    Whole,
    /// Some records, in any order: ordinals tell nothing, and nothing is followed.
    Some,
}

impl std::fmt::Debug for Diff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Diff").field("records", &self.order.len()).field("kept", &self.kept).finish_non_exhaustive()
    }
}

impl Diff {
    /// Begins to compare a whole revision.
    pub fn new(index: &FileIndex) -> Self {
        Self { order: Vec::with_capacity(index.order.len()), ..Self::of(index, Scope::Whole) }
    }

    /// Begins to compare some records, each by its key: what is not met has not vanished. To be ended as abandoned, since it learns no order.
    pub fn of_some(index: &FileIndex) -> Self {
        Self::of(index, Scope::Some)
    }

    fn of(index: &FileIndex, scope: Scope) -> Self {
        Self {
            cursor: 0,
            seen: vec![0; index.slots.len().div_ceil(64)],
            order: Vec::new(),
            ranks: None,
            wrong_guesses: 0,
            digest: Digest::default(),
            kept: 0,
            added: Vec::new(),
            groups: HashMap::new(),
            nameless: HashMap::new(),
            scope,
        }
    }

    /// Whether a slot's key stands in this revision.
    pub fn is_seen(&self, slot: SlotId) -> bool {
        self.seen.get(slot.0 as usize / 64).is_some_and(|word| word >> (slot.0 % 64) & 1 == 1)
    }

    /// Records so far.
    pub fn records(&self) -> u64 {
        self.order.len() as u64
    }

    /// Captured records that have not been met: at the end, those that vanished.
    pub fn vanished(&self, index: &FileIndex) -> u64 {
        index.records() - self.kept
    }

    /// Names the content met so far.
    pub fn digest(&self) -> u128 {
        self.digest.name()
    }

    /// Where in the revision, counted from 1, the record of a slot stands.
    pub fn ordinal(&self, slot: SlotId) -> Option<usize> {
        self.order.iter().position(|at| *at == slot.0).map(|at| at + 1)
    }

    fn see(&mut self, index: &FileIndex, slot: SlotId, hash: RowHash) {
        let word = slot.0 as usize / 64;
        if word >= self.seen.len() {
            self.seen.resize(word + 1, 0);
        }
        self.seen[word] |= 1 << (slot.0 % 64);
        self.kept += u64::from(index.counts(slot));
        self.place(slot.0, (index.key(slot), hash));
    }

    fn place(&mut self, slot: u32, row: (&[u8], RowHash)) {
        self.order.push(slot);
        self.digest.take(row.0, row.1);
    }

    /// The length of the record at the head of `window`, if it is the one expected here. `name`: what it is called, where
    /// its key comes from there.
    pub fn guess(&mut self, index: &FileIndex, name: Option<&str>, window: &[u8]) -> Option<usize> {
        if self.wrong_guesses >= MAX_WRONG_GUESSES {
            return None;
        }
        let slot = index.at_ordinal(self.cursor)?;
        let len = index.len_of(slot);
        if len == 0 || !self.fits(index, slot, name) {
            return None;
        }
        let hash = RowHash::of(window.get(..len)?);
        if hash != index.hash(slot) {
            self.wrong_guesses += 1;
            return None;
        }
        self.wrong_guesses = 0;
        self.cursor += 1;
        self.see(index, slot, hash);
        Some(len)
    }

    fn fits(&self, index: &FileIndex, slot: SlotId, name: Option<&str>) -> bool {
        let captured = matches!(index.kind(slot), Kind::Live | Kind::Rejected);
        captured && !self.is_seen(slot) && name.is_none_or(|name| says(index.key(slot), name))
    }

    /// Whether a record with this hash (and name) is the one expected here, or one that stood little further behind.
    pub fn take_by_hash(&mut self, index: &mut FileIndex, name: Option<&str>, row: (RowHash, u32)) -> bool {
        let (hash, len) = row;
        for ahead in 0..LOOK_AHEAD {
            let Some(slot) = index.at_ordinal(self.cursor + ahead) else { continue };
            if index.hash(slot) == hash && self.fits(index, slot, name) {
                self.cursor += ahead + 1;
                self.wrong_guesses = 0;
                index.set_len(slot, len);
                self.see(index, slot, hash);
                return true;
            }
        }
        false
    }

    /// What a record with this key is.
    pub fn take_by_key(&mut self, index: &mut FileIndex, key: &RecordKey, row: (RowHash, u32)) -> Verdict {
        let (hash, len) = row;
        let expected = index.at_ordinal(self.cursor).filter(|slot| {
            self.scope == Scope::Whole
                && index.kind(*slot) != Kind::Free
                && index.slots[slot.0 as usize].class() == Class::Record
                && index.key(*slot) == key.as_bytes()
        });
        let slot = match expected {
            Some(slot) => {
                self.cursor += 1;
                slot
            }
            None => self.look_up(index, key),
        };
        if self.is_seen(slot) {
            return self.duplicate(index, key, (slot, hash));
        }
        let unchanged = matches!(index.kind(slot), Kind::Live | Kind::Rejected) && index.hash(slot) == hash;
        self.see(index, slot, hash);
        if !unchanged {
            return Verdict::Changed(slot);
        }
        index.set_len(slot, len);
        if expected.is_none() && self.scope == Scope::Whole {
            self.follow(index, slot);
        }
        Verdict::Unchanged
    }

    fn look_up(&mut self, index: &mut FileIndex, key: &RecordKey) -> SlotId {
        let slot = index.find_or_add(key.as_bytes(), Class::Record);
        if index.kind(slot) == Kind::New && !self.is_seen(slot) {
            self.added.push(slot);
        }
        slot
    }

    fn duplicate(&mut self, index: &mut FileIndex, key: &RecordKey, found: (SlotId, RowHash)) -> Verdict {
        let (first, hash) = found;
        let group = index.find_or_add(key.as_bytes(), Class::Duplicates);
        let before = self.groups.get(&group).copied();
        self.groups.insert(group, fold(before, hash));
        self.place(FileIndex::NO_SLOT, (key.as_bytes(), hash));
        Verdict::Duplicate { group, first }
    }

    /// Goes on behind a record that was found elsewhere than expected, so that its neighbours are found without the table.
    fn follow(&mut self, index: &FileIndex, slot: SlotId) {
        let ahead = index.order.iter().skip(self.cursor).take(RANK_AHEAD).position(|at| *at == slot.0);
        if let Some(ahead) = ahead {
            self.cursor += ahead + 1;
            return;
        }
        let ranks = self.ranks.get_or_insert_with(|| {
            let mut ranks = vec![FileIndex::NO_SLOT; index.slots.len()];
            for (rank, at) in index.order.iter().enumerate().filter(|(_, at)| **at != FileIndex::NO_SLOT) {
                ranks[*at as usize] = rank as u32;
            }
            ranks
        });
        if let Some(rank) = ranks.get(slot.0 as usize).filter(|rank| **rank != FileIndex::NO_SLOT) {
            self.cursor = *rank as usize + 1;
        }
    }

    /// What a record without a readable key is: it goes by its content, and equal ones are counted apart. `key` is
    /// overwritten with the key made for it.
    pub fn take_nameless(&mut self, index: &mut FileIndex, key: &mut RecordKey, row: (RowHash, u32)) -> Verdict {
        let hash = row.0;
        loop {
            let count = self.nameless.entry(hash.0).or_default();
            key.place(&format!("{:032x}", hash.0), *count);
            *count += 1;
            // Those taken by their hash were not counted.
            if index.find(key.as_bytes(), Class::Record).is_none_or(|slot| !self.is_seen(slot)) {
                return self.take_by_key(index, key, row);
            }
        }
    }

    /// The group's slot, when its duplicates are not captured as they stand.
    pub fn is_group_changed(&self, index: &FileIndex, group: SlotId) -> bool {
        index.kind(group) != Kind::Duplicate || self.groups.get(&group) != Some(&index.hash(group))
    }

    /// The next captured slot from `from` on that this revision does not hold.
    pub fn next_vanished(&self, index: &FileIndex, from: u32) -> Option<SlotId> {
        index.next_captured(from, |slot| match index.kind(slot) {
            Kind::Duplicate => !self.groups.contains_key(&slot),
            _ => !self.is_seen(slot),
        })
    }

    /// Ends the comparison: slots that were not captured are freed, and if all was handed out, the revision's order is the
    /// one expected next.
    pub fn end(self, index: &mut FileIndex, outcome: Outcome) {
        for slot in self.added.iter().chain(self.groups.keys()) {
            if index.kind(*slot) == Kind::New {
                index.remove(*slot);
            }
        }
        if outcome == Outcome::HandedOut {
            index.order = self.order;
        }
    }
}

/// How a revision ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// All its changes were handed out.
    HandedOut,
    /// Given up, perhaps half handed out.
    Abandoned,
}

/// Whether an encoded key says a name. May say no where it does (names that need escapes): then the key is made and looked up.
fn says(key: &[u8], name: &str) -> bool {
    key.strip_prefix(b"s:") == Some(name.as_bytes()) && !name.contains('\\')
}
