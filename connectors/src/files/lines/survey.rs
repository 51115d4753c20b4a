//! A survey: finds each generation in the present listing, and sees new ones.
//!
//! A generation is where its inode is *and* its content agrees. Where that fails, a rotated copy with the same content is
//! looked for; where that fails too, its rest is lost, and nothing of its lineage is read until an operator accepts that
//! (promise 6). Files that appeared behind a known generation in the chain are read in their order, oldest first. What could
//! not be listed or opened proves nothing (promise 12).

use crate::failure::{Failure, FailureClass};
use crate::files::identity::{Fingerprint, Inode, TAIL_BYTES};
use crate::files::lines::arrival::Arrival;
use crate::files::lines::body::{Body, OpenBodies};
use crate::files::lines::generation::{Generation, Standing};
use crate::files::lines::ledger::{Ledger, Lineage, Trouble};
use crate::files::lines::likeness::{Holds, holds};
use crate::files::lines::listing::{Member, View};
use crate::files::lines::rotation::{self, Age};
use crate::files::pattern::Pattern;
use crate::files::root::{FileStat, OpenError, Root};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Passes that look for a lost rest before it is called lost: a copy may be on its way to another name meanwhile.
const SEARCHES: u8 = 3;
/// Passes over a deleted file, or an unfinished last line, without a change before it counts as final.
pub(super) const QUIET_PASSES: u8 = 3;
/// Code of the halted state.
pub const FILE_SHRANK: &str = "file_shrank";

/// Files beside the chain that are known to hold nothing new, and the state in which that was seen.
pub(super) type Copies = HashMap<PathBuf, FileStat>;

/// A survey under way.
pub(super) struct Survey<'a> {
    pub root: &'a Root,
    pub pattern: &'a Pattern,
    pub view: View,
    pub ledger: &'a mut Ledger,
    pub bodies: &'a mut OpenBodies,
    pub copies: &'a mut Copies,
    /// A wait has passed since the last survey: only then does "nothing changed" mean anything.
    pub later: bool,
    /// Content that was not known before.
    pub arrivals: Vec<Arrival>,
}

pub(super) type Outcome<T> = Result<T, Trouble>;

/// Brings what was loaded for one reading up to date with a listing: nothing of an earlier survey stands open.
pub(super) fn once((root, pattern): (&Root, &Pattern), view: View, ledger: &mut Ledger) {
    let (bodies, copies) = (&mut OpenBodies::default(), &mut Copies::default());
    Survey { root, pattern, view, ledger, bodies, copies, later: false, arrivals: Vec::new() }.run();
}

