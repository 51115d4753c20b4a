//! The machine that walks a document: one buffer, a bit a level, no recursion.
//!
//! Owns the grammar around the selected containers; what stands in them is cut out by [`record`]. Fails with the offset of
//! the first byte that is not JSON, or with the error of a read.

mod record;

use super::levels::Levels;
use super::oversize::Oversize;
use super::pieces::{self, Follower, Scan};
use super::{CHUNK, NotJson, RecordSink, Selection, Shape, SplitError};
use landfall_schemas::json::{MAX_RECORD_BYTES, RawString};
use std::io::Read;

/// What the grammar allows next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expect {
    Value,
    ValueOrEnd,
    Name,
    NameOrEnd,
    Colon,
    CommaOrEnd,
    Nothing,
}

/// What is half done between two reads.
#[derive(Debug)]
enum Doing {
    /// Between pieces.
    Grammar,
    /// Before a number or literal outside of records.
    Bare,
    /// Inside a string outside of records; what comes behind it.
    String(Expect),
    /// Inside a record that starts at `pos`; this many of its bytes are followed.
    Record(Follower, usize),
    /// Inside a record that is too large.
    TooLarge(Box<Oversize>),
}

/// A level on the way to a selected container, or that container itself.
#[derive(Clone, Copy, Debug)]
struct Step {
    node: usize,
    index: u64,
    stream: Option<usize>,
}

/// Whether a document is through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// There is more to read.
    More,
    /// The whole document was one JSON value.
    End,
}

enum Flow {
    Go,
    NeedMore,
    End,
}

/// Walks one document at a time; its buffer serves the next one after [`Splitter::restart`].
#[derive(Debug)]
pub struct Splitter {
    selection: Selection,
    buffer: Vec<u8>,
    filled: usize,
    pos: usize,
    /// File offset of `buffer[0]`.
    origin: u64,
    at_end: bool,
    expect: Expect,
    doing: Doing,
    levels: Levels,
    path: Vec<Step>,
    /// What the last name on the path said.
    name: Vec<u8>,
    name_broken: bool,
    found: Vec<bool>,
}

const BOM: &[u8] = b"\xef\xbb\xbf";
const END: &str = "the document ends in the middle";

impl Splitter {
    /// For documents of which `selection` is wanted.
    pub fn new(selection: Selection) -> Self {
        let found = vec![false; selection.streams()];
        Self {
            selection,
            buffer: Vec::new(),
            filled: 0,
            pos: 0,
            origin: 0,
            at_end: false,
            expect: Expect::Value,
            doing: Doing::Grammar,
            levels: Levels::default(),
            path: Vec::new(),
            name: Vec::new(),
            name_broken: false,
            found,
        }
    }

    /// Begins a new document. Keeps one chunk of memory.
    pub fn restart(&mut self) {
        self.buffer.truncate(CHUNK);
        self.buffer.shrink_to(CHUNK);
        self.levels = Levels::default();
        (self.filled, self.pos, self.origin, self.at_end) = (0, 0, 0, false);
        (self.expect, self.doing) = (Expect::Value, Doing::Grammar);
        self.path.clear();
        self.found.fill(false);
    }

    /// Bytes of the document behind the machine.
    pub fn position(&self) -> u64 {
        self.origin + self.pos as u64
    }

    /// Makes one read and hands out the records that are whole with it.
    pub fn advance<S: RecordSink>(&mut self, file: &mut impl Read, sink: &mut S) -> Result<Progress, SplitError> {
        let from_start = self.origin == 0 && self.filled == 0;
        self.refill(file)?;
        if from_start {
            while self.filled < BOM.len() && !self.at_end {
                self.refill(file)?;
            }
            if self.buffer[..self.filled].starts_with(BOM) {
                self.pos = BOM.len();
            }
        }
        loop {
            let flow = match self.doing {
                Doing::Grammar => self.grammar(sink)?,
                Doing::Bare => self.bare()?,
                Doing::String(then) => self.string(then)?,
                Doing::Record(..) => self.record(sink)?,
                Doing::TooLarge(_) => self.too_large(sink)?,
            };
            match flow {
                Flow::Go => {}
                Flow::End => return Ok(Progress::End),
                Flow::NeedMore if self.at_end => return Err(self.bad_at(self.filled, END).into()),
                Flow::NeedMore => return Ok(Progress::More),
            }
        }
    }

