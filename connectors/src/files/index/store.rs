//! The index on disk: one file a stream, replaced whole.
//!
//! ```text
//! 0          8                   16            24
//! ┌──────────┬───────────────────┬─────────────┬─────────┬───────────────────────────┐
//! │ LFINDEX1 │ indexed_until u64 │ entries u64 │ entry … │ CRC32 u32 of all before it │
//! └──────────┴───────────────────┴─────────────┴─────────┴───────────────────────────┘
//! entry:  kind u8 │ row hash u128 │ raw length u32 │ key length u16 │ key
//! ```
//!
//! Little endian; entries in the order of the file, the others behind. Written to a temporary file, synced, renamed,
//! directory synced: there is the old file or the new one. What it holds is what the log says up to `indexed_until`, so a
//! crash before the rename costs only a longer way forward. Anything wrong in it is [`LoadError::Damaged`]: the caller
//! builds it anew from the log or halts (promise 6).

use super::{Class, FileIndex, Kind, SlotId};
use landfall_schemas::hash::RowHash;
use landfall_schemas::key::RecordKey;
use landfall_schemas::offset::Sequence;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: &[u8; 8] = b"LFINDEX1";
/// Bytes read or written at once.
const BUFFER: usize = 1 << 20;
/// Entries room is made for before they are read: a damaged count must not take the memory.
const MAX_RESERVED: u64 = 1 << 20;

/// Why no index was loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is none.
    #[error("there is no index file")]
    Missing,
    /// It is not what was written.
    #[error("the index file is damaged")]
    Damaged,
    /// It cannot be read.
    #[error("the index file cannot be read: {0}")]
    Unreadable(io::Error),
}

impl From<io::Error> for LoadError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::UnexpectedEof => Self::Damaged,
            _ => Self::Unreadable(error),
        }
    }
}

/// Counts what passes into a checksum.
struct Summed<T> {
    inner: T,
    sum: crc32fast::Hasher,
}

impl<T> Summed<T> {
    fn new(inner: T) -> Self {
        Self { inner, sum: crc32fast::Hasher::new() }
    }
}

impl<W: Write> Summed<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.inner.write_all(bytes)
    }
}

impl<R: Read> Summed<R> {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(bytes)?;
        self.sum.update(bytes);
        Ok(())
    }
}

/// Replaces the file at `path`; everything below `until` is in `index`, and all of it is durable in the log. Returns its size.
pub fn save(path: &Path, index: &FileIndex, until: Sequence) -> io::Result<u64> {
    let temporary = path.with_extension("index.tmp");
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    let mut out = Summed::new(BufWriter::with_capacity(BUFFER, file));
    write(&mut out, index, until)?;
    let sum = out.sum.clone().finalize();
    out.inner.write_all(&sum.to_le_bytes())?;
    let file = out.inner.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    let size = file.metadata()?.len();
    std::fs::rename(&temporary, path)?;
    if let Some(dir) = path.parent() {
        File::open(dir)?.sync_all()?;
    }
    Ok(size)
}

fn write<W: Write>(out: &mut Summed<W>, index: &FileIndex, until: Sequence) -> io::Result<()> {
    let kept = |slot: SlotId| !matches!(index.kind(slot), Kind::Free | Kind::New);
    let all = || (0..index.slots.len() as u32).map(SlotId);
    let count = all().filter(|slot| kept(*slot)).count() as u64;
    out.put(MAGIC)?;
    out.put(&until.0.to_le_bytes())?;
    out.put(&count.to_le_bytes())?;
    let mut done = vec![false; index.slots.len()];
    let ordered = index.order.iter().filter(|at| **at != FileIndex::NO_SLOT).map(|at| SlotId(*at));
    for slot in ordered.chain(all()).filter(|slot| kept(*slot)) {
        if std::mem::replace(&mut done[slot.0 as usize], true) {
            continue;
        }
        let key = index.key(slot);
        out.put(&[index.kind(slot) as u8])?;
        out.put(&index.hash(slot).0.to_le_bytes())?;
        out.put(&(index.len_of(slot) as u32).to_le_bytes())?;
        out.put(&(key.len() as u16).to_le_bytes())?;
        out.put(key)?;
    }
    Ok(())
}

/// Loads the file at `path`: the index and the sequence it has taken in until, and its size.
pub fn load(path: &Path) -> Result<(FileIndex, Sequence, u64), LoadError> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut source = Summed::new(BufReader::with_capacity(BUFFER, file));
    if &source.take::<8>()? != MAGIC {
        return Err(LoadError::Damaged);
    }
    let until = Sequence(u64::from_le_bytes(source.take()?));
    let count = u64::from_le_bytes(source.take()?);
    let mut index = FileIndex::default();
    index.slots.reserve(count.min(MAX_RESERVED) as usize);
    let mut key = [0; RecordKey::MAX_BYTES];
    for _ in 0..count {
        let kind = Kind::from_byte(source.take::<1>()?[0]).filter(|kind| !matches!(kind, Kind::Free | Kind::New));
        let kind = kind.ok_or(LoadError::Damaged)?;
        let hash = RowHash(u128::from_le_bytes(source.take()?));
        let len = u32::from_le_bytes(source.take()?);
        let key_len = usize::from(u16::from_le_bytes(source.take()?));
        let key = key.get_mut(..key_len).ok_or(LoadError::Damaged)?;
        source.fill(key)?;
        let class = if kind == Kind::Duplicate { Class::Duplicates } else { Class::Record };
        let slot = index.add(xxh3_64(key), key, class);
        index.set(slot, kind, hash);
        index.set_len(slot, len);
        if matches!(kind, Kind::Live | Kind::Rejected) {
            index.order.push(slot.0);
        }
    }
    let mut sum = [0; 4];
    source.inner.read_exact(&mut sum)?;
    let ends = source.inner.read(&mut [0])? == 0;
    if !ends || u32::from_le_bytes(sum) != source.sum.finalize() {
        Err(LoadError::Damaged)
    } else {
        Ok((index, until, size))
    }
}
