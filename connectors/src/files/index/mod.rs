//! The file index of a stream: which keys were captured, and the hash of the record each had then.
//!
//! A view of the queue's log, never a second truth: it changes only with what is handed out ([`ledger`]), and is rolled
//! forward from the log before it is used after a restart. Entries are slots; `order` remembers in which order they stood
//! in the file last, so that an unchanged file is compared ordinal by ordinal and the table by key is built only when
//! something moved. `order` is a hint: a slot that is missing there or stands there twice costs time, never truth.
//!
//! Memory: 36 bytes a record and its key, and 9 more once the table stands. Fails only in [`store`] (on disk).

pub mod diff;
mod digest;
pub mod ledger;
pub mod standing;
pub mod store;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use hashbrown::HashTable;
use landfall_schemas::hash::RowHash;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// Vanished keys may fill this many bytes of the arena before it is packed.
const MIN_DEAD_BYTES: usize = 1 << 20;

/// A slot's number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SlotId(pub u32);

/// What a slot holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Nothing.
    Free = 0,
    /// A key of the revision at hand that is not captured (yet).
    New = 1,
    /// A captured record.
    Live = 2,
    /// A captured reject that stands for the record of its key.
    Rejected = 3,
    /// The captured rejects of further records with one key; the hash folds theirs.
    Duplicate = 4,
    /// Captured and deleted before the first revision was complete: such a key is not marked as snapshot again.
    Gone = 5,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Free, Self::New, Self::Live, Self::Rejected, Self::Duplicate, Self::Gone]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// Whether a slot stands for the record of a key or for its duplicates.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// The record, or the reject in its place.
    Record,
    /// Rejected further records of the same key.
    Duplicates,
}

/// The mark of keys made for records whose own cannot be read: see [`is_synthetic`].
const SYNTHETIC: &[u8] = b"p:";

/// Whether a key was made from a place, so that no row can have it.
pub fn is_synthetic(key: &[u8]) -> bool {
    key.starts_with(SYNTHETIC)
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: [u64; 2],
    /// Arena offset (52 bits) ‖ class (1 bit) ‖ length (11 bits: a key has at most 1,024 bytes).
    key: u64,
    /// Length of the raw record; 0 while unknown.
    len: u32,
    kind: Kind,
}

impl Slot {
    fn range(&self) -> std::ops::Range<usize> {
        let start = (self.key >> 12) as usize;
        start..start + (self.key & 0x7ff) as usize
    }

    fn class(&self) -> Class {
        if self.key >> 11 & 1 == 1 { Class::Duplicates } else { Class::Record }
    }
}

/// The index of one stream.
#[derive(Debug, Default)]
pub struct FileIndex {
    slots: Vec<Slot>,
    keys: Vec<u8>,
    dead_bytes: usize,
    free: Vec<u32>,
    order: Vec<u32>,
    table: Option<HashTable<u32>>,
    records: u64,
    gone: u64,
}

impl FileIndex {
    /// In `order`: a record that has no slot of its own.
    const NO_SLOT: u32 = u32::MAX;

    /// Keys whose vanishing would be a delete.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The encoded key.
    pub fn key(&self, slot: SlotId) -> &[u8] {
        &self.keys[self.slots[slot.0 as usize].range()]
    }

    /// What it holds.
    pub fn kind(&self, slot: SlotId) -> Kind {
        self.slots[slot.0 as usize].kind
    }

    /// The captured hash.
    pub fn hash(&self, slot: SlotId) -> RowHash {
        let [low, high] = self.slots[slot.0 as usize].hash;
        RowHash(u128::from(low) | u128::from(high) << 64)
    }

    /// Whether its vanishing is a delete: a record, or a reject in the place of one.
    pub fn counts(&self, slot: SlotId) -> bool {
        match self.kind(slot) {
            Kind::Live => true,
            Kind::Rejected => !is_synthetic(self.key(slot)),
            Kind::Free | Kind::New | Kind::Duplicate | Kind::Gone => false,
        }
    }

    /// The slot of a key. Builds the table when it does not stand yet.
    pub fn find(&mut self, key: &[u8], class: Class) -> Option<SlotId> {
        self.build_table();
        self.find_hashed(xxh3_64(key), key, class)
    }

    fn find_hashed(&self, hash: u64, key: &[u8], class: Class) -> Option<SlotId> {
        let (slots, keys) = (&self.slots, &self.keys);
        let same = |at: &u32| {
            let slot = &slots[*at as usize];
            slot.class() == class && &keys[slot.range()] == key
        };
        self.table.as_ref()?.find(hash, same).copied().map(SlotId)
    }

    /// The slot of a key; a [`Kind::New`] one where it had none.
    pub fn find_or_add(&mut self, key: &[u8], class: Class) -> SlotId {
        self.build_table();
        let hash = xxh3_64(key);
        self.find_hashed(hash, key, class).unwrap_or_else(|| self.add(hash, key, class))
    }

    /// Makes room for `records` in all, if the table stands: growing it by doubling hashes all keys anew each time.
    pub fn expect(&mut self, records: usize) {
        if let Some(table) = &mut self.table {
            let (slots, keys) = (&self.slots, &self.keys);
            let more = records.saturating_sub(table.len());
            table.reserve(more, |at| xxh3_64(&keys[slots[*at as usize].range()]));
        }
    }

