//! The port in memory, with everything that disks do to programs.
//!
//! Each file has a durable and a live state and the operations between them; the directory likewise. A power cut keeps the durable
//! state and any part of what was pending: none of it, a prefix torn at any byte, or single sectors in no order. Names keep
//! a prefix of their operations, as a journal does. A failed sync loses what it should have covered while reads go on showing
//! it, as page caches do. Handles of a disk that lost its power, or whose process ended, fail for ever.

use super::{Disk, DiskFile};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard};

/// What a disk writes at once.
const SECTOR: usize = 512;

/// A disk in memory.
#[derive(Clone)]
pub struct FaultyDisk {
    world: Arc<Mutex<World>>,
    life: u64,
}

#[derive(Clone, Default)]
struct World {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<NameChange>,
    /// Counts power cuts and process ends: handles of an earlier life fail.
    life: u64,
    /// Bytes that files may still grow by.
    room: Option<u64>,
    /// Changing operations left before the power goes.
    left: Option<u64>,
    /// Changing operations so far.
    done: u64,
    /// Syncs left before one fails.
    sync_failure: Option<u64>,
    stubborn: bool,
    calls: u64,
    unreadable: Option<String>,
}

#[derive(Clone, Default)]
struct Inode {
    durable: Vec<u8>,
    live: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Cut(usize),
}

#[derive(Clone)]
enum NameChange {
    Link(String, usize),
    Unlink(String),
    Rename(String, String),
}

/// Throws dice from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The same seed throws the same.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// `0..sides`; 0 for no sides.
    pub fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).checked_rem(sides).unwrap_or(0)
    }
}

impl Default for FaultyDisk {
    fn default() -> Self {
        Self { world: Arc::default(), life: 0 }
    }
}

impl fmt::Debug for FaultyDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyDisk").field("life", &self.life).finish_non_exhaustive()
    }
}

impl FaultyDisk {
    /// The power goes: what is left, by `dice`. The disk given back works; this one does not any more.
    pub fn power_cut(&self, dice: &mut Dice) -> Self {
        self.next_life(|world| {
            for inode in &mut world.inodes {
                let pending = std::mem::take(&mut inode.pending);
                lose(&mut inode.durable, pending, dice);
                inode.live.clone_from(&inode.durable);
            }
            let kept = dice.throw(world.pending_names.len() as u64 + 1) as usize;
            let pending = std::mem::take(&mut world.pending_names);
            for change in &pending[..kept] {
                change.apply(&mut world.durable_names);
            }
            world.names.clone_from(&world.durable_names);
        })
    }

    /// The process ends, the machine does not: the page cache stays.
    pub fn process_end(&self) -> Self {
        self.next_life(|_| {})
    }

    fn next_life(&self, change: impl FnOnce(&mut World)) -> Self {
        let mut world = self.world();
        change(&mut world);
        world.life += 1;
        (world.room, world.left, world.sync_failure, world.unreadable) = (None, None, None, None);
        world.stubborn = false;
        Self { world: self.world.clone(), life: world.life }
    }

    /// A disk of its own with the same content.
    pub fn copy(&self) -> Self {
        Self { world: Arc::new(Mutex::new(self.world().clone())), life: self.life }
    }

    /// Files may grow by this many bytes in all.
    pub fn limit_room(&self, room: Option<u64>) {
        self.world().room = room;
    }

    /// The power goes at the changing operation after `operations` more.
    pub fn stop_after(&self, operations: u64) {
        self.world().left = Some(operations);
    }

    /// Whether it still works.
    pub fn has_power(&self) -> bool {
        self.alive().is_ok()
    }

    /// Which life this is: power cuts and process ends begin a new one.
    pub fn life(&self) -> u64 {
        self.life
    }

    /// How many changing operations there were.
    pub fn operations(&self) -> u64 {
        self.world().done
    }

    /// One sync fails after `syncs` more; the next ones work.
    pub fn fail_sync_after(&self, syncs: u64) {
        self.world().sync_failure = Some(syncs);
    }

    /// Writes and reads are interrupted and short from now on.
    pub fn be_stubborn(&self) {
        self.world().stubborn = true;
    }

    /// Reading this file fails.
    pub fn refuse_reads(&self, name: &str) {
        self.world().unreadable = Some(name.to_owned());
    }

    /// Names of all files.
    pub fn names(&self) -> Vec<String> {
        self.world().names.keys().cloned().collect()
    }

    /// Changes a file behind the program's back, durably; makes it when it is missing.
    pub fn edit(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut world = self.world();
        let inode = match world.names.get(name) {
            Some(inode) => *inode,
            None => world.link(name),
        };
        world.durable_names.insert(name.to_owned(), inode);
        let file = &mut world.inodes[inode];
        edit(&mut file.live);
        file.durable.clone_from(&file.live);
        file.pending.clear();
    }

