//! Lines out of a body, through one buffer.
//!
//! Owns the buffer and the place in the generation being read. Memory is bounded by [`MAX_LINE_BYTES`] whatever a file
//! holds: a longer line is passed over in pieces and only its head is kept. A line without its newline is remembered as
//! searched and not searched again. Keeps promise 10 (a line is handed out only whole) and the part of promise 6 that
//! belongs here: before a chunk is believed, the bytes in front of it must still be the ones read before.
//!
//! ```text
//! bytes  [ before: at most 256, already handed out | start … lines … end | free ]
//! ```

use crate::files::identity::{Fingerprint, TAIL_BYTES};
use crate::files::lines::body::Body;
use crate::files::lines::generation::Generation;
use landfall_schemas::json::MAX_RECORD_BYTES;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Longest line that is taken; the same bound as everywhere.
pub const MAX_LINE_BYTES: usize = MAX_RECORD_BYTES;
/// What is kept of a longer one.
pub const OVERLONG_HEAD_BYTES: usize = 4 << 10;
/// Bytes asked for at once: large enough that the calls cost nothing, small enough for the cache.
const CHUNK_BYTES: usize = 1 << 20;

/// What the buffer has to offer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// A terminated line, without its newline, at this offset of the content.
    Line(Range<usize>, u64),
    /// A terminated line longer than [`MAX_LINE_BYTES`], at this offset.
    Overlong(u64),
    /// Nothing terminated: read on.
    NeedMore,
}

/// What reading on gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Filled {
    /// More bytes.
    More,
    /// The content ends here.
    End,
    /// The file is no longer what it was.
    Changed,
}

/// The buffer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    slot: Option<Arc<str>>,
    bytes: Vec<u8>,
    /// Content offset of `bytes[0]`.
    at: u64,
    start: usize,
    /// No newline in `start..scanned`.
    scanned: usize,
    end: usize,
    /// Passing over a line whose beginning is not in the buffer.
    probing: bool,
    /// Bytes at the front of the next chunk that were handed out before: read again for the next [`Reader::tail`].
    known: usize,
    /// Bytes in which a newline was looked for: what tests count instead of time.
    #[cfg(test)]
    pub(super) searched_bytes: u64,
}

impl Reader {
    /// The buffer belongs to this generation.
    pub(super) fn is_on(&self, slot: &Arc<str>) -> bool {
        self.slot.as_ref() == Some(slot)
    }

    /// Turns to a generation, at its offset; `false` if the bytes before that are not the ones handed out.
    pub(super) fn turn_to(&mut self, generation: &Generation, body: &mut Body) -> io::Result<bool> {
        self.leave();
        self.bytes.resize(CHUNK_BYTES + TAIL_BYTES, 0);
        let len = usize::from(generation.tail.len);
        self.at = generation.offset - len as u64;
        let read = body.read_at(self.at, &mut self.bytes[..len])?;
        if read < len || !generation.tail.begins(&self.bytes[..len]) {
            return Ok(false);
        }
        (self.start, self.scanned, self.end) = (len, len, len);
        self.slot = Some(Arc::clone(&generation.slot));
        if generation.searched > generation.offset {
            self.jump(generation.searched);
            self.probing = true;
        }
        Ok(true)
    }

    /// Forgets the buffer's content, and gives back what a long line took.
    pub(super) fn leave(&mut self) {
        self.slot = None;
        (self.start, self.scanned, self.end, self.at) = (0, 0, 0, 0);
        (self.probing, self.known) = (false, 0);
        if self.bytes.len() > 2 * CHUNK_BYTES {
            self.bytes = Vec::new();
        }
    }

    /// The next terminated line. The generation's offset moves when the line is taken ([`Reader::take`]).
    pub(super) fn find(&mut self, generation: &Generation) -> Found {
        #[cfg(test)]
        {
            self.searched_bytes += (self.end - self.scanned) as u64;
        }
        let Some(newline) = memchr::memchr(b'\n', &self.bytes[self.scanned..self.end]) else {
            self.scanned = self.end;
            return Found::NeedMore;
        };
        let newline = self.scanned + newline;
        if !self.probing {
            return match newline - self.start {
                len if len > MAX_LINE_BYTES => self.overlong(generation.offset, newline),
                _ => Found::Line(self.start..newline, self.at + self.start as u64),
            };
        }
        let line_end = self.at + newline as u64;
        if line_end - generation.offset > MAX_LINE_BYTES as u64 {
            return self.overlong(generation.offset, newline);
        }
        // It is a line we can take after all: read it from its beginning.
        self.jump(generation.offset);
        self.probing = false;
        Found::NeedMore
    }

