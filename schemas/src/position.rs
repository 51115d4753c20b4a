//! Source positions: opaque outside the connector that made them.
//!
//! A position is a small table of slots. A log tail has a slot per file, a change stream has one. Connectors send
//! *updates*; the queue stores each update with the events it covers (promise 1) and gives the whole table back at start.

use std::collections::BTreeMap;

/// One slot written or cleared. Means: every change of this slot up to `value` stands in the same or an earlier batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PositionUpdate {
    /// Which slot, at most 255 bytes.
    pub slot: Box<[u8]>,
    /// Its new value, at most 64 KiB; `None` forgets the slot.
    pub value: Option<Box<[u8]>>,
}

/// All slots of one source.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PositionTable(pub BTreeMap<Box<[u8]>, Box<[u8]>>);

impl PositionTable {
    /// Longest slot name in bytes.
    pub const MAX_SLOT: usize = 255;
    /// Longest value in bytes.
    pub const MAX_VALUE: usize = 64 * 1024;

    /// Applies one update.
    pub fn apply(&mut self, update: &PositionUpdate) {
        match &update.value {
            Some(value) => self.0.insert(update.slot.clone(), value.clone()),
            None => self.0.remove(&update.slot),
        };
    }

    /// The value of a slot.
    pub fn get(&self, slot: &[u8]) -> Option<&[u8]> {
        self.0.get(slot).map(AsRef::as_ref)
    }
}