    /// Removes a file behind the program's back.
    pub fn lose_file(&self, name: &str) {
        let mut world = self.world();
        world.names.remove(name);
        world.durable_names.remove(name);
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("nobody panics while holding the simulated disk")
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, World>> {
        let world = self.world();
        if world.life != self.life || world.left == Some(0) { Err(gone()) } else { Ok(world) }
    }

    /// For an operation that changes something.
    fn changing(&self) -> io::Result<MutexGuard<'_, World>> {
        let mut world = self.alive()?;
        world.done += 1;
        world.left = world.left.map(|left| left - 1);
        Ok(world)
    }
}

fn gone() -> io::Error {
    io::Error::other("the simulated disk has no power")
}

fn missing() -> io::Error {
    ErrorKind::NotFound.into()
}

impl World {
    fn link(&mut self, name: &str) -> usize {
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.names.insert(name.to_owned(), inode);
        self.pending_names.push(NameChange::Link(name.to_owned(), inode));
        inode
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(missing)
    }

    /// One sync in turn fails when it was asked for.
    fn sync_fails(&mut self) -> bool {
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
    fn moved(&mut self, wanted: usize) -> io::Result<usize> {
        self.calls += 1;
        match (self.stubborn, self.calls % 3) {
            (true, 0) => Err(ErrorKind::Interrupted.into()),
            (true, 1) => Ok(wanted.min(1 + (self.calls % 700) as usize)),
            _ => Ok(wanted),
        }
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
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
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes: new } => put(bytes, *at, new),
            Self::Cut(len) => bytes.resize(*len, 0),
        }
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    if bytes.len() < at + new.len() {
        bytes.resize(at + new.len(), 0);
    }
    bytes[at..at + new.len()].copy_from_slice(new);
}

/// What of the pending changes reaches the disk when the power goes.
fn lose(durable: &mut Vec<u8>, pending: Vec<Change>, dice: &mut Dice) {
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

impl Disk for FaultyDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.changing()?;
        if world.room == Some(0) {
            return Err(ErrorKind::StorageFull.into());
        }
        let inode = match world.names.get(name) {
            Some(&inode) => {
                world.inodes[inode].live.clear();
                world.inodes[inode].pending.push(Change::Cut(0));
                inode
            }
            None => world.link(name),
        };
        Ok(Arc::new(FaultyFile { disk: self.clone(), inode }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let inode = self.alive()?.find(name)?;
        Ok(Arc::new(FaultyFile { disk: self.clone(), inode }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.alive()?.names.keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.changing()?;
        world.find(from)?;
        let change = NameChange::Rename(from.to_owned(), to.to_owned());
        change.apply(&mut world.names);
        world.pending_names.push(change);
        Ok(())
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        let mut world = self.changing()?;
        let inode = world.find(name)?;
        let freed = world.inodes[inode].live.len() as u64;
        world.room = world.room.map(|room| room + freed);
        let change = NameChange::Unlink(name.to_owned());
        change.apply(&mut world.names);
        world.pending_names.push(change);
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut world = self.changing()?;
        if world.sync_fails() {
            // Names stay in the journal of a file system; only data pages are dropped.
            return Err(io::Error::other("simulated: the directory was not synced"));
        }
        let pending = std::mem::take(&mut world.pending_names);
        pending.iter().for_each(|change| change.apply(&mut world.durable_names));
        Ok(())
    }
}

#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    inode: usize,
}

impl DiskFile for FaultyFile {
    fn write_at(&self, parts: &[IoSlice<'_>], at: u64) -> io::Result<usize> {
        let mut world = self.disk.changing()?;
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        bytes.truncate(world.moved(bytes.len())?);
        let at = at as usize;
        let size = world.inodes[self.inode].live.len();
        let growth = ((at + bytes.len()).saturating_sub(size)) as u64;
        if let Some(room) = world.room {
            let short = growth.saturating_sub(room) as usize;
            if short > 0 && short >= bytes.len() {
                return Err(ErrorKind::StorageFull.into());
            }
            bytes.truncate(bytes.len() - short);
            world.room = Some(room - growth.min(room));
        }
        let file = &mut world.inodes[self.inode];
        put(&mut file.live, at, &bytes);
        let written = bytes.len();
        file.pending.push(Change::Write { at, bytes });
        Ok(written)
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let mut world = self.disk.alive()?;
        if world.unreadable.as_ref().and_then(|name| world.names.get(name)) == Some(&self.inode) {
            return Err(io::Error::other("simulated: the disk cannot read this"));
        }
        let wanted = world.moved(into.len())?;
        let live = &world.inodes[self.inode].live;
        let rest = live.get(at as usize..).unwrap_or_default();
        let count = rest.len().min(wanted);
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.disk.changing()?;
        let fails = world.sync_fails();
        let file = &mut world.inodes[self.inode];
        let pending = std::mem::take(&mut file.pending);
        if fails {
            return Err(io::Error::other("simulated: the file was not synced"));
        }
        pending.iter().for_each(|change| change.apply(&mut file.durable));
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut world = self.disk.changing()?;
        let file = &mut world.inodes[self.inode];
        let freed = (file.live.len() as u64).saturating_sub(len);
        file.live.resize(len as usize, 0);
        file.pending.push(Change::Cut(len as usize));
        world.room = world.room.map(|room| room + freed);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.alive()?.inodes[self.inode].live.len() as u64)
    }
}
