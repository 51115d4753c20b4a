//! The queue's name: written once, before anything else, and never again.
//!
//! ```text
//!  0  magic "LFQUEUE\n" · 8  format version u32 · 12  queue id, 16 bytes · 28  CRC32 of bytes 0..28 u32
//! ```
//!
//! A directory with segments but without its name, or with another one, is not opened: generations in PostgreSQL are bound to it.

use super::disk::{Disk, put_whole, read_small};
use super::failures;
use landfall_connectors::checkpoints::QueueId;
use landfall_connectors::failure::Failure;
use uuid::Uuid;

const FILE: &str = "queue-id";
const MAGIC: &[u8; 8] = b"LFQUEUE\n";
/// Layout of the directory; another one is refused.
const VERSION: u32 = 1;
const LEN: usize = 32;

/// Reads the name; `None` when there is none.
pub(super) fn load(disk: &dyn Disk) -> Result<Option<QueueId>, Failure> {
    let bytes = read_small(disk, FILE, LEN + 1).map_err(|error| failures::unusable("read queue-id", &error))?;
    let Some(bytes) = bytes else { return Ok(None) };
    let whole = bytes.len() == LEN
        && bytes[..8] == MAGIC[..]
        && bytes[28..] == crc32fast::hash(&bytes[..28]).to_le_bytes()
        && bytes[8..12] == VERSION.to_le_bytes();
    let id = whole.then(|| Uuid::from_slice(&bytes[12..28]).ok()).flatten();
    match id {
        Some(id) => Ok(Some(QueueId(id))),
        None => Err(failures::damaged(FILE, 0..bytes.len() as u64, "the queue's name fails its checksum or version")),
    }
}

/// Gives the directory a new name.
pub(super) fn create(disk: &dyn Disk) -> Result<QueueId, Failure> {
    let id = Uuid::new_v4();
    let mut bytes = Vec::with_capacity(LEN);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(id.as_bytes());
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    put_whole(disk, FILE, &bytes).map_err(|error| failures::unusable("write queue-id", &error))?;
    Ok(QueueId(id))
}
