//! One side of a comparison on disk: entries in [`BUCKETS`] buckets by the hash of their record, with a sum for each bucket.
//!
//! Two sides whose sums of a bucket are equal hold the same rows in it, and the bucket is never read. Memory is a chunk per bucket; a bucket
//! is a chain of chunks, read backwards. A spill is a file of its own that only its writer knows until it is complete; the heads and sums
//! of the complete one are kept by whoever remembers the run ([`Spilled`]). It is not synced: a chunk that a power cut took shows by its checksum,
//! and a bucket that need not be opened needs no chunk.
//!
//! ```text
//! file  = chunk*
//! chunk = before u64 (offset of the bucket's chunk before, or all ones) | length u32 | CRC-32 of the entries u32 | entry*
//! entry = record u128 | hash u128 | rows u32 | order u64 | kind u8 | key length u16 | key
//! ```

use super::fingerprint::{RecordId, Sum};
use landfall_connectors::failure::{Failure, FailureClass};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Enough that one bucket of a hundred million records fits in memory piece by piece, few enough that buffers of all are small.
pub(super) const BUCKETS: usize = 256;
/// Bytes of a bucket that are written at once, at most …
const CHUNK: usize = 16 << 10;
/// … and at least, where many spills are written side by side.
const LEAST_CHUNK: usize = 1 << 10;
/// Memory of all spills that are written side by side.
const BUFFERS: usize = 24 << 20;
const NONE: u64 = u64::MAX;
/// Bytes in front of the entries of a chunk.
const CHUNK_HEAD: usize = 16;
const HEAD: usize = 16 + 16 + 4 + 8 + 1 + 2;

/// What an entry says of its record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    /// Rows.
    Rows = 1,
    /// No row: deleted, or left out by the filter.
    Gone = 2,
    /// No row can be made of it.
    Unmappable = 3,
    /// It cannot be read now.
    Unreadable = 4,
    /// A dead letter that later changes wait behind.
    Letter = 5,
    /// A dead letter beside the record: a duplicate.
    LetterBeside = 6,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Rows, Self::Gone, Self::Unmappable, Self::Unreadable, Self::Letter, Self::LetterBeside]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }

    /// Whether the bucket must be opened for it, whatever the sums say.
    fn is_special(self) -> bool {
        !matches!(self, Self::Rows | Self::Gone)
    }
}

/// One entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) record: RecordId,
    pub(super) sum: Sum,
    /// Of the source: chain (16 bits) ‖ number; of the target: the row's version.
    pub(super) order: u64,
    pub(super) kind: Kind,
    /// The key as it is kept.
    pub(super) key: &'a [u8],
}

/// What is known of a bucket without reading it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    /// Low and high half of the sum of hashes.
    pub(super) hash: (u64, u64),
    pub(super) rows: u64,
    /// Entries that say rows.
    pub(super) entries: u64,
    /// Entries for which the bucket must be opened.
    pub(super) special: u64,
    /// Bytes of entries.
    pub(super) bytes: u64,
}

impl Tally {
    fn sum(&self) -> u128 {
        u128::from(self.hash.1) << 64 | u128::from(self.hash.0)
    }

    fn add(&mut self, sum: Sum, kind: Kind) {
        let hash = self.sum().wrapping_add(sum.hash);
        self.hash = (hash as u64, (hash >> 64) as u64);
        self.rows += sum.rows;
        self.entries += u64::from(kind == Kind::Rows);
        self.special += u64::from(kind.is_special());
    }

    /// Both hold the same rows, and nothing is to be said beside them.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        (self.hash, self.rows) == (other.hash, other.rows) && self.special == 0 && other.special == 0
    }
}

/// A complete spill, as it is remembered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Spilled {
    pub(super) heads: Vec<u64>,
    pub(super) tallies: Vec<Tally>,
    /// Bytes of the file.
    pub(super) length: u64,
}

