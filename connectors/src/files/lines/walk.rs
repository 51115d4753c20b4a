//! The lines of one file, for who reads a file again: split, understood and handed on one by one.
//!
//! Splits as the reader of capture does and asks the same interpreter, so a line means what it means there.

use super::body::Body;
use super::operation::Interpreter;
use super::reader::{MAX_LINE_BYTES, OVERLONG_HEAD_BYTES};
use crate::failure::Failure;
use crate::reread::Said;
use landfall_schemas::event::{ChangeBatch, Op, Place};
use landfall_schemas::rejection::RejectCode;

/// Bytes asked for at once.
const CHUNK: usize = 1 << 20;

/// What of a file is read, and what becomes of an unfinished last line.
pub(super) struct Extent {
    /// First byte: a line begins there.
    pub(super) from: u64,
    /// Nothing is added to it any more.
    pub(super) ended: bool,
    /// Bytes of a file that may still grow.
    pub(super) until: u64,
}

/// What a line comes to for one stream.
pub(super) struct Walked<'a> {
    pub(super) stream: usize,
    pub(super) key: &'a [u8],
    pub(super) said: Said<'a>,
    /// Where it begins.
    pub(super) at: u64,
}

/// A walk through one file.
pub(super) struct Walk<'a> {
    interpreter: &'a mut Interpreter,
    /// What keys by place call the file.
    slot: &'a str,
    batch: ChangeBatch,
    hand: &'a mut dyn FnMut(&Walked<'_>) -> Result<(), Failure>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        interpreter: &'a mut Interpreter,
        slot: &'a str,
        hand: &'a mut dyn FnMut(&Walked<'_>) -> Result<(), Failure>,
    ) -> Self {
        Self { interpreter, slot, batch: ChangeBatch::default(), hand }
    }

    /// All lines, and where they end. The error is a failure, or `None` where reading failed.
    pub(super) fn file(&mut self, body: &mut Body, extent: &Extent) -> Result<u64, Option<Failure>> {
        let mut buffer = vec![0; 2 * CHUNK];
        // Content offset of the buffer's first byte; what of it is filled; where the line begins.
        let (mut at, mut filled, mut skipping) = (extent.from, 0, None::<(u64, Vec<u8>)>);
        loop {
            let room =
                (buffer.len() - filled).min(usize::try_from(extent.until - at - filled as u64).unwrap_or(usize::MAX));
            let read = body.read_at(at + filled as u64, &mut buffer[filled..filled + room]).map_err(|_| None)?;
            let searched = filled;
            filled += read;
            let (mut start, mut from) = (0, searched);
            while let Some(newline) = memchr::memchr(b'\n', &buffer[from..filled]).map(|found| from + found) {
                match skipping.take() {
                    Some((begun, head)) => self.overlong(&head, begun)?,
                    None => self.line(&buffer[start..newline], at + start as u64)?,
                }
                (start, from) = (newline + 1, newline + 1);
            }
            if read == 0 {
                self.rest(&buffer[start..filled], (at + start as u64, skipping), extent)?;
                return Ok(at + filled as u64);
            }
            if start == 0 && filled > MAX_LINE_BYTES && skipping.is_none() {
                skipping = Some((at, buffer[..OVERLONG_HEAD_BYTES].to_vec()));
            }
            if skipping.is_some() && start == 0 {
                start = filled;
            }
            buffer.copy_within(start..filled, 0);
            (at, filled) = (at + start as u64, filled - start);
            if filled + CHUNK > buffer.len() {
                buffer.resize(buffer.len() * 2, 0);
            }
        }
    }

    fn rest(
        &mut self,
        rest: &[u8],
        (at, skipping): (u64, Option<(u64, Vec<u8>)>),
        extent: &Extent,
    ) -> Result<(), Option<Failure>> {
        // Without its newline a line may still be being written.
        match skipping {
            _ if !extent.ended => Ok(()),
            Some((begun, head)) => self.overlong(&head, begun),
            None if rest.is_empty() => Ok(()),
            None => {
                let origin = self.origin(at);
                self.interpreter.last_line(&mut self.batch, without_mark(rest, at), (self.slot, origin));
                self.hand_on(at)
            }
        }
    }

    fn line(&mut self, line: &[u8], at: u64) -> Result<(), Option<Failure>> {
        if line.len() > MAX_LINE_BYTES {
            return self.overlong(&line[..OVERLONG_HEAD_BYTES], at);
        }
        let line = without_mark(line, at);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let origin = self.origin(at);
        self.interpreter.line(&mut self.batch, line, (self.slot, origin));
        self.hand_on(at)
    }

    fn overlong(&mut self, head: &[u8], at: u64) -> Result<(), Option<Failure>> {
        let origin = self.origin(at);
        self.interpreter.reject(&mut self.batch, (head, RejectCode::TooLarge), (self.slot, origin));
        self.hand_on(at)
    }

    fn origin(&mut self, at: u64) -> Place {
        Place { index: self.batch.place(self.slot), at }
    }

    fn hand_on(&mut self, at: u64) -> Result<(), Option<Failure>> {
        for change in self.batch.changes() {
            let said = match change.op {
                Op::Upsert => Said::Record(self.batch.bytes(&change.payload)),
                Op::Delete => Said::Deleted,
                _ => Said::Rejected(change.reject.unwrap_or(RejectCode::Malformed)),
            };
            let (stream, key) = (usize::from(change.stream.0), self.batch.bytes(&change.key));
            (self.hand)(&Walked { stream, key, said, at }).map_err(Some)?;
        }
        self.batch.clear();
        Ok(())
    }
}

/// A line without the byte order mark that may stand at the beginning of a file.
fn without_mark(line: &[u8], at: u64) -> &[u8] {
    if at == 0 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line }
}