impl Survey<'_> {
    /// Brings all lineages up to date with the listing.
    pub(super) fn run(&mut self) {
        self.join_chains();
        let mut bases: Vec<PathBuf> = self.ledger.lineages.keys().cloned().collect();
        bases.extend(self.view.bases().filter(|base| !self.ledger.lineages.contains_key(*base)).cloned());
        let mut lineages: Vec<(PathBuf, Lineage)> = Vec::with_capacity(bases.len());
        for base in bases {
            let mut lineage = std::mem::take(self.ledger.lineages.entry(base.clone()).or_default());
            let located = self.locate_all(&mut lineage);
            let halted = lineage.trouble.take().filter(|trouble| matches!(trouble, Trouble::Lost(_)));
            lineage.trouble = located.err().or(halted);
            lineages.push((base, lineage));
        }
        // Every inode is claimed now: what is left over is new, or a copy.
        for (base, mut lineage) in lineages {
            if !matches!(lineage.trouble, Some(Trouble::Waiting(..)))
                && let Err(trouble) = self.settle(&base, &mut lineage)
            {
                lineage.trouble = Some(trouble);
            }
            self.ledger.lineages.insert(base.clone(), lineage);
            self.forget(&base);
        }
        self.confirm_arrivals();
        self.ledger.lineages.retain(|_, lineage| !lineage.generations.is_empty() || lineage.trouble.is_some());
        let files = &self.view.files;
        self.copies.retain(|path, _| files.binary_search_by(|file| file.path.cmp(path)).is_ok());
    }

    /// A rotated file seen while its base was away stood for itself; now it takes its place in the chain.
    fn join_chains(&mut self) {
        let joins = |path: &PathBuf| {
            let base = rotation::parse(path)?.base;
            let live = self.view.members(&base).iter().any(|member| member.age == Age::Live);
            (live && self.pattern.matches(&base)).then(|| (path.clone(), base))
        };
        let joining: Vec<(PathBuf, PathBuf)> = self.ledger.lineages.keys().filter_map(joins).collect();
        for (path, base) in joining {
            let joined = self.ledger.lineages.remove(&path).unwrap_or_default();
            let lineage = self.ledger.lineages.entry(base.clone()).or_default();
            for mut generation in joined.generations {
                generation.base.clone_from(&base);
                generation.touched = true;
                lineage.generations.push(generation);
            }
            lineage.generations.sort_by_key(|generation| generation.serial);
            self.ledger.unsaved = true;
        }
    }

    fn locate_all(&mut self, lineage: &mut Lineage) -> Outcome<()> {
        let mut outcome = Ok(());
        // Newest first: of two that claim one inode, the newer is right.
        for generation in lineage.generations.iter_mut().rev() {
            if let Err(trouble) = self.locate(generation) {
                generation.standing = Standing::Unknown;
                outcome = Err(trouble);
            }
        }
        outcome
    }

    /// Finds a generation by its inode.
    fn locate(&mut self, generation: &mut Generation) -> Outcome<()> {
        let mut overwritten = false;
        for index in self.view.with_inode(&generation.inode, &generation.path) {
            let listed = self.view.files[index].clone();
            let unchanged = generation.verified == Some(listed.stat) && generation.path == listed.path;
            if !unchanged && !self.confirm(generation, &listed.path, listed.stat)? {
                // With a birth time it is the same inode under whatever name; without, inodes of the vanished are reused.
                let same_name = listed.path == generation.path || listed.path == generation.base;
                overwritten |= same_name || generation.inode.birth_ns.is_some();
                continue;
            }
            self.view.claim(index);
            generation.standing = Standing::Listed(listed.stat);
            return Ok(());
        }
        if overwritten {
            self.bodies.release(&generation.slot);
            generation.standing = Standing::Overwritten;
            return Ok(());
        }
        generation.standing = self.held(generation).map_or(Standing::Absent, Standing::Held);
        Ok(())
    }

    /// The state of a generation that only an open descriptor leads to.
    fn held(&mut self, generation: &Generation) -> Option<FileStat> {
        let body = self.bodies.get(&generation.slot)?;
        let stat = body.stat().ok()?;
        let unchanged = generation.drained == Some(stat);
        let ours = unchanged || generation.agrees(body, &stat).ok()?;
        ours.then_some(stat)
    }

    /// Checks the evidence of a generation against a listed file and notes its new name.
    fn confirm(&mut self, generation: &mut Generation, path: &Path, stat: FileStat) -> Outcome<bool> {
        let held = self.bodies.peek(&generation.slot).and_then(|body| body.stat().ok());
        if !held.is_some_and(|held| held.same_inode(&stat)) {
            let Some(body) = self.open(path, &stat)? else { return Ok(false) };
            self.bodies.hold(&generation.slot, body);
        }
        let Some(body) = self.bodies.get(&generation.slot) else { return Ok(false) };
        let bare = generation.head.len == 0;
        let checked = generation.agrees(body, &stat).and_then(|agrees| {
            if agrees {
                generation.lengthen_head(body, &stat)?;
            }
            Ok(agrees)
        });
        let agrees = checked.map_err(|error| unreadable(path, &error))?;
        if agrees {
            let inode = Inode::of(&stat);
            let moved = generation.path != path || generation.inode != inode;
            generation.touched |= moved;
            (generation.path, generation.inode) = (path.to_owned(), inode);
            generation.verified = Some(stat);
            self.ledger.unsaved |= generation.touched;
            if bare && generation.head.len > 0 {
                self.arrivals.push(Arrival::first_bytes(generation));
            }
        }
        Ok(agrees)
    }

    /// Opens a listed file; `None` if another one stands there by now (the next pass sees it).
    pub(super) fn open(&self, path: &Path, stat: &FileStat) -> Outcome<Option<Body>> {
        match self.root.open_file(path) {
            Ok((file, now)) if now.same_inode(stat) => Ok(Some(Body::new(file, rotation::is_compressed(path)))),
            Ok(_) | Err(OpenError::Missing) => Err(changing(path)),
            Err(OpenError::Skipped(reason)) => {
                Err(Trouble::Waiting("unreadable", format!("{}: {}", path.display(), reason.name())))
            }
            Err(OpenError::Unreadable(errno)) => Err(unreadable(path, &errno.into())),
        }
    }

    /// Looks for what was not found by inode, then for what is new.
    fn settle(&mut self, base: &Path, lineage: &mut Lineage) -> Outcome<()> {
        if let Some(first) = self.view.unreadable.first() {
            return Err(Trouble::Waiting(first.code(), format!("{first}: nothing is concluded from what is not seen")));
        }
        let chain = self.view.members(base).to_vec();
        for generation in lineage.generations.iter_mut().rev() {
            let deleted = matches!(generation.standing, Standing::Held(stat) if stat.nlink == 0);
            // Deleted and finished: it may live on, compressed, under another name.
            let moved_on = deleted && generation.closed && !generation.has_work();
            if moved_on || matches!(generation.standing, Standing::Overwritten | Standing::Absent) {
                self.search(generation, &chain)?;
            }
        }
        let occupied = chain.iter().any(|member| member.age == Age::Live);
        let lost = lineage.generations.iter().find(|generation| is_lost(generation, occupied));
        if let Some(lost) = lost {
            let trouble = loss(lost, lineage.searches);
            lineage.searches = lineage.searches.saturating_add(u8::from(self.later));
            return Err(trouble);
        }
        lineage.searches = 0;
        lineage.trouble = None;
        self.see_new(base, lineage, &chain)
    }

    /// Looks for the rest of a generation in the rotated files, newest first.
    fn search(&mut self, generation: &mut Generation, chain: &[Member]) -> Outcome<()> {
        for member in chain.iter().rev().filter(|member| member.age != Age::Live) {
            if self.view.claimed[member.file] {
                continue;
            }
            let listed = self.view.files[member.file].clone();
            let Some(mut body) = self.open(&listed.path, &listed.stat)? else { continue };
            let holds = holds(generation, &mut body).map_err(|error| unreadable(&listed.path, &error))?;
            match holds {
                Holds::No => continue,
                Holds::Rest => {}
                Holds::LessThanRead(end) => {
                    let len = end.min(TAIL_BYTES as u64);
                    let tail =
                        body.stretch(end - len, len as usize).map_err(|error| unreadable(&listed.path, &error))?;
                    generation.offset = end;
                    generation.tail = Fingerprint::of(&tail);
                }
            }
            self.view.claim(member.file);
            generation.compressed = rotation::is_compressed(&listed.path);
            generation.inode = Inode::of(&listed.stat);
            generation.path = listed.path;
            generation.standing = Standing::Listed(listed.stat);
            generation.verified = Some(listed.stat);
            (generation.drained, generation.searched, generation.touched) = (None, 0, true);
            self.ledger.unsaved = true;
            self.bodies.hold(&generation.slot, body);
            return Ok(());
        }
        Ok(())
    }

    /// Forgets what is finished and gone, while its lineage lives on.
    fn forget(&mut self, base: &Path) {
        let Some(lineage) = self.ledger.lineages.get_mut(base) else { return };
        if !self.view.unreadable.is_empty() || matches!(lineage.trouble, Some(Trouble::Waiting(..))) {
            return;
        }
        let alive = lineage.generations.iter().any(|generation| matches!(generation.standing, Standing::Listed(_)));
        for generation in lineage.generations.iter_mut().filter(|generation| generation.is_finished()) {
            // One listing proves no absence: a file that is renamed while the directory is read may show under neither name.
            let gone = match generation.standing {
                Standing::Absent | Standing::Overwritten => true,
                Standing::Held(stat) => stat.nlink == 0 && !generation.has_work(),
                Standing::Listed(_) | Standing::Unknown => false,
            };
            generation.quiet = if gone { generation.quiet.saturating_add(u8::from(self.later)) } else { 0 };
        }
        let bodies = &mut *self.bodies;
        self.ledger.forget(base, |generation| {
            let absent = matches!(generation.standing, Standing::Absent | Standing::Overwritten);
            let deleted = matches!(generation.standing, Standing::Held(stat) if stat.nlink == 0) && generation.closed;
            let gone = generation.quiet >= QUIET_PASSES && ((absent && alive && generation.is_finished()) || deleted);
            if gone {
                bodies.release(&generation.slot);
            }
            gone
        });
    }
}

