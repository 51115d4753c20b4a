//! One listing of the root, ordered for the search of generations: by inode, and by chain of rotation.
//!
//! Owns which file belongs to which lineage by its name. A rotated name belongs to its base only where that base is there
//! or known; else the file stands for itself.

use crate::files::identity::Inode;
use crate::files::lines::ledger::Ledger;
use crate::files::lines::rotation::{self, Age};
use crate::files::pattern::Pattern;
use crate::files::root::{Listed, ReadError, Root, Skipped};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// A file of a lineage.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Index in [`View::files`].
    pub file: usize,
    /// Its place in the chain.
    pub age: Age,
}

/// A listing.
#[derive(Debug)]
pub(super) struct View {
    /// Regular files, sorted by path.
    pub files: Vec<Listed>,
    /// What the pattern means and is no file to read.
    pub skipped: Vec<Skipped>,
    /// What could not be looked into; empty: absence is proven.
    pub unreadable: Vec<ReadError>,
    /// Files that some generation stands in.
    pub claimed: Vec<bool>,
    by_inode: HashMap<u64, Vec<usize>>,
    members: BTreeMap<PathBuf, Vec<Member>>,
}

impl View {
    /// Lists what the pattern means, and the rotated files beside that.
    pub(super) fn take(root: &Root, pattern: &Pattern, ledger: &Ledger) -> Result<Self, ReadError> {
        let meant = |path: &Path| {
            pattern.matches(path) || rotation::parse(path).is_some_and(|rotated| pattern.matches(&rotated.base))
        };
        let known: BTreeSet<&Path> = ledger
            .lineages
            .values()
            .flat_map(|lineage| lineage.generations.iter().map(|generation| generation.path.as_path()))
            .collect();
        let listing = root.list(pattern.depth(), &mut |path| meant(path) || known.contains(path))?;
        let mut by_inode: HashMap<u64, Vec<usize>> = HashMap::new();
        for (index, file) in listing.files.iter().enumerate() {
            by_inode.entry(file.stat.ino).or_default().push(index);
        }
        let claimed = vec![false; listing.files.len()];
        let members = group(&listing.files, pattern, ledger);
        let skipped = listing.skipped.into_iter().filter(|skip| pattern.matches(&skip.path)).collect();
        Ok(Self { skipped, files: listing.files, unreadable: listing.unreadable, claimed, by_inode, members })
    }

    /// Unclaimed files whose inode may be this one, the one at `path` first.
    pub(super) fn with_inode(&self, inode: &Inode, path: &Path) -> Vec<usize> {
        let files = self.by_inode.get(&inode.ino).map_or(&[][..], Vec::as_slice);
        let may_be = |index: &usize| !self.claimed[*index] && inode.may_be(&Inode::of(&self.files[*index].stat));
        let mut found: Vec<usize> = files.iter().copied().filter(may_be).collect();
        found.sort_by_key(|index| self.files[*index].path != path);
        found
    }

    /// A generation stands in this file, under whichever of its names.
    pub(super) fn claim(&mut self, index: usize) {
        let claimed = self.files[index].stat;
        for other in self.by_inode.get(&claimed.ino).map_or(&[][..], Vec::as_slice) {
            self.claimed[*other] |= self.files[*other].stat.same_inode(&claimed);
        }
    }

    /// The chain under a path, oldest first.
    pub(super) fn members(&self, base: &Path) -> &[Member] {
        self.members.get(base).map_or(&[], Vec::as_slice)
    }

    /// The chain under a path consists of the same files in a later listing, and none of them has become shorter.
    pub(super) fn chain_stands(&self, base: &Path, later: &Self) -> bool {
        let (before, after) = (self.members(base), later.members(base));
        before.len() == after.len()
            && before.iter().zip(after).all(|(before, after)| {
                let (before, after) = (&self.files[before.file], &later.files[after.file]);
                let same = before.path == after.path && before.stat.same_inode(&after.stat);
                same && before.stat.size <= after.stat.size
            })
    }

    /// All paths with a chain.
    pub(super) fn bases(&self) -> impl Iterator<Item = &PathBuf> {
        self.members.keys()
    }
}

fn group(files: &[Listed], pattern: &Pattern, ledger: &Ledger) -> BTreeMap<PathBuf, Vec<Member>> {
    let there = |path: &Path| files.binary_search_by(|file| file.path.as_path().cmp(path)).is_ok();
    let mut members: BTreeMap<PathBuf, Vec<Member>> = BTreeMap::new();
    for (file, listed) in files.iter().enumerate() {
        let rotated = rotation::parse(&listed.path).filter(|rotated| {
            let base = &rotated.base;
            pattern.matches(base) && (there(base) || ledger.lineages.contains_key(base))
        });
        let (base, age) = match rotated {
            Some(rotated) => (rotated.base, rotated.age),
            None if pattern.matches(&listed.path) => (listed.path.clone(), Age::Live),
            None => continue,
        };
        members.entry(base).or_default().push(Member { file, age });
    }
    for chain in members.values_mut() {
        chain.sort_by(|a, b| a.age.cmp(&b.age));
    }
    members
}
