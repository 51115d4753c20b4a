//! One look at the whole directory: list, read what changed, compare, hand out.
//!
//! Nothing is handed out before everything listed was read and the deletion guard had no question; records that were not
//! kept are read again and must still have their hash. A listing that is not complete, or a file whose key cannot be
//! known, proves no absence: nothing is deleted then (promise 12).

use super::catalog::{Content, Entry, Reader};
use crate::files::index::diff::{Diff, Outcome, Verdict};
use crate::files::index::ledger::Ledger;
use crate::files::index::{Class, FirstRevision, Kind, SlotId};
use crate::files::root::Root;
use landfall_schemas::event::{ChangeBatch, Place};
use landfall_schemas::hash::RowHash;
use landfall_schemas::key::RecordKey;
use landfall_schemas::rejection::RejectCode;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files read in one step, so that a step stays short.
pub(super) const STEP_FILES: usize = 1_000;
/// Bytes of changed records kept in memory between reading and handing out.
const KEPT_BYTES: usize = 8 << 20;

/// The files known, by path.
pub(super) type Catalog = BTreeMap<Arc<Path>, Entry>;

/// Whether what was not met is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Absence {
    Proven,
    Unproven,
}

/// Files that are to be read.
#[derive(Debug)]
pub(super) struct Reading {
    pub todo: Vec<PathBuf>,
    pub next: usize,
    pub bytes: u64,
    pub absence: Absence,
    kept: Vec<u8>,
    places: BTreeMap<Arc<Path>, Range<usize>>,
}

impl Reading {
    pub(super) fn new(todo: Vec<PathBuf>, absence: Absence) -> Self {
        Self { todo, next: 0, bytes: 0, absence, kept: Vec::new(), places: BTreeMap::new() }
    }

    /// Reads on; `true` when all is read. `unsteady` counts files that have to be read again soon.
    pub(super) fn advance(
        &mut self,
        tools: (&Root, &mut Reader),
        ledger: &Ledger,
        catalog: &mut Catalog,
        unsteady: &mut u64,
    ) -> bool {
        let (root, reader) = tools;
        let spec = &ledger.streams[0].stream.key;
        let until = self.todo.len().min(self.next + STEP_FILES);
        for path in &self.todo[self.next..until] {
            match reader.read(root, path, spec, catalog.get(&**path)) {
                Ok((entry, range)) => {
                    let raw = reader.bytes(range);
                    self.bytes += raw.len() as u64;
                    let path: Arc<Path> = Arc::from(&**path);
                    if self.kept.len() + raw.len() <= KEPT_BYTES {
                        let start = self.kept.len();
                        self.kept.extend_from_slice(raw);
                        self.places.insert(path.clone(), start..self.kept.len());
                    }
                    catalog.insert(path, entry);
                }
                Err(_) => {
                    *unsteady += 1;
                    // Whatever it is now, it was a file a moment ago: the next listing tells.
                    self.absence = Absence::Unproven;
                }
            }
        }
        self.next = until;
        until == self.todo.len()
    }
}

/// A file whose record is to be handed out.
#[derive(Clone, Debug)]
struct Pending {
    path: Arc<Path>,
    slot: SlotId,
    hash: RowHash,
    at: u64,
    reject: Option<RejectCode>,
    /// For a duplicate: the slot of the record that stands.
    first: Option<SlotId>,
}

/// How far one filling of a batch came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Filled {
    Batch,
    All,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Changed(usize),
    Duplicates(usize),
    Vanished(u32),
    End,
}

/// The directory compared with its index, and what is handed out of it.
#[derive(Debug)]
pub(super) struct Compared {
    pub diff: Diff,
    /// Whether the listing was complete and every file could be looked at.
    pub listed: Absence,
    /// And whether the key of each is known.
    pub absence: Absence,
    pending: Vec<Pending>,
    duplicates: Vec<Pending>,
    /// The file of each record, in the order of the comparison.
    files: Vec<Arc<Path>>,
    kept: Vec<u8>,
    places: BTreeMap<Arc<Path>, Range<usize>>,
    stage: Stage,
    pub accepted: bool,
    /// Files that changed between reading and handing out.
    pub torn: u64,
}

