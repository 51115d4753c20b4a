//! The machine inside a selected container: where a record begins, where it ends, and what is handed out of it.
//!
//! Checks no grammar inside a record, it only finds its end; whoever takes the record checks it. Memory stays within
//! [`MAX_RECORD_BYTES`]: of a longer record only its head, length and hash are kept. Fails with the offset of a byte that begins no value.

use super::{Doing, Expect, Flow, Splitter};
use crate::files::split::oversize::Oversize;
use crate::files::split::pieces::Follower;
use crate::files::split::{Body, Name, NotJson, Origin, RecordSink};
use landfall_schemas::json::MAX_RECORD_BYTES;

impl Splitter {
    pub(super) fn begin_record<S: RecordSink>(
        &mut self,
        byte: u8,
        stream: usize,
        sink: &mut S,
    ) -> Result<Flow, NotJson> {
        if !matches!(byte, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') {
            return Err(self.bad_at(self.pos, "not a value"));
        }
        let mut byte = byte;
        while matches!(byte, b'{' | b'[' | b'"') {
            let window = &self.buffer[self.pos..self.filled];
            let origin = Origin { stream, at: self.origin + self.pos as u64, name: self.name() };
            let Some(len) = sink.known(origin, window) else { break };
            self.pos += len;
            self.expect = Expect::CommaOrEnd;
            match self.next_element() {
                Some(next) => byte = next,
                None => return Ok(Flow::Go),
            }
        }
        self.doing = Doing::Record(Follower::of(byte), 0);
        Ok(Flow::Go)
    }

    /// Behind an element of an array: steps to the next one, if that is plainly there; says with what it starts. All else is
    /// left to the grammar, which would take the same steps one by one.
    #[inline]
    fn next_element(&mut self) -> Option<u8> {
        let rest = &self.buffer[self.pos..self.filled];
        if rest.first() != Some(&b',') || self.levels.top_is_object() {
            return None;
        }
        let space = rest[1..].iter().position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'))?;
        let next = rest[1 + space];
        if !matches!(next, b'{' | b'[' | b'"') {
            return None;
        }
        self.pos += 1 + space;
        Some(next)
    }

    fn name(&self) -> Name<'_> {
        if !self.levels.top_is_object() {
            return Name::None;
        }
        match std::str::from_utf8(&self.name) {
            Ok(text) if !self.name_broken => Name::Text(text),
            _ => Name::Broken,
        }
    }

    fn stream(&self) -> usize {
        self.path.last().and_then(|step| step.stream).unwrap_or_default()
    }

    pub(super) fn record<S: RecordSink>(&mut self, sink: &mut S) -> Result<Flow, NotJson> {
        let Doing::Record(follower, followed) = &mut self.doing else { return Ok(Flow::Go) };
        let held = self.filled - self.pos;
        // A bare value at the file's end has no end: its container is still open, and that is the error.
        let rest = &self.buffer[self.pos + *followed..self.filled];
        let end = follower.follow(rest).map(|len| *followed + len);
        *followed = held;
        match end {
            Some(len) if len <= MAX_RECORD_BYTES => {
                let origin = Origin { stream: self.stream(), at: self.origin + self.pos as u64, name: self.name() };
                sink.record(origin, Body::Whole(&self.buffer[self.pos..self.pos + len]))?;
                self.pos += len;
                self.end_record();
                Ok(Flow::Go)
            }
            None if held <= MAX_RECORD_BYTES => Ok(Flow::NeedMore),
            end => {
                self.grow_too_large(end.unwrap_or(held));
                if end.is_some() { self.hand_out_too_large(sink) } else { Ok(Flow::NeedMore) }
            }
        }
    }

    fn end_record(&mut self) {
        self.expect = Expect::CommaOrEnd;
        self.doing = Doing::Grammar;
    }

    /// Takes the `len` bytes from `pos` into the hash of a record that is too large, and steps past them.
    fn grow_too_large(&mut self, len: usize) {
        let at = self.origin + self.pos as u64;
        let bytes = &self.buffer[self.pos..self.pos + len];
        if let Doing::Record(follower, _) = self.doing {
            self.doing = Doing::TooLarge(Box::new(Oversize::new(follower, at, bytes)));
        }
        if let Doing::TooLarge(large) = &mut self.doing {
            large.take(bytes);
        }
        self.pos += len;
    }

    pub(super) fn too_large<S: RecordSink>(&mut self, sink: &mut S) -> Result<Flow, NotJson> {
        let Doing::TooLarge(large) = &mut self.doing else { return Ok(Flow::Go) };
        let end = large.follower.follow(&self.buffer[self.pos..self.filled]);
        self.grow_too_large(end.unwrap_or(self.filled - self.pos));
        if end.is_some() { self.hand_out_too_large(sink) } else { Ok(Flow::NeedMore) }
    }

    fn hand_out_too_large<S: RecordSink>(&mut self, sink: &mut S) -> Result<Flow, NotJson> {
        let Doing::TooLarge(large) = std::mem::replace(&mut self.doing, Doing::Grammar) else { return Ok(Flow::Go) };
        let origin = Origin { stream: self.stream(), at: large.at, name: self.name() };
        sink.record(origin, Body::TooLarge { head: &large.head, len: large.len, hash: large.hash() })?;
        self.end_record();
        Ok(Flow::Go)
    }
}
