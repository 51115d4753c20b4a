//! The segment: a file of frames behind a header that says where everything stood when it began.
//!
//! So opening a queue reads headers and the newest segment only, and a segment can be dropped whole. A changed stream table
//! starts a new segment. Everything before a segment was durable when the segment was made.
//!
//! ```text
//!   0  magic "LFSEGM01"                     40  first sequence u64          80  stream table  ─ streams.rs
//!   8  CRC32 of bytes 12..80 u32            48  length of the segment        …  positions     ─ positions.rs
//!  12  format version u32                       before, u64                  …  frames        ─ frame.rs
//!  16  queue id, 16 bytes                   56  newest append before, u64 ms
//!  32  segment number u64                   64  bytes of stream table u32
//!                                           68  bytes of positions u32
//!                                           72  CRC32 of the stream table u32
//!                                           76  CRC32 of the positions u32
//! ```

use super::disk::{DiskFile, read_full};
use super::streams::StreamTable;
use super::{failures, positions};
use landfall_connectors::checkpoints::QueueId;
use landfall_connectors::failure::Failure;
use landfall_schemas::offset::Sequence;
use landfall_schemas::position::PositionTable;
use std::io;

const MAGIC: &[u8; 8] = b"LFSEGM01";
/// Format of segments and frames; another one is refused.
const VERSION: u32 = 3;
/// Bytes before the stream table.
const FIXED: usize = 80;
/// Suffix of segment files; the name is the number in 20 digits.
const SUFFIX: &str = ".seg";

/// File name of a segment.
pub(super) fn file_name(number: u64) -> String {
    format!("{number:020}{SUFFIX}")
}

/// The number in a segment's file name.
pub(super) fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    (digits.len() == 20).then(|| digits.parse().ok())?
}

/// Where everything stood when a segment began.
#[derive(Clone, Debug)]
pub(super) struct SegmentHeader {
    pub(super) number: u64,
    /// First sequence in it.
    pub(super) base: Sequence,
    /// Length in bytes of the segment before; 0 for the first.
    pub(super) previous_len: u64,
    /// Newest append time in all segments before, Unix milliseconds.
    pub(super) newest_ms: u64,
    pub(super) streams: StreamTable,
    /// Next offset of each cell.
    pub(super) cells: Vec<u64>,
    /// Bytes of the whole header.
    pub(super) len: u64,
}

/// Why a header was not taken.
#[derive(Debug)]
pub(super) enum HeaderFault {
    /// The disk refused.
    Io(io::Error),
    /// It is not a whole header of this queue and number.
    Bad(&'static str),
}

impl SegmentHeader {
    /// The bytes of a header; sets `len`.
    pub(super) fn encode(&mut self, id: QueueId, table: &PositionTable) -> Result<Vec<u8>, Failure> {
        let mut streams = Vec::new();
        self.streams.encode(&self.cells, &mut streams);
        let positions = positions::encode(table)?;
        let (Ok(streams_len), Ok(positions_len)) = (u32::try_from(streams.len()), u32::try_from(positions.len()))
        else {
            return Err(failures::misuse("positions_too_large", "the table of source positions passes 4 GiB"));
        };
        let mut out = Vec::with_capacity(FIXED + streams.len() + positions.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(id.0.as_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.base.0.to_le_bytes());
        out.extend_from_slice(&self.previous_len.to_le_bytes());
        out.extend_from_slice(&self.newest_ms.to_le_bytes());
        out.extend_from_slice(&streams_len.to_le_bytes());
        out.extend_from_slice(&positions_len.to_le_bytes());
        out.extend_from_slice(&crc32fast::hash(&streams).to_le_bytes());
        out.extend_from_slice(&crc32fast::hash(&positions).to_le_bytes());
        let crc = crc32fast::hash(&out[12..FIXED]);
        out[8..12].copy_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&streams);
        out.extend_from_slice(&positions);
        self.len = out.len() as u64;
        Ok(out)
    }

    /// Reads the header of segment `number`, without the positions.
    pub(super) fn read(file: &dyn DiskFile, id: QueueId, number: u64) -> Result<Self, HeaderFault> {
        let fixed = read_exact(file, FIXED, 0)?;
        let u32_at = |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if &fixed[..8] != MAGIC || u32_at(8) != crc32fast::hash(&fixed[12..]) {
            return Err(HeaderFault::Bad("the segment header fails its checksum"));
        }
        if u32_at(12) != VERSION {
            return Err(HeaderFault::Bad("the segment is in a format this program does not know"));
        }
        if fixed[16..32] != id.0.as_bytes()[..] {
            return Err(HeaderFault::Bad("the segment belongs to another queue"));
        }
        if u64_at(32) != number {
            return Err(HeaderFault::Bad("the segment has another number than its name says"));
        }
        let (streams_len, positions_len) = (u32_at(64) as usize, u32_at(68));
        let size = file.size().map_err(HeaderFault::Io)?;
        let len = (FIXED + streams_len) as u64 + u64::from(positions_len);
        if len > size {
            return Err(HeaderFault::Bad("the segment ends inside its header"));
        }
        let bytes = read_exact(file, streams_len, FIXED as u64)?;
        if crc32fast::hash(&bytes) != u32_at(72) {
            return Err(HeaderFault::Bad("the stream table fails its checksum"));
        }
        let (streams, cells) =
            StreamTable::decode(&bytes).ok_or(HeaderFault::Bad("the stream table cannot be read"))?;
        Ok(Self {
            number,
            base: Sequence(u64_at(40)),
            previous_len: u64_at(48),
            newest_ms: u64_at(56),
            streams,
            cells,
            len,
        })
    }

    /// Reads the positions behind a header that [`SegmentHeader::read`] took.
    pub(super) fn read_positions(&self, file: &dyn DiskFile) -> Result<PositionTable, HeaderFault> {
        let fixed = read_exact(file, FIXED, 0)?;
        let u32_at = |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
        let length = u32_at(68);
        let bytes = read_exact(file, length as usize, self.len - u64::from(length))?;
        if crc32fast::hash(&bytes) != u32_at(76) {
            return Err(HeaderFault::Bad("the table of source positions fails its checksum"));
        }
        let updates =
            positions::decode(&bytes).ok_or(HeaderFault::Bad("the table of source positions cannot be read"))?;
        let mut table = PositionTable::default();
        updates.iter().for_each(|update| table.apply(update));
        Ok(table)
    }
}

fn read_exact(file: &dyn DiskFile, count: usize, at: u64) -> Result<Vec<u8>, HeaderFault> {
    let mut bytes = vec![0; count];
    match read_full(file, &mut bytes, at) {
        Ok(read) if read == count => Ok(bytes),
        Ok(_) => Err(HeaderFault::Bad("the segment ends inside its header")),
        Err(error) => Err(HeaderFault::Io(error)),
    }
}
