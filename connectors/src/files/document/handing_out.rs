//! The second pass over a revision: its changes, in file order, then what is gone, then the end of a first revision.
//!
//! Records that were not kept are read again from the same open file and must still have the hash of the first pass: a
//! file that changed in between is given up where it stands (promise 10). What was handed out before that was whole and is
//! in the index; the next revision is compared with it.

use super::reading::{Found, Pending};
use crate::files::index::diff::Outcome;
use crate::files::index::ledger::Ledger;
use crate::files::index::{FirstRevision, Kind, SlotId};
use crate::files::root::FileStat;
use crate::files::split::TOO_LARGE_HEAD;
use landfall_schemas::event::{ChangeBatch, Place};
use landfall_schemas::hash::RowHash;
use landfall_schemas::rejection::RejectCode;
use std::fs::File;
use std::os::unix::fs::FileExt;
use xxhash_rust::xxh3::Xxh3;

/// Bytes read at once where changed records stand close together.
const WINDOW: usize = 256 << 10;

/// How far one filling of a batch came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Filled {
    /// The batch is full.
    Batch,
    /// The revision is through.
    All,
    /// The file is another one now.
    Torn,
}

/// What is handed out next.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Changed(usize),
    Duplicates(usize),
    Vanished(usize, u32),
    Ends,
}

/// The second pass under way.
#[derive(Debug)]
pub(super) struct HandingOut {
    pub stat: FileStat,
    pub found: Found,
    file: File,
    window: Window,
    stage: Stage,
    /// Per stream: the guard let deletes pass because they were accepted.
    accepted: Vec<bool>,
    place: Box<str>,
}

impl HandingOut {
    pub(super) fn new(file: (File, FileStat), mut found: Found, ledger: &Ledger) -> Self {
        let (file, stat) = file;
        let changed = |pending: &Pending| {
            let at = usize::from(pending.stream);
            found.streams[at].diff.is_group_changed(&ledger.streams[at].index, pending.slot)
        };
        let mut duplicates: Vec<Pending> = found.duplicates.iter().copied().filter(changed).collect();
        duplicates.sort_by_key(|pending| (pending.stream, pending.slot));
        found.duplicates = duplicates;
        let accepted = vec![false; found.streams.len()];
        Self { stat, found, file, window: Window::default(), stage: Stage::Changed(0), accepted, place: "".into() }
    }

    /// The name of the file in places.
    pub(super) fn named(mut self, place: &str, accepted: Vec<bool>) -> Self {
        self.place = place.into();
        self.accepted = accepted;
        self
    }

    /// Nothing to hand out.
    pub(super) fn is_empty(&self, ledger: &Ledger) -> bool {
        self.found.pending.is_empty()
            && self.found.duplicates.is_empty()
            && self.found.streams.iter().zip(&ledger.streams).all(|(pass, stream)| {
                let complete = stream.standing.first == FirstRevision::Complete;
                !pass.taken || (complete && pass.diff.next_vanished(&stream.index, 0).is_none())
            })
    }

    /// Offset of the next record: how far copying has come.
    pub(super) fn position(&self) -> (u64, usize) {
        match self.stage {
            Stage::Changed(next) => (self.found.pending.get(next).map_or(self.stat.size, |pending| pending.at), next),
            _ => (self.stat.size, self.found.pending.len()),
        }
    }

    /// Fills a batch. An I/O error counts as torn: the next look says what is wrong.
    pub(super) fn fill(&mut self, ledger: &mut Ledger, batch: &mut ChangeBatch) -> Filled {
        while !batch.is_full() {
            match self.stage {
                Stage::Changed(next) => match self.found.pending.get(next).copied() {
                    None => self.stage = Stage::Duplicates(0),
                    Some(pending) => {
                        if self.hand_out(ledger, batch, &pending).is_none() {
                            return Filled::Torn;
                        }
                        self.stage = Stage::Changed(next + 1);
                    }
                },
                Stage::Duplicates(next) => match self.found.duplicates.get(next).copied() {
                    None => self.stage = Stage::Vanished(0, 0),
                    Some(pending) => {
                        if self.duplicate(ledger, batch, (next, pending)).is_none() {
                            return Filled::Torn;
                        }
                        self.stage = Stage::Duplicates(next + 1);
                    }
                },
                Stage::Vanished(stream, from) => self.stage = self.vanished(ledger, batch, (stream, from)),
                Stage::Ends => {
                    self.ends(ledger, batch);
                    return Filled::All;
                }
            }
            fail::fail_point!("document::mid_emit");
        }
        Filled::Batch
    }

    fn hand_out(&mut self, ledger: &mut Ledger, batch: &mut ChangeBatch, pending: &Pending) -> Option<()> {
        let place = Place { index: batch.place(&self.place), at: pending.at };
        let raw = raw_of(&self.file, (&self.found.kept, &mut self.window), pending)?;
        let at = usize::from(pending.stream);
        match pending.reject {
            None => ledger.upsert(batch, at, (pending.slot, raw, pending.hash), place),
            Some(code) => ledger.reject(batch, at, (pending.slot, raw, pending.hash, code), place),
        }
        Some(())
    }

