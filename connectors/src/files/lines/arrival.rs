//! Files that no known generation stands in: which of them are new, in which order, and which only repeat what is known.
//!
//! A file may be rotated between the listing and the look into it, and then shows another content under its name. So what
//! arrived counts only once a second listing shows its chain as the first one did; else all of it is looked at again.

use crate::files::identity::{Fingerprint, HEAD_BYTES};
use crate::files::lines::body::Body;
use crate::files::lines::generation::{Generation, Standing};
use crate::files::lines::ledger::Lineage;
use crate::files::lines::likeness::{Holds, holds, repeats};
use crate::files::lines::listing::{Member, View};
use crate::files::lines::rotation::Age;
use crate::files::lines::survey::{Outcome, Survey, changing, unreadable};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Content seen for the first time.
#[derive(Debug)]
pub(super) struct Arrival {
    base: PathBuf,
    slot: Arc<str>,
    /// Its generation was there before, and empty.
    known: bool,
}

impl Arrival {
    /// The first bytes of a generation that was empty.
    pub(super) fn first_bytes(generation: &Generation) -> Self {
        Self { base: generation.base.clone(), slot: Arc::clone(&generation.slot), known: true }
    }
}

impl Survey<'_> {
    /// Takes in the files of a chain that no generation stands in: those the pattern means, and those newer than the
    /// oldest known generation (what is known stays known while it is listed, so these were never read).
    pub(super) fn see_new(&mut self, base: &Path, lineage: &mut Lineage, chain: &[Member]) -> Outcome<()> {
        let mut ages = Vec::with_capacity(lineage.generations.len());
        for generation in &lineage.generations {
            ages.push(self.age(generation, chain)?);
        }
        let oldest = ages.iter().flatten().min().cloned();
        // The live file first: what was rotated may be a copy of it.
        let (rotated, live) = chain.split_at(chain.partition_point(|member| member.age != Age::Live));
        for member in live.iter().chain(rotated) {
            if self.view.claimed[member.file] {
                continue;
            }
            let listed = self.view.files[member.file].clone();
            let live = member.age == Age::Live;
            let meant = live || self.pattern.matches(&listed.path);
            let behind = oldest.as_ref().is_some_and(|oldest| member.age > *oldest);
            let empty = listed.stat.size == 0 && !live;
            if empty || !(meant || behind) || self.copies.get(&listed.path) == Some(&listed.stat) {
                continue;
            }
            let Some(mut body) = self.open(&listed.path, &listed.stat)? else { continue };
            if !live && self.is_copy(lineage, &mut body, &listed.path)? {
                self.copies.insert(listed.path, listed.stat);
                continue;
            }
            let head = body.stretch(0, HEAD_BYTES).map_err(|error| unreadable(&listed.path, &error))?;
            let newer = |age: &Option<Age>| age.as_ref().is_some_and(|age| *age > member.age);
            let at = ages.iter().position(newer).unwrap_or(ages.len());
            let serial = self.ledger.serial_at(lineage, at);
            let seen = (&listed.stat, Fingerprint::of(&head));
            let generation = Generation::first_seen(base, &listed.path, serial, seen);
            self.ledger.unsaved = true;
            self.view.claim(member.file);
            self.bodies.hold(&generation.slot, body);
            self.arrivals.push(Arrival { base: base.to_owned(), slot: Arc::clone(&generation.slot), known: false });
            lineage.generations.insert(at, generation);
            ages.insert(at, Some(member.age.clone()));
        }
        Ok(())
    }

    /// Where a generation stands in the chain. One that only an open descriptor leads to is placed by its compressed copy.
    fn age(&self, generation: &Generation, chain: &[Member]) -> Outcome<Option<Age>> {
        let listed = matches!(generation.standing, Standing::Listed(_));
        for member in chain.iter().rev().filter(|member| listed || member.age != Age::Live) {
            let file = &self.view.files[member.file];
            if listed && file.path == generation.path {
                return Ok(Some(member.age.clone()));
            }
            if listed || self.view.claimed[member.file] {
                continue;
            }
            let Some(mut body) = self.open(&file.path, &file.stat)? else { continue };
            let found = holds(generation, &mut body).map_err(|error| unreadable(&file.path, &error))?;
            if matches!(found, Holds::Rest) {
                return Ok(Some(member.age.clone()));
            }
        }
        Ok(None)
    }

    /// Whether a rotated file only repeats a generation that is known: it, or a part of it, under another name.
    fn is_copy(&mut self, lineage: &Lineage, body: &mut Body, path: &Path) -> Outcome<bool> {
        for generation in &lineage.generations {
            if let Standing::Listed(stat) = generation.standing
                && self.bodies.get(&generation.slot).is_none()
            {
                let opened = self.open(&generation.path, &stat)?;
                opened.into_iter().for_each(|opened| self.bodies.hold(&generation.slot, opened));
            }
            let original = self.bodies.get(&generation.slot).filter(|_| generation.stat().is_some());
            let copy = match original {
                Some(original) if !generation.compressed => judge(generation, original, body),
                _ => holds(generation, body).map(|holds| Some(generation.offset > 0 && matches!(holds, Holds::Rest))),
            };
            match copy.map_err(|error| unreadable(path, &error))? {
                Some(true) => return Ok(true),
                Some(false) => {}
                None => return Err(changing(&generation.path)),
            }
        }
        Ok(false)
    }

    /// Lists once more where something arrived, and takes back what arrived in a chain that moved meanwhile.
    pub(super) fn confirm_arrivals(&mut self) {
        if self.arrivals.is_empty() {
            return;
        }
        let again = View::take(self.root, self.pattern, self.ledger).ok();
        for Arrival { base, slot, known } in std::mem::take(&mut self.arrivals) {
            let stands = again.as_ref().is_some_and(|again| self.view.chain_stands(&base, again));
            let Some(lineage) = self.ledger.lineages.get_mut(&base).filter(|_| !stands) else { continue };
            lineage.trouble.get_or_insert_with(|| changing(&base));
            if !known {
                lineage.generations.retain(|generation| generation.slot != slot);
            } else if let Some(generation) = lineage.generations.iter_mut().find(|generation| generation.slot == slot) {
                (generation.head, generation.verified) = (Fingerprint::EMPTY, None);
            }
            self.bodies.release(&slot);
        }
    }
}

/// Whether `copy` repeats the file of a generation; `None` if that was truncated since it was listed, so that nothing can be
/// compared with it any more.
fn judge(generation: &Generation, original: &mut Body, copy: &mut Body) -> std::io::Result<Option<bool>> {
    let repeats = repeats(original, copy)?;
    let stands = repeats || generation.agrees(original, &original.stat()?)?;
    Ok(stands.then_some(repeats))
}
