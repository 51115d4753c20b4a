//! The disk as the queue sees it: one flat directory and a few verbs.
//!
//! Everything the embedded queue does to a disk goes through here, so that torn writes, lost unsynced data, full disks and
//! failed syncs can be simulated ([`faulty`]) against the code that runs in production on [`real`]. The port promises no
//! more than a POSIX file system does: a write may be short, and nothing is durable before a sync (of the file for its bytes and
//! length, of the directory for its names).

pub mod faulty;
pub mod real;

use std::fmt::Debug;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;

/// A directory.
pub trait Disk: Send + Sync + Debug {
    /// Makes an empty file for reading and writing; an existing one by this name is emptied.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Names of all files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Renames a file over another.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file's name; open handles go on working.
    fn unlink(&self, name: &str) -> io::Result<()>;
    /// Makes names durable.
    fn sync_dir(&self) -> io::Result<()>;
    /// How much there is, and how much of it is free for this process.
    fn space(&self) -> io::Result<Space>;
}

/// Bytes of a file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// All.
    pub total: u64,
    /// Those that can still be written.
    pub free: u64,
}

/// An open file. Reads and writes name their place; there is no cursor.
pub trait DiskFile: Send + Sync + Debug {
    /// Writes some of `parts`, one behind the other, and says how many bytes.
    fn write_at(&self, parts: &[IoSlice<'_>], at: u64) -> io::Result<usize>;
    /// Reads some bytes and says how many; 0 only at the end of the file.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;
    /// Makes bytes and length durable. After an error nothing that it should have covered is (promise 18).
    fn sync(&self) -> io::Result<()>;
    /// Cuts the file to `len` bytes.
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// Its length in bytes.
    fn size(&self) -> io::Result<u64>;
}

/// Most slices in one write: the kernel takes 1,024 (`IOV_MAX`).
const MAX_SLICES: usize = 1_024;

/// Writes all of `parts`, whatever the number of calls.
pub(super) fn write_all(file: &dyn DiskFile, parts: &[&[u8]], mut at: u64) -> io::Result<()> {
    for run in parts.chunks(MAX_SLICES) {
        let mut slices: Vec<IoSlice<'_>> = run.iter().map(|part| IoSlice::new(part)).collect();
        let mut rest = &mut slices[..];
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match file.write_at(rest, at) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    at += written as u64;
                    IoSlice::advance_slices(&mut rest, written);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Fills `into` as far as the file goes and says how far.
pub(super) fn read_full(file: &dyn DiskFile, into: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < into.len() {
        match file.read_at(&mut into[done..], at + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// The whole of a small file, `None` when there is none; `limit` bounds it.
pub(super) fn read_small(disk: &dyn Disk, name: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(name) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let size = usize::try_from(file.size()?).unwrap_or(usize::MAX).min(limit);
    let mut bytes = vec![0; size];
    let read = read_full(&*file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// Puts a small file in place so that either nothing or all of it is there: temporary file, sync, rename, directory sync.
pub(super) fn put_whole(disk: &dyn Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = format!("{name}{TEMPORARY}");
    let file = disk.create(&temporary)?;
    write_all(&*file, &[bytes], 0)?;
    file.sync()?;
    disk.rename(&temporary, name)?;
    disk.sync_dir()
}

/// Suffix of files that were not finished; removed at open.
pub(super) const TEMPORARY: &str = ".tmp";
