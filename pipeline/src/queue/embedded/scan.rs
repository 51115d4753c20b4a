//! Walking over frames that are durable.
//!
//! Every header on the way is checked, and so is the chain of sequences, also across segments: what was durable and is not there
//! any more halts with the range named (`queue_damaged`); nothing is skipped. A body is checked when it is fetched.

use super::cache::{CachedFrame, OpenSegment};
use super::catalog::Spot;
use super::disk::read_small;
use super::failures;
use super::frame::{self, FrameHeader, Seal};
use super::index::{self, SparseIndex};
use super::log::Log;
use super::segment;
use super::window::Window;
use landfall_connectors::failure::Failure;
use landfall_schemas::offset::Sequence;
use std::io::ErrorKind;
use std::sync::{Arc, OnceLock};

/// What one read call fetches at least: dozens of small frames, or the header of a large one without much of its body.
const CHUNK: usize = 16 * 1024;
/// What is read along behind a large body: the next frame's header, nearly always.
const AHEAD: usize = 4 * 1024;
/// Largest index file that is read: many times what a segment's index can be.
const MAX_INDEX: usize = 64 << 20;

/// A frame on the way.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) spot: Spot,
    pub(super) header: Arc<FrameHeader>,
    body: Option<Arc<[u8]>>,
}

/// Whether a frame is going to be read again soon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    /// By another lane, or by this one where a limit cut its read.
    Again,
    /// All events of it were taken at once.
    NoMore,
}

/// Walks over frames from a known boundary to the durable end as it was at the begin.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    log: &'a Log,
    segment: Arc<OpenSegment>,
    spot: Spot,
    /// Durable bytes of the segment.
    len: u64,
    /// First sequence of the next segment; `None` for the newest.
    next_base: Option<Sequence>,
    until: Sequence,
    window: Window,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(log: &'a Log, spot: Spot, until: Sequence) -> Result<Self, Failure> {
        let (len, next_base) = extent(log, spot.segment)?;
        let segment = log.open_segment(spot.segment)?;
        let window = Window::new(segment.file.clone(), len, CHUNK);
        Ok(Self { log, segment, spot, len, next_base, until, window })
    }

    /// Where the next frame stands.
    pub(super) fn spot(&self) -> Spot {
        self.spot
    }

    /// The next frame; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Found>, Failure> {
        loop {
            if self.spot.sequence >= self.until {
                return Ok(None);
            }
            if self.spot.position < self.len {
                break;
            }
            let Some(base) = self.next_base else {
                return Err(self.damage(self.spot.position..self.len, "the segment ends before its last durable event"));
            };
            if base != self.spot.sequence {
                return Err(self.damage(0..self.len, "the next segment does not go on where this one ends"));
            }
            self.enter_next()?;
        }
        let (header, body) = match self.log.frames.get(self.spot.segment, self.spot.position) {
            Some(CachedFrame { header, body }) => (header, Some(body)),
            None => (Arc::new(self.read_header()?), None),
        };
        let end = self.spot.position + header.len();
        if header.base != self.spot.sequence || end > self.len {
            return Err(self.damage(self.spot.position..end, "the frame does not follow the one before"));
        }
        let found = Found { spot: self.spot, header, body };
        self.spot.position = end;
        self.spot.sequence = found.header.until();
        Ok(Some(found))
    }

    /// The raw body of the frame that [`Scanner::next`] gave last; the buffer may be longer than the body.
    pub(super) fn body(&mut self, found: &Found) -> Result<Arc<[u8]>, Failure> {
        match &found.body {
            Some(body) => Ok(body.clone()),
            None => self.read_body(found),
        }
    }

    /// Says what becomes of a body that was read: somebody else wants events of it too, or nobody does.
    pub(super) fn done_with(&self, found: &Found, body: Arc<[u8]>, wanted: Wanted) {
        match (&found.body, wanted) {
            // It came from the cache and stays there.
            (Some(_), _) => {}
            (None, Wanted::Again) => {
                let frame = CachedFrame { header: found.header.clone(), body };
                self.log.frames.put(found.spot.segment, found.spot.position, frame);
            }
            (None, Wanted::NoMore) => self.log.frames.buffers.give(body),
        }
    }

    fn enter_next(&mut self) -> Result<(), Failure> {
        let number = self.spot.segment + 1;
        let header_len = match self.log.catalog().segment(number) {
            Some((entry, _)) => entry.header_len,
            None => return Err(dropped(number)),
        };
        (self.len, self.next_base) = extent(self.log, number)?;
        self.segment = self.log.open_segment(number)?;
        self.spot = Spot { segment: number, position: header_len, sequence: self.spot.sequence };
        self.window = Window::new(self.segment.file.clone(), self.len, CHUNK);
        Ok(())
    }

    fn read_header(&mut self) -> Result<FrameHeader, Failure> {
        let position = self.spot.position;
        let len = self.len;
        let length = frame::announced_len(self.bytes(position, frame::FIXED)?);
        let bad = "a frame header fails its checksum";
        let Some(length) = length.filter(|length| position + *length as u64 <= len) else {
            return Err(self.damage(position..len, bad));
        };
        let seal = self.segment.seal.clone();
        let header = FrameHeader::parse(self.bytes(position, length)?, &seal, position);
        header.ok_or_else(|| self.damage(position..len, bad))
    }

    fn read_body(&mut self, found: &Found) -> Result<Arc<[u8]>, Failure> {
        let header = &found.header;
        let start = found.spot.position + u64::from(header.header_len);
        let end = start + u64::from(header.body_len);
        let (raw_len, stored_len) = (header.raw_len as usize, header.body_len as usize);
        let ahead = if header.is_compressed() { 0 } else { AHEAD };
        let mut body = self.log.frames.buffers.take(raw_len + ahead);
        let into = Arc::get_mut(&mut body).expect("a buffer that was just taken has one owner");
        let whole = if header.is_compressed() {
            let into = &mut into[..raw_len];
            let stored = self.bytes(start, stored_len)?;
            crc32fast::hash(stored) == header.body_crc
                && lz4_flex::block::decompress_into(stored, into).is_ok_and(|length| length == raw_len)
        } else {
            let into = &mut into[..raw_len + ahead];
            let copied = self.window.copy(start, raw_len, into).map_err(|error| self.unreadable(&error))?;
            copied && crc32fast::hash(&into[..raw_len]) == header.body_crc
        };
        if whole { Ok(body) } else { Err(self.damage(start..end, "a frame's body fails its checksum")) }
    }

    /// `count` bytes at `position`.
    fn bytes(&mut self, position: u64, count: usize) -> Result<&[u8], Failure> {
        let name = segment::file_name(self.segment.number);
        let end = self.len;
        match self.window.bytes(position, count) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(failures::damaged(&name, position..end, "the segment ends inside a frame")),
            Err(error) => Err(failures::unreadable(&name, &error)),
        }
    }

    /// A failure that names a range of this segment.
    pub(super) fn damage(&self, range: std::ops::Range<u64>, what: &str) -> Failure {
        failures::damaged(&segment::file_name(self.segment.number), range, what)
    }

    fn unreadable(&self, error: &std::io::Error) -> Failure {
        failures::unreadable(&segment::file_name(self.segment.number), error)
    }
}

