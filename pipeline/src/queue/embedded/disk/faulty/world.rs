//! What the simulated disk holds: durable, live, and what lies between.

use super::SECTOR;
use super::dice::Dice;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

#[derive(Clone, Default)]
pub(super) struct World {
    pub(super) inodes: Vec<Inode>,
    pub(super) names: BTreeMap<String, usize>,
    pub(super) durable_names: BTreeMap<String, usize>,
    pub(super) pending_names: Vec<NameChange>,
    /// Counts power cuts and process ends: handles of an earlier life fail.
    pub(super) life: u64,
    /// Bytes that files may still grow by.
    pub(super) room: Option<u64>,
    /// What the file system says that it has in all.
    pub(super) size: Option<u64>,
    /// Changing operations left before the power goes.
    pub(super) left: Option<u64>,
    /// Changing operations so far.
    pub(super) done: u64,
    /// Syncs left before one fails.
    pub(super) sync_failure: Option<u64>,
    pub(super) stubborn: bool,
    pub(super) calls: u64,
    pub(super) unreadable: Option<String>,
}

#[derive(Clone, Default)]
pub(super) struct Inode {
    pub(super) durable: Vec<u8>,
    pub(super) live: Vec<u8>,
    pub(super) pending: Vec<Change>,
}

#[derive(Clone)]
pub(super) enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Cut(usize),
}

#[derive(Clone)]
pub(super) enum NameChange {
    Link(String, usize),
    Unlink(String),
    Rename(String, String),
}

pub(super) fn missing() -> io::Error {
    ErrorKind::NotFound.into()
}

impl World {
    pub(super) fn link(&mut self, name: &str) -> usize {
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.names.insert(name.to_owned(), inode);
        self.pending_names.push(NameChange::Link(name.to_owned(), inode));
        inode
    }

    pub(super) fn find(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(missing)
    }

    /// One sync in turn fails when it was asked for.
    pub(super) fn sync_fails(&mut self) -> bool {
        match self.sync_failure {
            Some(0) => {
                self.sync_failure = None;
                true
            }
            Some(left) => {
                self.sync_failure = Some(left - 1);
                false
            }
            None => false,
        }
    }

    /// How many of `wanted` bytes a stubborn disk moves now.
    pub(super) fn moved(&mut self, wanted: usize) -> io::Result<usize> {
        self.calls += 1;
        match (self.stubborn, self.calls % 3) {
            (true, 0) => Err(ErrorKind::Interrupted.into()),
            (true, 1) => Ok(wanted.min(1 + (self.calls % 700) as usize)),
            _ => Ok(wanted),
        }
    }
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Link(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Unlink(name) => {
                names.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
        }
    }
}

impl Change {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes: new } => put(bytes, *at, new),
            Self::Cut(len) => bytes.resize(*len, 0),
        }
    }
}

pub(super) fn put(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    if bytes.len() < at + new.len() {
        bytes.resize(at + new.len(), 0);
    }
    bytes[at..at + new.len()].copy_from_slice(new);
}

/// What of the pending changes reaches the disk when the power goes.
pub(super) fn lose(durable: &mut Vec<u8>, pending: Vec<Change>, dice: &mut Dice) {
    match dice.throw(4) {
        0 => {}
        1 => pending.iter().for_each(|change| change.apply(durable)),
        2 => {
            let kept = dice.throw(pending.len() as u64 + 1) as usize;
            pending[..kept].iter().for_each(|change| change.apply(durable));
            if let Some(Change::Write { at, bytes }) = pending.get(kept) {
                put(durable, *at, &bytes[..dice.throw(bytes.len() as u64 + 1) as usize]);
            }
        }
        _ => {
            for change in &pending {
                match change {
                    Change::Write { at, bytes } => {
                        for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                            if dice.throw(2) == 0 {
                                put(durable, at + number * SECTOR, sector);
                            }
                        }
                    }
                    Change::Cut(_) => change.apply(durable),
                }
            }
        }
    }
}
