//! The lines read a second time: every present file from its first byte to its last, chain by chain, oldest first.
//!
//! What capture knows of generations and offsets is not asked. Within a chain (a file and what rotation made of it) lines stand in order;
//! how two chains were interleaved is not known, so each has a number of its own. A rotated file that stands beside its own compressed copy
//! is read once; one that the pattern does not name belongs to the source only perhaps, since capture reads it when it saw it under its
//! first name. A chain that moves while it is read is read again. Lines are understood by the interpreter that capture uses: what a line
//! means is one thing.

use super::LinesConfig;
use super::body::Body;
use super::ledger::Ledger;
use super::listing::{Member, View};
use super::operation::Interpreter;
use super::reader::{MAX_LINE_BYTES, OVERLONG_HEAD_BYTES};
use super::rotation::{Age, is_compressed};
use crate::failure::{Failure, FailureClass};
use crate::files::root::{Listed, Root};
use crate::reread::{Part, Repeats, Reread, Said, Seen, Taker};
use crate::source::SourceStream;
use landfall_schemas::event::{ChangeBatch, Op, Place};
use landfall_schemas::rejection::RejectCode;
use landfall_schemas::stream::StreamId;
use std::path::Path;

/// Readings of chains that are rotated under them before they are given up.
const ATTEMPTS: u32 = 10;
/// Bytes asked for at once.
const CHUNK: usize = 1 << 20;

/// Lines to be read a second time.
#[derive(Debug)]
pub struct LinesReread {
    config: LinesConfig,
    interpreter: Interpreter,
}

/// How one file is read: what becomes of an unfinished last line, and how far.
struct Extent {
    /// Nothing is added to it any more.
    ended: bool,
    /// Bytes of a file that may still grow.
    until: u64,
}

/// Where lines go.
struct Lines<'a> {
    interpreter: &'a mut Interpreter,
    taker: &'a mut dyn Taker,
    batch: ChangeBatch,
    chain: u16,
    part: Part,
}

impl LinesReread {
    /// For the streams of the source; opens nothing yet.
    pub fn new(config: LinesConfig, streams: Vec<SourceStream>) -> Self {
        // Changes come back with the number of their stream: its place in the list.
        let numbered = streams.into_iter().zip(0..).map(|(stream, at)| SourceStream { id: StreamId(at), ..stream });
        Self { interpreter: Interpreter::new(config.format.clone(), numbered.collect()), config }
    }

    fn failure(&self, path: &Path, code: &'static str, what: &str) -> Failure {
        let path = self.config.dir.join(path);
        Failure::new(FailureClass::Transient, code, format!("{}: {what}", path.display()))
    }

    fn list(&self, root: &Root) -> Result<View, Failure> {
        let listed = View::take(root, &self.config.pattern, &Ledger::default());
        let view = listed.map_err(|error| self.failure(&error.path, error.code(), &error.errno.to_string()))?;
        match view.unreadable.first() {
            Some(error) => Err(self.failure(&error.path, "unreadable", "it cannot be listed")),
            None => Ok(view),
        }
    }

    fn once(&mut self, root: &Root, view: &View, taker: &mut dyn Taker) -> Result<(), Failure> {
        for (chain, base) in view.bases().enumerate() {
            let members = view.members(base);
            for (at, member) in members.iter().enumerate() {
                let file = &view.files[member.file];
                if repeats_another(file, members, view) {
                    continue;
                }
                let ended = is_compressed(&file.path) || follows(&members[at + 1..], view);
                let (opened, stat) = root
                    .open_file(&file.path)
                    .map_err(|_| self.failure(&file.path, "store_moving", "it is not where it was listed"))?;
                if !stat.same_inode(&file.stat) {
                    return Err(self.failure(&file.path, "store_moving", "it is another file than was listed"));
                }
                let mut body = Body::new(opened, is_compressed(&file.path));
                let until = if is_compressed(&file.path) { u64::MAX } else { stat.size };
                // More chains than numbers: the last ones are told apart no more, which only makes more of them not comparable.
                let chain = u16::try_from(chain).unwrap_or(u16::MAX).min(Seen::CHAINS);
                let meant = member.age == Age::Live || self.config.pattern.matches(&file.path);
                let part = if meant { Part::Sure } else { Part::Perhaps };
                let (interpreter, batch) = (&mut self.interpreter, ChangeBatch::default());
                let mut lines = Lines { interpreter, taker: &mut *taker, batch, chain, part };
                let read = lines.file(&mut body, &Extent { ended, until });
                read.map_err(|error| {
                    error.unwrap_or_else(|| self.failure(&file.path, "unreadable", "reading it failed"))
                })?;
            }
        }
        Ok(())
    }
}