    fn add(&mut self, hash: u64, key: &[u8], class: Class) -> SlotId {
        let start = self.keys.len() as u64;
        self.keys.extend_from_slice(key);
        let class_bit = u64::from(class == Class::Duplicates);
        let slot =
            Slot { hash: [0; 2], key: start << 12 | class_bit << 11 | key.len() as u64, len: 0, kind: Kind::New };
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at as usize] = slot;
                at
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        };
        if let Some(table) = &mut self.table {
            let (slots, keys) = (&self.slots, &self.keys);
            table.insert_unique(hash, at, |at| xxh3_64(&keys[slots[*at as usize].range()]));
        }
        SlotId(at)
    }

    fn build_table(&mut self) {
        if self.table.is_some() {
            return;
        }
        let (slots, keys) = (&self.slots, &self.keys);
        let hash = |at: &u32| xxh3_64(&keys[slots[*at as usize].range()]);
        let mut table = HashTable::with_capacity(slots.len() + slots.len() / 16);
        for (at, slot) in slots.iter().enumerate() {
            if slot.kind != Kind::Free {
                table.insert_unique(xxh3_64(&keys[slot.range()]), at as u32, hash);
            }
        }
        self.table = Some(table);
    }

    /// Notes what was captured under a slot.
    pub fn set(&mut self, slot: SlotId, kind: Kind, hash: RowHash) {
        self.recount(slot, |slot| {
            slot.kind = kind;
            slot.hash = [hash.0 as u64, (hash.0 >> 64) as u64];
        });
    }

    /// Notes how long the raw record is, so that it can be known without being looked for.
    pub fn set_len(&mut self, slot: SlotId, len: u32) {
        self.slots[slot.0 as usize].len = len;
    }

    fn len_of(&self, slot: SlotId) -> usize {
        self.slots[slot.0 as usize].len as usize
    }

    fn recount(&mut self, slot: SlotId, change: impl FnOnce(&mut Slot)) {
        self.records -= u64::from(self.counts(slot));
        self.gone -= u64::from(self.kind(slot) == Kind::Gone);
        change(&mut self.slots[slot.0 as usize]);
        self.records += u64::from(self.counts(slot));
        self.gone += u64::from(self.kind(slot) == Kind::Gone);
    }

    /// Takes one more reject into a slot of duplicates.
    pub fn add_duplicate(&mut self, slot: SlotId, hash: RowHash) {
        let before = (self.kind(slot) == Kind::Duplicate).then(|| self.hash(slot));
        self.set(slot, Kind::Duplicate, fold(before, hash));
    }

    /// The duplicates of a slot are retracted; the slot stays for those that follow.
    pub fn clear_duplicates(&mut self, slot: SlotId) {
        self.set(slot, Kind::New, RowHash(0));
    }

    /// Forgets a slot.
    pub fn remove(&mut self, slot: SlotId) {
        if let Some(table) = &mut self.table {
            let hash = xxh3_64(&self.keys[self.slots[slot.0 as usize].range()]);
            if let Ok(entry) = table.find_entry(hash, |at| *at == slot.0) {
                entry.remove();
            }
        }
        self.recount(slot, |slot| slot.kind = Kind::Free);
        self.dead_bytes += self.slots[slot.0 as usize].range().len();
        self.slots[slot.0 as usize].key = 0;
        self.free.push(slot.0);
        if self.dead_bytes > MIN_DEAD_BYTES && self.dead_bytes > self.keys.len() / 2 {
            self.pack();
        }
    }

    /// A captured key is gone; while the first revision lasts, that it was there is remembered.
    pub fn bury(&mut self, slot: SlotId, first_revision: FirstRevision) {
        match first_revision {
            FirstRevision::Complete => self.remove(slot),
            FirstRevision::Open => self.set(slot, Kind::Gone, RowHash(0)),
        }
    }

    /// The first revision is complete: forgets the keys that were gone before.
    pub fn forget_gone(&mut self) {
        if self.gone == 0 {
            return;
        }
        for at in 0..self.slots.len() as u32 {
            if self.kind(SlotId(at)) == Kind::Gone {
                self.remove(SlotId(at));
            }
        }
    }

    fn pack(&mut self) {
        let mut packed = Vec::with_capacity(self.keys.len() - self.dead_bytes);
        for slot in self.slots.iter_mut().filter(|slot| slot.kind != Kind::Free) {
            let start = packed.len() as u64;
            packed.extend_from_slice(&self.keys[slot.range()]);
            slot.key = start << 12 | slot.key & 0xfff;
        }
        self.keys = packed;
        self.dead_bytes = 0;
    }

    /// The captured slot at or behind `from` that `wanted` asks for.
    pub fn next_captured(&self, from: u32, mut wanted: impl FnMut(SlotId) -> bool) -> Option<SlotId> {
        let captured = |slot: &Slot| matches!(slot.kind, Kind::Live | Kind::Rejected | Kind::Duplicate);
        let rest = self.slots.iter().enumerate().skip(from as usize);
        rest.filter(|(_, slot)| captured(slot)).map(|(at, _)| SlotId(at as u32)).find(|slot| wanted(*slot))
    }

    fn at_ordinal(&self, ordinal: usize) -> Option<SlotId> {
        self.order.get(ordinal).filter(|at| **at != Self::NO_SLOT).map(|at| SlotId(*at))
    }
}

/// Whether a stream's first revision has been handed out whole.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FirstRevision {
    /// Not yet: keys seen for the first time are marked as snapshot.
    Open,
    /// Yes.
    Complete,
}

/// The hash of several duplicates of one key, in file order.
fn fold(before: Option<RowHash>, hash: RowHash) -> RowHash {
    let Some(before) = before else { return hash };
    let mut both = [0; 32];
    both[..16].copy_from_slice(&before.0.to_le_bytes());
    both[16..].copy_from_slice(&hash.0.to_le_bytes());
    RowHash(xxh3_128(&both))
}
