//! All generations of a source, in the order in which they are to be read, and their positions.
//!
//! Owns the view of the position table: what was loaded at open, what changed since, what may be forgotten. A lineage is
//! the chain of generations that stood under one path. Keeps promise 1 by construction: positions are written into the
//! batch that holds their lines, from the state those lines left.

use crate::failure::{Failure, FailureClass};
use crate::files::lines::generation::{Generation, Standing};
use landfall_schemas::event::ChangeBatch;
use landfall_schemas::position::{PositionTable, PositionUpdate};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most position updates beside the one being read that one batch carries: bounds a queue frame.
const MAX_UPDATES: usize = 256;

/// Serials count up from here, in steps that leave room for what turns up between or before.
const FIRST_SERIAL: u64 = 1 << 32;
const SERIAL_STEP: u64 = 1 << 16;

/// Why a lineage does not go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Trouble {
    /// Goes on by itself.
    Waiting(&'static str, String),
    /// The rest of a generation is gone: an operator decides.
    Lost(Failure),
}

/// The generations of one path, oldest first.
#[derive(Debug, Default)]
pub(super) struct Lineage {
    /// Oldest first.
    pub generations: Vec<Generation>,
    /// Why it does not go on.
    pub trouble: Option<Trouble>,
    /// Passes in which the rest of a generation was looked for in vain.
    pub searches: u8,
}

impl Lineage {
    /// Another generation with something in it follows.
    pub(super) fn is_rotated(&self, index: usize) -> bool {
        self.generations[index + 1..]
            .iter()
            .any(|later| later.offset > 0 || later.stat().is_some_and(|stat| stat.size > 0))
    }
}

/// All lineages of a source.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// By the path relative to the root.
    pub lineages: BTreeMap<PathBuf, Lineage>,
    last_serial: u64,
    /// The generation turned to last, and the number of that turn.
    turn: (Option<Arc<str>>, u64),
    /// Some generation beside the one being read has changed.
    pub unsaved: bool,
    forgotten: Vec<Arc<str>>,
}

impl Ledger {
    /// From what the queue kept.
    pub(super) fn load(table: &PositionTable) -> Result<Self, Failure> {
        let mut ledger = Self::default();
        for (slot, value) in &table.0 {
            let generation = Generation::decode(slot, value).ok_or_else(|| {
                let detail = "a stored position of this source cannot be read; it was written by another version or is \
                              damaged: restore the state directory, or resynchronise the source";
                Failure::new(FailureClass::Halt, "position_unreadable", detail)
            })?;
            ledger.last_serial = ledger.last_serial.max(generation.serial);
            if generation.turns.last() > ledger.turn.1 {
                ledger.turn = (Some(Arc::clone(&generation.slot)), generation.turns.last());
            }
            ledger.lineages.entry(generation.base.clone()).or_default().generations.push(generation);
        }
        for lineage in ledger.lineages.values_mut() {
            lineage.generations.sort_by_key(|generation| generation.serial);
        }
        Ok(ledger)
    }

    /// The serial of a generation that comes at `index` of a lineage.
    pub(super) fn serial_at(&mut self, lineage: &Lineage, index: usize) -> u64 {
        let serial = |index: usize| lineage.generations.get(index).map(|generation| generation.serial);
        match (index.checked_sub(1).and_then(serial), serial(index)) {
            (Some(before), Some(after)) => before.midpoint(after),
            (None, Some(after)) => after.saturating_sub(SERIAL_STEP),
            (_, None) => {
                self.last_serial = self.last_serial.max(FIRST_SERIAL) + SERIAL_STEP;
                self.last_serial
            }
        }
    }

    /// A generation by its lineage and slot.
    pub(super) fn generation(&mut self, base: &Path, slot: &str) -> Option<&mut Generation> {
        let lineage = self.lineages.get_mut(base)?;
        lineage.generations.iter_mut().find(|generation| &*generation.slot == slot)
    }

    /// Lines of a generation are handed out, from this byte on.
    pub(super) fn taken_up(&mut self, base: &Path, slot: &Arc<str>, from: u64) {
        if self.turn.0.as_ref() != Some(slot) {
            self.turn = (Some(Arc::clone(slot)), self.turn.1 + 1);
        }
        let turn = self.turn.1;
        if let Some(generation) = self.generation(base, slot) {
            generation.turns.taken_up(from, turn);
        }
    }

    /// Forgets the generations of a lineage that `done` names.
    pub(super) fn forget(&mut self, base: &Path, mut done: impl FnMut(&Generation) -> bool) {
        let Some(lineage) = self.lineages.get_mut(base) else { return };
        let forgotten = &mut self.forgotten;
        lineage.generations.retain(|generation| {
            let gone = done(generation);
            if gone {
                forgotten.push(Arc::clone(&generation.slot));
            }
            !gone
        });
        self.unsaved |= !self.forgotten.is_empty();
    }

    /// An operator accepts that the rest of lost generations is gone; `false` when nothing is lost.
    pub(super) fn accept_losses(&mut self) -> bool {
        let lost = |lineage: &Lineage| matches!(lineage.trouble, Some(Trouble::Lost(_)));
        let bases: Vec<_> =
            self.lineages.iter().filter(|(_, lineage)| lost(lineage)).map(|(base, _)| base.clone()).collect();
        for base in &bases {
            self.forget(base, |generation| matches!(generation.standing, Standing::Absent | Standing::Overwritten));
            if let Some(lineage) = self.lineages.get_mut(base) {
                lineage.trouble = None;
                lineage.searches = 0;
            }
        }
        !bases.is_empty()
    }

    /// Writes the positions reached into the batch: the one being read, and others that changed.
    pub(super) fn save(&mut self, batch: &mut ChangeBatch, reading: Option<(&Path, &str)>) {
        if let Some((base, slot)) = reading
            && let Some(generation) = self.generation(base, slot)
        {
            save(generation, batch);
        }
        if !self.unsaved {
            return;
        }
        let room = MAX_UPDATES.min(self.forgotten.len());
        for slot in self.forgotten.drain(..room) {
            batch.reached(PositionUpdate { slot: slot.as_bytes().into(), value: None });
        }
        let all = self.lineages.values_mut().flat_map(|lineage| &mut lineage.generations);
        let mut touched = all.filter(|generation| generation.touched);
        for generation in touched.by_ref().take(MAX_UPDATES) {
            save(generation, batch);
        }
        self.unsaved = touched.next().is_some() || !self.forgotten.is_empty();
    }
}

fn save(generation: &mut Generation, batch: &mut ChangeBatch) {
    if std::mem::take(&mut generation.touched) {
        let value = Some(generation.encode());
        batch.reached(PositionUpdate { slot: generation.slot.as_bytes().into(), value });
    }
}