    fn overlong(&mut self, at: u64, newline: usize) -> Found {
        (self.start, self.scanned) = (newline, newline);
        self.probing = false;
        Found::Overlong(at)
    }

    /// A line that was found is not taken now: the next search finds it again.
    pub(super) fn leave_line(&mut self, range: &Range<usize>) {
        self.scanned = range.start;
    }

    /// The bytes of a line.
    pub(super) fn line(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// Moves past a line that ends before `newline` in the buffer.
    pub(super) fn take(&mut self, generation: &mut Generation, newline: usize) {
        self.start = newline + 1;
        self.scanned = self.start;
        generation.offset = self.at + self.start as u64;
        generation.lines += 1;
    }

    /// Moves past an overlong line that was just found.
    pub(super) fn take_overlong(&mut self, generation: &mut Generation) {
        self.take(generation, self.start);
    }

    /// Fingerprint of the bytes before the present place.
    pub(super) fn tail(&self) -> Fingerprint {
        Fingerprint::of(&self.bytes[self.start.saturating_sub(TAIL_BYTES)..self.start])
    }

    /// Bytes it holds on to.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Content offset behind all that was read.
    pub(super) fn reached(&self) -> u64 {
        self.at + self.end as u64
    }

    /// Reads on behind the end.
    pub(super) fn fill(&mut self, generation: &Generation, body: &mut Body) -> io::Result<Filled> {
        self.make_room();
        let from = self.end;
        let until = self.bytes.len().min(from + CHUNK_BYTES);
        let read = body.read_at(self.at + from as u64, &mut self.bytes[from..until])?;
        fail::fail_point!("lines::after_read");
        if read == 0 {
            return Ok(Filled::End);
        }
        if !generation.compressed && !self.still_follows((from, read), generation, body)? {
            return Ok(Filled::Changed);
        }
        self.end = from + read;
        let known = std::mem::take(&mut self.known).min(read);
        (self.start, self.scanned) = (self.start + known, self.scanned + known);
        Ok(Filled::More)
    }

    /// The bytes in front of a chunk just read are still in the file: it was not truncated and written anew in between. In
    /// front of the first chunk stands nothing: it has to be the beginning that is remembered, and to stay there.
    fn still_follows(&self, chunk: (usize, usize), generation: &Generation, body: &mut Body) -> io::Result<bool> {
        let (from, read) = chunk;
        let first = self.at == 0 && from == 0;
        if first && !generation.head.begins(&self.bytes[..read]) {
            return Ok(false);
        }
        let known = if first { 0..read.min(TAIL_BYTES) } else { from.saturating_sub(TAIL_BYTES)..from };
        let now = body.stretch(self.at + known.start as u64, known.len())?;
        Ok(now == self.bytes[known])
    }

    fn make_room(&mut self) {
        if self.bytes.len() - self.end >= CHUNK_BYTES / 2 {
            return;
        }
        if self.probing || self.end - self.start > MAX_LINE_BYTES {
            // Its beginning is not needed any more: it is found again if the line turns out to be takable.
            self.probing = true;
            self.start = self.end;
        }
        let keep = self.start.saturating_sub(TAIL_BYTES);
        self.bytes.copy_within(keep..self.end, 0);
        self.at += keep as u64;
        (self.start, self.scanned, self.end) = (self.start - keep, self.end - keep, self.end - keep);
        if self.bytes.len() - self.end < CHUNK_BYTES / 2 {
            let size = (self.bytes.len() * 2).min(MAX_LINE_BYTES + 2 * CHUNK_BYTES);
            self.bytes.resize(size, 0);
        }
    }

    /// Empties the buffer and continues at a content offset, the bytes before it included.
    fn jump(&mut self, at: u64) {
        self.known = at.min(TAIL_BYTES as u64) as usize;
        self.at = at - self.known as u64;
        (self.start, self.scanned, self.end) = (0, 0, 0);
    }
}