impl Compared {
    /// Compares all files with the index. `hidden`: keys of what is there and is not read.
    pub(super) fn new<'a>(
        reading: Reading,
        catalog: &Catalog,
        ledger: &mut Ledger,
        hidden: impl Iterator<Item = &'a Box<[u8]>>,
    ) -> Self {
        let diff = Diff::new(&ledger.streams[0].index);
        let Reading { absence, kept, places, .. } = reading;
        let mut compared = Self {
            diff,
            listed: absence,
            absence,
            pending: Vec::new(),
            duplicates: Vec::new(),
            files: Vec::new(),
            kept,
            places,
            stage: Stage::Changed(0),
            accepted: false,
            torn: 0,
        };
        let mut key = RecordKey::default();
        for (path, entry) in catalog {
            compared.file(path, &entry.content, ledger, &mut key);
            let placed = compared.diff.records() as usize;
            compared.files.resize(placed, path.clone());
        }
        for hidden in hidden {
            compared.keep(hidden, ledger, &mut key);
        }
        let index = &ledger.streams[0].index;
        let diff = &compared.diff;
        compared.duplicates.retain(|pending| diff.is_group_changed(index, pending.slot));
        compared.duplicates.sort_by_key(|pending| pending.slot);
        compared
    }

    fn file(&mut self, path: &Arc<Path>, content: &Content, ledger: &mut Ledger, key: &mut RecordKey) {
        let index = &mut ledger.streams[0].index;
        let Content::Record { key: own, hash, len, at, reject } = content else {
            match content.key() {
                Some(own) => self.keep(own, ledger, key),
                None => self.absence = Absence::Unproven,
            }
            return;
        };
        let row = (*hash, *len);
        let verdict = match own {
            Some(own) => {
                key.set_encoded(own);
                self.diff.take_by_key(index, key, row)
            }
            None => {
                if *reject == Some(RejectCode::TooLarge) {
                    self.absence = Absence::Unproven;
                }
                self.diff.take_nameless(index, key, row)
            }
        };
        let pending =
            Pending { path: path.clone(), slot: SlotId(0), hash: *hash, at: *at, reject: *reject, first: None };
        match verdict {
            Verdict::Unchanged => {}
            Verdict::Changed(slot) => self.pending.push(Pending { slot, ..pending }),
            Verdict::Duplicate { group, first } => {
                let reject = Some(RejectCode::DuplicateKey);
                self.duplicates.push(Pending { slot: group, first: Some(first), reject, ..pending });
            }
        }
    }

    /// What was captured under this key stands, whatever its file is just now.
    fn keep(&mut self, own: &[u8], ledger: &mut Ledger, key: &mut RecordKey) {
        let index = &mut ledger.streams[0].index;
        let Some(slot) = index.find(own, Class::Record) else { return };
        if matches!(index.kind(slot), Kind::Live | Kind::Rejected) && !self.diff.is_seen(slot) {
            key.set_encoded(own);
            let hash = index.hash(slot);
            let _ = self.diff.take_by_key(index, key, (hash, 0));
        }
    }

    /// Records to hand out, and of how many.
    pub(super) fn progress(&self) -> (u64, u64) {
        let done = match self.stage {
            Stage::Changed(next) => next,
            _ => self.pending.len(),
        };
        (done as u64, self.pending.len() as u64)
    }

    /// Fills a batch. A file that changed since it was read is left for the next look.
    pub(super) fn fill(
        &mut self,
        tools: (&Root, &mut Reader),
        ledger: &mut Ledger,
        catalog: &mut Catalog,
        batch: &mut ChangeBatch,
    ) -> Filled {
        let (root, reader) = tools;
        while !batch.is_full() {
            match self.stage {
                Stage::Changed(next) => match self.pending.get(next).cloned() {
                    None => self.stage = Stage::Duplicates(0),
                    Some(pending) => {
                        self.hand_out((root, reader), ledger, (catalog, batch), &pending);
                        self.stage = Stage::Changed(next + 1);
                    }
                },
                Stage::Duplicates(next) => match self.duplicates.get(next).cloned() {
                    None => self.stage = Stage::Vanished(0),
                    Some(pending) => {
                        self.retract_before(ledger, batch, (next, &pending));
                        self.hand_out((root, reader), ledger, (catalog, batch), &pending);
                        self.stage = Stage::Duplicates(next + 1);
                    }
                },
                Stage::Vanished(from) => self.stage = self.vanished(ledger, batch, from),
                Stage::End => {
                    self.end_first(ledger, batch);
                    return Filled::All;
                }
            }
            fail::fail_point!("directory::mid_emit");
        }
        Filled::Batch
    }

    fn hand_out(
        &mut self,
        tools: (&Root, &mut Reader),
        ledger: &mut Ledger,
        out: (&mut Catalog, &mut ChangeBatch),
        pending: &Pending,
    ) {
        let (root, reader) = tools;
        let (catalog, batch) = out;
        let raw = match self.places.get(&pending.path) {
            Some(range) => &self.kept[range.clone()],
            None => {
                let read = reader.read(root, &pending.path, &ledger.streams[0].stream.key, None);
                let same = |content: &Content| matches!(content, Content::Record { hash, .. } if *hash == pending.hash);
                match read {
                    Ok((entry, range)) if same(&entry.content) => reader.bytes(range),
                    _ => {
                        catalog.remove(&pending.path);
                        self.torn += 1;
                        return;
                    }
                }
            }
        };
        let name = pending.path.display();
        let first = pending.first.and_then(|first| self.diff.ordinal(first)).and_then(|at| self.files.get(at - 1));
        let index = match first {
            Some(first) => batch.place(&format!("{name} (the key stands first in {})", first.display())),
            None => batch.place(&name.to_string()),
        };
        let place = Place { index, at: pending.at };
        match pending.reject {
            None => ledger.upsert(batch, 0, (pending.slot, raw, pending.hash), place),
            Some(code) => ledger.reject(batch, 0, (pending.slot, raw, pending.hash, code), place),
        }
    }

    /// Before the first of a group, those captured earlier are retracted.
    fn retract_before(&self, ledger: &mut Ledger, batch: &mut ChangeBatch, duplicate: (usize, &Pending)) {
        let (next, pending) = duplicate;
        let opens_group = next.checked_sub(1).is_none_or(|before| self.duplicates[before].slot != pending.slot);
        if opens_group && ledger.streams[0].index.kind(pending.slot) == Kind::Duplicate {
            let place = Place { index: batch.place(&pending.path.display().to_string()), at: pending.at };
            ledger.retract_group(batch, 0, pending.slot, place);
        }
    }

    fn vanished(&self, ledger: &mut Ledger, batch: &mut ChangeBatch, from: u32) -> Stage {
        if self.absence == Absence::Unproven {
            return Stage::End;
        }
        match self.diff.next_vanished(&ledger.streams[0].index, from) {
            None => Stage::End,
            Some(slot) => {
                let place = Place { index: batch.place("."), at: 0 };
                ledger.vanish(batch, 0, slot, place);
                Stage::Vanished(slot.0 + 1)
            }
        }
    }

    fn end_first(&self, ledger: &mut Ledger, batch: &mut ChangeBatch) {
        if self.accepted {
            ledger.streams[0].standing.accepted += 1;
            ledger.note_standing(batch, 0);
        }
        let complete = self.listed == Absence::Proven && self.torn == 0;
        if complete && ledger.streams[0].standing.first == FirstRevision::Open {
            let place = Place { index: batch.place("."), at: 0 };
            ledger.end_first(batch, 0, place);
        }
    }

    /// Ends the comparison.
    pub(super) fn end(self, ledger: &mut Ledger, outcome: Outcome) {
        self.diff.end(&mut ledger.streams[0].index, outcome);
    }
}