/// Another file of the chain with something in it follows.
fn follows(later: &[Member], view: &View) -> bool {
    later.iter().any(|member| view.files[member.file].stat.size > 0)
}

/// A compressed file whose plain one is still there.
fn repeats_another(file: &Listed, chain: &[Member], view: &View) -> bool {
    let plain = file.path.with_extension("");
    is_compressed(&file.path)
        && chain.iter().any(|other| view.files[other.file].path == plain && other.age != Age::Live)
}

impl Lines<'_> {
    /// All lines of a file. The error is a failure, or `None` where reading failed.
    fn file(&mut self, body: &mut Body, extent: &Extent) -> Result<(), Option<Failure>> {
        let mut buffer = vec![0; 2 * CHUNK];
        // Content offset of the buffer's first byte; what of it is filled; where the line begins.
        let (mut at, mut filled, mut skipping) = (0_u64, 0, None::<(u64, Vec<u8>)>);
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
                return self.rest(&buffer[start..filled], (at + start as u64, skipping), extent);
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
                self.interpreter.last_line(&mut self.batch, without_mark(rest, at), ("*", origin));
                self.hand_on()
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
        self.interpreter.line(&mut self.batch, line, ("*", origin));
        self.hand_on()
    }

    fn overlong(&mut self, head: &[u8], at: u64) -> Result<(), Option<Failure>> {
        let origin = self.origin(at);
        self.interpreter.reject(&mut self.batch, (head, RejectCode::TooLarge), ("*", origin));
        self.hand_on()
    }

    fn origin(&mut self, at: u64) -> Place {
        Place { index: self.batch.place("*"), at }
    }

    fn hand_on(&mut self) -> Result<(), Option<Failure>> {
        for change in self.batch.changes() {
            let said = match change.op {
                Op::Upsert => Said::Record(self.batch.bytes(&change.payload)),
                Op::Delete => Said::Deleted,
                _ => Said::Rejected(change.reject.unwrap_or(RejectCode::Malformed)),
            };
            let (stream, key) = (usize::from(change.stream.0), self.batch.bytes(&change.key));
            self.taker.take(&Seen { stream, key, said, chain: self.chain, part: self.part }).map_err(Some)?;
        }
        self.batch.clear();
        Ok(())
    }
}

/// A line without the byte order mark that may stand at the beginning of a file.
fn without_mark(line: &[u8], at: u64) -> &[u8] {
    if at == 0 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line }
}

impl Reread for LinesReread {
    fn repeats(&self) -> Repeats {
        Repeats::LastStands
    }

    fn read(&mut self, taker: &mut dyn Taker) -> Result<Vec<Option<Failure>>, Failure> {
        let mut attempt = 1;
        loop {
            let root = Root::open(&self.config.dir, self.config.symlinks)
                .map_err(|error| self.failure(Path::new(""), error.code(), &error.to_string()))?;
            let view = self.list(&root)?;
            let read = self.once(&root, &view, taker);
            let moved = match &read {
                Ok(()) => {
                    let after = self.list(&root)?;
                    view.bases().any(|base| !view.chain_stands(base, &after))
                }
                Err(failure) => failure.code == "store_moving",
            };
            if !moved {
                return read.map(|()| vec![None; self.interpreter.streams().len()]);
            }
            if attempt == ATTEMPTS {
                let what = "its files are rotated faster than they can be read";
                return Err(self.failure(Path::new(""), "store_moving", what));
            }
            attempt += 1;
            taker.restart()?;
        }
    }
}