/// Durable bytes of a segment and the first sequence of the next.
fn extent(log: &Log, number: u64) -> Result<(u64, Option<Sequence>), Failure> {
    let catalog = log.catalog();
    let (entry, _) = catalog.segment(number).ok_or_else(|| dropped(number))?;
    Ok((entry.len, catalog.segment(number + 1).map(|(next, _)| next.base)))
}

/// The segment went away while somebody read it: it was applied, unpinned and past retention.
fn dropped(number: u64) -> Failure {
    failures::history_trimmed(format_args!("segment {number}"), number + 1)
}

impl Log {
    /// A segment for reading.
    pub(super) fn open_segment(&self, number: u64) -> Result<Arc<OpenSegment>, Failure> {
        if let Some(open) = self.open.get(number) {
            return Ok(open);
        }
        let name = segment::file_name(number);
        let file = self.disk.open(&name).map_err(|error| {
            let still_there = self.catalog().segment(number).is_some();
            match error.kind() {
                ErrorKind::NotFound if still_there => failures::incomplete(format_args!("{name} is missing")),
                ErrorKind::NotFound => dropped(number),
                _ => failures::unreadable(&name, &error),
            }
        })?;
        let seal = Seal::new(self.id, number);
        let open = Arc::new(OpenSegment { number, file, seal, index: OnceLock::new() });
        self.open.put(open.clone());
        Ok(open)
    }

    /// The index of a closed segment: from its side file, or else built from the frame headers.
    pub(super) fn closed_index(&self, number: u64) -> Result<Arc<SparseIndex>, Failure> {
        let open = self.open_segment(number)?;
        if let Some(index) = open.index.get() {
            return Ok(index.clone());
        }
        let cells =
            self.catalog().segment(number).map(|(entry, _)| entry.cells.len()).ok_or_else(|| dropped(number))?;
        let name = index::file_name(number);
        let stored = read_small(&*self.disk, &name, MAX_INDEX).ok().flatten();
        let index = match stored.and_then(|bytes| SparseIndex::decode(&bytes, self.id, number, cells)) {
            Some(index) => index,
            None => self.build_index(number, cells)?,
        };
        Ok(open.index.get_or_init(|| Arc::new(index)).clone())
    }

    fn build_index(&self, number: u64, cells: usize) -> Result<SparseIndex, Failure> {
        let (spot, streams, until) = {
            let catalog = self.catalog();
            let (entry, _) = catalog.segment(number).ok_or_else(|| dropped(number))?;
            let until = catalog.segment(number + 1).map_or(catalog.end, |(next, _)| next.base);
            let spot = Spot { segment: number, position: entry.header_len, sequence: entry.base };
            (spot, catalog.streams.clone(), until)
        };
        let mut index = SparseIndex::new(cells);
        let mut scanner = Scanner::new(self, spot, until)?;
        while let Some(found) = scanner.next()? {
            index.note(found.spot.position, &found.header, &streams);
        }
        Ok(index)
    }
}