    /// A duplicate; before the first of its group, those captured earlier are retracted.
    fn duplicate(&mut self, ledger: &mut Ledger, batch: &mut ChangeBatch, duplicate: (usize, Pending)) -> Option<()> {
        let (next, pending) = duplicate;
        let at = usize::from(pending.stream);
        let first = pending.first.and_then(|first| self.found.streams[at].diff.ordinal(first)).unwrap_or_default();
        let name = format!("{} (the key's first record is number {first})", self.place);
        let raw = raw_of(&self.file, (&self.found.kept, &mut self.window), &pending)?;
        let place = Place { index: batch.place(&name), at: pending.at };
        let before = next.checked_sub(1).map(|before| self.found.duplicates[before]);
        let opens_group = before.is_none_or(|before| (before.stream, before.slot) != (pending.stream, pending.slot));
        if opens_group && ledger.streams[at].index.kind(pending.slot) == Kind::Duplicate {
            ledger.retract_group(batch, at, pending.slot, place);
        }
        ledger.reject(batch, at, (pending.slot, raw, pending.hash, RejectCode::DuplicateKey), place);
        Some(())
    }

    fn vanished(&self, ledger: &mut Ledger, batch: &mut ChangeBatch, at: (usize, u32)) -> Stage {
        let (stream, from) = at;
        let Some(pass) = self.found.streams.get(stream) else { return Stage::Ends };
        let gone = if pass.taken && pass.unproven_at.is_none() {
            pass.diff.next_vanished(&ledger.streams[stream].index, from)
        } else {
            None
        };
        match gone {
            None => Stage::Vanished(stream + 1, 0),
            Some(SlotId(slot)) => {
                let place = Place { index: batch.place(&self.place), at: 0 };
                ledger.vanish(batch, stream, SlotId(slot), place);
                Stage::Vanished(stream, slot + 1)
            }
        }
    }

    fn ends(&self, ledger: &mut Ledger, batch: &mut ChangeBatch) {
        for (at, pass) in self.found.streams.iter().enumerate() {
            if self.accepted[at] {
                ledger.streams[at].standing.accepted += 1;
                ledger.note_standing(batch, at);
            }
            if pass.taken && pass.unproven_at.is_none() && ledger.streams[at].standing.first == FirstRevision::Open {
                let place = Place { index: batch.place(&self.place), at: self.stat.size };
                ledger.end_first(batch, at, place);
            }
        }
    }

    /// Ends the comparison.
    pub(super) fn end(self, ledger: &mut Ledger, outcome: Outcome) {
        self.found.end(ledger, outcome);
    }
}

/// The last stretch that was read again.
#[derive(Debug, Default)]
struct Window {
    bytes: Vec<u8>,
    at: u64,
}

impl Window {
    /// `len` bytes at `at`, or fewer at the file's end.
    fn read(&mut self, file: &File, at: u64, len: usize) -> std::io::Result<&[u8]> {
        let inside = at.checked_sub(self.at).map(|skip| skip as usize).filter(|skip| skip + len <= self.bytes.len());
        let skip = match inside {
            Some(skip) => skip,
            None => {
                self.fill(file, at, len.max(WINDOW))?;
                0
            }
        };
        Ok(&self.bytes[skip..self.bytes.len().min(skip + len)])
    }

    fn fill(&mut self, file: &File, at: u64, len: usize) -> std::io::Result<()> {
        self.bytes.clear();
        self.bytes.resize(len, 0);
        self.at = at;
        let mut filled = 0;
        while filled < len {
            match file.read_at(&mut self.bytes[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes.truncate(filled);
        Ok(())
    }
}

/// The raw bytes of a record (for one that is too large, its head); `None` when the file no longer holds it there.
fn raw_of<'a>(file: &File, sources: (&'a [u8], &'a mut Window), pending: &Pending) -> Option<&'a [u8]> {
    let (kept, window) = sources;
    if let Some(start) = pending.kept {
        return kept.get(start as usize..start as usize + pending.len as usize);
    }
    if pending.len > landfall_schemas::json::MAX_RECORD_BYTES as u64 {
        if hash_of(file, window, (pending.at, pending.len)).ok()? != pending.hash {
            return None;
        }
        return window.read(file, pending.at, TOO_LARGE_HEAD).ok();
    }
    let raw = window.read(file, pending.at, pending.len as usize).ok()?;
    (RowHash::of(raw) == pending.hash).then_some(raw)
}

fn hash_of(file: &File, window: &mut Window, range: (u64, u64)) -> std::io::Result<RowHash> {
    let (at, len) = range;
    let mut hash = Xxh3::new();
    let mut done = 0;
    while done < len {
        let step = (len - done).min(WINDOW as u64) as usize;
        let bytes = window.read(file, at + done, step)?;
        if bytes.is_empty() {
            break;
        }
        hash.update(bytes);
        done += bytes.len() as u64;
    }
    Ok(RowHash(hash.digest128()))
}