impl Spilled {
    /// The sum over all buckets, in hex: what two equal sides have in common.
    pub(super) fn digest(&self) -> String {
        let sum = self.tallies.iter().fold(0_u128, |sum, tally| sum.wrapping_add(tally.sum()));
        format!("{sum:032x}")
    }

    pub(super) fn rows(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.rows).sum()
    }
}

/// A spill being written.
#[derive(Debug)]
pub(super) struct Spill {
    file: File,
    chunk: usize,
    buffers: Vec<Vec<u8>>,
    spilled: Spilled,
}

/// A failure of the disk under a spill.
pub(super) fn disk(error: &io::Error) -> Failure {
    let detail = format!("the state directory cannot be used for comparing: {}; make room or mend it", error.kind());
    Failure::new(FailureClass::Transient, "verify_disk", detail)
}

impl Spill {
    /// A new file; one that is there is forgotten. `beside`: how many are written side by side.
    pub(super) fn create(path: &Path, beside: usize) -> Result<Self, Failure> {
        let made = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path);
        let file = made.map_err(|error| disk(&error))?;
        let chunk = (BUFFERS / beside.max(1) / BUCKETS).clamp(LEAST_CHUNK, CHUNK);
        let mut spill = Self { file, chunk, buffers: Vec::new(), spilled: Self::nothing() };
        spill.buffers.resize_with(BUCKETS, || Vec::with_capacity(chunk + 256));
        Ok(spill)
    }

    fn nothing() -> Spilled {
        Spilled { heads: vec![NONE; BUCKETS], tallies: vec![Tally::default(); BUCKETS], length: 0 }
    }

    /// Forgets everything.
    pub(super) fn restart(&mut self) -> Result<(), Failure> {
        self.file.set_len(0).map_err(|error| disk(&error))?;
        self.buffers.iter_mut().for_each(Vec::clear);
        self.spilled = Self::nothing();
        Ok(())
    }

    /// Adds an entry.
    pub(super) fn add(&mut self, entry: &Entry<'_>) -> Result<(), Failure> {
        let bucket = bucket_of(entry.record);
        let buffer = &mut self.buffers[bucket];
        let before = buffer.len();
        buffer.extend_from_slice(&entry.record.0.to_le_bytes());
        buffer.extend_from_slice(&entry.sum.hash.to_le_bytes());
        buffer.extend_from_slice(&u32::try_from(entry.sum.rows).unwrap_or(u32::MAX).to_le_bytes());
        buffer.extend_from_slice(&entry.order.to_le_bytes());
        buffer.push(entry.kind as u8);
        // Keys are at most as long as an index takes them.
        let key = &entry.key[..entry.key.len().min(usize::from(u16::MAX))];
        buffer.extend_from_slice(&(key.len() as u16).to_le_bytes());
        buffer.extend_from_slice(key);
        let tally = &mut self.spilled.tallies[bucket];
        tally.add(entry.sum, entry.kind);
        tally.bytes += (buffer.len() - before) as u64;
        if buffer.len() >= self.chunk { self.flush(bucket) } else { Ok(()) }
    }

    fn flush(&mut self, bucket: usize) -> Result<(), Failure> {
        let buffer = &mut self.buffers[bucket];
        if buffer.is_empty() {
            return Ok(());
        }
        fail::fail_point!("verify::mid_spill");
        let mut head = [0; CHUNK_HEAD];
        head[..8].copy_from_slice(&self.spilled.heads[bucket].to_le_bytes());
        head[8..12].copy_from_slice(&(buffer.len() as u32).to_le_bytes());
        head[12..].copy_from_slice(&crc32fast::hash(buffer).to_le_bytes());
        let at = self.spilled.length;
        let written =
            self.file.write_all_at(&head, at).and_then(|()| self.file.write_all_at(buffer, at + CHUNK_HEAD as u64));
        written.map_err(|error| disk(&error))?;
        self.spilled.heads[bucket] = at;
        self.spilled.length = at + CHUNK_HEAD as u64 + buffer.len() as u64;
        buffer.clear();
        Ok(())
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) -> Result<Spilled, Failure> {
        (0..BUCKETS).try_for_each(|bucket| self.flush(bucket))?;
        Ok(self.spilled)
    }
}

