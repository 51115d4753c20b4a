//! The port in memory, with everything that disks do to programs.
//!
//! Each file has a durable and a live state and the operations between them; the directory likewise. A power cut keeps the durable
//! state and any part of what was pending: none of it, a prefix torn at any byte, or single sectors in no order. Names keep
//! a prefix of their operations, as a journal does. A failed sync loses what it should have covered while reads go on showing
//! it, as page caches do. Handles of a disk that lost its power, or whose process ended, fail for ever.

mod dice;
mod world;

pub use dice::Dice;

use super::{Disk, DiskFile, Space};
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard};
use world::{Change, NameChange, World, lose, put};

/// Bytes of a disk whose room is not limited.
const ENDLESS: u64 = 1 << 50;
/// What a disk writes at once.
const SECTOR: usize = 512;

/// A disk in memory.
#[derive(Clone, Default)]
pub struct FaultyDisk {
    world: Arc<Mutex<World>>,
    life: u64,
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

    /// The file system has this many bytes in all, by its own word.
    pub fn be_of(&self, size: u64) {
        self.world().size = Some(size);
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

    fn space(&self) -> io::Result<Space> {
        let world = self.alive()?;
        let total = world.size.unwrap_or(ENDLESS);
        Ok(Space { total, free: world.room.unwrap_or(total) })
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