    /// Moves what is still needed to the front and reads behind it. Everything from `pos` on is needed.
    fn refill(&mut self, file: &mut impl Read) -> std::io::Result<()> {
        self.buffer.copy_within(self.pos..self.filled, 0);
        self.filled -= self.pos;
        self.origin += self.pos as u64;
        self.pos = 0;
        // A piece that fills the buffer needs a longer one; records stop growing it at their limit.
        if self.buffer.len() - self.filled < CHUNK / 2 {
            let wanted = if self.filled == 0 { CHUNK } else { self.buffer.len() * 2 };
            self.buffer.resize(wanted.clamp(CHUNK, MAX_RECORD_BYTES + 2 * CHUNK), 0);
        }
        let room = self.buffer.len().min(self.filled + CHUNK);
        let read = loop {
            match file.read(&mut self.buffer[self.filled..room]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.filled += read;
        self.at_end = read == 0;
        Ok(())
    }

    fn bad_at(&self, index: usize, what: &'static str) -> NotJson {
        NotJson { at: self.origin + index as u64, what }
    }

    fn grammar<S: RecordSink>(&mut self, sink: &mut S) -> Result<Flow, NotJson> {
        while self.pos < self.filled && matches!(self.buffer[self.pos], b' ' | b'\n' | b'\r' | b'\t') {
            self.pos += 1;
        }
        if self.pos == self.filled {
            let done = self.at_end && self.expect == Expect::Nothing;
            return Ok(if done { Flow::End } else { Flow::NeedMore });
        }
        let byte = self.buffer[self.pos];
        match (self.expect, byte) {
            (Expect::ValueOrEnd, b']') | (Expect::NameOrEnd, b'}') => self.close(),
            (Expect::Value | Expect::ValueOrEnd, _) => return self.value(byte, sink),
            (Expect::Name | Expect::NameOrEnd, b'"') => return self.member_name(),
            (Expect::Colon, b':') => self.step_to(Expect::Value),
            (Expect::CommaOrEnd, b',') => {
                let next = if self.levels.top_is_object() { Expect::Name } else { Expect::Value };
                self.step_to(next);
            }
            (Expect::CommaOrEnd, b'}' | b']') if self.levels.top_is_object() == (byte == b'}') => self.close(),
            (Expect::Name | Expect::NameOrEnd, _) => return Err(self.bad_at(self.pos, "a member's name is missing")),
            (Expect::Colon, _) => return Err(self.bad_at(self.pos, "a colon is missing")),
            (Expect::CommaOrEnd, _) => return Err(self.bad_at(self.pos, "a comma or closing bracket is missing")),
            (Expect::Nothing, _) => return Err(self.bad_at(self.pos, "something stands behind the document's end")),
        }
        Ok(Flow::Go)
    }

    fn step_to(&mut self, expect: Expect) {
        self.pos += 1;
        self.expect = expect;
    }

    fn after_value(&self) -> Expect {
        if self.levels.len == 0 { Expect::Nothing } else { Expect::CommaOrEnd }
    }

    fn close(&mut self) {
        if self.path.len() == self.levels.len {
            self.path.pop();
        }
        self.levels.len -= 1;
        self.pos += 1;
        self.expect = self.after_value();
    }

    /// The innermost level, when it is on the way to a selected container or one itself.
    fn on_path(&mut self) -> Option<&mut Step> {
        if self.path.len() == self.levels.len { self.path.last_mut() } else { None }
    }

    fn value<S: RecordSink>(&mut self, byte: u8, sink: &mut S) -> Result<Flow, NotJson> {
        let in_object = self.levels.len > 0 && self.levels.top_is_object();
        let mut node = (self.levels.len == 0).then_some(Selection::ROOT);
        if let Some(step) = self.on_path() {
            let Step { node: parent, index, stream } = *step;
            step.index += 1;
            if let Some(stream) = stream {
                return self.begin_record(byte, stream, sink);
            }
            node = match (in_object, self.name_broken) {
                (false, _) => self.selection.element(parent, index),
                (true, false) => {
                    std::str::from_utf8(&self.name).ok().and_then(|name| self.selection.child(parent, name))
                }
                (true, true) => None,
            };
        }
        if let Some(stream) = node.and_then(|node| self.selection.stream(node)) {
            if std::mem::replace(&mut self.found[stream], true) {
                return Err(self.bad_at(self.pos, "the selected container stands here a second time"));
            }
            let shape = match byte {
                b'[' => Shape::Array,
                b'{' => Shape::Map,
                _ => Shape::Scalar,
            };
            sink.container(stream, shape);
        }
        match byte {
            b'{' | b'[' => {
                if let Some(node) = node {
                    self.path.push(Step { node, index: 0, stream: self.selection.stream(node) });
                }
                self.levels.push(u64::from(byte == b'{'));
                self.step_to(if byte == b'{' { Expect::NameOrEnd } else { Expect::ValueOrEnd });
            }
            b'"' => {
                self.pos += 1;
                self.doing = Doing::String(self.after_value());
            }
            _ => self.doing = Doing::Bare,
        }
        Ok(Flow::Go)
    }

    fn bare(&mut self) -> Result<Flow, NotJson> {
        let rest = &self.buffer[self.pos..self.filled];
        let scan = match rest.first() {
            None => Scan::More(0),
            Some(b'-' | b'0'..=b'9') => pieces::number(rest, self.at_end),
            Some(b't') => pieces::literal(rest, b"true"),
            Some(b'f') => pieces::literal(rest, b"false"),
            Some(b'n') => pieces::literal(rest, b"null"),
            Some(_) => Scan::Bad(0, "not a value"),
        };
        match scan {
            Scan::Done(len) => {
                self.pos += len;
                self.expect = self.after_value();
                self.doing = Doing::Grammar;
                Ok(Flow::Go)
            }
            Scan::More(_) => self.more_of_piece(),
            Scan::Bad(at, what) => Err(self.bad_at(self.pos + at, what)),
        }
    }

    /// A number or name must fit in memory whole.
    fn more_of_piece(&self) -> Result<Flow, NotJson> {
        if self.filled - self.pos > MAX_RECORD_BYTES {
            return Err(self.bad_at(self.pos, "a name or number longer than 16 MiB"));
        }
        Ok(Flow::NeedMore)
    }

    fn string(&mut self, then: Expect) -> Result<Flow, NotJson> {
        match pieces::string(&self.buffer[self.pos..self.filled]) {
            Scan::Done(len) => {
                self.pos += len;
                self.expect = then;
                self.doing = Doing::Grammar;
                Ok(Flow::Go)
            }
            Scan::More(len) => {
                self.pos += len;
                Ok(Flow::NeedMore)
            }
            Scan::Bad(at, what) => Err(self.bad_at(self.pos + at, what)),
        }
    }

    /// A member's name: kept where it leads to a container or names a record, else only checked.
    fn member_name(&mut self) -> Result<Flow, NotJson> {
        if self.on_path().is_none() {
            self.pos += 1;
            self.doing = Doing::String(Expect::Colon);
            return Ok(Flow::Go);
        }
        let token = &self.buffer[self.pos..self.filled];
        match pieces::string(&token[1..]) {
            Scan::Done(len) => {
                let raw = RawString::of_value(&token[..=len]);
                self.name.clear();
                self.name_broken = raw.is_none_or(|raw| raw.append_to(&mut self.name).is_err());
                self.pos += 1 + len;
                self.expect = Expect::Colon;
                Ok(Flow::Go)
            }
            Scan::More(_) => self.more_of_piece(),
            Scan::Bad(at, what) => Err(self.bad_at(self.pos + 1 + at, what)),
        }
    }
}