/// The bucket of a record.
pub(super) fn bucket_of(record: RecordId) -> usize {
    (record.0 >> 120) as usize % BUCKETS
}

/// Reads the entries of one bucket, the last chunk first; the entries of a chunk in the order in which they were added.
pub(super) fn read(
    file: &File,
    spilled: &Spilled,
    bucket: usize,
    take: &mut dyn FnMut(Entry<'_>),
) -> Result<(), Failure> {
    let damaged = || {
        let detail = "what an earlier run has left in the state directory is damaged: run it with --fresh";
        Failure::new(FailureClass::Halt, "verify_damaged", detail)
    };
    let (mut at, mut chunk) = (spilled.heads[bucket], Vec::new());
    while at != NONE {
        let mut head = [0; CHUNK_HEAD];
        file.read_exact_at(&mut head, at).map_err(|_| damaged())?;
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (length, checksum) = (number(8) as usize, number(12));
        let before = u64::from(number(4)) << 32 | u64::from(number(0));
        if at + (CHUNK_HEAD + length) as u64 > spilled.length {
            return Err(damaged());
        }
        chunk.resize(length, 0);
        file.read_exact_at(&mut chunk, at + CHUNK_HEAD as u64).map_err(|_| damaged())?;
        if crc32fast::hash(&chunk) != checksum {
            return Err(damaged());
        }
        let mut rest = chunk.as_slice();
        while !rest.is_empty() {
            let (entry, after) = entry(rest).ok_or_else(damaged)?;
            take(entry);
            rest = after;
        }
        at = before;
    }
    Ok(())
}

fn entry(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let wide = |at: usize| head[at..at + 16].try_into().ok().map(u128::from_le_bytes);
    let rows = u32::from_le_bytes(head[32..36].try_into().ok()?);
    let order = u64::from_le_bytes(head[36..44].try_into().ok()?);
    let length = u16::from_le_bytes([head[45], head[46]]);
    let (key, rest) = rest.split_at_checked(usize::from(length))?;
    let sum = Sum { hash: wide(16)?, rows: u64::from(rows) };
    Some((Entry { record: RecordId(wide(0)?), sum, order, kind: Kind::from_byte(head[44])?, key }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    fn spilled(path: &Path, entries: u64) -> Spilled {
        let mut spill = Spill::create(path, 1_000).unwrap();
        for number in 0..entries {
            let record = RecordId(xxhash_rust::xxh3::xxh3_128(&number.to_le_bytes()));
            let sum = Sum { hash: u128::from(number), rows: 1 };
            let key = number.to_le_bytes();
            spill.add(&Entry { record, sum, order: number, kind: Kind::Rows, key: &key }).unwrap();
        }
        spill.finish().unwrap()
    }

    #[test]
    fn what_was_spilled_comes_back_whole_and_what_is_damaged_is_named() {
        let path = std::env::temp_dir().join(format!("landfall-spill-{}", std::process::id()));
        let spilled = spilled(&path, 20_000);
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for bucket in 0..BUCKETS {
            read(&file, &spilled, bucket, &mut |entry| {
                assert_eq!(bucket_of(entry.record), bucket);
                assert_eq!(entry.key, entry.order.to_le_bytes());
                assert!(seen.insert(entry.order));
            })
            .unwrap();
        }
        assert_eq!(seen.len(), 20_000);
        let sum: u128 = (0..20_000_u128).sum();
        assert_eq!(spilled.digest(), format!("{sum:032x}"));
        // One byte of one entry of one bucket.
        let at = spilled.heads[7] + CHUNK_HEAD as u64 + 20;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
        let damaged = read(&file, &spilled, 7, &mut |_| ()).unwrap_err();
        assert_eq!(damaged.code, "verify_damaged");
        std::fs::remove_file(path).unwrap();
    }
}
