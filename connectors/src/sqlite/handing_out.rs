//! What a pass found, handed out: changed rows in the tables' order, duplicates, what is gone, then the end of a first revision.

use super::pass::{Pass, Pending, TablePass};
use crate::files::index::ledger::Ledger;
use crate::files::index::{FirstRevision, Kind, SlotId};
use landfall_schemas::event::{ChangeBatch, Place};
use landfall_schemas::rejection::RejectCode;

/// How far one filling of a batch came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Filled {
    Batch,
    All,
    /// The spool cannot be read.
    Broken,
}

/// What is handed out next, of the table at this place.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Changed(usize, usize),
    Duplicates(usize, usize),
    Vanished(usize, u32),
}

/// A pass being handed out.
#[derive(Debug)]
pub(super) struct HandingOut {
    pub(super) pass: Pass,
    stage: Stage,
    /// Per stream: the guard let deletes pass because they were accepted.
    accepted: Vec<bool>,
    /// What the rows of each table are called, in places.
    places: Vec<Box<str>>,
    buffer: Vec<u8>,
}

impl HandingOut {
    pub(super) fn new(mut pass: Pass, ledger: &Ledger, accepted: Vec<bool>, file: &str) -> Self {
        for (table, stream) in pass.tables.iter_mut().zip(&ledger.streams) {
            let diff = &table.diff;
            table.duplicates.retain(|pending| diff.is_group_changed(&stream.index, pending.slot));
            table.duplicates.sort_by_key(|pending| pending.slot);
        }
        let name = |table: &TablePass| table.table.as_ref().map_or("", |table| table.name.as_str()).to_owned();
        let places = pass.tables.iter().map(|table| format!("{file} table {}", name(table)).into()).collect();
        Self { pass, stage: Stage::Changed(0, 0), accepted, places, buffer: Vec::new() }
    }

    /// Nothing to hand out.
    pub(super) fn is_empty(&self, ledger: &Ledger) -> bool {
        self.pass.tables.iter().zip(&ledger.streams).all(|(table, stream)| {
            let complete = stream.standing.first == FirstRevision::Complete;
            table.pending.is_empty()
                && table.duplicates.is_empty()
                && (table.table.is_none() || complete && table.next_vanished(&stream.index, 0).is_none())
        })
    }

    pub(super) fn fill(&mut self, ledger: &mut Ledger, batch: &mut ChangeBatch) -> Filled {
        while !batch.is_full() {
            match self.stage {
                Stage::Changed(at, next) => {
                    match self.pass.tables.get(at).map(|table| table.pending.get(next).copied()) {
                        None => return Filled::All,
                        Some(None) => self.stage = Stage::Duplicates(at, 0),
                        Some(Some(pending)) => {
                            if self.changed(ledger, batch, at, &pending).is_none() {
                                return Filled::Broken;
                            }
                            self.stage = Stage::Changed(at, next + 1);
                        }
                    }
                }
                Stage::Duplicates(at, next) => match self.pass.tables[at].duplicates.get(next).copied() {
                    None => self.stage = Stage::Vanished(at, 0),
                    Some(pending) => {
                        if self.duplicate(ledger, batch, (at, next), &pending).is_none() {
                            return Filled::Broken;
                        }
                        self.stage = Stage::Duplicates(at, next + 1);
                    }
                },
                Stage::Vanished(at, from) => self.stage = self.vanished(ledger, batch, (at, from)),
            }
            fail::fail_point!("sqlite::mid_emit");
        }
        Filled::Batch
    }

    fn place(&self, batch: &mut ChangeBatch, at: usize, number: u64) -> Place {
        Place { index: batch.place(&self.places[at]), at: number }
    }

    fn changed(&mut self, ledger: &mut Ledger, batch: &mut ChangeBatch, at: usize, pending: &Pending) -> Option<()> {
        let place = self.place(batch, at, pending.number);
        let row = self.pass.spool.read(pending.at, pending.length as usize, &mut self.buffer).ok()?;
        match pending.reject {
            None => ledger.upsert(batch, at, (pending.slot, row, pending.hash), place),
            Some(code) => ledger.reject(batch, at, (pending.slot, row, pending.hash, code), place),
        }
        Some(())
    }

    /// A duplicate; before the first of its group, those captured earlier are retracted.
    fn duplicate(
        &mut self,
        ledger: &mut Ledger,
        batch: &mut ChangeBatch,
        (at, next): (usize, usize),
        pending: &Pending,
    ) -> Option<()> {
        let table = &self.pass.tables[at];
        let first = pending.first.and_then(|first| table.diff.ordinal(first)).unwrap_or_default();
        let name = format!("{} (the key's first row is number {first})", self.places[at]);
        let place = Place { index: batch.place(&name), at: pending.number };
        let before = next.checked_sub(1).map(|before| self.pass.tables[at].duplicates[before].slot);
        if before != Some(pending.slot) && ledger.streams[at].index.kind(pending.slot) == Kind::Duplicate {
            ledger.retract_group(batch, at, pending.slot, place);
        }
        let row = self.pass.spool.read(pending.at, pending.length as usize, &mut self.buffer).ok()?;
        ledger.reject(batch, at, (pending.slot, row, pending.hash, RejectCode::DuplicateKey), place);
        Some(())
    }

    fn vanished(&self, ledger: &mut Ledger, batch: &mut ChangeBatch, (at, from): (usize, u32)) -> Stage {
        let table = &self.pass.tables[at];
        let gone = table.table.as_ref().and_then(|_| table.next_vanished(&ledger.streams[at].index, from));
        let place = self.place(batch, at, 0);
        if let Some(SlotId(slot)) = gone {
            ledger.vanish(batch, at, SlotId(slot), place);
            return Stage::Vanished(at, slot + 1);
        }
        if self.accepted[at] {
            ledger.streams[at].standing.accepted += 1;
            ledger.note_standing(batch, at);
        }
        if table.table.is_some() && ledger.streams[at].standing.first == FirstRevision::Open {
            ledger.end_first(batch, at, place);
        }
        Stage::Changed(at + 1, 0)
    }
}