/// The rest of it is gone, as far as can be seen. A file that only vanished may come back; one whose place is taken may not.
fn is_lost(generation: &Generation, occupied: bool) -> bool {
    match generation.standing {
        Standing::Overwritten => !generation.is_finished(),
        Standing::Absent => !generation.is_finished() && occupied,
        _ => false,
    }
}

fn loss(generation: &Generation, searches: u8) -> Trouble {
    let path = generation.path.display();
    let offset = generation.offset;
    if searches < SEARCHES {
        return Trouble::Waiting("rest_missing", format!("{path}: looking for what followed byte {offset}"));
    }
    let detail = format!(
        "{path} no longer holds what was read of it up to byte {offset}, and no rotated copy of it was found: what followed is \
         not known. Put the rotated file back beside it, or accept {FILE_SHRANK} to go on from the start of the present file"
    );
    Trouble::Lost(Failure::new(FailureClass::Halt, FILE_SHRANK, detail))
}

pub(super) fn changing(path: &Path) -> Trouble {
    Trouble::Waiting("changing", format!("{} was replaced while it was looked at", path.display()))
}

pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Trouble {
    let code = if error.kind() == std::io::ErrorKind::NotFound { "missing" } else { "unreadable" };
    Trouble::Waiting(code, format!("{}: {error}", path.display()))
}
